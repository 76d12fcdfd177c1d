"""A load that is always served: offices, lighting, controls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt

from twin.devices.base import DEVICES, STRICT, Account, Drive, Group, Step, Values
from twin.noise import Seed
from twin.numeric import Num
from twin.weather import Weather
from twin.workload import daily_pattern, demand_noise


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadState:
    """It remembers nothing."""


@DEVICES.add("critical_load")
@dataclass(frozen=True, slots=True, kw_only=True)
class CriticalLoad:
    """Draws what it needs, over a daily and weekly pattern."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    group: ClassVar[Group | None] = None
    account: ClassVar[Account] = Account.OTHER
    setpoint: ClassVar[str | None] = None
    instruments: ClassVar[tuple[str, ...]] = ()
    example: ClassVar[Mapping[str, Any]] = {
        "type": "critical_load",
        "bus": "office",
        "mean_kw": 200,
        "daily_swing_fraction": 0.3,
        "power_factor": 0.96,
    }

    type: Literal["critical_load"] = "critical_load"
    bus: str
    mean_kw: Annotated[float, Gt(0)]
    """On working days."""
    daily_swing_fraction: Annotated[float, Ge(0), Le(1)] = 0.0
    """How far demand rises above its mean at the peak hour, and falls below it twelve hours later."""
    peak_local_h: Annotated[float, Ge(0), Lt(24)] = 14.0
    weekend_factor: Annotated[float, Ge(0), Le(1)] = 0.7
    """Demand on Saturdays and Sundays relative to other days."""
    noise_fraction: Annotated[float, Ge(0), Lt(1)] = 0.05
    """Largest random deviation from the pattern, relative to the mean."""
    power_factor: Annotated[float, Gt(0), Le(1)] = 0.96
    """Lagging."""

    @property
    def serves(self) -> Sequence[str]:
        return ()

    @property
    def rated_kw(self) -> float:
        """Largest power that the pattern and its noise can reach."""
        return self.mean_kw * (1.0 + self.daily_swing_fraction) * (1.0 + self.noise_fraction)

    @property
    def free_setpoint(self) -> float:
        return 0.0

    @property
    def safe_setpoint(self) -> float:
        return 0.0

    def initial(self) -> LoadState:
        return LoadState()

    def drive(self, weather: Weather, seed: Seed) -> Drive:
        pattern = daily_pattern(
            weather.index,
            weather.time_zone,
            swing_fraction=self.daily_swing_fraction,
            peak_local_h=self.peak_local_h,
            weekend_factor=self.weekend_factor,
        )
        noise = demand_noise(weather.index, seed=seed, name=f"{self.type}.{self.bus}", fraction=self.noise_fraction)
        return {"demand_kw": self.mean_kw * pattern * (1.0 + noise)}

    def step(
        self, state: LoadState, setpoint: Num, drive: Values, served: Sequence[Step[Any]], step_s: float
    ) -> Step[LoadState]:
        p_kw = drive["demand_kw"]
        return Step(state=state, p_kw=p_kw, q_kvar=p_kw * math.sqrt(1.0 / self.power_factor**2 - 1.0), heat_kw=p_kw)

    def flexibility(self, values: Values) -> None:
        return None
