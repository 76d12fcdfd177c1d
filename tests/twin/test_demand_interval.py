from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from twin.demand_interval import DemandInterval, opening

NEW_YORK = ZoneInfo("America/New_York")
LENGTH_S = 900.0
QUARTER = datetime(2025, 7, 1, 16, 0, tzinfo=UTC)


def after(meter: DemandInterval, import_kw: float, since: datetime, seconds: float) -> DemandInterval:
    now = since + timedelta(seconds=seconds)
    return meter.after(import_kw, meter.passage(since, now, now.astimezone(NEW_YORK)))


def metered(start: datetime, import_kw: list[float], step_s: float) -> DemandInterval:
    """The meter after a series of constant imports, one after the other."""
    meter = opening(start, start.astimezone(NEW_YORK), LENGTH_S)
    for number, value in enumerate(import_kw):
        now = start + timedelta(seconds=number * step_s)
        meter = after(meter, value, now, step_s)
    return meter


def test_a_worked_example() -> None:
    """Ten minutes at 600 kW and five at 1,200 are 800 kW on average; a burst of 10 s counts for 10 s."""
    start = datetime(2025, 7, 1, 16, 0, tzinfo=UTC)
    meter = metered(start, [600.0, 600.0, 1200.0], 300.0)
    assert meter.energy_kwh == 0.0, "the next one is open"
    assert meter.billed_peak_kw == pytest.approx(800.0)
    open_still = metered(start, [600.0, 600.0], 300.0)
    assert open_still.energy_kwh == pytest.approx(100.0)
    assert open_still.billed_peak_kw == 0.0
    burst = metered(start, [0.0] * 45 + [9000.0] + [0.0] * 44, 10.0)
    assert burst.peak_kw == pytest.approx(100.0)


def test_the_highest_finished_interval_is_billed_and_export_does_not_count_against_it() -> None:
    start = datetime(2025, 7, 1, 16, 0, tzinfo=UTC)
    meter = metered(start, [500.0, 500.0, 500.0, 900.0, -900.0, 0.0, 100.0], 300.0)
    assert meter.billed_peak_kw == pytest.approx(500.0), "300 kW in the second interval, not 0"
    assert meter.start == start + timedelta(minutes=30)
    assert meter.energy_kwh == pytest.approx(100.0 / 12)


def test_intervals_begin_on_the_quarter_hour_wherever_metering_begins() -> None:
    now = datetime(2025, 7, 1, 16, 7, 21, tzinfo=UTC)
    meter = opening(now, now.astimezone(NEW_YORK), LENGTH_S)
    assert (meter.start.minute, meter.start.second, meter.end.minute) == (0, 0, 15)


def test_the_billed_peak_restarts_at_local_midnight_of_the_first() -> None:
    """The last of July ends at 04:00 UTC of the first of August in New York."""
    start = datetime(2025, 8, 1, 3, 30, tzinfo=UTC)
    july = metered(start, [700.0] * 5, 300.0)
    assert july.billing_month == (2025, 7)
    august = metered(start, [700.0] * 6 + [200.0], 300.0)
    assert august.billing_month == (2025, 8)
    assert august.billed_peak_kw == 0.0
    assert august.peak_kw == pytest.approx(200.0 / 3)


@pytest.mark.parametrize("day", [datetime(2025, 3, 9, 5, tzinfo=UTC), datetime(2025, 11, 2, 4, tzinfo=UTC)])
def test_a_day_of_clock_change_has_as_many_intervals_as_it_has_quarter_hours(day: datetime) -> None:
    """23 and 25 hours between local midnights, none of them counted twice."""
    local_end = (day.astimezone(NEW_YORK) + timedelta(days=1)).astimezone(UTC)
    quarters = round((local_end - day).total_seconds() / LENGTH_S)
    assert quarters in (92, 100)
    meter, starts = opening(day, day.astimezone(NEW_YORK), LENGTH_S), set[datetime]()
    for number in range(quarters * 3):
        now = day + timedelta(seconds=300 * number)
        starts.add(meter.start)
        meter = after(meter, 400.0, now, 300.0)
    assert len(starts) == quarters
    assert meter.peak_kw == pytest.approx(400.0)


def test_a_step_across_the_quarter_hour_is_split_there() -> None:
    meter = after(opening(QUARTER, QUARTER, LENGTH_S), 600.0, QUARTER + timedelta(minutes=10), 600.0)
    assert meter.start == QUARTER + timedelta(minutes=15)
    assert meter.billed_peak_kw == pytest.approx(600.0 / 3)
    assert meter.energy_kwh == pytest.approx(50.0)


def test_a_clock_that_stands_or_goes_back_opens_no_interval_of_negative_length() -> None:
    meter = metered(QUARTER, [600.0], 300.0)
    same = after(meter, 600.0, QUARTER + timedelta(seconds=300), 0.0)
    assert same == meter
    earlier = after(meter, 600.0, QUARTER + timedelta(seconds=300), -301.0)
    assert earlier.start == QUARTER - timedelta(seconds=900)
    assert earlier.energy_kwh == 0.0


def test_scenarios_are_metered_side_by_side() -> None:
    begun = opening(QUARTER, QUARTER, LENGTH_S)
    passage = begun.passage(QUARTER, QUARTER + timedelta(seconds=450), QUARTER)
    meter = begun.after(np.array([600.0, -50.0, 0.0]), passage)
    np.testing.assert_allclose(meter.peak_kw, [300.0, 0.0, 0.0])
