"""Persistence: it stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from agents.forecasters.base import FORECASTERS, Interval, Positions, Setting, SignalSpec, rated_kw
from twin.numeric import FloatArray
from twin.timegrid import TimeGrid


@FORECASTERS.add("persistence")
class Persistence:
    """Carries the last observed mean on. Hard to beat over an hour, and needs nothing but a meter."""

    name: ClassVar[str] = "persistence"

    def __init__(self, signals: Sequence[SignalSpec], setting: Setting) -> None:
        self._rated_kw = rated_kw(signals)
        self._last_kw: FloatArray = np.zeros((len(signals), 1))

    @classmethod
    def suits(cls, signal: SignalSpec) -> bool:
        del signal
        return True

    def observe(self, interval: Interval) -> None:
        self._last_kw = np.where(interval.known[:, None], interval.mean_kw, self._last_kw)

    def predict(self, grid: TimeGrid, at: Positions) -> FloatArray:
        return np.repeat(self._last_kw[:, None, :], len(at), axis=1)

    def scale_kw(self, first: int, steps: int) -> FloatArray:
        return np.repeat(self._rated_kw[:, None, :], steps, axis=1)

    def prior_error_fraction(self, lead_h: FloatArray) -> FloatArray:
        """A third of rated power within a day, as wind does; a steady load soon shows that it errs less."""
        return np.minimum(0.07 * np.sqrt(lead_h), 0.3)
