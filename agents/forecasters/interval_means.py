"""Means of what is observed over epoch-aligned intervals, gathered one state at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from agents.forecasters.base import Interval, SignalSpec
from twin.numeric import BoolArray, FloatArray, Num
from twin.points import Quality
from twin.state import AssetState


class IntervalMeans:
    """The running means of one interval.

    An instant counts to the interval that begins with it, as everywhere in `twin.timegrid`.
    """

    def __init__(self, signals: Sequence[SignalSpec], step_s: float) -> None:
        self._sources = tuple((row, signal.device, signal.value) for row, signal in enumerate(signals))
        self._step_s = step_s
        self.number: int | None = None
        """The interval that is open; None before anything was seen."""
        self._seen_s = [-math.inf] * len(signals)
        self._all: BoolArray = np.ones(len(signals), dtype=np.bool_)
        self.over_scenarios = False
        """Whether anything seen was an array."""
        self._clear()

    def _clear(self) -> None:
        self._sums: list[Num] = [0.0] * len(self._sources)
        self._counts = [0] * len(self._sources)
        self._table: FloatArray | None = None
        """What was added for all signals at once,"""
        self._tables = 0
        """how often,"""
        self._table_seen_s = -math.inf
        """and when last."""

    def number_at(self, now_s: float) -> int:
        """The interval to which an observation at `now_s` counts."""
        return math.floor(now_s / self._step_s)

    def add(self, now_s: float, assets: Mapping[str, AssetState]) -> Interval | None:
        """Take one state in. Returns the interval before, if this one begins a new one."""
        finished = self._open(now_s)
        sums, counts, seen_s = self._sums, self._counts, self._seen_s
        for row, device, key in self._sources:
            asset = assets.get(device)
            if asset is None or asset.quality is Quality.BAD:
                continue
            value = asset.values.get(key)
            if value is not None:
                sums[row] = sums[row] + value
                counts[row] += 1
                seen_s[row] = now_s
        return finished

    def add_all(self, now_s: float, values_kw: FloatArray) -> Interval | None:
        """As `add`, for all signals at once: ``(signals, scenarios)``, every one of them reliable.

        What `add` has seen in the same interval counts too, if it saw all signals each time.
        """
        finished = self._open(now_s)
        if self._table is None:
            self._table, self._tables = as_rows(self._sums) + values_kw, self._counts[0] + 1
        else:
            self._table, self._tables = self._table + values_kw, self._tables + 1
        self._table_seen_s = now_s
        return finished

    def _open(self, now_s: float) -> Interval | None:
        """Open the interval of an instant; returns the one before, if that is another."""
        number = self.number_at(now_s)
        finished = self.close() if number != self.number else None
        self.number = number
        return finished

    def close(self) -> Interval | None:
        """The open interval, which is begun anew; None if nothing was seen in it."""
        interval = self.so_far()
        self._clear()
        return interval

    def so_far(self) -> Interval | None:
        """The open interval, as far as it was seen."""
        if self.number is None:
            return None
        if self._table is not None:
            return self._interval(
                self.number, self._table / self._tables, self._all, np.full(len(self._all), self._table_seen_s)
            )
        if not any(self._counts):
            return None
        mean_kw = as_rows([kw / max(count, 1) for kw, count in zip(self._sums, self._counts, strict=True)])
        return self._interval(self.number, mean_kw, np.array(self._counts) > 0, np.array(self._seen_s))

    def _interval(self, number: int, mean_kw: FloatArray, known: BoolArray, seen_s: FloatArray) -> Interval:
        """Whatever a device may send as a number: one that is none must not stay in any memory."""
        self.over_scenarios = self.over_scenarios or mean_kw.shape[1] > 1
        finite = np.isfinite(mean_kw)
        if not finite.all():
            known = known & finite.all(axis=1)
            mean_kw = np.where(known[:, None], mean_kw, 0.0)
        return Interval(number=number, mean_kw=mean_kw, known=known, seen_s=seen_s)


def as_rows(values: Sequence[Num]) -> FloatArray:
    """Floats and arrays over scenarios as one array ``(values, scenarios)``."""
    if not any(isinstance(value, np.ndarray) for value in values):
        return np.array(values, dtype=np.float64)[:, None]
    return np.stack(np.broadcast_arrays(*(np.atleast_1d(value) for value in values)))
