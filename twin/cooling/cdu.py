"""Coolant distribution unit: pumps a closed loop of coolant past the equipment and hands its heat to facility water."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Gt, Le

from twin.cooling.heat_exchanger import WATER_KJ_PER_L_K, Exchanger
from twin.cooling.stream import Stream
from twin.cooling.water import PUMP_EXPONENT, affinity_kw
from twin.devices.base import STRICT
from twin.numeric import Num, clip, larger

L_PER_M3 = 1000.0
S_PER_MINUTE = 60.0


def pump_fraction(pressure_kpa: float, flow_l_per_minutes_per_kw: float, efficiency: float) -> float:
    """Electric power of a pump over the heat that its flow carries: ``flow · pressure / efficiency``."""
    return flow_l_per_minutes_per_kw / S_PER_MINUTE / L_PER_M3 * pressure_kpa / efficiency


@dataclass(frozen=True, slots=True, kw_only=True)
class Cdu:
    """Holds the temperature of the coolant at the equipment; its flow follows the heat down to a least one.

    Its plate exchanger is told by its rated point, its pump by pressure and efficiency. At the default flow,
    1.5 L/min for each kW, the pump takes 0.8% of the heat; each of Frontier's 25 units takes 8.47 kW at some 1.1 MW
    (ExaDigiT RAPS, `config/frontier.yaml`).
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    rise_k: Annotated[float, Gt(0)] = 9.63
    """Warming of the coolant at rated heat and flow: 1.5 L/min of water for each kW."""
    coolant_kj_per_l_k: Annotated[float, Gt(0)] = WATER_KJ_PER_L_K
    """Volumetric heat of the coolant. Water 4.16, water with 25% propylene glycol 4.0, oils 1.6 to 1.9."""
    facility_rise_k: Annotated[float, Gt(0)] = 10.0
    """Warming of facility water at rated heat and flow."""
    approach_k: Annotated[float, Gt(0)] = 3.0
    """Coolant to the equipment above facility water, at rated heat."""
    pressure_kpa: Annotated[float, Gt(0)] = 200.0
    """Of the pump at rated flow: plates, manifolds, exchanger, filter."""
    pump_efficiency: Annotated[float, Gt(0), Le(1)] = 0.6
    """Of wheel, motor and drive together."""
    min_flow_fraction: Annotated[float, Gt(0), Le(1)] = 0.3
    """Lowest flow of coolant and facility water, of rated; 1 where it never changes."""

    def __post_init__(self) -> None:
        """An exchanger that cannot be is refused here, not in the first step."""
        self.exchanger  # noqa: B018

    @property
    def exchanger(self) -> Exchanger:
        """Between coolant and facility water."""
        return Exchanger(hot_fall_k=self.rise_k, cold_rise_k=self.facility_rise_k, approach_k=self.approach_k)

    @property
    def flow_l_per_minutes_per_kw(self) -> float:
        """Coolant at rated flow, for each kW of rated heat."""
        return S_PER_MINUTE / (self.coolant_kj_per_l_k * self.rise_k)

    @property
    def rated_pump_fraction(self) -> float:
        """The pump at rated flow, of rated heat."""
        return pump_fraction(self.pressure_kpa, self.flow_l_per_minutes_per_kw, self.pump_efficiency)

    def stream(self, heat_kw: Num, rated_heat_kw: Num, coolant_c: Num, max_coolant_c: float) -> Stream:
        """What the unit asks of facility water to hold `coolant_c` at the equipment."""
        flow = clip(heat_kw / rated_heat_kw, self.min_flow_fraction, 1.0)
        pump_kw = affinity_kw(self.rated_pump_fraction, flow, PUMP_EXPONENT) * rated_heat_kw
        total_kw = heat_kw + pump_kw
        load = total_kw / rated_heat_kw
        return Stream(
            heat_kw=total_kw,
            rated_heat_kw=rated_heat_kw,
            supply_c=self.exchanger.cold_inlet_c(coolant_c + self.rise_k * load / flow, load, flow),
            flow_kw_per_k=rated_heat_kw / self.facility_rise_k * flow,
            margin_k=larger(max_coolant_c - coolant_c, 0.0),
            electric_kw=pump_kw,
        )
