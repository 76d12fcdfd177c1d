import math
from datetime import UTC, datetime, timedelta

import pytest

from twin.points import Quality, Reading
from twin.telemetry.quality import aged, doubtful, judged, missing

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(("value", "quality"), [(0.0, Quality.GOOD), (1.0, Quality.GOOD), (1.01, Quality.BAD)])
def test_what_is_not_plausible_is_bad(value: float, quality: Quality) -> None:
    reading = judged(value, NOON, low=0.0, high=1.0)
    assert reading.quality is quality
    assert ("plausible range 0 to 1" in reading.reason) == (quality is Quality.BAD)


def test_what_is_no_number_never_becomes_a_value() -> None:
    reading = judged(math.nan, NOON, low=0.0, high=1.0)
    assert reading.quality is Quality.BAD
    assert math.isfinite(float(reading.value))


@pytest.mark.parametrize(
    ("age_s", "quality", "words"),
    [
        (0, Quality.GOOD, ""),
        (30, Quality.GOOD, ""),
        (31, Quality.BAD, "stale: 31 s old"),
        (-5, Quality.GOOD, ""),
        (-40, Quality.BAD, "40 s in the future"),
    ],
)
def test_age_decides(age_s: float, quality: Quality, words: str) -> None:
    reading = aged(Reading(value=1.0, at=NOON - timedelta(seconds=age_s)), NOON, 30)
    assert (reading.quality, words in reading.reason) == (quality, True)


def test_a_missing_value_is_marked_and_never_invented() -> None:
    last = Reading(value=5.0, at=NOON)
    marked = missing(last, "connection refused")
    assert marked == Reading(value=5.0, at=NOON, quality=Quality.BAD, reason="connection refused")
    assert missing(None, "connection refused") is None


def test_doubt_never_improves_a_reading() -> None:
    assert doubtful(Reading(value=1.0, at=NOON), "old").quality is Quality.SUSPECT
    bad = Reading(value=1.0, at=NOON, quality=Quality.BAD, reason="x")
    assert doubtful(bad, "old") == bad
