"""Hours of the local calendar: months, workdays, and the clock. The words in which tariffs say when."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from annotated_types import Ge, Le

from twin.devices.base import STRICT
from twin.numeric import FloatArray

HourOfDay = Annotated[float, Ge(0), Le(24)]
Month = Annotated[int, Ge(1), Le(12)]
Moment = tuple[int, bool, float]
"""Month, whether it is a workday, and hour of the local day."""
DAY_MINUTES = 1440


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Some hours of the local day, in some months, on some days."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    months: tuple[Month, ...] = ()
    """Months in which it applies; empty: all of them."""
    weekdays_only: bool = False
    """True: Monday to Friday without holidays, by the local date of the hour itself."""
    weekends_only: bool = False
    """True: Saturday, Sunday and holidays."""
    from_hour: HourOfDay = 0.0
    to_hour: HourOfDay = 24.0
    """Not included. Below `from_hour` they wrap over midnight; equal to it, they are the whole day."""

    def __post_init__(self) -> None:
        if self.weekdays_only and self.weekends_only:
            raise ValueError("weekdays_only or weekends_only, not both")

    def covers(self, month: int, workday: bool, hour_h: float) -> bool:
        """Whether a local hour of the day is one of them."""
        if self.months and month not in self.months:
            return False
        if (self.weekdays_only and not workday) or (self.weekends_only and workday):
            return False
        if self.from_hour < self.to_hour:
            return self.from_hour <= hour_h < self.to_hour
        return hour_h >= self.from_hour or hour_h < self.to_hour


def moment_of(local: datetime, holidays: Collection[date]) -> Moment:
    """Where a local instant is in the calendar; to the minute."""
    workday = local.weekday() < 5 and local.date() not in holidays
    return local.month, workday, local.hour + local.minute / 60.0


def by_moment(
    instants_s: FloatArray, zone: ZoneInfo, holidays: Collection[date], row_of: Callable[[Moment], Sequence[float]]
) -> FloatArray:
    """``(instants, numbers)``: `row_of` each instant (seconds since the epoch), asked once for each moment."""
    local = pd.DatetimeIndex((instants_s * 1e6).astype("datetime64[us]"), tz="UTC").tz_convert(zone)
    days = local.normalize().tz_localize(None)
    workday = np.asarray(local.dayofweek < 5) & ~days.isin(pd.DatetimeIndex(sorted(holidays)))
    minute = np.asarray(local.hour) * 60 + np.asarray(local.minute)
    codes = (np.asarray(local.month) * 2 + workday) * DAY_MINUTES + minute
    present, places = np.unique(codes, return_inverse=True)
    rows = [row_of(_moment(int(code))) for code in present]
    return np.array(rows, dtype=np.float64).reshape(len(rows), -1)[places]


def _moment(code: int) -> Moment:
    day, minute = divmod(code, DAY_MINUTES)
    return day // 2, day % 2 == 1, minute // 60 + minute % 60 / 60.0
