from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from twin.timegrid import TimeGrid, floor_to

START = datetime(2025, 3, 9, 6, 0, tzinfo=UTC)


def test_intervals_follow_each_other_through_the_clock_change() -> None:
    grid = TimeGrid(start=START, step_s=900.0, steps=8)
    assert grid.end == START + timedelta(hours=2)
    assert list(grid)[1:3] == [START + timedelta(minutes=15), START + timedelta(minutes=30)]
    assert grid.at(8) == grid.end


def test_sun_and_weather_are_taken_in_the_middle_of_an_interval() -> None:
    index = TimeGrid(start=START, step_s=300.0, steps=3).index()
    assert [instant.to_pydatetime() for instant in index] == [
        START + timedelta(seconds=seconds) for seconds in (150, 450, 750)
    ]


@pytest.mark.parametrize(("step_s", "expected"), [(900.0, (15, 0)), (300.0, (25, 0)), (1.0, (29, 59)), (0.5, (29, 59))])
def test_floor_to_a_step(step_s: float, expected: tuple[int, int]) -> None:
    floored = floor_to(START + timedelta(minutes=29, seconds=59, milliseconds=300), step_s)
    assert (floored.minute, floored.second) == expected
    assert floor_to(floored, step_s) == floored


def test_floor_does_not_depend_on_the_zone_in_which_an_instant_is_written() -> None:
    india = timezone(timedelta(hours=5, minutes=45))
    assert floor_to(START.astimezone(india) + timedelta(minutes=7), 3600.0) == START
