"""How wrong forecasts were, by how far ahead they looked: learnt from each forecast once its truth is known."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from agents.forecasters.base import Interval
from twin.numeric import BoolArray, FloatArray

MEMORY_S = 3 * 86400.0
"""Errors fade with this time constant: long enough for several days, short enough for a season."""
QUANTILE_PER_MEAN_ERROR = 1.61
"""10% of errors lie above this many mean absolute errors: 1.606 if they are Gaussian, ln 5 = 1.609 if Laplacian."""
TAIL_SHARE = 0.1
"""Of truths that shall lie below the lower, and above the upper quantile."""
CALIBRATION_RATE = 0.01
"""How fast a quantile moves when it is missed too often or too seldom: by a tenth in a day at twice the share."""
SIDES = np.array([-1.0, 1.0])[:, None, None, None]
"""Sign of an error that lies beyond the lower, and beyond the upper quantile."""
FACTOR_MISSED, FACTOR_HELD = np.exp(CALIBRATION_RATE * (1.0 - TAIL_SHARE)), np.exp(-CALIBRATION_RATE * TAIL_SHARE)
"""What a quantile's distance is multiplied with after the truth lay beyond it, and after it did not."""
LEAST_FACTOR, MOST_FACTOR = 1.0, 6.0
PRIOR_COUNT = 8.0
"""The prior weighs as much as this many compared intervals."""
LOWEST_SCALE_SHARE = 0.005
"""Of rated power: where errors are in proportion to less (the sun at night), nothing is learnt."""


class RunningErrors:
    """Mean absolute error of each signal at each lead, exponentially weighted, as a share of its scale.

    How many mean errors away the quantiles lie is learnt as well, for each side by itself, from how
    often the truth lay beyond: errors of sun and wind are neither Gaussian nor symmetric (adaptive
    conformal inference, Gibbs & Candès 2021, arXiv 2106.00170, here on the scale of the interval).

    Kept at lead times 0, 1, 3, 7, 15 … steps and interpolated between: the memory of a year's sweep of
    many scenarios stays small, and neighbouring leads share what little has been seen.
    """

    def __init__(self, prior: FloatArray, rated_kw: FloatArray, step_s: float) -> None:
        """`prior`: ``(signals, steps)``, the error to begin with, as a share of the scale."""
        signals, steps = prior.shape
        self.leads = leads(steps)
        """At which forecasts are judged."""
        self._columns = np.arange(len(self.leads))
        self._between = Interpolation(self.leads, steps)
        self._most_count = MEMORY_S / step_s
        self._count = np.full((signals, len(self.leads), 1), PRIOR_COUNT)
        self._lowest_kw = LOWEST_SCALE_SHARE * rated_kw
        self._scale_kw: FloatArray = np.repeat(rated_kw[:, None, None], len(self.leads), axis=1)
        self._error_kw: FloatArray = prior[:, self.leads, None] * self._scale_kw
        self._factors: FloatArray = np.full((2, *self._error_kw.shape), QUANTILE_PER_MEAN_ERROR)
        """Of the mean error: how far the lower and the upper quantile lie from the mean."""
        self._ring = steps
        self._target = np.full((steps, len(self.leads)), -1)
        self._judged = np.zeros((steps, len(self.leads), signals), dtype=np.bool_)
        self._expected_kw: FloatArray = np.zeros((steps, len(self.leads), signals, 1))

    def issued(self, first: int, mean_kw: FloatArray, judged: BoolArray) -> None:
        """Remember a forecast whose step 0 is interval `first`, at `leads`; only signals in `judged` are compared."""
        scenarios = mean_kw.shape[2]
        if self._expected_kw.shape[3] < scenarios:
            self._expected_kw = np.repeat(self._expected_kw, scenarios, axis=3)
        target = first + self.leads
        slot = target % self._ring
        self._target[slot, self._columns] = target
        self._judged[slot, self._columns] = judged
        self._expected_kw[slot, self._columns] = mean_kw.swapaxes(0, 1)

    def learn(self, truth: Interval, scale_kw: FloatArray) -> None:
        """Compare a finished interval, whose errors are in proportion to `scale_kw` ``(signals,)``."""
        slot = truth.number % self._ring
        due = self._target[slot] == truth.number
        sure = truth.known & (scale_kw > self._lowest_kw)
        use = (self._judged[slot] & due[:, None] & sure).T[:, :, None]
        if not use.any():
            return
        error_kw = (truth.mean_kw - self._expected_kw[slot]).swapaxes(0, 1)
        self._calibrate(error_kw, scale_kw, use)
        self._count = np.minimum(self._count + use, self._most_count)
        weight = use / self._count
        self._error_kw = self._error_kw + weight * (np.abs(error_kw) - self._error_kw)
        self._scale_kw = self._scale_kw + weight * (scale_kw[:, None, None] - self._scale_kw)

    def _calibrate(self, error_kw: FloatArray, scale_kw: FloatArray, use: BoolArray) -> None:
        width_kw = self._factors * (self._error_kw / self._scale_kw * scale_kw[:, None, None])
        change = np.where(SIDES * error_kw > width_kw, FACTOR_MISSED, FACTOR_HELD)
        factors = np.where(use, self._factors * change, self._factors)
        self._factors = np.minimum(np.maximum(factors, LEAST_FACTOR), MOST_FACTOR)

    def widths_fraction(self) -> Callable[[], FloatArray]:
        """Distances of the 10% and the 90% quantile from the mean, ``(2, signals, steps, scenarios)``, of the scale.

        As they are now, however late they are asked for: what is learnt replaces arrays and changes none.
        """
        return partial(self._widths_fraction, self._factors, self._error_kw, self._scale_kw)

    def _widths_fraction(self, factors: FloatArray, error_kw: FloatArray, scale_kw: FloatArray) -> FloatArray:
        return self._between(factors * (error_kw / scale_kw))


def leads(steps: int) -> npt.NDArray[np.int64]:
    """0, 1, 3, 7, 15 … and the last one."""
    doubling = [2**power - 1 for power in range(steps.bit_length() + 1)]
    return np.array([lead for lead in doubling if lead < steps - 1] + [steps - 1])


class Interpolation:
    """Takes values at `knots` to values at every step, linearly, along the third axis.

    Not a matrix product: that would round differently for one scenario and for many, and wait for
    its own threads on a busy machine.
    """

    def __init__(self, knots: npt.NDArray[np.int64], steps: int) -> None:
        place = np.interp(np.arange(steps), knots, np.arange(len(knots)))
        self._lower = np.floor(place).astype(np.int64)
        self._upper = np.minimum(self._lower + 1, len(knots) - 1)
        self._share: FloatArray = (place - self._lower)[:, None]

    def __call__(self, at_knots: FloatArray) -> FloatArray:
        """``(…, …, knots, scenarios)`` → ``(…, …, steps, scenarios)``."""
        lower = at_knots.take(self._lower, axis=2)
        between: FloatArray = lower + self._share * (at_knots.take(self._upper, axis=2) - lower)
        return between
