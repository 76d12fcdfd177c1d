"""The forecasting agent: observes every cycle, issues a forecast every quarter of an hour."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

import agents.forecasters
from agents.clear_sky_table import ClearSkyTable
from agents.forecasters.base import (
    FORECASTERS,
    Forecaster,
    Interval,
    Positions,
    Setting,
    SignalSpec,
    rated_kw,
    signals_of,
)
from agents.forecasters.clear_sky_persistence import MAX_INDEX, ClearSkyPersistence
from agents.forecasters.errors import RunningErrors
from agents.forecasters.interval_means import IntervalMeans
from agents.forecasters.persistence import Persistence
from agents.latest import Latest
from twin.forecast import Forecast, Signal, Signals
from twin.numeric import BoolArray, FloatArray, Num
from twin.quick import quick
from twin.registry import load
from twin.scenario import with_parameters
from twin.site import Site
from twin.state import SiteState
from twin.timegrid import TimeGrid, floor_to
from twin.units import SECONDS_PER_HOUR

SCORING_PERIOD_S = 3600.0
"""Errors of neighbouring quarters of an hour are nearly the same: one in an hour teaches as much as all."""
PERIODS_OF_VALIDITY = 2
"""A forecast outlives one renewal that did not come; so does what was observed last."""

load(agents.forecasters)
F = TypeVar("F", bound=Forecaster)


def usual_method(signal: SignalSpec) -> str:
    """Clear-sky persistence for the sun, persistence for everything else."""
    return ClearSkyPersistence.name if signal.solar else Persistence.name


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Team:
    """One forecaster and the rows of the signals that it forecasts."""

    rows: npt.NDArray[np.int64]
    forecaster: Forecaster


@quick
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Issue:
    """All that the signals of one forecast follow from, as it was when the forecast was issued."""

    grid: TimeGrid
    last: Persistence
    teams: Sequence[_Team]
    ceiling_kw: Callable[[TimeGrid, Positions], FloatArray]
    scale_kw: Callable[[], FloatArray]
    widths_fraction: Callable[[], FloatArray]
    stale: BoolArray
    known_until_s: FloatArray
    over_scenarios: bool

    def mean_kw(self, at: Positions) -> FloatArray:
        """Each signal by its method, what is stale as it was last, within what is possible; some intervals."""
        mean_kw = self.last.predict(self.grid, at)
        for team in self.teams:
            mean_kw[team.rows] = team.forecaster.predict(self.grid, at)
        if self.stale.any():
            mean_kw[self.stale] = self.last.predict(self.grid, at)[self.stale]
        ceiling_kw = self.ceiling_kw(self.grid, at)
        return np.minimum(np.maximum(mean_kw, 0.0, out=mean_kw), ceiling_kw)


class ForecastingAgent:
    """Tells what sun, wind and loads will do, from what it was shown and from nothing else.

    A signal that was not seen for as long as a forecast is valid is no longer forecast by its method:
    its last known value stands in, as uncertain as at the end of the horizon, and its `method` says
    so. A signal that was never seen is absent. If the clock is set back, it begins afresh: what was
    seen in a future that has not come is not knowledge.
    """

    def __init__(
        self,
        site: Site,
        *,
        step_s: float | None = None,
        method: Callable[[SignalSpec], str] = usual_method,
        scored: bool = True,
        parameters: Mapping[str, Num] | None = None,
    ) -> None:
        """`parameters` of devices, `<device>.<parameter>` → a value for each scenario, tell apart what is forecast for.

        Without scores nothing is learnt of errors, and quantiles stay as wide as before the first forecast: for
        a simulation in which nobody looks at them."""
        self._scored = scored
        control = site.control
        self._step_s = control.forecast_step_s if step_s is None else step_s
        self._period_s = control.forecast_period_s
        self._scored_every = max(round(SCORING_PERIOD_S / self._step_s), 1)
        self._validity_s = PERIODS_OF_VALIDITY * max(self._period_s, self._step_s)
        self._steps = math.ceil(control.forecast_horizon_h * SECONDS_PER_HOUR / self._step_s)
        self._all_steps: Positions = np.arange(self._steps)
        clear_sky = ClearSkyTable(site, self._step_s, parameters)
        self.signals = _alike(signals_of(with_parameters(site, parameters or {})), clear_sky.scenarios)
        self._setting = Setting(site=site, step_s=self._step_s, clear_sky=clear_sky)
        self._methods = [method(signal) for signal in self.signals]
        self._rated_kw = rated_kw(self.signals)
        sunny = {signal.device: row for row, signal in enumerate(self.signals) if signal.solar}
        self._solar_rows = [sunny[device] for device in self._setting.clear_sky.devices]
        self._begin()

    def _begin(self) -> None:
        """Nothing was seen yet."""
        # Persistence knows every signal, and stands in for each; the teams are those that know better.
        self._last = Persistence(self.signals, self._setting)
        self._teams = self._assembled()
        self._means = IntervalMeans(self.signals, self._step_s)
        self._errors = RunningErrors(self._prior(), self._rated_kw[:, 0], self._step_s)
        self._latest = Latest[Forecast]()
        self._seen_at: datetime | None = None
        self._next_issue = datetime.min.replace(tzinfo=UTC)
        self._known_until_s: FloatArray = np.full(len(self.signals), -np.inf)

    def _assembled(self) -> list[_Team]:
        teams = []
        for name in dict.fromkeys(method for method in self._methods if method != Persistence.name):
            rows = [row for row, method in enumerate(self._methods) if method == name]
            forecaster = FORECASTERS[name]([self.signals[row] for row in rows], self._setting)
            teams.append(_Team(rows=np.array(rows), forecaster=forecaster))
        return teams

    def _prior(self) -> FloatArray:
        lead_h: FloatArray = np.arange(1.0, self._steps + 1.0) * (self._step_s / SECONDS_PER_HOUR)
        prior = np.tile(self._last.prior_error_fraction(lead_h), (len(self.signals), 1))
        for team in self._teams:
            prior[team.rows] = team.forecaster.prior_error_fraction(lead_h)
        return prior

    def observe(self, state: SiteState) -> None:
        """Take in one cycle's state. What is missing or not reliable is not seen."""
        self._see(state.now, lambda now_s: self._means.add(now_s, state.assets))

    def observe_values(self, now: datetime, values_kw: FloatArray) -> None:
        """As `observe`, for all signals at once: ``(signals, scenarios)``, every one of them reliable."""
        self._see(now, lambda now_s: self._means.add_all(now_s, values_kw))

    def _see(self, now: datetime, add: Callable[[float], Interval | None]) -> None:
        if self._seen_at is not None and now < self._seen_at:
            self._begin()
        self._seen_at = now
        finished = add(now.timestamp())
        if finished is not None:
            self._learn(finished)

    def _learn(self, finished: Interval) -> None:
        if self._scored and finished.number % self._scored_every == 0:
            self._errors.learn(finished, self._scale_kw(finished.number, 1)[:, 0, 0])
        self._hand_over(finished)

    def _hand_over(self, interval: Interval) -> None:
        self._known_until_s = np.where(interval.known, interval.seen_s, self._known_until_s)
        self._last.observe(interval)
        for team in self._teams:
            team.forecaster.observe(interval.only(team.rows))

    def _scale_kw(self, first: int, steps: int) -> FloatArray:
        scale_kw = self._last.scale_kw(first, steps)
        for team in self._teams:
            scale_kw[team.rows] = team.forecaster.scale_kw(first, steps)
        return scale_kw

    def forecast(self, now: datetime) -> Forecast | None:
        """The newest valid forecast. None before anything was seen, and before what was seen."""
        if self._seen_at is None or now < self._seen_at:
            return None
        current = self._latest.get(now)
        if current is None or now >= self._next_issue:
            current = self._issue(now)
            self._latest.put(current, current.valid_until)
            # Aligned, so that each forecast builds on intervals that are complete.
            self._next_issue = floor_to(now, self._period_s) + timedelta(seconds=self._period_s)
        return current

    def _issue(self, now: datetime) -> Forecast:
        now_s = now.timestamp()
        self._catch_up(now_s)
        grid = TimeGrid(start=floor_to(now, self._step_s), step_s=self._step_s, steps=self._steps)
        first, stale = self._means.number_at(now_s), self._stale(now_s)
        known = _Issue(
            grid=grid,
            last=_as_it_is(self._last),
            teams=[_Team(rows=team.rows, forecaster=_as_it_is(team.forecaster)) for team in self._teams],
            ceiling_kw=self._ceiling_kw,
            scale_kw=partial(self._scale_kw, first, self._steps),
            widths_fraction=self._errors.widths_fraction(),
            stale=stale,
            known_until_s=self._known_until_s,
            over_scenarios=self._means.over_scenarios or self._rated_kw.shape[1] > 1,
        )
        if self._scored:
            self._errors.issued(first, known.mean_kw(self._errors.leads), ~stale)
        return Forecast(
            issued_at=now,
            step_s=self._step_s,
            valid_until=now + timedelta(seconds=self._validity_s),
            signals=Signals(partial(self._signals, known), partial(self._means_of, known)),
        )

    def _catch_up(self, now_s: float) -> None:
        """Hand over the open interval if it is over, and its beginning where nothing newer is known."""
        number = self._means.number
        if number is not None and now_s >= (number + 1) * self._step_s:
            finished = self._means.close()
            if finished is not None:
                self._learn(finished)
        stale = self._stale(now_s)
        begun = self._means.so_far() if stale.any() else None
        if begun is not None:
            self._hand_over(replace(begun, known=begun.known & stale))

    def _stale(self, now_s: float) -> BoolArray:
        """Signals of which nothing was seen for as long as a forecast is valid."""
        return now_s - self._known_until_s > self._validity_s

    def _ceiling_kw(self, grid: TimeGrid, at: Positions) -> FloatArray:
        """Physical limit of each signal: its rating, and for the sun what the clearest sky could give."""
        if not self._solar_rows:
            return self._rated_kw[:, None, :]
        ceiling_kw = np.repeat(self._rated_kw[:, None, :], len(at), axis=1)
        sun_kw = MAX_INDEX * self._setting.clear_sky(grid)[:, at]
        ceiling_kw[self._solar_rows] = np.minimum(ceiling_kw[self._solar_rows], sun_kw)
        return ceiling_kw

    def _means_of(self, known: _Issue, steps: slice) -> dict[str, FloatArray]:
        """Expected means alone. Depends on `known`, and on nothing that changes; as `_signals`."""
        mean_kw = known.mean_kw(self._all_steps[steps])
        mean_kw.setflags(write=False)
        return {
            signal.name: mean_kw[row] if known.over_scenarios else mean_kw[row, :, 0]
            for row, (signal, label) in enumerate(zip(self.signals, self._labels(known), strict=True))
            if label
        }

    def _signals(self, known: _Issue) -> dict[str, Signal]:
        """Means with their quantiles."""
        below_kw, above_kw = self._widths_kw(known)
        mean_kw = known.mean_kw(self._all_steps)
        low_kw, high_kw = (
            np.maximum(mean_kw - below_kw, 0.0),
            np.minimum(mean_kw + above_kw, known.ceiling_kw(known.grid, self._all_steps)),
        )
        for array in (mean_kw, low_kw, high_kw):
            array.setflags(write=False)
        if not known.over_scenarios:
            mean_kw, low_kw, high_kw = mean_kw[:, :, 0], low_kw[:, :, 0], high_kw[:, :, 0]
        return {
            signal.name: Signal(mean=mean_kw[row], low=low_kw[row], high=high_kw[row], method=label)
            for row, (signal, label) in enumerate(zip(self.signals, self._labels(known), strict=True))
            if label
        }

    def _widths_kw(self, known: _Issue) -> FloatArray:
        fraction, stale = known.widths_fraction(), known.stale
        if stale.any():
            fraction[:, stale] = fraction[:, stale, -1:]
        widths_kw: FloatArray = fraction * known.scale_kw()
        return widths_kw

    def _labels(self, known: _Issue) -> Sequence[str]:
        """The method of each signal; empty where it was never seen."""
        if not known.stale.any():
            return self._methods
        labels = list(self._methods)
        for row in np.flatnonzero(known.stale):
            seen_s = known.known_until_s[row]
            labels[row] = expired(datetime.fromtimestamp(seen_s, UTC)) if np.isfinite(seen_s) else ""
        return labels


def _alike(signals: Sequence[SignalSpec], scenarios: int) -> Sequence[SignalSpec]:
    """The signals, all over the same number of scenarios where some differ between them."""
    most = max([scenarios, *(np.size(signal.rated_kw) for signal in signals)])
    if most == 1:
        return signals
    return [replace(signal, rated_kw=np.broadcast_to(signal.rated_kw, (most,))) for signal in signals]


def _as_it_is(forecaster: F) -> F:
    """A shallow copy, at a tenth of what `copy.copy` costs: what it learns later replaces arrays and changes none."""
    same = object.__new__(type(forecaster))
    vars(same).update(vars(forecaster))
    return same


def expired(seen_at: datetime) -> str:
    """The method of a signal that nobody could see for too long."""
    return f"{Persistence.name} (expired: last seen {seen_at:%Y-%m-%d %H:%M} UTC)"
