from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from twin.workload import Workload, daily_pattern, demand_noise, due_gpus, local_hours, wanted_gpus

NEW_YORK = "America/New_York"
BATCH = Workload(
    name="batch",
    mean_utilisation=0.4,
    daily_swing_fraction=0.5,
    peak_local_h=15.0,
    weekend_factor=0.5,
    max_throughput_loss_fraction=1.0,
    slack_h=24,
)


def week(step: str = "15min") -> pd.DatetimeIndex:
    return pd.date_range("2025-07-07 04:00", "2025-07-14 04:00", freq=step, tz="UTC", inclusive="left")


def test_the_pattern_peaks_at_its_local_hour_and_means_one_on_working_days() -> None:
    index = week()
    pattern = daily_pattern(index, NEW_YORK, swing_fraction=0.5, peak_local_h=15.0, weekend_factor=0.5)
    monday = pattern[:96]
    assert monday.mean() == pytest.approx(1.0)
    assert (monday.max(), monday.min()) == (pytest.approx(1.5), pytest.approx(0.5))
    assert index[int(monday.argmax())].tz_convert(NEW_YORK).hour == 15
    np.testing.assert_allclose(pattern[5 * 96 : 6 * 96], 0.5 * monday)


def test_the_peak_stays_at_its_local_hour_across_the_clock_change() -> None:
    index = pd.date_range("2025-03-08 05:00", periods=3 * 96, freq="15min", tz="UTC")
    pattern = daily_pattern(index, NEW_YORK, swing_fraction=0.5, peak_local_h=15.0, weekend_factor=1.0)
    peaks = index[pattern > 1.4999].tz_convert(NEW_YORK)
    assert {(instant.day, instant.hour) for instant in peaks} == {(8, 15), (9, 15), (10, 15)}
    hour_h, _ = local_hours(index, NEW_YORK)
    assert not ((hour_h >= 2.0) & (hour_h < 3.0))[96:188].any(), "the hour that does not exist"


def test_noise_stays_within_its_fraction() -> None:
    noise = demand_noise(week("1min"), seed=3, name="hall", fraction=0.08)
    assert np.abs(noise).max() <= 0.08
    assert np.abs(noise).max() > 0.04


def test_no_more_gpus_are_wanted_than_there_are() -> None:
    wanted = wanted_gpus(BATCH, week(), NEW_YORK, gpu_count=100, seed=1, place="hall")
    assert 0.0 <= wanted.min() <= wanted.max() <= 100.0
    busy = Workload(
        name="busy", mean_utilisation=1.0, daily_swing_fraction=1.0, max_throughput_loss_fraction=0, slack_h=0
    )
    assert wanted_gpus(busy, week(), NEW_YORK, gpu_count=100, seed=1, place="hall").max() == 100.0


def test_work_falls_due_its_slack_after_it_arrived() -> None:
    arriving = np.array([40.0, 0.0, 10.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(due_gpus(arriving, 1.0, 1800.0), [0.0, 0.0, 40.0, 0.0, 10.0, 0.0])
    np.testing.assert_allclose(due_gpus(arriving, 0.75, 1800.0), [0.0, 20.0, 20.0, 5.0, 5.0, 0.0])
    np.testing.assert_array_equal(due_gpus(arriving, 0.0, 1800.0), arriving)
