"""How wrong forecasts were, by how far ahead they looked: learnt from each forecast once its truth is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agents.forecasters.base import Interval
from twin.numeric import BoolArray, FloatArray

MEMORY_S = 3 * 86400.0
"""Errors fade with this time constant: long enough for several days, short enough for a season."""
QUANTILE_PER_MEAN_ERROR = 1.61
"""10% of errors lie above this many mean absolute errors: 1.606 if they are Gaussian, ln 5 = 1.609 if Laplacian."""
PRIOR_COUNT = 8.0
"""The prior weighs as much as this many compared intervals."""
LOWEST_SCALE_SHARE = 0.005
"""Of rated power: where errors are in proportion to less (the sun at night), nothing is learnt."""


class RunningErrors:
    """Mean absolute error of each signal at each lead, exponentially weighted, as a share of its scale.

    Kept at lead times 0, 1, 3, 7, 15 … steps and interpolated between: the memory of a year's sweep of
    many scenarios stays small, and neighbouring leads share what little has been seen.
    """

    def __init__(self, prior: FloatArray, rated_kw: FloatArray, step_s: float) -> None:
        """`prior`: ``(signals, steps)``, the error to begin with, as a share of the scale."""
        signals, steps = prior.shape
        self._leads = leads(steps)
        self._columns = np.arange(len(self._leads))
        self._spread = interpolation(self._leads, steps)
        self._most_count = MEMORY_S / step_s
        self._count = np.full((signals, len(self._leads), 1), PRIOR_COUNT)
        self._lowest_kw = LOWEST_SCALE_SHARE * rated_kw
        self._scale_kw: FloatArray = np.repeat(rated_kw[:, None, None], len(self._leads), axis=1)
        self._error_kw: FloatArray = prior[:, self._leads, None] * self._scale_kw
        self._ring = steps
        self._target = np.full((steps, len(self._leads)), -1)
        self._judged = np.zeros((steps, len(self._leads), signals), dtype=np.bool_)
        self._expected_kw: FloatArray = np.zeros((steps, len(self._leads), signals, 1))

    def issued(self, first: int, mean_kw: FloatArray, judged: BoolArray) -> None:
        """Remember a forecast whose step 0 is interval `first`; only signals in `judged` will be compared."""
        scenarios = mean_kw.shape[2]
        if self._expected_kw.shape[3] < scenarios:
            self._expected_kw = np.repeat(self._expected_kw, scenarios, axis=3)
        target = first + self._leads
        slot = target % self._ring
        self._target[slot, self._columns] = target
        self._judged[slot, self._columns] = judged
        self._expected_kw[slot, self._columns] = mean_kw[:, self._leads].swapaxes(0, 1)

    def learn(self, truth: Interval, scale_kw: FloatArray) -> None:
        """Compare a finished interval, whose errors are in proportion to `scale_kw` ``(signals,)``."""
        slot = truth.number % self._ring
        due = self._target[slot] == truth.number
        sure = truth.known & (scale_kw > self._lowest_kw)
        use = (self._judged[slot] & due[:, None] & sure).T[:, :, None]
        if not use.any():
            return
        error_kw = np.abs(self._expected_kw[slot] - truth.mean_kw).swapaxes(0, 1)
        self._count = np.minimum(self._count + use, self._most_count)
        weight = use / self._count
        self._error_kw = self._error_kw + weight * (error_kw - self._error_kw)
        self._scale_kw = self._scale_kw + weight * (scale_kw[:, None, None] - self._scale_kw)

    def half_width_fraction(self) -> FloatArray:
        """Distance of the 10 and 90% quantiles from the mean, ``(signals, steps, scenarios)``, of the scale."""
        at_leads: FloatArray = QUANTILE_PER_MEAN_ERROR * self._error_kw / self._scale_kw
        spread: FloatArray = np.matmul(self._spread, at_leads)
        return spread


def leads(steps: int) -> npt.NDArray[np.int64]:
    """0, 1, 3, 7, 15 … and the last one."""
    doubling = [2**power - 1 for power in range(steps.bit_length() + 1)]
    return np.array([lead for lead in doubling if lead < steps - 1] + [steps - 1])


def interpolation(knots: npt.NDArray[np.int64], steps: int) -> FloatArray:
    """Matrix that takes values at `knots` to values at every step, linearly."""
    return np.stack([np.interp(np.arange(steps), knots, unit) for unit in np.eye(len(knots))], axis=1)
