"""Dry coolers with wetted pads for hot days, for a cold-plate loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt

from twin.cooling.adiabatic import pad_air_c, pad_water_l_per_h
from twin.cooling.fans_and_pumps import STATIC_HEAD_FRACTION, fan_kw, pump_kw
from twin.cooling.heat_reuse import HeatConsumer
from twin.cooling.plant_duty import SMALLEST_RISE_K, PlantDuty, check_positive, flow_fraction
from twin.cooling.rejection import Rejection
from twin.devices.base import DEVICES, STRICT, Account, Drive, Group, Step, Values
from twin.noise import Seed
from twin.numeric import Num, clip, larger, ratio, where
from twin.units import SECONDS_PER_HOUR
from twin.weather import Weather

MIN_FAN_FRACTION = 0.05
SMALLEST_DIFFERENCE_K = 0.1
Q_PER_P = 0.426
"""Motors behind drives at a power factor of 0.92."""


def dry_cooler_air_fraction(load_fraction: Num, approach_k: float, difference_k: Num) -> Num:
    """Air flow, of rated, that rejects the load with `difference_k` between supply and air.

    A coil rejects about in proportion to its air flow and to the temperature difference:
    ``flow = load · approach / difference``, with the approach at rated load and air flow. Against an unmixed cross-flow
    coil by effectiveness and NTU it asks for 0.88 to 1.34 times the air: too much at low load, where a real coil is the
    better the slower its air. Limited to 5% to 100%.
    """
    flow = load_fraction * approach_k / larger(difference_k, SMALLEST_DIFFERENCE_K)
    return clip(flow, MIN_FAN_FRACTION, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DryCoolers:
    """Coils and fans just fast enough for the supply asked for, with wetted pads where it is hot.

    Where even full air leaves the supply too warm, they take what that supply then carries.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    rated_heat_kw: Annotated[float, Gt(0)]
    approach_k: Annotated[float, Gt(0)] = 9.0
    """Supply above the air that enters the coil, at rated heat and air flow."""
    pump_kw: Annotated[float, Ge(0)]
    """At rated flow. Their work ends in the water, and is rejected with the heat."""
    fan_kw: Annotated[float, Ge(0)]
    """At rated air flow."""
    min_flow_fraction: Annotated[float, Gt(0), Le(1)] = 0.3
    """Lowest flow of water, of rated."""
    rise_k: Annotated[float, Gt(0)] = 10.0
    """Warming of the water at rated heat and flow."""
    static_head_fraction: Annotated[float, Ge(0), Le(1)] = STATIC_HEAD_FRACTION
    """Of the pumps' head at rated flow: the pressure held at the far end of the loop."""
    adiabatic_above_c: float | None = 28.0
    """Dry-bulb temperature above which the pads are wetted; None: there are no pads."""
    pad_effectiveness_fraction: Annotated[float, Ge(0), Lt(1)] = 0.75
    pad_bleed_fraction: Annotated[float, Ge(0)] = 0.0
    """Water drained from the pads, of what evaporates."""
    air_rise_k: Annotated[float, Gt(0)] = 10.0
    """Warming of the air in the coil at rated heat and air flow."""

    def __post_init__(self) -> None:
        check_positive(
            rated_heat_kw=self.rated_heat_kw,
            approach_k=self.approach_k,
            rise_k=self.rise_k,
            air_rise_k=self.air_rise_k,
        )

    @property
    def rated_kw(self) -> float:
        """All pumps and fans."""
        return self.pump_kw + self.fan_kw

    def coil_air_c(self, dry_bulb_c: Num, wet_bulb_c: Num) -> Num:
        """Air that enters the coil."""
        if self.adiabatic_above_c is None:
            return dry_bulb_c
        wet_c = pad_air_c(dry_bulb_c, wet_bulb_c, self.pad_effectiveness_fraction)
        return where(dry_bulb_c > self.adiabatic_above_c, wet_c, dry_bulb_c)

    def pumps_kw(self, heat_kw: Num, rise_k: Num) -> Num:
        """Power of the pumps."""
        flow = flow_fraction(heat_kw, rise_k, rated_heat_kw=self.rated_heat_kw, rated_rise_k=self.rise_k)
        return pump_kw(self.pump_kw, clip(flow, self.min_flow_fraction, 1.0), self.static_head_fraction)

    def duty(self, heat_kw: Num, return_c: Num, supply_c: Num, dry_bulb_c: Num, wet_bulb_c: Num) -> PlantDuty:
        """As `HeatRejection.rejects`, part by part.

        At full air ``Q = k (supply - air)`` with ``k = rated / approach``, and ``Q = C (return - supply)`` with the
        flow C asked for: together ``Q = k · C / (k + C) · (return - air)``.
        """
        heat_kw, rise_k = larger(heat_kw, 0.0), larger(return_c - supply_c, SMALLEST_RISE_K)
        air_c, pumps_kw = self.coil_air_c(dry_bulb_c, wet_bulb_c), self.pumps_kw(heat_kw, rise_k)
        load = (heat_kw + pumps_kw) / self.rated_heat_kw
        air = dry_cooler_air_fraction(load, self.approach_k, supply_c - air_c)
        coil_kw_per_k, water_kw_per_k = self.rated_heat_kw / self.approach_k, heat_kw / rise_k
        most_kw = coil_kw_per_k / (coil_kw_per_k + water_kw_per_k) * ((return_c - air_c) * water_kw_per_k + pumps_kw)
        taken_kw = clip(most_kw - pumps_kw, 0.0, heat_kw)
        water = pad_water_l_per_h(self.rated_heat_kw / self.air_rise_k * air, dry_bulb_c - air_c, 0.0)
        return PlantDuty(
            taken_kw=taken_kw,
            supply_c=supply_c + rise_k * ratio(heat_kw - taken_kw, heat_kw),
            pump_kw=pumps_kw,
            fan_kw=fan_kw(self.fan_kw, air),
            to_air_kw=taken_kw + pumps_kw,
            evaporated_l_per_h=water,
            water_l_per_h=water * (1.0 + self.pad_bleed_fraction),
        )

    def rejects(self, heat_kw: Num, return_c: Num, supply_c: Num, dry_bulb_c: Num, wet_bulb_c: Num) -> Rejection:
        return self.duty(heat_kw, return_c, supply_c, dry_bulb_c, wet_bulb_c).rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class DryCoolerState:
    """It remembers nothing: its minutes of thermal inertia are shorter than the steps it is asked about."""


