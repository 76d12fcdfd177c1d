"""An engine-driven generator: off, starting, on between its lowest stable load and its rating, or cooling down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from twin.devices.base import DEVICES, STRICT, Account, Drive, Group, Step, Values
from twin.devices.engine_start import Starting
from twin.devices.instruments import Instruments
from twin.devices.spans import Span, inside
from twin.flexibility import Modes
from twin.noise import Seed
from twin.numeric import Flag, Num, clip, count_true, larger, magnitude, smaller, where
from twin.quick import quick
from twin.units import SECONDS_PER_HOUR
from twin.weather import Weather


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class GensetState:
    """How far the engine is from delivering, and what it has done so far."""

    until_ready_s: Num
    """`start_s` when stopped, counting down while it starts, 0 at speed."""
    running_h: Num = 0.0
    fuel_l: Num = 0.0
    generation_kw: Num = 0.0
    """At the end of the step."""
    called_fraction: Num = 0.0
    """1 once it has been called, until the call is taken back."""
    cooldown_left_s: Num = 0.0
    """That it would still idle if the call were taken back now."""


@DEVICES.add("genset")
@dataclass(frozen=True, slots=True, kw_only=True)
class Genset:
    """Generates what it is asked for, at least its lowest stable load; 0 opens its breaker at once.

    With a ramp, its power begins at the lowest stable load and moves towards what is asked in a straight line. After
    its breaker has opened it idles to cool down; called meanwhile, it is ready at once. A call that fails, and a
    lockout after too many attempts, end when the call is taken back.

    Notes
    -----
    Fuel: ``no_load + slope · generation``, the linear (Willans) law used by HOMER
    (fuel curve intercept and slope); good within a few percent between 25% and 100% load.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    group: ClassVar[Group | None] = Group.GENSETS
    account: ClassVar[Account] = Account.GENSET
    setpoint: ClassVar[str | None] = "generation_kw"
    instruments: ClassVar[tuple[str, ...]] = Instruments(  # type: ignore[assignment]
        "running", described={"out_of_service": ("available_fraction",)}
    )
    example: ClassVar[Mapping[str, Any]] = {
        "type": "genset",
        "bus": "main",
        "rated_kw": 1000,
        "min_load_fraction": 0.3,
        "start_s": 15,
        "ramp_kw_per_s": 100,
        "cooldown_s": 300,
        "service_interval_h": 250,
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
    """From the command to delivering power, where the first attempt succeeds."""
    starting: Starting | None = None
    """How attempts to start may fail; without it they do not."""
    ramp_kw_per_s: Annotated[float, Gt(0)] | None = None
    """How fast its power changes; without it, at once."""
    cooldown_s: Annotated[float, Ge(0)] = 0.0
    """Idling after its breaker has opened, before it stops."""
    service_interval_h: Annotated[float, Gt(0)] | None = None
    """Running hours from one service to the next."""
    since_service_h: Annotated[float, Ge(0)] = 0.0
    """Running hours since the last service, when the run begins."""
    out_of_service: tuple[Span, ...] = ()
    """When it cannot be called."""
    fuel_no_load_l_per_h: Annotated[float, Ge(0)]
    """Fuel for idling at speed."""
    fuel_slope_l_per_kwh: Annotated[float, Ge(0)]
    """Fuel for each further kilowatt-hour generated."""
    fuel_cost_per_l: Annotated[float, Ge(0)] = 0.0
    carbon_kg_per_l: Annotated[float, Ge(0)] = 2.68
    """Of diesel burnt: 2.68 kg CO2 per litre."""

    def __post_init__(self) -> None:
        if self.service_interval_h is not None and self.since_service_h > self.service_interval_h:
            told = f"{self.since_service_h:g} and {self.service_interval_h:g}"
            raise ValueError(f"since_service_h up to service_interval_h, not {told}")

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
        series: Drive = {}
        if self.starting is not None:
            series = {"failed_count": self.starting.failures(weather.index, seed, self.bus)}
        if self.out_of_service:
            series = {**series, "available_fraction": 1.0 - inside(self.out_of_service, weather.index)}
        return series

    def step(
        self, state: GensetState, setpoint: Num, drive: Values, served: Sequence[Step[Any]], step_s: float
    ) -> Step[GensetState]:
        available = drive.get("available_fraction", 1.0)
        called = (setpoint > 0.0) & (available > 0.0)
        ready_s = self._ready_s(state, drive)
        on_s = where(called, larger(step_s - ready_s, 0.0), 0.0)
        cooling_s = where(called, 0.0, smaller(state.cooldown_left_s, step_s))
        cooling_left_s = state.cooldown_left_s - cooling_s
        until_ready_s = where(called, larger(ready_s - step_s, 0.0), where(cooling_left_s > 0.0, 0.0, self.start_s))
        at_speed = called & (until_ready_s <= 0.0)
        generation_kwh, generation_kw = self._generated(state.generation_kw, setpoint, on_s)
        running_h = (on_s + cooling_s) / SECONDS_PER_HOUR
        fuel_l = self.fuel_no_load_l_per_h * running_h + self.fuel_slope_l_per_kwh * generation_kwh
        after = GensetState(
            until_ready_s=until_ready_s,
            running_h=state.running_h + running_h,
            fuel_l=state.fuel_l + fuel_l,
            generation_kw=generation_kw,
            called_fraction=count_true(called),
            cooldown_left_s=where(called, where(at_speed, self.cooldown_s, 0.0), cooling_left_s),
        )
        return Step(
            state=after,
            p_kw=-generation_kwh * (SECONDS_PER_HOUR / step_s),
            points=self._points(after, at_speed, available),
            amounts={"fuel_l": fuel_l},
        )

    def _ready_s(self, state: GensetState, drive: Values) -> Num:
        """From now until it delivers, where it is called."""
        if self.starting is None:
            return state.until_ready_s
        begins = (state.called_fraction == 0.0) & (state.until_ready_s > 0.0)
        return where(begins, self.starting.ready_in_s(self.start_s, drive["failed_count"]), state.until_ready_s)

    def _generated(self, before_kw: Num, setpoint: Num, on_s: Num) -> tuple[Num, Num]:
        """Energy in `on_s` seconds on the grid, kWh, and the power at their end."""
        wanted_kw = clip(setpoint, self.min_generation_kw, self.rated_kw)
        if self.ramp_kw_per_s is None:
            return wanted_kw * (on_s / SECONDS_PER_HOUR), where(on_s > 0.0, wanted_kw, 0.0)
        begin_kw = larger(before_kw, self.min_generation_kw)
        reach_kw = self.ramp_kw_per_s * on_s
        moved_kw = clip(wanted_kw - begin_kw, 0.0 - reach_kw, reach_kw)
        moving_s = magnitude(moved_kw) / self.ramp_kw_per_s
        generated = (begin_kw + moved_kw) * on_s - 0.5 * moved_kw * moving_s
        return generated / SECONDS_PER_HOUR, where(on_s > 0.0, begin_kw + moved_kw, 0.0)

    def _points(self, after: GensetState, at_speed: Flag, available: Num) -> dict[str, Num]:
        points: dict[str, Num] = {"running": count_true(at_speed), "fuel_l": after.fuel_l}
        if self.service_interval_h is not None:
            left_h = self.service_interval_h - self.since_service_h - after.running_h
            points["hours_to_service_h"] = larger(left_h, 0.0)
        if self.out_of_service:
            points["available_fraction"] = available
        return points

    def flexibility(self, values: Values) -> Modes:
        """With a ramp, it is at its rating `start_s` after the call at the latest."""
        ramp_s = 0.0 if self.ramp_kw_per_s is None else (self.rated_kw - self.min_generation_kw) / self.ramp_kw_per_s
        available = values.get("available_fraction", 1.0)
        return Modes(
            min_generation_kw=self.min_generation_kw,
            max_generation_kw=where(available > 0.0, self.rated_kw, 0.0),
            running=values["running"],
            start_s=self.start_s + ramp_s,
        )
