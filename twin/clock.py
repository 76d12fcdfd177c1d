"""The only place that reads a system clock. Everything else is told what time it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time of the world that the plant lives in."""

    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        ...


class SystemClock:
    """The time of the wall."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SteppedClock:
    """Stands still until it is moved: simulation, replay, tests and the accelerated demo."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def move_to(self, instant: datetime) -> None:
        """Set the time. It never runs backwards: an earlier instant is a bug of the caller."""
        if instant < self._now:
            raise ValueError(f"clock would run backwards, from {self._now} to {instant}")
        self._now = instant


def stopwatch_s() -> float:
    """Seconds on a monotonic counter, for measuring how long something took."""
    return time.perf_counter()
