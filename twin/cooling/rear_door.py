"""Racks with a water coil in the rear door: air leaves the rack as cold as it came, and no air handler is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le, Lt

from twin.cooling.hall import Thermal
from twin.cooling.heat_exchanger import AIR_KJ_PER_M3_K, Exchanger
from twin.cooling.server_fans import server_air_ratio, server_fan_ratio
from twin.cooling.stream import Stream
from twin.cooling.water import FAN_EXPONENT, affinity_kw
from twin.devices.base import STRICT
from twin.numeric import Num, clip, larger

DOOR_THERMAL = Thermal(
    rack_kj_per_k_per_kw=20.0,
    row_kj_per_k_per_kw=2.0,
    hall_kj_per_k_per_kw=10.0,
    rack_above_row_k=10.0,
    row_above_hall_k=12.0,
    hall_above_supply_k=8.0,
)
"""Servers as with room air; some 2.4 L of water for each kW in doors and pipes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RearDoor:
    """The door cools what servers breathe out back to the inlet temperature: the room stays as it is.

    Valid for doors that are sized for all of the rack's heat; server fans, or small fans of the door, push the air.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    inlet_c: float = 25.0
    """Server inlet. ASHRAE TC 9.9 recommends 18 to 27 °C for classes A1 to A4."""
    max_inlet_c: float = 27.0
    """Class A1 allows 32 °C."""
    server_rise_k: Annotated[float, Gt(0)] = 15.0
    """Warming of air in servers up to 25 °C inlet."""
    server_fan_fraction: Annotated[float, Ge(0), Lt(1)] = 0.09
    """Fans inside servers, of the servers' power up to 25 °C inlet."""
    fan_pressure_kpa: Annotated[float, Ge(0)] = 0.06
    """Of the door's own fans at rated flow, to get through the coil; 0 for a door without fans."""
    fan_efficiency: Annotated[float, Gt(0), Le(1)] = 0.4
    """Of small wheel, motor and drive together."""
    min_flow_fraction: Annotated[float, Gt(0), Le(1)] = 0.4
    """Lowest flow of air and water, of rated."""
    water_rise_k: Annotated[float, Gt(0)] = 8.0
    """Warming of water in the door at rated heat."""
    approach_k: Annotated[float, Gt(0)] = 5.0
    """Air leaving the door above the water that enters it, at rated heat."""
    thermal: Thermal = field(default=DOOR_THERMAL)

    @property
    def rated_fan_fraction(self) -> float:
        """The door's fans at rated flow, of rated heat."""
        return self.fan_pressure_kpa / (self.fan_efficiency * AIR_KJ_PER_M3_K * self.server_rise_k)

    @property
    def hall_electric_fraction(self) -> float:
        """All fans at the warmest inlet."""
        warmest = server_fan_ratio(100.0)
        return float(self.rated_fan_fraction * warmest + self.server_fan_fraction * (warmest - 1.0))

    def streams(
        self, heat_kw: Num, *, rated_heat_kw: Num, inlet_c: Num, dry_bulb_c: Num, wet_bulb_c: Num
    ) -> tuple[Stream, ...]:
        more_air = server_air_ratio(inlet_c)
        flow = clip(heat_kw / rated_heat_kw, self.min_flow_fraction, 1.0) * more_air
        more_kw = heat_kw * self.server_fan_fraction * (more_air**FAN_EXPONENT - 1.0)
        fan_kw = affinity_kw(self.rated_fan_fraction, flow, FAN_EXPONENT) * rated_heat_kw
        total_kw = heat_kw + more_kw + fan_kw
        load = total_kw / rated_heat_kw
        door = Exchanger(hot_fall_k=self.server_rise_k, cold_rise_k=self.water_rise_k, approach_k=self.approach_k)
        return (
            Stream(
                heat_kw=total_kw,
                rated_heat_kw=rated_heat_kw,
                supply_c=door.cold_inlet_c(inlet_c + self.server_rise_k * load / flow, load, flow),
                flow_kw_per_k=rated_heat_kw / self.water_rise_k * flow,
                margin_k=larger(self.max_inlet_c - inlet_c, 0.0),
                electric_kw=fan_kw + more_kw,
            ),
        )