@DEVICES.add("dry_cooler")
@dataclass(frozen=True, slots=True, kw_only=True)
class DryCooler(DryCoolers):
    """Takes the heat of what it serves at once (quasi-static).

    The fans hold the supply `margin_k` below `max_supply_c`. On a day too hot for that the supply
    rises; heat that would bring it above `max_supply_c` is booked as `unmet_heat_kwh`.
    """

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
    max_supply_c: float = 40.0
    """Warmest water that the cold plates may get."""
    margin_k: Annotated[float, Ge(0)] = 5.0
    """How far below that the fans hold the supply while they can."""
    consumer: HeatConsumer | None = None
    """Of heat, before the coils; what it takes is told as `reused_heat_kwh`."""

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
        hours, rise_k = step_s / SECONDS_PER_HOUR, self.rise_k * larger(heat_kw / self.rated_heat_kw, 1.0)
        reused_kw: Num = 0.0
        if self.consumer is not None:
            wanted_c = self.max_supply_c - self.margin_k
            reused_kw = self.consumer.takes_kw(heat_kw, wanted_c + rise_k, wanted_c)
        left_kw = heat_kw - reused_kw
        done, unmet_kw = self._rejected(left_kw, rise_k * ratio(left_kw, heat_kw, 1.0), drive)
        return Step(
            state=state,
            p_kw=done.electric_kw,
            q_kvar=done.electric_kw * Q_PER_P,
            points={"heat_kw": heat_kw, "supply_c": done.supply_c},
            amounts={
                "water_l": done.water_l_per_h * hours,
                "unmet_heat_kwh": unmet_kw * hours,
                **({} if self.consumer is None else {"reused_heat_kwh": reused_kw * hours}),
            },
        )

    def _rejected(self, heat_kw: Num, rise_k: Num, drive: Values) -> tuple[PlantDuty, Num]:
        """What the coils do, with the supply that they reach, and the heat that makes it warmer than it may be."""
        dry_bulb_c, wet_bulb_c = drive["dry_bulb_c"], drive["wet_bulb_c"]
        air_c = self.coil_air_c(dry_bulb_c, wet_bulb_c)
        rejected_kw = heat_kw + self.pumps_kw(heat_kw, rise_k)
        coldest_c = air_c + self.approach_k * rejected_kw / self.rated_heat_kw
        supply_c = larger(self.max_supply_c - self.margin_k, coldest_c)
        done = self.duty(heat_kw, supply_c + rise_k, supply_c, dry_bulb_c, wet_bulb_c)
        most_kw = self.rated_heat_kw * larger(self.max_supply_c - air_c, 0.0) / self.approach_k
        return done, clip(rejected_kw - most_kw, 0.0, heat_kw)

    def flexibility(self, values: Values) -> None:
        return None
