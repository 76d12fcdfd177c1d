"""The meter's own demand interval: the 15 or 30 minutes over which a utility averages demand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from twin.numeric import Flag, Num, larger, where
from twin.quick import quick
from twin.timegrid import floor_to
from twin.units import SECONDS_PER_HOUR


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """How the meter's clock went on from one instant to another."""

    start: datetime
    """Of the interval that is open in the end."""
    billing_month: tuple[int, int]
    old_s: Num
    """Time that belongs to the interval that was open."""
    new_s: Num
    """Time that belongs to the one that is open in the end, if that is another."""
    rolled: Flag
    """Whether it is another."""
    month_ended: Flag
    """Whether that is the first of another billing month."""


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

    def passage(self, since: datetime, now: datetime, local: datetime) -> Passage:
        """The way of the clock from `since` to `now`, which is `local` in the site's time zone."""
        rolled = not 0.0 <= self.elapsed_s(now) < self.length_s
        start = floor_to(now, self.length_s) if rolled else self.start
        month = (local.year, local.month) if rolled else self.billing_month
        return Passage(
            start=start,
            billing_month=month,
            old_s=max((min(now, self.end) - since).total_seconds(), 0.0),
            new_s=max((now - max(start, since)).total_seconds(), 0.0) if rolled else 0.0,
            rolled=rolled,
            month_ended=month != self.billing_month,
        )

    def after(self, import_kw: Num, passage: Passage) -> DemandInterval:
        """The interval that is open after a passage at `import_kw`; export does not count against import."""
        rolled = passage.rolled
        restarted_kw = where(passage.month_ended, 0.0, self.closing_peak_kw(import_kw, passage))
        return replace(
            self,
            start=passage.start,
            billing_month=passage.billing_month,
            energy_kwh=where(rolled, energy_kwh(import_kw, passage.new_s), self._energy_kwh(import_kw, passage)),
            billed_peak_kw=where(rolled, restarted_kw, self.billed_peak_kw),
        )

    def closing_peak_kw(self, import_kw: Num, passage: Passage) -> Num:
        """The billing month's highest average, this interval taken as closed after its part of a passage."""
        return larger(self.billed_peak_kw, self.closed_kw(import_kw, passage))

    def closed_kw(self, import_kw: Num, passage: Passage) -> Num:
        """Average of this interval, taken as closed after its part of a passage."""
        return self._energy_kwh(import_kw, passage) * SECONDS_PER_HOUR / self.length_s

    def _energy_kwh(self, import_kw: Num, passage: Passage) -> Num:
        return self.energy_kwh + energy_kwh(import_kw, passage.old_s)


def energy_kwh(import_kw: Num, seconds: Num) -> Num:
    """Energy imported in `seconds`; export does not count against it."""
    return larger(import_kw, 0.0) * seconds / SECONDS_PER_HOUR


def opening(now: datetime, local: datetime, length_s: float) -> DemandInterval:
    """The interval that `now` lies in, with nothing metered yet."""
    return DemandInterval(length_s=length_s, start=floor_to(now, length_s), billing_month=(local.year, local.month))
