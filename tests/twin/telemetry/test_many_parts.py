"""One figure from many machines."""

from datetime import timedelta

import pytest

from tests.twin.telemetry.telemetry_rig import NOON
from twin.points import Quality, Reading
from twin.telemetry.many_parts import Part, mean, total


def summed(*parts: Part, max_missing_fraction: float = 0.5) -> Reading:
    found = total(parts, NOON, max_age_s=30, max_missing_fraction=max_missing_fraction)
    assert isinstance(found, Reading)
    return found


def test_a_sum_is_as_old_as_the_oldest_part_that_it_relies_on() -> None:
    reading = summed(Part(name="a", value=1.0, age_s=2.0), Part(name="b", value=2.0, age_s=9.0))
    assert (reading.value, reading.quality) == (3.0, Quality.GOOD)
    assert NOON - reading.at == timedelta(seconds=9)


@pytest.mark.parametrize(
    ("silent", "value"),
    [
        (Part(name="c", value=5.0, age_s=2.0, reason="connection refused"), 8.0),
        (Part(name="c", value=5.0, age_s=31.0), 8.0),
        (Part(name="c", reason="connection refused"), 4.5),
        (Part(name="c"), 4.5),
    ],
)
def test_a_silent_part_counts_as_last_heard_and_else_as_the_mean(silent: Part, value: float) -> None:
    parts = (Part(name="a", value=1.0), Part(name="b", value=2.0), silent)
    reading = summed(*parts)
    assert reading.value == pytest.approx(value)
    assert reading.quality is Quality.SUSPECT
    assert reading.reason.startswith("1 of 3 silent, counted as last heard: c: ")
    assert reading.at == NOON
    assert summed(*parts, max_missing_fraction=0.3).quality is Quality.BAD


def test_without_anybody_there_is_no_sum_but_a_reason() -> None:
    parts = [Part(name=f"node-{index}", value=1.0, reason="no route") for index in range(7)]
    found = total(parts, NOON, max_age_s=30, max_missing_fraction=1.0)
    assert found == "node-0, node-1, node-2 and 4 more: no route"
    assert mean(parts, NOON, max_age_s=30) is None


def test_a_mean_is_over_those_that_are_heard() -> None:
    parts = (Part(name="a", value=1.0), Part(name="b", value=2.0), Part(name="c", value=9.0, age_s=31.0))
    reading = mean(parts, NOON, max_age_s=30)
    assert reading is not None
    assert reading.value == 1.5
