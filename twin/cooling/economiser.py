"""Cooling by outdoor air or tower water before any chiller: free, but for fans and pumps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Lt

from twin.cooling.adiabatic import pad_air_c, pad_water_l_per_h
from twin.cooling.fans_and_pumps import fan_kw
from twin.cooling.plant_duty import SMALLEST_RISE_K, PlantDuty, check_positive, flow_fraction
from twin.cooling.rejection import HeatRejection, Rejection
from twin.devices.base import STRICT
from twin.numeric import Num, clip, count_true, larger, smaller, where


def precooled_share(return_c: Num, supply_c: Num, reached_c: Num) -> Num:
    """Part of a heat that is taken by cooling what returns down to `reached_c`, on the way to `supply_c`.

    ``(return - reached) / (return - supply)``, within 0 and 1.
    """
    return clip((return_c - reached_c) / larger(return_c - supply_c, SMALLEST_RISE_K), 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutdoorAir:
    """Airside economiser: outdoor air blown through the hall, cooled by wetted pads where there are any.

    `return_c` and `supply_c` are those of the hall's air. Dampers mix in returning air where it is colder outside than
    asked for, and shut where it is warmer than what returns, or more humid than the hall may be.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    rated_heat_kw: Annotated[float, Gt(0)]
    rise_k: Annotated[float, Gt(0)] = 12.0
    """Warming of the air at rated heat and flow."""
    fan_kw: Annotated[float, Ge(0)]
    """Of filters, louvres and pads, at rated flow of outdoor air; fans of the hall are the hall's."""
    max_wet_bulb_c: float = 21.0
    """Above, the outdoor air is too humid: near 15 °C dew point at 35 °C, the limit ASHRAE recommends."""
    pad_effectiveness_fraction: Annotated[float, Ge(0), Lt(1)] = 0.0
    """0: no pads."""
    pad_bleed_fraction: Annotated[float, Ge(0)] = 0.0
    """Drained, of what evaporates."""

    def __post_init__(self) -> None:
        check_positive(rated_heat_kw=self.rated_heat_kw, rise_k=self.rise_k)

    @property
    def rated_kw(self) -> float:
        """The fans at full power."""
        return self.fan_kw

    def duty(self, heat_kw: Num, return_c: Num, supply_c: Num, dry_bulb_c: Num, wet_bulb_c: Num) -> PlantDuty:
        """As `HeatRejection.rejects`, part by part."""
        heat_kw = larger(heat_kw, 0.0)
        wetted_c = larger(pad_air_c(dry_bulb_c, wet_bulb_c, self.pad_effectiveness_fraction), supply_c)
        outdoor_c = smaller(dry_bulb_c, wetted_c)
        share = where(
            wet_bulb_c <= self.max_wet_bulb_c, precooled_share(return_c, supply_c, larger(outdoor_c, supply_c)), 0.0
        )
        taken_kw = heat_kw * share
        warming_k = larger(return_c - outdoor_c, SMALLEST_RISE_K)
        flow = flow_fraction(taken_kw, warming_k, rated_heat_kw=self.rated_heat_kw, rated_rise_k=self.rise_k)
        evaporated = pad_water_l_per_h(taken_kw / warming_k, dry_bulb_c - outdoor_c, 0.0)
        return PlantDuty(
            taken_kw=taken_kw,
            supply_c=return_c - (return_c - supply_c) * share,
            pump_kw=0.0,
            fan_kw=fan_kw(self.fan_kw, smaller(flow, 1.0)),
            to_air_kw=taken_kw,
            evaporated_l_per_h=evaporated,
            water_l_per_h=evaporated * (1.0 + self.pad_bleed_fraction),
        )

    def rejects(self, heat_kw: Num, return_c: Num, supply_c: Num, dry_bulb_c: Num, wet_bulb_c: Num) -> Rejection:
        return self.duty(heat_kw, return_c, supply_c, dry_bulb_c, wet_bulb_c).rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstThen:
    """Two plants in series: `then` takes what `first` leaves. Outdoor air before chillers, a dry cooler before
    towers."""

    first: HeatRejection
    then: HeatRejection

    def rejects(self, heat_kw: Num, return_c: Num, supply_c: Num, dry_bulb_c: Num, wet_bulb_c: Num) -> Rejection:
        one = self.first.rejects(heat_kw, return_c, supply_c, dry_bulb_c, wet_bulb_c)
        left_kw = larger(heat_kw - one.taken_kw, 0.0)
        two = self.then.rejects(left_kw, larger(one.supply_c, supply_c), supply_c, dry_bulb_c, wet_bulb_c)
        worked = count_true(left_kw > 0.0)
        return Rejection(
            taken_kw=one.taken_kw + two.taken_kw,
            supply_c=where(left_kw > 0.0, two.supply_c, one.supply_c),
            electric_kw=one.electric_kw + two.electric_kw,
            water_l_per_h=one.water_l_per_h + two.water_l_per_h,
            clamped=larger(one.clamped, two.clamped * worked),
        )
