"""What crosses the border between gridhelm and a plant: readings, snapshots, commands, receipts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from twin.lazy_words import Words
from twin.numeric import Num
from twin.quick import quick


class Quality(Enum):
    """How far a reading may be relied on."""

    GOOD = "good"
    SUSPECT = "suspect"
    BAD = "bad"


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One value of one point, with the instant it was true and how far to rely on it."""

    value: Num
    at: datetime
    quality: Quality = Quality.GOOD
    reason: str = ""
    """Why the quality is not good, in plain words."""


_SLOTS: Mapping[str, Any] = vars(Reading)
_set_value, _set_at = _SLOTS["value"].__set__, _SLOTS["at"].__set__
_set_quality, _set_reason = _SLOTS["quality"].__set__, _SLOTS["reason"].__set__


def good_readings(values: Mapping[str, Num], at: datetime) -> dict[str, Reading]:
    """A good reading of each point, all true at one instant; for plants that show dozens in every step.

    Without a call of `Reading` for each, which is half of what they cost.
    """
    new, good, readings = object.__new__, Quality.GOOD, dict[str, Reading]()
    for point, value in values.items():
        reading = readings[point] = new(Reading)
        _set_value(reading, value)
        _set_at(reading, at)
        _set_quality(reading, good)
        _set_reason(reading, "")
    return readings


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The frozen process image of one cycle. A point that was never read is absent."""

    now: datetime
    readings: Mapping[str, Reading]
    """Point (`device.name`, for example `battery.soc`) → its newest reading."""
    lost: Mapping[str, str] = field(default_factory=dict)
    """Device → why nothing is heard from it at present, in plain words."""

    def age_s(self, point: str) -> float | None:
        """Seconds since the point's value was true; None if it was never read."""
        reading = self.readings.get(point)
        return None if reading is None else (self.now - reading.at).total_seconds()


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A setpoint for one device, which the plant forgets at `valid_until`."""

    device: str
    setpoint: str
    """The setpoint's name with its unit, for example `p_kw`."""
    value: Num
    valid_until: datetime
    reason: Words = ""

    @property
    def point(self) -> str:
        return f"{self.device}.{self.setpoint}"


class Outcome(Enum):
    """What became of a command."""

    APPLIED = "applied"
    """Written and read back as written."""
    CLIPPED = "clipped"
    """The device took another value than it was sent."""
    REJECTED = "rejected"
    """The device refused."""
    LOST = "lost"
    """Nobody knows: no answer, or no link."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A command and what became of it."""

    command: Command
    outcome: Outcome
    read_back: Num | None = None
    """What the device says it now holds, in the command's unit."""
    detail: str = ""
