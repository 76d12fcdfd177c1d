"""Dry coolers with wetted pads for hot days, for a cold-plate loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt

from twin.cooling.water import (
    EVAPORATION_L_PER_KWH,
    FAN_EXPONENT,
    PUMP_EXPONENT,
    affinity_kw,
)
from twin.devices.base import DEVICES, STRICT, Account, Drive, Group, Step, Values
from twin.noise import Seed
from twin.numeric import Num, clip, larger, smaller, where
from twin.units import SECONDS_PER_HOUR
from twin.weather import Weather

MIN_FAN_FRACTION = 0.05
SMALLEST_DIFFERENCE_K = 0.1
Q_PER_P = 0.426
"""Motors behind drives at a power factor of 0.92."""


def pad_air_c(dry_bulb_c: Num, wet_bulb_c: Num, effectiveness: float) -> Num:
    """Air behind wetted pads: ``dry bulb - effectiveness · (dry bulb - wet bulb)``.

    Source: ASHRAE Handbook, HVAC Systems and Equipment, Evaporative Air-Cooling Equipment (direct
    evaporative effectiveness; 0.7 to 0.9 for rigid media).
    """
    return dry_bulb_c - effectiveness * larger(dry_bulb_c - wet_bulb_c, 0.0)


def dry_cooler_air_fraction(load_fraction: Num, approach_k: float, difference_k: Num) -> Num:
    """Air flow, of rated, that rejects the load with `difference_k` between supply and air.

    A coil rejects about in proportion to its air flow and to the temperature difference:
    ``flow = load · approach / difference``, with the approach at rated load and air flow. Good near
    the design point; at low flow a real coil does somewhat better. Limited to 5% to 100%.
    """
    flow = load_fraction * approach_k / larger(difference_k, SMALLEST_DIFFERENCE_K)
    return clip(flow, MIN_FAN_FRACTION, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DryCoolerState:
    """It remembers nothing: its minutes of thermal inertia are shorter than the steps it is asked about."""


@DEVICES.add("dry_cooler")
@dataclass(frozen=True, slots=True, kw_only=True)
class DryCooler:
    """Takes the heat of what it serves at once (quasi-static), with fans just fast enough.

    The fans hold the supply `margin_k` below `max_supply_c`. On a day too hot for that the supply
    rises; heat that would bring it above `max_supply_c` is booked as `unmet_heat_kwh`.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    group: ClassVar[Group | None] = None
    account: ClassVar[Account] = Account.COOLING
    setpoint: ClassVar[str | None] = None
    instruments: ClassVar[tuple[str, ...]] = ("heat_kw", "supply_c")
    example: ClassVar[Mapping[str, Any]] = {
        "type": "dry_cooler",
        "bus": "cooling",
        "serves": ["hall"],
        "rated_heat_kw": 1500,
        "approach_k": 9,
        "max_supply_c": 40,
        "pump_kw": 18,
        "fan_kw": 50,
        "min_flow_fraction": 0.3,
        "adiabatic_above_c": 28,
    }

    type: Literal["dry_cooler"] = "dry_cooler"
    bus: str
    serves: tuple[str, ...]
    """Devices whose heat it takes."""
    rated_heat_kw: Annotated[float, Gt(0)]
    approach_k: Annotated[float, Gt(0)] = 9.0
    """Supply above the air that enters the coil, at rated heat and air flow."""
    max_supply_c: float = 40.0
    """Warmest water that the cold plates may get."""
    margin_k: Annotated[float, Ge(0)] = 5.0
    """How far below that the fans hold the supply while they can."""
    pump_kw: Annotated[float, Ge(0)]
    """At rated flow."""
    fan_kw: Annotated[float, Ge(0)]
    """At rated air flow."""
    min_flow_fraction: Annotated[float, Gt(0), Le(1)] = 0.3
    """Lowest flow of water, of rated."""
    adiabatic_above_c: float = 28.0
    """Dry-bulb temperature above which the pads are wetted."""
    pad_effectiveness_fraction: Annotated[float, Ge(0), Lt(1)] = 0.75
    air_rise_k: Annotated[float, Gt(0)] = 10.0
    """Warming of the air in the coil at rated heat and air flow."""

    @property
    def rated_kw(self) -> float:
        """All pumps and fans."""
        return self.pump_kw + self.fan_kw

    @property
    def free_setpoint(self) -> float:
        return 0.0

    @property
    def safe_setpoint(self) -> float:
        return 0.0

    def initial(self) -> DryCoolerState:
        return DryCoolerState()

    def drive(self, weather: Weather, seed: Seed) -> Drive:
        return {"dry_bulb_c": weather.dry_bulb_c, "wet_bulb_c": weather.wet_bulb_c}

    def step(
        self, state: DryCoolerState, setpoint: Num, drive: Values, served: Sequence[Step[Any]], step_s: float
    ) -> Step[DryCoolerState]:
        heat_kw: Num = 0.0
        for item in served:
            heat_kw = heat_kw + item.heat_kw
        hours, dry_bulb_c = step_s / SECONDS_PER_HOUR, drive["dry_bulb_c"]
        wet_c = pad_air_c(dry_bulb_c, drive["wet_bulb_c"], self.pad_effectiveness_fraction)
        air_c = where(dry_bulb_c > self.adiabatic_above_c, wet_c, dry_bulb_c)
        load = heat_kw / self.rated_heat_kw
        air = dry_cooler_air_fraction(load, self.approach_k, self.max_supply_c - self.margin_k - air_c)
        capacity_kw = self.rated_heat_kw * air * larger(self.max_supply_c - air_c, 0.0) / self.approach_k
        taken_kw = smaller(heat_kw, capacity_kw)
        flow = clip(load, self.min_flow_fraction, 1.0)
        p_kw = affinity_kw(self.pump_kw, flow, PUMP_EXPONENT) + affinity_kw(self.fan_kw, air, FAN_EXPONENT)
        pads_kwh = self.rated_heat_kw / self.air_rise_k * air * (dry_bulb_c - air_c) * hours
        return Step(
            state=state,
            p_kw=p_kw,
            q_kvar=p_kw * Q_PER_P,
            points={"heat_kw": heat_kw, "supply_c": air_c + self.approach_k * load / air},
            amounts={
                "water_l": pads_kwh * EVAPORATION_L_PER_KWH,
                "unmet_heat_kwh": larger(heat_kw - taken_kw, 0.0) * hours,
            },
        )

    def flexibility(self, values: Values) -> None:
        return None
