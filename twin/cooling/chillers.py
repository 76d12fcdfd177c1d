"""Chilled-water plant: chillers with their pumps, and with towers and an economiser where they are water-cooled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, cast

from annotated_types import Ge, Gt, Le

from twin.cooling.chiller import ChillerDuty, available_kw, largest_input_factor, staged_duty
from twin.cooling.chiller_curves import CHILLERS, ChillerCurves, ChillerName, check_reference_cop
from twin.cooling.economiser import precooled_share
from twin.cooling.fans_and_pumps import STATIC_HEAD_FRACTION, pump_kw
from twin.cooling.plant_duty import PlantDuty, better, check_positive, flow_fraction
from twin.cooling.rejection import Rejection
from twin.cooling.tower import Tower, check_tower
from twin.devices.base import STRICT
from twin.numeric import Num, clip, count_true, larger, ratio, smaller

Economiser = Literal["none", "non_integrated", "integrated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChilledWater:
    """Equal chillers, of which as many run as need least power, and what stands around them.

    Water-cooled ones have a `tower`, whose fans let the condenser water follow the wet bulb down to the coldest that
    the curves know, with less air at part load; a mixing valve holds it there. The economiser is a plate heat exchanger
    between tower and chilled water: `integrated` cools the returning water first and leaves the rest to the chillers,
    `non_integrated` works alone or not at all, both with all the air there is. It is used where that takes more heat,
    or the same with less power. Air-cooled ones have their fans in their curves, and use no water.

    Heat beyond capacity is not taken, and warms the supply.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    rated_heat_kw: Annotated[float, Gt(0)]
    """Thermal capacity of all together at the reference temperatures of the curves: 6.67 °C chilled water, and 29.4 °C
    condenser water (35 °C air)."""
    curves: ChillerName | ChillerCurves = "doe2_centrifugal"
    """A published set by its name, or coefficients."""
    reference_cop: Annotated[float, Gt(0)] | None = None
    """At the same conditions and full load. None: that of the curves, 5.5 by default."""
    chiller_count: Annotated[int, Ge(1)] = 1
    economiser: Economiser = "none"
    economiser_approach_k: Annotated[float, Ge(0)] = 2.0
    """Chilled water above tower water."""
    pump_kw: Annotated[float, Ge(0)]
    """At rated flow. Their work warms what the chillers have to cool."""
    min_flow_fraction: Annotated[float, Gt(0), Le(1)] = 0.3
    """Lowest flow of water, of rated."""
    rise_k: Annotated[float, Gt(0)] = 6.0
    """Warming of the water at rated heat and flow."""
    static_head_fraction: Annotated[float, Ge(0), Le(1)] = STATIC_HEAD_FRACTION
    """Of the pumps' head at rated flow: the pressure held at the far end of the loop."""

    def __post_init__(self) -> None:
        check_positive(rated_heat_kw=self.rated_heat_kw, rise_k=self.rise_k, chiller_count=self.chiller_count)
        if self.reference_cop is None and self.machine.reference_cop is None:
            raise ValueError("a reference_cop with curves that were published without one")
        check_reference_cop(self.machine, self.cop)
        if (self.tower is None) != (self.machine.condenser == "air"):
            raise ValueError("a tower with water-cooled chillers, and none with air-cooled ones")
        if self.tower is None and self.economiser != "none":
            raise ValueError(f"economiser none without a tower, not {self.economiser}")
        if self.tower is not None:
            check_tower(self.tower)

    @property
    def tower(self) -> Tower | None:
        """What cools the condensers; None of air-cooled ones."""
        raise NotImplementedError

    @property
    def machine(self) -> ChillerCurves:
        """The curves themselves."""
        return self.curves if isinstance(self.curves, ChillerCurves) else CHILLERS[self.curves]

    @property
    def cop(self) -> float:
        """At the reference point."""
        told = self.reference_cop if self.reference_cop is not None else self.machine.reference_cop
        return cast(float, told)

    @property
    def full_kw(self) -> float:
        """All chillers, pumps and fans at full power, at whatever temperatures the curves know."""
        around_kw = self.pump_kw if self.tower is None else self.pump_kw + self.tower.rated_kw
        return self.rated_heat_kw / self.cop * largest_input_factor(self.machine) + around_kw

    def duty(self, heat_kw: Num, return_c: Num, supply_c: Num, dry_bulb_c: Num, wet_bulb_c: Num) -> PlantDuty:
        """As `HeatRejection.rejects`, part by part."""
        heat_kw, tower = larger(heat_kw, 0.0), self.tower
        if tower is None:
            return self._air_cooled(heat_kw, return_c, supply_c, dry_bulb_c)
        weather = dry_bulb_c, wet_bulb_c
        usual_c = self._tower_water_c(tower, heat_kw, supply_c, wet_bulb_c)
        held_c = larger(usual_c, self.machine.min_condenser_c)
        chilled = self._water_cooled(tower, heat_kw, return_c, supply_c, held_c, 0.0, weather)
        if self.economiser == "none":
            return chilled
        coldest_c = smaller(tower.coldest_c(wet_bulb_c, heat_kw / self.rated_heat_kw, 1.0), usual_c)
        free_c = supply_c - self.economiser_approach_k
        share = precooled_share(return_c, supply_c, coldest_c + self.economiser_approach_k)
        if self.economiser == "non_integrated":
            share = count_true(coldest_c <= free_c)
        free = self._water_cooled(tower, heat_kw, return_c, supply_c, larger(coldest_c, free_c), share, weather)
        return better(free, chilled)

    def rejects(self, heat_kw: Num, return_c: Num, supply_c: Num, dry_bulb_c: Num, wet_bulb_c: Num) -> Rejection:
        return self.duty(heat_kw, return_c, supply_c, dry_bulb_c, wet_bulb_c).rejection

    def _tower_water_c(self, tower: Tower, heat_kw: Num, supply_c: Num, wet_bulb_c: Num) -> Num:
        """Coldest at rated heat, and warmer where the chillers take more than that."""
        design_c = tower.coldest_c(wet_bulb_c, 1.0, 1.0)
        most_kw = larger(available_kw(self.machine, supply_c, design_c, self.rated_heat_kw), self.rated_heat_kw)
        return tower.coldest_c(wet_bulb_c, clip(heat_kw, self.rated_heat_kw, most_kw) / self.rated_heat_kw, 1.0)

    def _pumps_kw(self, heat_kw: Num, rise_k: Num) -> Num:
        flow = flow_fraction(heat_kw, rise_k, rated_heat_kw=self.rated_heat_kw, rated_rise_k=self.rise_k)
        return pump_kw(self.pump_kw, clip(flow, self.min_flow_fraction, 1.0), self.static_head_fraction)

    def _chillers(self, heat_kw: Num, chilled_c: Num, condenser_c: Num) -> ChillerDuty:
        return staged_duty(
            self.machine,
            heat_kw,
            chilled_c,
            condenser_c,
            rated_heat_kw=self.rated_heat_kw,
            reference_cop=self.cop,
            chiller_count=self.chiller_count,
        )

    def _air_cooled(self, heat_kw: Num, return_c: Num, supply_c: Num, dry_bulb_c: Num) -> PlantDuty:
        pumps_kw = self._pumps_kw(heat_kw, return_c - supply_c)
        done = self._chillers(heat_kw + pumps_kw, supply_c, dry_bulb_c)
        taken_kw = clip(done.capacity_kw - pumps_kw, 0.0, heat_kw)
        return PlantDuty(
            taken_kw=taken_kw,
            supply_c=supply_c + (return_c - supply_c) * ratio(heat_kw - taken_kw, heat_kw),
            compressor_kw=done.compressor_kw,
            pump_kw=pumps_kw,
            fan_kw=0.0,
            to_air_kw=taken_kw + done.compressor_kw + pumps_kw,
            clamped=done.clamped,
        )

    def _water_cooled(
        self,
        tower: Tower,
        heat_kw: Num,
        return_c: Num,
        supply_c: Num,
        water_c: Num,
        share: Num,
        weather: tuple[Num, Num],
    ) -> PlantDuty:
        """With tower water at `water_c`, and a share of the heat taken by the economiser."""
        pumps_kw = self._pumps_kw(heat_kw, return_c - supply_c)
        chilled_kw = (heat_kw + pumps_kw) * (1.0 - share)
        done = self._chillers(chilled_kw, supply_c, larger(water_c, self.machine.min_condenser_c))
        taken_kw = larger(heat_kw - larger(chilled_kw - done.capacity_kw, 0.0), 0.0)
        load = (taken_kw + pumps_kw + done.compressor_kw) / tower.rated_heat_kw
        tower_pumps_kw = tower.pumps_kw(load, self.min_flow_fraction)
        to_air_kw = taken_kw + pumps_kw + done.compressor_kw + tower_pumps_kw
        fan = tower.fan_fraction(load, water_c, weather[1])
        water = tower.water(to_air_kw, fan, *weather)
        return PlantDuty(
            taken_kw=taken_kw,
            supply_c=supply_c + (return_c - supply_c) * ratio(heat_kw - taken_kw, heat_kw),
            compressor_kw=done.compressor_kw,
            pump_kw=pumps_kw + tower_pumps_kw,
            fan_kw=tower.fans_kw(fan),
            to_air_kw=to_air_kw,
            evaporated_l_per_h=water.evaporated_l_per_h,
            water_l_per_h=water.make_up_l_per_h,
            clamped=done.clamped,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chillers(ChilledWater):
    """Chilled water as a plant by itself."""

    tower: Tower | None = None
    """With water-cooled chillers only."""

    @property
    def rated_kw(self) -> float:
        """Largest electric power."""
        return self.full_kw
