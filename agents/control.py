"""The control agent: one cycle of sense, estimate, forecast, decide, guard, act and record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agents.forecasting import ForecastingAgent
from controllers.base import Rule
from controllers.decide import Decision, decide
from controllers.guard import Guarded, guard
from twin.clock import stopwatch_s
from twin.digital_twin import DigitalTwin
from twin.forecast import Forecast
from twin.numeric import Num
from twin.plant import Plant
from twin.points import Command, Receipt, Snapshot
from twin.site import Site
from twin.state import SiteState

PERIODS_OF_VALIDITY = 3
"""A command outlives at least this many control periods, so that one late cycle releases nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """Everything that one cycle saw, thought and did."""

    now: datetime
    snapshot: Snapshot
    state: SiteState
    forecast: Forecast | None
    decision: Decision
    guarded: Guarded
    commands: Sequence[Command]
    receipts: Sequence[Receipt]
    timings_ms: Mapping[str, float]


class ControlAgent:
    """Runs the cycle on a plant. It holds no clock: whoever calls `cycle` says what time it is."""

    def __init__(
        self,
        site: Site,
        plant: Plant,
        rules: Sequence[Rule],
        *,
        twin: DigitalTwin,
        forecasting: ForecastingAgent,
        period_s: float,
        on_cycle: Callable[[Cycle], None] | None = None,
    ) -> None:
        self._site, self._plant, self._rules = site, plant, rules
        self._twin, self._forecasting = twin, forecasting
        self._period_s, self._on_cycle = period_s, on_cycle
        self._validity = timedelta(seconds=max(site.control.command_validity_s, PERIODS_OF_VALIDITY * period_s))
