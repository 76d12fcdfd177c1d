"""Chilled-water plant as a device, for air-cooled halls with rear-door heat exchangers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Lt

from twin.cooling.chillers import ChilledWater
from twin.cooling.fans_and_pumps import fan_kw
from twin.cooling.plant_duty import PlantDuty, during
from twin.cooling.thermal_store import ChilledWaterTank
from twin.cooling.tower import Tower
from twin.devices.base import DEVICES, Account, Drive, Group, Step, Values
from twin.noise import Seed
from twin.numeric import Num, clip, larger, where
from twin.units import SECONDS_PER_HOUR
from twin.weather import Weather


@dataclass(frozen=True, slots=True, kw_only=True)
class ChillerPlantState:
    """Its minutes of thermal inertia are shorter than the steps it is asked about; it remembers its tank alone."""

    stored_kwh: Num = 0.0
    """Cold, in the tank."""


@DEVICES.add("chiller_plant")
@dataclass(frozen=True, slots=True, kw_only=True)
class ChillerPlant(ChilledWater):
    """Takes the heat of what it serves at once (quasi-static).

    Where the heat exceeds the chillers' capacity, the rest is booked as `unmet_heat_kwh`, and the supply warms by
    what it would rise in one pass through the halls. Hours with heat in which the curves were used outside of what
    they were fitted to are counted in `curve_clamped_h`.
    """

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
    supply_c: float = 10.0
    """Chilled water to the doors. The default curves hold from 5 to 10 °C."""
    tower_approach_k: Annotated[float, Gt(0)] = 5.0
    """Condenser water above wet bulb at rated heat, at `tower_design_wet_bulb_c`."""
    tower_design_wet_bulb_c: float = 24.0
    tower_range_k: Annotated[float, Gt(0)] = 5.0
    """Warming of the condenser water."""
    tower_fan_kw: Annotated[float, Ge(0)]
    """At rated air flow; 0 of air-cooled chillers, whose curves contain their fans."""
    concentration_ratio: Annotated[float, Gt(1)] = 4.0
    """Cycles of concentration of the tower's water."""
    drift_fraction: Annotated[float, Ge(0), Lt(1)] = 5e-5
    """Of the tower's water, lost as droplets."""
    door_fan_kw: Annotated[float, Ge(0)] = 0.0
    """At rated air flow; lowest as that of the water."""

    tank: ChilledWaterTank | None = None

    @property
    def tower(self) -> Tower | None:
        """Sized for the chillers; None of air-cooled ones."""
        if self.machine.condenser == "air":
            return None
        return Tower(
            rated_heat_kw=self.rated_heat_kw * (1.0 + 1.0 / self.cop),
            approach_k=self.tower_approach_k,
            design_wet_bulb_c=self.tower_design_wet_bulb_c,
            range_k=self.tower_range_k,
            fan_kw=self.tower_fan_kw,
            concentration_ratio=self.concentration_ratio,
            drift_fraction=self.drift_fraction,
        )

    @property
    def rated_kw(self) -> float:
        """With the fans of the doors."""
        return self.full_kw + self.door_fan_kw

    @property
    def free_setpoint(self) -> float:
        return 0.0

    @property
    def safe_setpoint(self) -> float:
        return 0.0

    def initial(self) -> ChillerPlantState:
        return ChillerPlantState(stored_kwh=0.0 if self.tank is None else self.tank.capacity_kwh)

    def drive(self, weather: Weather, seed: Seed) -> Drive:
        return {"dry_bulb_c": weather.dry_bulb_c, "wet_bulb_c": weather.wet_bulb_c}

    def step(
        self, state: ChillerPlantState, setpoint: Num, drive: Values, served: Sequence[Step[Any]], step_s: float
    ) -> Step[ChillerPlantState]:
        heat_kw: Num = 0.0
        for item in served:
            heat_kw = heat_kw + item.heat_kw
        done, hours = self._carried(heat_kw, drive), step_s / SECONDS_PER_HOUR
        stored_kwh, taken_kw = state.stored_kwh, done.taken_kw
        if self.tank is not None:
            busy = self._carried(heat_kw + self.tank.max_kw, drive)
            tank = self.tank.step(stored_kwh, busy.taken_kw - heat_kw, step_s)
            done = during(busy, done, where(busy.taken_kw > heat_kw, tank.busy_fraction, 0.0))
            stored_kwh, taken_kw = tank.stored_kwh, done.taken_kw - tank.charge_kw
        door_kw = fan_kw(self.door_fan_kw, clip(heat_kw / self.rated_heat_kw, self.min_flow_fraction, 1.0))
        p_kw, unmet_kw = done.electric_kw + door_kw, larger(heat_kw - taken_kw, 0.0)
        return Step(
            state=ChillerPlantState(stored_kwh=stored_kwh),
            p_kw=p_kw,
            q_kvar=p_kw * Q_PER_P,
            points={"heat_kw": heat_kw, "supply_c": self.supply_c + self.rise_k * unmet_kw / self.rated_heat_kw},
            amounts={
                "water_l": done.water_l_per_h * hours,
                "unmet_heat_kwh": unmet_kw * hours,
                "curve_clamped_h": done.clamped * hours,
            },
        )

    def _carried(self, heat_kw: Num, drive: Values) -> PlantDuty:
        """With the water flowing as the heat wants it."""
        load = heat_kw / self.rated_heat_kw
        return_c = self.supply_c + self.rise_k * load / clip(load, self.min_flow_fraction, 1.0)
        return self.duty(heat_kw, return_c, self.supply_c, drive["dry_bulb_c"], drive["wet_bulb_c"])

    def flexibility(self, values: Values) -> None:
        return None


Q_PER_P = 0.426
"""Motors behind drives and soft starters at a power factor of 0.92."""
