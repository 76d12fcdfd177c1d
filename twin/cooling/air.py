"""A hall cooled by air: fan walls or air handlers (CRAH) with a water coil, aisles contained more or less well."""

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
from twin.numeric import Num, clip, larger, where

AIR_THERMAL = Thermal(
    rack_kj_per_k_per_kw=20.0,
    row_kj_per_k_per_kw=2.0,
    hall_kj_per_k_per_kw=5.0,
    rack_above_row_k=10.0,
    row_above_hall_k=12.0,
    hall_above_supply_k=8.0,
)
"""Servers of 0.5 kJ/(kg·K) and some 40 kg for each kW; some 2 and 4 m³ of air, and the sheet metal around it. Servers
then follow within minutes, as measured by Ibrahim and others, InterPACK 2013, V002T09A024."""


def supply_heat_index(inlet_c: Num, outlet_c: Num, supply_c: Num) -> Num:
    """Share of the warming of air between supply and server outlet that happens before the server, 0 to 1.

    ``SHI = (inlet - supply) / (outlet - supply)``. Equal to the share of hot air in what servers breathe.

    Source: Sharma, Bash and Patel 2002, AIAA 2002-3091.
    """
    return (inlet_c - supply_c) / (outlet_c - supply_c)


def return_temperature_index(return_c: Num, supply_c: Num, server_rise_k: Num) -> Num:
    """Warming in the air handlers' loop over that in servers: below 1 cold air bypasses, above 1 hot air returns.

    Source: Herrlin 2008, Airflow and Cooling Performance of Data Centers: Two Performance Metrics, ASHRAE Trans. 114.
    """
    return (return_c - supply_c) / server_rise_k


def needed_share(outdoor_c: Num, supply_c: Num, return_c: Num) -> Num:
    """Share of the cooling that is left to the coil when outdoor air is used as far as it helps.

    Nothing where outdoor air is as cold as the supply; all of it where it is as warm as the return; between the
    two the hall runs on outdoor air alone and the coil cools that.
    """
    return clip((outdoor_c - supply_c) / (return_c - supply_c), 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Air:
    """Servers breathe what the air handlers supply, with some hot air mixed in; some cold air never meets a server.

    The server inlet is held: warmer water is enough the less air goes astray. Air handlers move what servers draw,
    over ``(1 - recirculation) / (1 - bypass)``. Densities are those at sea level.
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
    recirculation_fraction: Annotated[float, Ge(0), Lt(1)] = 0.05
    """Hot air in what servers breathe: the supply heat index. Open aisles 0.2 to 0.4, contained ones below 0.1."""
    bypass_fraction: Annotated[float, Ge(0), Lt(1)] = 0.1
    """Supplied air that returns without having met a server."""
    fan_pressure_kpa: Annotated[float, Ge(0)] = 0.486
    """Of the air handlers at rated flow; EnergyPlus' data centre example."""
    fan_efficiency: Annotated[float, Gt(0), Le(1)] = 0.7
    """Of wheel, motor and drive together; same source."""
    min_flow_fraction: Annotated[float, Gt(0), Le(1)] = 0.4
    """Lowest flow of the air handlers' fans, of rated."""
    water_rise_k: Annotated[float, Gt(0)] = 8.0
    """Warming of water in the coil at rated heat."""
    approach_k: Annotated[float, Gt(0)] = 5.0
    """Supplied air above the water that enters the coil, at rated heat."""
    airside_economiser: bool = False
    """Whether outdoor air may be taken in."""
    max_economiser_wet_bulb_c: float = 17.0
    """Outdoor air more humid than this stays outside: 15 °C dew point at 22 °C."""
    thermal: Thermal = field(default=AIR_THERMAL)

    @property
    def loop_rise_k(self) -> float:
        """Warming in the air handlers' loop at rated heat."""
        return self.server_rise_k * (1.0 - self.bypass_fraction) / (1.0 - self.recirculation_fraction)

    @property
    def rated_fan_fraction(self) -> float:
        """Air handlers' fans at rated flow, of rated heat."""
        return self.fan_pressure_kpa / (self.fan_efficiency * AIR_KJ_PER_M3_K * self.loop_rise_k)

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
        load = (heat_kw + more_kw) / rated_heat_kw
        loop_k = self.loop_rise_k * load / flow
        astray_k = self.recirculation_fraction / (1.0 - self.bypass_fraction) * loop_k
        supply_c = inlet_c - astray_k
        coil_k = loop_k + self.loop_rise_k * fan_kw / (rated_heat_kw * flow)
        total_kw, share = heat_kw + more_kw + fan_kw, self._coil_share(dry_bulb_c, wet_bulb_c, supply_c, coil_k)
        coil = Exchanger(hot_fall_k=self.loop_rise_k, cold_rise_k=self.water_rise_k, approach_k=self.approach_k)
        coil_load = share * total_kw / rated_heat_kw
        return (
            Stream(
                heat_kw=total_kw * share,
                rated_heat_kw=rated_heat_kw,
                supply_c=coil.cold_inlet_c(supply_c + coil_k * share, coil_load, flow),
                flow_kw_per_k=rated_heat_kw / self.water_rise_k * flow,
                margin_k=larger(self.max_inlet_c - inlet_c, 0.0),
                electric_kw=fan_kw + more_kw,
                outdoor_kw=total_kw * (1.0 - share),
            ),
        )

    def _coil_share(self, dry_bulb_c: Num, wet_bulb_c: Num, supply_c: Num, coil_k: Num) -> Num:
        if not self.airside_economiser:
            return 1.0
        share = needed_share(dry_bulb_c, supply_c, supply_c + larger(coil_k, SMALLEST_RISE_K))
        return where(wet_bulb_c > self.max_economiser_wet_bulb_c, 1.0, share)


SMALLEST_RISE_K = 0.01
