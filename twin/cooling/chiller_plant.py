"""Water-cooled chillers with wet towers, for air-cooled halls with rear-door heat exchangers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from twin.cooling.chiller import MIN_CONDENSER_C, chiller_kw
from twin.cooling.tower import condenser_water_c, tower_fan_fraction
from twin.cooling.water import FAN_EXPONENT, PUMP_EXPONENT, affinity_kw, evaporated_l
from twin.devices.base import DEVICES, STRICT, Account, Drive, Group, Step, Values
from twin.noise import Seed
from twin.numeric import Num, clip, larger, smaller
from twin.units import SECONDS_PER_HOUR
from twin.weather import Weather


@dataclass(frozen=True, slots=True, kw_only=True)
class ChillerPlantState:
    """It remembers nothing: its minutes of thermal inertia are shorter than the steps it is asked about."""


@DEVICES.add("chiller_plant")
@dataclass(frozen=True, slots=True, kw_only=True)
class ChillerPlant:
    """Takes the heat of what it serves at once (quasi-static).

    Where the heat exceeds the chillers' capacity, the rest is booked as `unmet_heat_kwh`, and the
    supply warms by what it would rise in one pass through the halls.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    group: ClassVar[Group | None] = None
    account: ClassVar[Account] = Account.COOLING
    setpoint: ClassVar[str | None] = None
    instruments: ClassVar[tuple[str, ...]] = ("heat_kw", "supply_c")
    example: ClassVar[Mapping[str, Any]] = {
        "type": "chiller_plant",
        "bus": "cooling",
        "serves": ["hall"],
        "rated_heat_kw": 1500,
        "reference_cop": 5.5,
        "supply_c": 10,
        "tower_approach_k": 5,
        "pump_kw": 20,
        "tower_fan_kw": 20,
        "door_fan_kw": 15,
        "min_flow_fraction": 0.3,
    }

    type: Literal["chiller_plant"] = "chiller_plant"
    bus: str
    serves: tuple[str, ...]
    """Devices whose heat it takes."""
    rated_heat_kw: Annotated[float, Gt(0)]
    """Thermal capacity at 6.67 °C chilled and 29.4 °C condenser water."""
    reference_cop: Annotated[float, Gt(0)] = 5.5
    """At the same conditions and full load."""
    supply_c: float = 10.0
    """Chilled water to the doors. The chiller's curves hold from 5 to 10 °C."""
    tower_approach_k: Annotated[float, Gt(0)] = 5.0
    """Condenser water above wet bulb."""
    pump_kw: Annotated[float, Ge(0)]
    """At rated flow."""
    tower_fan_kw: Annotated[float, Ge(0)]
    """At rated air flow."""
    door_fan_kw: Annotated[float, Ge(0)] = 0.0
    """At rated air flow."""
    min_flow_fraction: Annotated[float, Gt(0), Le(1)] = 0.3
    """Lowest flow of water and of door air, of rated."""
    rise_k: Annotated[float, Gt(0)] = 6.0
    """Warming of the water at rated heat and flow."""

    @property
    def rated_kw(self) -> float:
        """Chillers at full load at the reference point, with all pumps and fans."""
        return self.rated_heat_kw / self.reference_cop * 1.15 + self.pump_kw + self.tower_fan_kw + self.door_fan_kw

    @property
    def free_setpoint(self) -> float:
        return 0.0

    @property
    def safe_setpoint(self) -> float:
        return 0.0

    def initial(self) -> ChillerPlantState:
        return ChillerPlantState()

    def drive(self, weather: Weather, seed: Seed) -> Drive:
        return {"wet_bulb_c": weather.wet_bulb_c}

    def step(
        self, state: ChillerPlantState, setpoint: Num, drive: Values, served: Sequence[Step[Any]], step_s: float
    ) -> Step[ChillerPlantState]:
        heat_kw: Num = 0.0
        for item in served:
            heat_kw = heat_kw + item.heat_kw
        wet_bulb_c, hours = drive["wet_bulb_c"], step_s / SECONDS_PER_HOUR
        condenser_c = condenser_water_c(wet_bulb_c, self.tower_approach_k, MIN_CONDENSER_C)
        compressor_kw, capacity_kw = chiller_kw(
            heat_kw,
            self.supply_c,
            condenser_c,
            rated_heat_kw=self.rated_heat_kw,
            reference_cop=self.reference_cop,
        )
        taken_kw, load = smaller(heat_kw, capacity_kw), heat_kw / self.rated_heat_kw
        flow = clip(load, self.min_flow_fraction, 1.0)
        fan = tower_fan_fraction(load, condenser_c, wet_bulb_c, self.tower_approach_k)
        p_kw = (
            compressor_kw
            + affinity_kw(self.pump_kw, flow, PUMP_EXPONENT)
            + affinity_kw(self.door_fan_kw, flow, FAN_EXPONENT)
            + affinity_kw(self.tower_fan_kw, fan, FAN_EXPONENT)
        )
        unmet_kw = larger(heat_kw - taken_kw, 0.0)
        return Step(
            state=state,
            p_kw=p_kw,
            q_kvar=p_kw * Q_PER_P,
            points={"heat_kw": heat_kw, "supply_c": self.supply_c + self.rise_k * unmet_kw / self.rated_heat_kw},
            amounts={
                "water_l": evaporated_l((taken_kw + compressor_kw) * hours),
                "unmet_heat_kwh": unmet_kw * hours,
            },
        )

    def flexibility(self, values: Values) -> None:
        return None


Q_PER_P = 0.426
"""Motors behind drives and soft starters at a power factor of 0.92."""
