"""Hourly prices and emission factors of a file: how a person names them, and how they are asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from twin.devices.base import STRICT
from twin.numeric import FloatArray

WEEK_S = 7 * 86400.0
PER_MWH = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeriesFile:
    """A column of a CSV or Parquet file with evenly spaced rows."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    file: str
    """Beside the site file, or absolute; `.csv`, `.csv.gz` or `.parquet`."""
    column: str
    unit: Literal["per_kwh", "per_mwh", "g_per_kwh"]
    """What the numbers are: money per kWh or per MWh, or gCO2 per kWh."""
    time_column: str = "time"
    """ISO 8601 with offset; without one only if `time_zone` is given."""
    time_zone: str | None = None
    """IANA name for stamps without an offset. Those of an hour that comes twice or never are left out, as gaps."""
    stamp: Literal["begin", "end"] = "begin"
    """Which end of its interval a row's stamp is."""
    outside: Literal["refuse", "repeat"] = "refuse"
    """What a simulation beyond the file's time does: it is refused, or the file is repeated by whole weeks, so that
    weekdays stay weekdays. Live, when the file has ended, it is repeated in either case."""

    def at(self, instant_s: float) -> float:
        """The value of the interval that holds an instant, seconds since the epoch."""
        return float(self.at_each(np.array([instant_s]))[0])

    def at_each(self, instants_s: FloatArray) -> FloatArray:
        """As `at`, for many instants."""
        raise LookupError(f"{self.file} has not been read")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadSeries(SeriesFile):
    """Such a column, read: per kWh, each value for one interval, without gaps."""

    begin_s: float
    """Of the first interval, seconds since the epoch."""
    step_s: float
    values: FloatArray
    """In `unit`, or per kWh where that is per MWh."""
    filled_steps: int = 0
    """Intervals without a value of their own; they have that of the same hour of a day near by."""

    @property
    def end_s(self) -> float:
        """Of the last interval."""
        return self.begin_s + self.step_s * len(self.values)

    def at_each(self, instants_s: FloatArray) -> FloatArray:
        places = np.floor((instants_s - self.begin_s) / self.step_s).astype(np.int64)
        week = round(WEEK_S / self.step_s)
        weeks = len(self.values) // week * week
        if weeks == 0:  # shorter than a week: it goes on as it ends
            return self.values[np.clip(places, 0, len(self.values) - 1)]
        inside = (places >= 0) & (places < len(self.values))
        return self.values[np.where(inside, places, places % weeks)]
