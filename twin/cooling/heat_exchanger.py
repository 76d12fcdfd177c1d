"""Heat exchangers by effectiveness and number of transfer units, between a hall and the water that cools it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Gt

from twin.devices.base import STRICT
from twin.numeric import Num

WATER_KJ_PER_L_K = 4.155
"""Volumetric heat of water near 35 °C: 4.18 kJ/(kg·K) and 0.994 kg/L (IAPWS)."""
AIR_KJ_PER_M3_K = 1.2
"""Of air near 23 °C at sea level: 1.006 kJ/(kg·K) and 1.19 kg/m³."""
FILM_EXPONENT = 0.4
"""Transfer units fall with flow to this power, as UA grows with flow^0.6: films on both sides with Nu of Re^0.6 to
Re^0.8 and a wall between them (Incropera and DeWitt, Fundamentals of Heat and Mass Transfer, chapters 7 and 8)."""


def exponential(value: Num) -> Num:
    """``e^value``, for floats, arrays and what is recorded."""
    power: Num = math.e**value
    return power


def counterflow_effectiveness(ntu: Num, capacity_ratio: float) -> Num:
    """Effectiveness of a counterflow exchanger: heat over the most that its two inlets allow.

    ``(1 - x) / (1 - C·x)`` with ``x = exp(-NTU·(1 - C))`` and C the smaller over the larger capacity flow, from 0
    (one side boils or condenses) up to 1; at 1 it is ``NTU / (1 + NTU)``.

    Source: Kays and London, Compact Heat Exchangers, 3rd edition 1984, chapter 2.
    """
    if capacity_ratio > NEARLY_ONE:
        return ntu / (1.0 + ntu)
    left = exponential(-ntu * (1.0 - capacity_ratio))
    return (1.0 - left) / (1.0 - capacity_ratio * left)


def counterflow_ntu(effectiveness: float, capacity_ratio: float) -> float:
    """The transfer units that give `effectiveness`, below 1: the inverse of `counterflow_effectiveness`."""
    if capacity_ratio > NEARLY_ONE:
        return effectiveness / (1.0 - effectiveness)
    return math.log((1.0 - capacity_ratio * effectiveness) / (1.0 - effectiveness)) / (1.0 - capacity_ratio)


NEARLY_ONE = 1.0 - 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanger:
    """A counterflow exchanger, told by its rated point. Both flows are throttled alike.

    Valid for the flows that its two streams have in common: from a tenth of the rated ones upwards.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    hot_fall_k: Annotated[float, Gt(0)]
    """Cooling of the hot stream."""
    cold_rise_k: Annotated[float, Gt(0)]
    """Warming of the cold stream."""
    approach_k: Annotated[float, Gt(0)]
    """Hot stream leaving above cold stream entering."""

    def __post_init__(self) -> None:
        if self.cold_rise_k >= self.hot_fall_k + self.approach_k:
            raise ValueError(
                f"cold_rise_k below {self.hot_fall_k + self.approach_k:g}, the difference between the two inlets"
            )

    @property
    def rated_ntu_ratio(self) -> float:
        """Transfer units at rated flow."""
        inlets_k, greater_k = self.hot_fall_k + self.approach_k, max(self.hot_fall_k, self.cold_rise_k)
        return counterflow_ntu(greater_k / inlets_k, self.capacity_ratio)

    @property
    def capacity_ratio(self) -> float:
        """Smaller capacity flow over the larger: the greater change of temperature is that of the smaller flow."""
        small_k, great_k = sorted((self.hot_fall_k, self.cold_rise_k))
        return small_k / great_k

    def cold_inlet_c(self, hot_inlet_c: Num, load_fraction: Num, flow_fraction: Num) -> Num:
        """How warm the cold stream may enter for the exchanger to take `load_fraction` of rated heat.

        ``hot inlet - load / (effectiveness · flow) · greater rated change of temperature``.
        """
        ntu = self.rated_ntu_ratio * flow_fraction**-FILM_EXPONENT
        effectiveness = counterflow_effectiveness(ntu, self.capacity_ratio)
        greater_k = max(self.hot_fall_k, self.cold_rise_k)
        return hot_inlet_c - greater_k * load_fraction / (effectiveness * flow_fraction)
