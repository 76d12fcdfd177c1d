"""Clear-sky persistence: the sun moves as it must, the sky stays as clear as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from agents.forecasters.base import FORECASTERS, Interval, Positions, Setting, SignalSpec, rated_kw
from twin.numeric import FloatArray
from twin.timegrid import TimeGrid

CARRIED_SHARE = 0.5
"""Of what the intervals before weigh against the newest one: about two intervals make the index."""
LOWEST_SHARE = 0.005
"""Of rated power: below this clear sky an interval says too little about the sky."""
MAX_INDEX = 1.5
"""Clouds beside the sun and cold modules lift power above a clear day's, hardly further than this."""


@FORECASTERS.add("clear_sky_persistence")
class ClearSkyPersistence:
    """Carries the clear-sky index on: what was available, of what a cloudless sky would have given.

    The index is a ratio of energies, so that dawn and dusk, which say little, weigh little. At night
    it stays what the last daylight made it. Before any daylight was seen, the sky is taken for clear.
    """

    name: ClassVar[str] = "clear_sky_persistence"

    def __init__(self, signals: Sequence[SignalSpec], setting: Setting) -> None:
        self._clear_sky = setting.clear_sky
        order = {device: row for row, device in enumerate(setting.clear_sky.devices)}
        self._rows = [order[signal.device] for signal in signals]
        self._lowest_kw = LOWEST_SHARE * rated_kw(signals)
        self._seen_kw: FloatArray = np.zeros((len(signals), 1))
        self._clear_kw: FloatArray = np.zeros((len(signals), 1))

    @classmethod
    def suits(cls, signal: SignalSpec) -> bool:
        return signal.solar

    def observe(self, interval: Interval) -> None:
        clear_kw = self.scale_kw(interval.number, 1)[:, 0]
        use = interval.known[:, None] & (clear_kw > self._lowest_kw)
        if use.any():
            self._seen_kw = np.where(use, CARRIED_SHARE * self._seen_kw + interval.mean_kw, self._seen_kw)
            self._clear_kw = np.where(use, CARRIED_SHARE * self._clear_kw + clear_kw, self._clear_kw)

    def predict(self, grid: TimeGrid, at: Positions) -> FloatArray:
        clear_kw = self._clear_sky(grid)[self._rows]
        return clear_kw[:, at] * self._index()[:, None, :]

    def _index(self) -> FloatArray:
        lit = self._clear_kw > 0.0
        return np.minimum(np.where(lit, self._seen_kw / np.where(lit, self._clear_kw, 1.0), 1.0), MAX_INDEX)

    def scale_kw(self, first: int, steps: int) -> FloatArray:
        return self._clear_sky.between(first, first + steps)[self._rows]

    def prior_error_fraction(self, lead_h: FloatArray) -> FloatArray:
        """The index of the next day is off by a third on the mean, as in a climate of mixed weather."""
        return np.minimum(0.1 * np.sqrt(lead_h), 0.33)
