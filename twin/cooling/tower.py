"""Wet cooling tower: how cold its water gets, how hard its fans work for it, and what evaporates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le, Lt

from twin.cooling.fans_and_pumps import STATIC_HEAD_FRACTION, fan_kw, pump_kw
from twin.cooling.plant_duty import check_positive
from twin.cooling.water import WATER_KJ_PER_KG_K, WaterUse, water_use
from twin.devices.base import STRICT
from twin.numeric import Num, clip, larger
from twin.quick import quick

ENTHALPY_OFFSET_KJ_PER_KG, ENTHALPY_SCALE, ENTHALPY_POLE_C = -117.02, 9117.5, 72.178
"""Fitted to moist air by Magnus' formula (Alduchov & Eskridge 1996) from -10 to 42 °C: within 1.6 kJ/kg, slope within
6%."""
MIN_SATURATED_C, MAX_SATURATED_C = -20.0, 60.0
AIR_KJ_PER_KG_K = 1.02
"""Specific heat of humid air."""
LIQUID_TO_GAS_RATIO = 1.0
"""Water over air, kg/kg, at design: 0.75 to 1.5 in towers for air conditioning."""
MIN_FAN_FRACTION = 0.1
SMALLEST_DRIVING_KJ_PER_KG = 0.1


def saturated_kj_per_kg(at_c: Num) -> Num:
    """Enthalpy of saturated air at 101.3 kPa: ``a + b / (c - T)``, which can be turned round without iterating.

    Within 1.6 kJ/kg from -10 to 42 °C; held at -20 and 60 °C (where it is 7% and more too high above 50 °C).
    """
    return ENTHALPY_OFFSET_KJ_PER_KG + ENTHALPY_SCALE / (ENTHALPY_POLE_C - clip(at_c, MIN_SATURATED_C, MAX_SATURATED_C))


def saturated_c(enthalpy_kj_per_kg: Num) -> Num:
    """Temperature of saturated air of that enthalpy."""
    return ENTHALPY_POLE_C - ENTHALPY_SCALE / (enthalpy_kj_per_kg - ENTHALPY_OFFSET_KJ_PER_KG)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Tower:
    """A tower sized for one design point, in Merkel's theory with the driving enthalpy taken at the mean water.

    ``heat = K · air flow · (h_s(mean water) - h_s(wet bulb))``: K follows from the design point. So the approach that
    is 4 to 6 K on a summer day is twice as much in winter, when colder air holds less water: within 0.6 K (root of
    mean square) of EnergyPlus' `YorkCalc` correlation. Air leaves saturated, and not warmer than the warm water.

    Source: Merkel 1925; ASHRAE Handbook, HVAC Systems and Equipment, Cooling Towers.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    rated_heat_kw: Annotated[float, Gt(0)]
    """To reject at the design point, work of compressors included."""
    approach_k: Annotated[float, Gt(0)] = 5.0
    """Cold water above wet bulb at the design point."""
    design_wet_bulb_c: float = 24.0
    range_k: Annotated[float, Gt(0)] = 5.0
    """Warm water above cold water."""
    fan_kw: Annotated[float, Ge(0)]
    """At rated air flow."""
    pump_kw: Annotated[float, Ge(0)] = 0.0
    """Of the water over the tower, at rated flow."""
    static_head_fraction: Annotated[float, Ge(0), Le(1)] = STATIC_HEAD_FRACTION
    """Lift to the basin above, of the pump's head."""
    concentration_ratio: Annotated[float, Gt(1)] = 4.0
    """Cycles of concentration."""
    drift_fraction: Annotated[float, Ge(0), Lt(1)] = 5e-5
    """Of the circulating water."""

    @property
    def design_driving_kj_per_kg(self) -> Num:
        """Between mean water and wet bulb at the design point."""
        wet_bulb_c = self.design_wet_bulb_c
        water_c = wet_bulb_c + self.approach_k + self.range_k / 2
        return saturated_kj_per_kg(water_c) - saturated_kj_per_kg(wet_bulb_c)

    @property
    def air_warming_kj_per_kg(self) -> float:
        """What the air takes up at the design point."""
        return WATER_KJ_PER_KG_K * self.range_k * LIQUID_TO_GAS_RATIO

    def coldest_c(self, wet_bulb_c: Num, load: Num, fan: Num) -> Num:
        """Cold water with a fraction of the rated heat and of the rated air."""
        driving = self.design_driving_kj_per_kg * load / larger(fan, MIN_FAN_FRACTION)
        return saturated_c(saturated_kj_per_kg(wet_bulb_c) + driving) - self.range_k / 2

    def fan_fraction(self, load: Num, water_c: Num, wet_bulb_c: Num) -> Num:
        """Air, of rated, that holds the cold water at `water_c`: within 10% and 100%.

        As much as Merkel asks for, and enough to carry the heat away if it left as warm as the warm water.
        """
        outside = saturated_kj_per_kg(wet_bulb_c)
        driving = saturated_kj_per_kg(water_c + self.range_k / 2) - outside
        carried = saturated_kj_per_kg(water_c + self.range_k) - outside
        needed = larger(
            self.design_driving_kj_per_kg / larger(driving, SMALLEST_DRIVING_KJ_PER_KG),
            self.air_warming_kj_per_kg / larger(carried, SMALLEST_DRIVING_KJ_PER_KG),
        )
        return clip(load * needed, MIN_FAN_FRACTION, 1.0)

    def latent_fraction(self, load: Num, fan: Num, dry_bulb_c: Num, wet_bulb_c: Num) -> Num:
        """Part of the heat that leaves by evaporation: what does not warm the air.

        Above 1 on a hot dry day, whose air leaves cooler than it came. Air that leaves saturated, as in EnergyPlus'
        `SaturatedExit`.
        """
        warming = self.air_warming_kj_per_kg * larger(load, 1e-6) / fan
        leaving_c = saturated_c(saturated_kj_per_kg(wet_bulb_c) + warming)
        return larger(1.0 - AIR_KJ_PER_KG_K * (leaving_c - dry_bulb_c) / warming, 0.0)

    def water(self, heat_kw: Num, fan: Num, dry_bulb_c: Num, wet_bulb_c: Num) -> WaterUse:
        """Water that the tower loses with a heat."""
        latent_kw = heat_kw * self.latent_fraction(heat_kw / self.rated_heat_kw, fan, dry_bulb_c, wet_bulb_c)
        return water_use(
            latent_kw,
            heat_kw / (WATER_KJ_PER_KG_K * self.range_k),
            concentration_ratio=self.concentration_ratio,
            drift_fraction=self.drift_fraction,
        )

    @property
    def rated_kw(self) -> float:
        """Fans and pumps at full power."""
        return self.fan_kw + self.pump_kw

    def fans_kw(self, fan: Num) -> Num:
        """Power of the fans."""
        return fan_kw(self.fan_kw, fan)

    def pumps_kw(self, load: Num, min_flow_fraction: float) -> Num:
        """Power of the pumps, whose flow follows the load."""
        return pump_kw(self.pump_kw, clip(load, min_flow_fraction, 1.0), self.static_head_fraction)


def check_tower(tower: Tower) -> None:
    """Raise unless such a tower is possible. Not in the tower itself, whose numbers may be arrays over scenarios."""
    check_positive(rated_heat_kw=tower.rated_heat_kw, approach_k=tower.approach_k, range_k=tower.range_k)
    if not tower.concentration_ratio > 1.0:
        raise ValueError(f"concentration_ratio above 1, not {tower.concentration_ratio:g}")
