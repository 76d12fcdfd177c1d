"""Towers with a heat exchanger and no chiller: for halls whose water is warmer than the wet bulb all year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le

from twin.cooling.fans_and_pumps import STATIC_HEAD_FRACTION, pump_kw
from twin.cooling.plant_duty import PlantDuty, check_positive, flow_fraction
from twin.cooling.rejection import Rejection
from twin.cooling.tower import Tower, check_tower
from twin.devices.base import STRICT
from twin.numeric import Num, clip, larger, smaller


@dataclass(frozen=True, slots=True, kw_only=True)
class WetTowers:
    """A wet tower, and a plate heat exchanger that keeps its water away from that of the hall.

    Fans hold the supply. Where even full air leaves it too warm, the plant takes what the flow then carries, and the
    supply is that much warmer.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    rated_heat_kw: Annotated[float, Gt(0)]
    tower: Tower
    exchanger_approach_k: Annotated[float, Ge(0)] = 2.0
    """Hall water above tower water."""
    rise_k: Annotated[float, Gt(0)] = 10.0
    """Warming of the hall water at rated heat and flow."""
    pump_kw: Annotated[float, Ge(0)] = 0.0
    """Of the hall water, at rated flow."""
    min_flow_fraction: Annotated[float, Gt(0), Le(1)] = 0.3
    static_head_fraction: Annotated[float, Ge(0), Le(1)] = STATIC_HEAD_FRACTION

    def __post_init__(self) -> None:
        check_positive(rated_heat_kw=self.rated_heat_kw, rise_k=self.rise_k)
        check_tower(self.tower)

    @property
    def rated_kw(self) -> float:
        """Fans and pumps at full power."""
        return self.pump_kw + self.tower.rated_kw

    def duty(self, heat_kw: Num, return_c: Num, supply_c: Num, dry_bulb_c: Num, wet_bulb_c: Num) -> PlantDuty:
        """As `HeatRejection.rejects`, part by part."""
        heat_kw, tower = larger(heat_kw, 0.0), self.tower
        flow = flow_fraction(heat_kw, return_c - supply_c, rated_heat_kw=self.rated_heat_kw, rated_rise_k=self.rise_k)
        pumps_kw = pump_kw(self.pump_kw, clip(flow, self.min_flow_fraction, 1.0), self.static_head_fraction)
        coldest_c = tower.coldest_c(wet_bulb_c, (heat_kw + pumps_kw) / tower.rated_heat_kw, 1.0)
        warmer_k = larger(coldest_c + self.exchanger_approach_k - supply_c, 0.0)
        taken_kw = heat_kw * larger(1.0 - warmer_k / larger(return_c - supply_c, 0.1), 0.0)
        load = (taken_kw + pumps_kw) / tower.rated_heat_kw
        tower_pumps_kw = tower.pumps_kw(load, self.min_flow_fraction)
        to_air_kw = taken_kw + pumps_kw + tower_pumps_kw
        fan = tower.fan_fraction(load, supply_c - self.exchanger_approach_k, wet_bulb_c)
        water = tower.water(to_air_kw, fan, dry_bulb_c, wet_bulb_c)
        return PlantDuty(
            taken_kw=taken_kw,
            supply_c=smaller(supply_c + warmer_k, larger(return_c, supply_c)),
            pump_kw=pumps_kw + tower_pumps_kw,
            fan_kw=tower.fans_kw(fan),
            to_air_kw=to_air_kw,
            evaporated_l_per_h=water.evaporated_l_per_h,
            water_l_per_h=water.make_up_l_per_h,
        )

    def rejects(self, heat_kw: Num, return_c: Num, supply_c: Num, dry_bulb_c: Num, wet_bulb_c: Num) -> Rejection:
        return self.duty(heat_kw, return_c, supply_c, dry_bulb_c, wet_bulb_c).rejection
