from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from twin.outages import YEAR_H, interruptions

START = datetime(2025, 1, 1, tzinfo=UTC)
END = START + timedelta(hours=YEAR_H)


def test_numbers_durations_and_time_without_supply_are_those_asked_for() -> None:
    """2,000 years of SAIFI 1.2 and CAIDI 2 h: standard errors are 2 % of the rate and of the mean."""
    drawn = [interruptions("grid", seed, START, END, rate_per_year=1.2, mean_h=2.0) for seed in range(1, 2001)]
    numbers = np.array([len(found) for found in drawn])
    hours = np.array([(one.end - one.start).total_seconds() / 3600.0 for found in drawn for one in found])
    assert numbers.mean() == pytest.approx(1.2, abs=4 * np.sqrt(1.2 / 2000))
    assert numbers.var() == pytest.approx(1.2, rel=0.15), "as a Poisson process"
    assert hours.mean() == pytest.approx(2.0, abs=4 * 2.0 / np.sqrt(len(hours)))
    assert hours.std() == pytest.approx(2.0, rel=0.15), "as an exponential distribution"


def test_a_frequent_failure_has_the_share_of_a_two_state_process() -> None:
    years = START + timedelta(hours=200 * YEAR_H)
    found = interruptions("line", 3, START, years, rate_per_year=50.0, mean_h=50.0)
    down_h = sum((one.end - one.start).total_seconds() / 3600.0 for one in found)
    assert down_h / (200 * YEAR_H) == pytest.approx(2500.0 / (YEAR_H + 2500.0), rel=0.03)
    assert all(one.end <= other.start for one, other in pairwise(found))


def test_a_seed_and_a_name_tell_the_outages_and_a_longer_time_keeps_them() -> None:
    told = {"rate_per_year": 10.0, "mean_h": 2.0}
    year = interruptions("grid", 1, START, END, **told)
    assert year == interruptions("grid", 1, START, END, **told)
    assert year[:3] == interruptions("grid", 1, START, END + timedelta(days=100), **told)[:3]
    assert year != interruptions("grid", 2, START, END, **told)
    assert year != interruptions("feeder", 1, START, END, **told)
    assert interruptions("grid", 0, START, END, **told) == ()
