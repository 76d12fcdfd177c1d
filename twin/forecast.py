"""What is expected, with how sure one is of it, and until when it may be relied on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import numpy as np

from twin.numeric import Flag, FloatArray, Num, any_true
from twin.quick import quick
from twin.timegrid import TimeGrid, floor_to
from twin.units import SECONDS_PER_HOUR

GIVEN = ".available_kw"
"""Signals of sun and wind; all others are demand."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Signal:
    """One forecast signal; each array has the shape ``(horizon,)`` or ``(horizon, scenarios)``."""

    mean: FloatArray
    low: FloatArray
    """10% quantile."""
    high: FloatArray
    """90% quantile."""
    method: str
    """Forecaster that made it, for example `clear_sky_persistence`."""


class Signals(Mapping[str, Signal]):
    """Signals by name, put together when somebody first looks at them: most forecasts of a simulation are not read.

    `make` has to be pure, on what was known when the forecast was issued: it may be called late, or twice by two
    threads at once.
    """

    def __init__(
        self,
        make: Callable[[], Mapping[str, Signal]],
        means: Callable[[slice], Mapping[str, FloatArray]] | None = None,
    ) -> None:
        """`means` makes the means of some steps alone, which is less work."""
        self._make, self._means = make, means
        self._made: Mapping[str, Signal] | None = None

    def _all(self) -> Mapping[str, Signal]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def means(self, steps: slice) -> Mapping[str, FloatArray]:
        """Name → expected means of some steps."""
        if self._means is None or self._made is not None:
            return {name: item.mean[steps] for name, item in self._all().items()}
        return self._means(steps)

    def __getitem__(self, name: str) -> Signal:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def means_of(signals: Mapping[str, Signal], steps: slice) -> Mapping[str, FloatArray]:
    """Name → expected means of some steps."""
    if isinstance(signals, Signals):
        return signals.means(steps)
    return {name: item.mean[steps] for name, item in signals.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forecast:
    """Signals over the epoch-aligned intervals of `grid`, the first of which holds `issued_at`.

    Each value is the mean of one interval. Signal names: `<device>.available_kw` for sun and wind,
    `<device>.demand_kw` for halls and loads. A signal of which nothing is known is absent.
    """

    issued_at: datetime
    step_s: float
    valid_until: datetime
    signals: Mapping[str, Signal]

    @property
    def grid(self) -> TimeGrid:
        """The intervals for which the values stand."""
        steps = max((len(signal.mean) for signal in self.signals.values()), default=0)
        return TimeGrid(start=floor_to(self.issued_at, self.step_s), step_s=self.step_s, steps=steps)

    def mean_kw(self, signal: str, now: datetime, hours: float) -> Num | None:
        """Expected mean of `signal` over the `hours` after `now`, as far as the forecast reaches.

        None where it does not reach at all, or where the signal is absent.
        """
        found = self.signals.get(signal)
        if found is None:
            return None
        begin = (now.timestamp() - floor_to(self.issued_at, self.step_s).timestamp()) / self.step_s
        end = min(begin + hours * SECONDS_PER_HOUR / self.step_s, float(len(found.mean)))
        begin = max(begin, 0.0)
        return _mean_between(found.mean, begin, end) if begin < end else None

    def surplus_kwh(self, now: datetime, hours: float, matters: Flag = True) -> Num:
        """Energy from sun and wind that nothing on site will need, within the next hours.

        0 where nothing is known, and where it `matters` in no scenario.
        """
        if not any_true(matters):
            return 0.0
        passed = int((now - floor_to(self.issued_at, self.step_s)).total_seconds() // self.step_s)
        return _surplus_kwh(self, max(passed, 0), round(hours * SECONDS_PER_HOUR / self.step_s))


@lru_cache(maxsize=1)
def _surplus_kwh(forecast: Forecast, first_step: int, step_count: int) -> Num:
    """The same for every cycle until another forecast, or another of its steps, is due."""
    steps = slice(first_step, first_step + step_count)
    net_kw: Num = 0.0
    for name, series in means_of(forecast.signals, steps).items():
        mean_kw = series.T  # time last, so that signals with and without scenarios go together
        net_kw = net_kw + (mean_kw if name.endswith(GIVEN) else 0.0 - mean_kw)
    total: Num = np.sum(np.maximum(net_kw, 0.0), axis=-1) * (forecast.step_s / SECONDS_PER_HOUR)
    return total if isinstance(total, np.ndarray) else float(total)


def _mean_between(series: FloatArray, begin: float, end: float) -> Num:
    """Mean of a step function from `begin` to `end`, both in intervals."""
    first, last = math.floor(begin), math.ceil(end)
    weights = np.ones(last - first)
    weights[0] -= begin - first
    weights[-1] -= last - end
    mean = weights @ series[first:last] / (end - begin)
    return float(mean) if series.ndim == 1 else mean
