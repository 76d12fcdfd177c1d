"""Temperature of a battery's cells: one mass that its losses warm and the air around it cools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Le

from twin.devices.base import STRICT
from twin.devices.battery_course import Course
from twin.devices.battery_losses import Converter
from twin.numeric import UNBOUNDED, FloatArray, Num, clip, exp, larger, magnitude, ratio, sqrt, where

NEAR = 1e-5
"""Two rates closer than this are taken for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thermal:
    """Cells in air that heating and cooling hold in a band, and what temperature allows.

    Notes
    -----
    ``heat_capacity · dT/dt = losses − conductance · (T − air)``: the lumped model of NREL's SAM (DiOrio et al., NREL
    TP-6A20-64641, 2015). What power is allowed follows from the air alone, not from how warm the cells happen to be:
    in the cold it falls in a straight line to nothing, in the heat it is what the cells stand for ever. That is on the
    safe side by the hours that their mass would have gained, and holds for a step of any length. Power for heating and
    cooling is part of the battery's standby power.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    heat_capacity_kwh_per_k: Annotated[float, Gt(0)]
    """Some 0.0017 for each kWh of capacity: 1 kJ/(kg K), 170 Wh/kg."""
    conductance_kw_per_k: Annotated[float, Gt(0)]
    """From the cells to their air."""
    losses_in_cells_fraction: Annotated[float, Gt(0), Le(1)] = 1.0
    """Of all losses but standby; the rest warms the inverter. 1 is on the safe side."""
    min_air_c: Annotated[float, Ge(-60), Le(60)] = 18.0
    """Heating holds the air at this when it is colder outside."""
    max_air_c: Annotated[float, Ge(-60), Le(60)] = 25.0
    """Cooling holds the air at this when it is warmer outside."""
    min_charge_c: Annotated[float, Ge(-60), Le(60)] = 0.0
    """No charging in air below this: lithium would be plated."""
    full_charge_c: Annotated[float, Ge(-60), Le(60)] = 10.0
    """Full charging power in air from this."""
    max_cell_c: Annotated[float, Ge(-60), Le(100)] = 45.0
    """Warmest that the cells may get."""
    initial_cell_c: Annotated[float, Ge(-60), Le(100)] = 20.0

    def __post_init__(self) -> None:
        if self.min_air_c > self.max_air_c:
            raise ValueError(f"min_air_c up to max_air_c, not {self.min_air_c:g} and {self.max_air_c:g}")
        if self.min_charge_c >= self.full_charge_c:
            raise ValueError(f"min_charge_c below full_charge_c, not {self.min_charge_c:g} and {self.full_charge_c:g}")
        if self.max_air_c >= self.max_cell_c:
            raise ValueError(f"max_air_c below max_cell_c, not {self.max_air_c:g} and {self.max_cell_c:g}")

    @property
    def lag_h(self) -> float:
        """Time constant of the cells."""
        return self.heat_capacity_kwh_per_k / self.conductance_kw_per_k

    def air_c(self, dry_bulb_c: FloatArray) -> FloatArray:
        """Around the cells, in such weather."""
        return np.clip(dry_bulb_c, self.min_air_c, self.max_air_c)

    def charge_fraction(self, air_c: Num) -> Num:
        """Of the rated charging power, that cold air leaves."""
        return clip((air_c - self.min_charge_c) / (self.full_charge_c - self.min_charge_c), 0.0, 1.0)

    def endured_kw(self, air_c: Num, converter: Converter, linear: Num) -> Num:
        """Power of the cells whose losses warm them just to `max_cell_c` in the long run."""
        spare_kw = (self.max_cell_c - air_c) * (self.conductance_kw_per_k / self.losses_in_cells_fraction)
        spare_kw = larger(spare_kw - converter.no_load_kw, 0.0)
        root = sqrt(linear * linear + 4.0 * converter.square_per_kw * spare_kw)
        return ratio(2.0 * spare_kw, linear + root, UNBOUNDED)

    def steady_k(self, above_k: Num, heat_kw: Num, hours: Num) -> Num:
        """How far above the air the cells are after `hours` of constant losses."""
        left = exp(hours * (-1.0 / self.lag_h))
        end_k = heat_kw * (self.losses_in_cells_fraction / self.conductance_kw_per_k)
        return end_k + (above_k - end_k) * left

    def faded_k(self, above_k: Num, course: Course, rate_per_h: Num, converter: Converter, linear: Num) -> Num:
        """How far above the air the cells are after power has faded."""
        hours, lag_h = course.fading_h, self.lag_h
        above_k = self.steady_k(above_k, converter.no_load_kw, hours)
        linear_kwh = linear * course.kw * lagged_h(rate_per_h, lag_h, hours)
        square_kwh = converter.square_per_kw * course.kw * course.kw * lagged_h(2.0 * rate_per_h, lag_h, hours)
        return above_k + (linear_kwh + square_kwh) * (self.losses_in_cells_fraction / self.heat_capacity_kwh_per_k)


def lagged_h(rate_per_h: Num, lag_h: float, hours: Num) -> Num:
    """What a first-order lag holds after `hours` of an input ``exp(−rate · t)``, per unit of it.

    ``∫ exp(−rate · s) · exp(−(t − s) / lag) ds`` from 0 to ``t``; where the two rates are the same within 1e-5,
    ``t · exp(−t / lag)`` with the first term of what is left out.
    """
    apart_per_h = 1.0 / lag_h - rate_per_h
    near = magnitude(apart_per_h) * lag_h < NEAR
    left = exp(hours * (-1.0 / lag_h))
    one_rate_h = hours * left * (1.0 + 0.5 * apart_per_h * hours)
    return where(near, one_rate_h, (exp(0.0 - hours * rate_per_h) - left) / where(near, 1.0, apart_per_h))
