"""The control agent: one cycle of sense, estimate, forecast, decide, guard, act and record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from agents.forecasting import ForecastingAgent
from controllers.base import Rule
from controllers.decide import Decision, decide
from controllers.fallback import Rung, rung_of, safe_decision, why
from controllers.fleet import fleet_of
from controllers.guard import Guarded, guard
from controllers.resolve import Resolution
from controllers.situation import look
from twin.clock import stopwatch_s
from twin.digital_twin import DigitalTwin
from twin.errors import RecordError
from twin.forecast import Forecast
from twin.lazy_words import LazyWords
from twin.plant import Plant
from twin.points import Command, Receipt, Snapshot
from twin.quick import quick
from twin.site import Site
from twin.state import SiteState

PERIODS_OF_VALIDITY = 3
"""A command outlives at least this many control periods, so that one late cycle releases nothing."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """Everything that one cycle saw, thought and did."""

    now: datetime
    snapshot: Snapshot
    state: SiteState
    forecast: Forecast | None
    rung: Rung
    decision: Decision
    guarded: Guarded
    commands: Sequence[Command]
    receipts: Sequence[Receipt]
    timings_ms: Mapping[str, float]
    record_problem: str = ""
    """Why the cycle before this one is missing in the history; control goes on without one."""


class ControlAgent:
    """Runs the cycle on a plant. It holds no clock: whoever calls `cycle` says what time it is."""

    def __init__(
        self,
        site: Site,
        plant: Plant,
        rules: Sequence[Rule] | None,
        *,
        twin: DigitalTwin,
        forecasting: ForecastingAgent,
        period_s: float,
        record: Callable[[Cycle], None] | None = None,
    ) -> None:
        """`rules` None: watch only, and command nothing. `record` may raise `RecordError`."""
        self._plant, self._rules = plant, rules
        self._twin, self._forecasting = twin, forecasting
        self._period_s, self._record = period_s, record
        self._record_problem = ""
        self._fleet = fleet_of(site)
        self._margin_fraction = site.control.import_margin_fraction
        self._validity = timedelta(seconds=max(site.control.command_validity_s, PERIODS_OF_VALIDITY * period_s))

    def cycle(self, now: datetime) -> Cycle:
        """One whole cycle at `now`. Whatever cannot be read or written is in the result, and not raised."""
        watch = _Watch()
        snapshot = self._plant.read(now)
        watch.lap("sense")
        state = self._twin.assimilate(snapshot)
        watch.lap("estimate")
        self._forecasting.observe(state)
        forecast = self._forecasting.forecast(now)
        watch.lap("forecast")
        rung, decision, guarded = self._think(state, forecast)
        watch.lap("decide")
        commands = tuple(self._commands(guarded, state, decision))
        receipts = self._plant.apply(commands, now) if commands else ()
        watch.lap("act")
        done = Cycle(
            now=now,
            snapshot=snapshot,
            state=state,
            forecast=forecast,
            rung=rung,
            decision=decision,
            guarded=guarded,
            commands=commands,
            receipts=receipts,
            timings_ms=watch.laps_ms,
            record_problem=self._record_problem,
        )
        self._keep(done)
        return done

    def _keep(self, cycle: Cycle) -> None:
        """Record the cycle. A full disk is an alarm in the next cycle; it does not stop control."""
        self._record_problem = ""
        if self._record is not None:
            try:
                self._record(cycle)
            except RecordError as error:
                self._record_problem = str(error)

    def _think(self, state: SiteState, forecast: Forecast | None) -> tuple[Rung, Decision, Guarded]:
        rung = rung_of(state)
        if self._rules is None:
            return rung, Decision(setpoints={}), Guarded(setpoints={})
        situation = look(self._fleet, state, forecast, self._period_s)
        blind = rung is Rung.BLIND
        decision = safe_decision(self._fleet, situation, why(state, rung)) if blind else decide(self._rules, situation)
        guarded = guard(
            self._fleet,
            state,
            decision.setpoints,
            margin_fraction=self._margin_fraction,
            period_s=self._period_s,
        )
        return rung, decision, guarded

    def _commands(self, guarded: Guarded, state: SiteState, decision: Decision) -> Iterator[Command]:
        """One for each asset that can hear; what is lost releases itself when its last command expires."""
        because = {item.group: LazyWords(partial(_because, item)) for item in decision.resolutions}
        because_clipped = {clip.device: f"guard: {clip.reason}" for clip in guarded.clips}
        valid_until = state.now + self._validity
        for member in self._fleet.members:
            if member.name in guarded.setpoints and member.name not in state.lost:
                yield Command(
                    device=member.name,
                    setpoint=member.setpoint,
                    value=guarded.setpoints[member.name],
                    valid_until=valid_until,
                    reason=because_clipped.get(member.name, because.get(member.group, "")),
                )


def _because(item: Resolution) -> str:
    return f"{item.rule}: {item.reason}"


class _Watch:
    """How long each part of a cycle took."""

    def __init__(self) -> None:
        self.laps_ms: dict[str, float] = {}
        self._since_s = stopwatch_s()

    def lap(self, name: str) -> None:
        now_s = stopwatch_s()
        self.laps_ms[name] = (now_s - self._since_s) * 1000.0
        self._since_s = now_s
