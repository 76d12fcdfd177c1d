"""Evenly spaced instants, aligned to the epoch so that every part of the program means the same step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pandas as pd


def floor_to(instant: datetime, step_s: float) -> datetime:
    """The last epoch-aligned instant at or before `instant`."""
    seconds = instant.timestamp()
    return datetime.fromtimestamp(seconds - seconds % step_s, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeGrid:
    """`steps` intervals of `step_s` seconds; interval k is ``[start + k·step, start + (k+1)·step)``."""

    start: datetime
    step_s: float
    steps: int

    @property
    def end(self) -> datetime:
        return self.at(self.steps)

    def at(self, step: int) -> datetime:
        """The instant at which interval `step` begins."""
        return self.start + timedelta(seconds=step * self.step_s)

    def __iter__(self) -> Iterator[datetime]:
        return (self.at(step) for step in range(self.steps))

    def index(self) -> pd.DatetimeIndex:
        """The middle of every interval, at which sun and weather are taken."""
        return pd.date_range(
            self.start + timedelta(seconds=self.step_s / 2), periods=self.steps, freq=pd.Timedelta(seconds=self.step_s)
        )
