"""What the halls and loads are asked for: classes of GPU work, and how demand swings with the local day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from annotated_types import Ge, Gt, Le, Lt, MinLen

from twin.devices.base import STRICT
from twin.noise import Seed, smooth_noise
from twin.numeric import FloatArray
from twin.units import SECONDS_PER_HOUR

NOISE_PERIODS_S = (1800.0, 4 * SECONDS_PER_HOUR)
"""Bursts of half an hour on top of a drift over hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One class of GPU work: how much of it is wanted, and how far it can be slowed or put off."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    name: Annotated[str, MinLen(1)]
    mean_utilisation: Annotated[float, Ge(0), Le(1)]
    """Share of the hall's GPUs that this class wants on a mean working day."""
    daily_swing_fraction: Annotated[float, Ge(0), Le(1)] = 0.0
    """How far demand rises above its mean at the peak hour, and falls below it twelve hours later."""
    peak_local_h: Annotated[float, Ge(0), Lt(24)] = 15.0
    """Local hour of the day at which demand is highest."""
    weekend_factor: Annotated[float, Ge(0)] = 1.0
    """Demand on Saturdays and Sundays relative to other days."""
    noise_fraction: Annotated[float, Ge(0), Lt(1)] = 0.08
    """Largest random deviation from the pattern, relative to the mean."""
    max_throughput_loss_fraction: Annotated[float, Ge(0), Le(1)]
    """How far it may be slowed below its wanted rate: the flexibility tier."""
    slack_h: Annotated[float, Ge(0)]
    """Time after its arrival by which work must be done; 0: work that is not done at once is lost."""
    job_gpu_h: Annotated[float, Gt(0)] = 8.0
    """Work in one mean job, to count missed deadlines."""


def local_hours(index: pd.DatetimeIndex, time_zone: str) -> tuple[FloatArray, FloatArray]:
    """Local hour of the day (0 to 24) and 1.0 on Saturdays and Sundays, for each instant."""
    local = index.tz_convert(time_zone)
    hour_h = np.asarray(local.hour + local.minute / 60.0 + local.second / SECONDS_PER_HOUR, dtype=np.float64)
    return hour_h, np.asarray(local.dayofweek >= 5, dtype=np.float64)


def daily_pattern(
    index: pd.DatetimeIndex, time_zone: str, *, swing_fraction: float, peak_local_h: float, weekend_factor: float
) -> FloatArray:
    """Demand relative to its mean: a cosine over the local day, scaled on weekends."""
    hour_h, weekend = local_hours(index, time_zone)
    day = 1.0 + swing_fraction * np.cos(2.0 * np.pi * (hour_h - peak_local_h) / 24.0)
    return np.asarray(day * (1.0 + (weekend_factor - 1.0) * weekend))


def demand_noise(index: pd.DatetimeIndex, *, seed: Seed, name: str, fraction: float) -> FloatArray:
    """Relative deviation of demand from its pattern, within ± `fraction`."""
    fast_s, slow_s = NOISE_PERIODS_S
    fast = smooth_noise(index, seed=seed, name=f"{name}.fast", period_s=fast_s)
    slow = smooth_noise(index, seed=seed, name=f"{name}.slow", period_s=slow_s)
    return fraction * (0.4 * fast + 0.6 * slow)


def wanted_gpus(
    work: Workload, index: pd.DatetimeIndex, time_zone: str, *, gpu_count: float, seed: Seed, place: str
) -> FloatArray:
    """GPUs that would be busy with newly arriving work of this class if nothing held it up; as `smooth_noise`."""
    pattern = daily_pattern(
        index,
        time_zone,
        swing_fraction=work.daily_swing_fraction,
        peak_local_h=work.peak_local_h,
        weekend_factor=work.weekend_factor,
    )
    noise = demand_noise(index, seed=seed, name=f"{place}.{work.name}", fraction=work.noise_fraction)
    return np.asarray(np.minimum(gpu_count * work.mean_utilisation * pattern * (1.0 + noise), gpu_count))


def due_gpus(arriving_gpus: FloatArray, slack_h: float, step_s: float) -> FloatArray:
    """Rate at which earlier arrivals reach their deadline, in each interval; nothing arrived before the first.

    Time is the last axis. What arrived over an interval falls due `slack_h` later, as evenly as it came.
    """
    steps = arriving_gpus.shape[-1]
    whole, part = divmod(slack_h * SECONDS_PER_HOUR / step_s, 1.0)
    return (1.0 - part) * _later(arriving_gpus, min(int(whole), steps)) + part * _later(
        arriving_gpus, min(int(whole) + 1, steps)
    )


def _later(series: FloatArray, steps: int) -> FloatArray:
    """The same, so many steps later."""
    later = np.zeros_like(series)
    later[..., steps:] = series[..., : series.shape[-1] - steps]
    return later
