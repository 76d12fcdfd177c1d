"""From a number to a reading: how far it may be relied on, and why not. Pure."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime

from twin.points import Quality, Reading


def judged(value: float, at: datetime, *, low: float, high: float) -> Reading:
    """A number that was just heard, held against the range in which it is plausible."""
    if low <= value <= high:
        return Reading(value=value, at=at)
    if not math.isfinite(value):
        return Reading(value=0.0, at=at, quality=Quality.BAD, reason="not a number")
    reason = f"{value:g} is outside the plausible range {low:g} to {high:g}"
    return Reading(value=value, at=at, quality=Quality.BAD, reason=reason)


def missing(last: Reading | None, reason: str) -> Reading | None:
    """What remains of a point that has no value now: its last one, marked bad. None if it was never read."""
    if last is None or (last.quality is Quality.BAD and last.reason == reason):
        return last
    return replace(last, quality=Quality.BAD, reason=reason)


def doubtful(reading: Reading, reason: str) -> Reading:
    """`reading`, at best suspect."""
    return reading if reading.quality is not Quality.GOOD else replace(reading, quality=Quality.SUSPECT, reason=reason)


def aged(reading: Reading, now: datetime, max_age_s: float) -> Reading:
    """`reading`, marked bad where it is older than `max_age_s`, or stamped as far in the future."""
    age_s = (now - reading.at).total_seconds()
    if abs(age_s) <= max_age_s or reading.quality is Quality.BAD:
        return reading
    if age_s > 0:
        reason = f"stale: {age_s:.0f} s old, {max_age_s:g} s is the most"
    else:
        reason = f"stamped {-age_s:.0f} s in the future: the device's clock is wrong"
    return replace(reading, quality=Quality.BAD, reason=reason)
