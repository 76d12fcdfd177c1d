"""An engine-driven generator: off, starting, or on between its lowest stable load and its rating."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from twin.devices.base import DEVICES, STRICT, Account, Drive, Group, Step, Values
from twin.flexibility import Modes
from twin.noise import Seed
from twin.numeric import Num, clip, count_true, larger, where
from twin.quick import quick
from twin.units import SECONDS_PER_HOUR
from twin.weather import Weather


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class GensetState:
    """How far the engine is from delivering, and what it has done so far."""

    until_ready_s: Num
    """`start_s` when stopped, counting down while it starts, 0 when it delivers."""
    running_h: Num = 0.0
    fuel_l: Num = 0.0


@DEVICES.add("genset")
@dataclass(frozen=True, slots=True, kw_only=True)
class Genset:
    """Generates what it is asked for, at least its lowest stable load; 0 stops it at once.

    Notes
    -----
    Fuel: ``no_load + slope · generation``, the linear (Willans) law used by HOMER
    (fuel curve intercept and slope); good within a few percent between 25% and 100% load.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    group: ClassVar[Group | None] = Group.GENSETS
    account: ClassVar[Account] = Account.GENSET
    setpoint: ClassVar[str | None] = "generation_kw"
    instruments: ClassVar[tuple[str, ...]] = ("running",)
    example: ClassVar[Mapping[str, Any]] = {
        "type": "genset",
        "bus": "main",
        "rated_kw": 1000,
        "min_load_fraction": 0.3,
        "start_s": 15,
        "fuel_no_load_l_per_h": 20,
        "fuel_slope_l_per_kwh": 0.235,
        "fuel_cost_per_l": 1.05,
        "carbon_kg_per_l": 2.68,
    }

    type: Literal["genset"] = "genset"
    bus: str
    rated_kw: Annotated[float, Gt(0)]
    min_load_fraction: Annotated[float, Ge(0), Le(1)] = 0.3
    """Lowest stable load, of rated power."""
    start_s: Annotated[float, Ge(0)] = 15.0
    """From the command to delivering power."""
    fuel_no_load_l_per_h: Annotated[float, Ge(0)]
    """Fuel for idling at speed."""
    fuel_slope_l_per_kwh: Annotated[float, Ge(0)]
    """Fuel for each further kilowatt-hour generated."""
    fuel_cost_per_l: Annotated[float, Ge(0)] = 0.0
    carbon_kg_per_l: Annotated[float, Ge(0)] = 2.68
    """Of diesel burnt: 2.68 kg CO2 per litre."""

    @property
    def serves(self) -> Sequence[str]:
        return ()

    @property
    def free_setpoint(self) -> float:
        return 0.0

    @property
    def safe_setpoint(self) -> float:
        return 0.0

    @property
    def min_generation_kw(self) -> float:
        """Lowest stable generation."""
        return self.min_load_fraction * self.rated_kw

    def initial(self) -> GensetState:
        return GensetState(until_ready_s=self.start_s)

    def drive(self, weather: Weather, seed: Seed) -> Drive:
        return {}

    def step(
        self, state: GensetState, setpoint: Num, drive: Values, served: Sequence[Step[Any]], step_s: float
    ) -> Step[GensetState]:
        called = setpoint > 0.0
        on_s = where(called, larger(step_s - state.until_ready_s, 0.0), 0.0)
        until_ready_s = where(called, larger(state.until_ready_s - step_s, 0.0), self.start_s)
        on_h = on_s / SECONDS_PER_HOUR
        generation_kwh = clip(setpoint, self.min_generation_kw, self.rated_kw) * on_h
        fuel_l = self.fuel_no_load_l_per_h * on_h + self.fuel_slope_l_per_kwh * generation_kwh
        after = GensetState(until_ready_s=until_ready_s, running_h=state.running_h + on_h, fuel_l=state.fuel_l + fuel_l)
        return Step(
            state=after,
            p_kw=-generation_kwh * (SECONDS_PER_HOUR / step_s),
            points={"running": count_true(called & (until_ready_s <= 0.0)), "fuel_l": after.fuel_l},
            amounts={"fuel_l": fuel_l},
        )

    def flexibility(self, values: Values) -> Modes:
        return Modes(
            min_generation_kw=self.min_generation_kw,
            max_generation_kw=self.rated_kw,
            running=values["running"],
            start_s=self.start_s,
        )
