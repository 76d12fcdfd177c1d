from __future__ import annotations

import numpy as np
import pandas as pd

from twin.noise import smooth_noise
from twin.numeric import FloatArray


def noise(index: pd.DatetimeIndex, seed: int = 1, name: str = "pv.roof", period_s: float = 900.0) -> FloatArray:
    return smooth_noise(index, seed=seed, name=name, period_s=period_s)


def instants(start: str, step: str, count: int) -> pd.DatetimeIndex:
    return pd.date_range(start, periods=count, freq=step, tz="UTC")


def test_the_same_instant_has_the_same_noise_whatever_the_step_and_start() -> None:
    fine = noise(instants("2025-07-01", "1min", 1440))
    np.testing.assert_array_equal(noise(instants("2025-07-01", "15min", 96)), fine[::15])
    np.testing.assert_array_equal(noise(instants("2025-07-01 06:00", "1min", 60)), fine[360:420])


def test_it_is_bounded_of_mean_zero_and_spread_over_its_range() -> None:
    values = noise(instants("2025-01-01", "15min", 20_000))
    assert np.abs(values).max() <= 1.0
    assert np.abs(values).max() > 0.95
    assert abs(values.mean()) < 0.02


def test_it_wanders_without_jumps() -> None:
    values = noise(instants("2025-01-01", "1s", 20_000))
    assert np.abs(np.diff(values)).max() <= 2.0 * 1.5 / 900.0 * 1.001, "smoothstep rises by 1.5 times its mean slope"


def test_seeds_and_names_are_independent() -> None:
    index = instants("2025-01-01", "15min", 20_000)
    streams = [noise(index), noise(index, seed=2), noise(index, name="pv.field"), noise(index, seed=-1)]
    correlation = np.corrcoef(streams) - np.eye(len(streams))
    assert np.abs(correlation).max() < 0.05


def test_years_before_the_epoch_have_noise_too() -> None:
    values = noise(instants("1965-01-01", "15min", 1000))
    assert np.isfinite(values).all()
    assert values.std() > 0.3
