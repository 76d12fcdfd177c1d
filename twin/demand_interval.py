"""The meter's own demand interval: the 15 or 30 minutes over which a utility averages demand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from twin.numeric import Num, larger
from twin.quick import quick
from twin.timegrid import floor_to
from twin.units import SECONDS_PER_HOUR


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class DemandInterval:
    """Energy imported so far in the running interval, and the highest finished average so far.

    Intervals are aligned to the epoch, as utility meters align them to the hour. The billed peak
    restarts with each billing month, which is a calendar month in the site's own time zone.
    """

    length_s: float
    start: datetime
    billing_month: tuple[int, int]
    """Year and month, local time."""
    energy_kwh: Num = 0.0
    billed_peak_kw: Num = 0.0

    @property
    def end(self) -> datetime:
        return self.start + timedelta(seconds=self.length_s)

    def elapsed_s(self, now: datetime) -> float:
        return (now - self.start).total_seconds()

    @property
    def peak_kw(self) -> Num:
        """The billing month's highest interval average so far, the open interval taken as if it ended now."""
        return larger(self.billed_peak_kw, self.energy_kwh * SECONDS_PER_HOUR / self.length_s)

    def roll(self, now: datetime, local: datetime) -> DemandInterval:
        """The interval that `now` lies in: this one, or a new one after closing this one."""
        if 0.0 <= self.elapsed_s(now) < self.length_s:
            return self
        month = (local.year, local.month)
        peak_kw = self.peak_kw if month == self.billing_month else 0.0
        start = floor_to(now, self.length_s)
        return DemandInterval(length_s=self.length_s, start=start, billing_month=month, billed_peak_kw=peak_kw)

    def add(self, import_kw: Num, seconds: float) -> DemandInterval:
        """This interval after `seconds` at `import_kw`; export does not count against import."""
        return DemandInterval(
            length_s=self.length_s,
            start=self.start,
            billing_month=self.billing_month,
            energy_kwh=self.energy_kwh + larger(import_kw, 0.0) * seconds / SECONDS_PER_HOUR,
            billed_peak_kw=self.billed_peak_kw,
        )


def opening(now: datetime, local: datetime, length_s: float) -> DemandInterval:
    """The interval that `now` lies in, with nothing metered yet."""
    return DemandInterval(length_s=length_s, start=floor_to(now, length_s), billing_month=(local.year, local.month))
