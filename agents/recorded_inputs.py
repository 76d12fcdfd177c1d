"""Stand-ins that take part in a recording for what is no arithmetic: power flow, forecasts, weather and calendar."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import numpy as np

from agents.forecasting import ForecastingAgent
from twin.carbon import Carbon, Emission
from twin.demand_interval import DemandInterval, Passage
from twin.devices.base import Values
from twin.devices.grid_connection import GridConnection
from twin.drives import Drives
from twin.forecast import Forecast, Signals
from twin.ledger import Watch
from twin.network.limits import KINDS
from twin.network.power_flow import FlowResult
from twin.number_tree import numbers, with_numbers
from twin.numeric import Flag, FloatArray, Num
from twin.site import Site
from twin.site_network import ByBus, Network
from twin.state import SiteState
from twin.tape import Rows, Symbol, Tape
from twin.tariff import Tariff, Terms

T = TypeVar("T")
NOTHING: FloatArray = np.empty(0)
FLOW_NUMBERS = ("slack_p_kw", "slack_q_kvar", "losses_kw", "unserved_kw")
"""What comes of a flow, before the counts of violations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """What the calendar says of one step; in the recording, where it is put in."""

    terms: Terms | None
    """Of the tariff; None for a site without a grid."""
    emission: Emission | None
    """Of imported energy; None where that is no matter of the calendar."""
    elapsed_s: Num
    """Of the demand interval that is open at the beginning of the step."""
    until: Passage
    """From the cycle before to this one, on the twin's demand interval."""
    during: Passage
    """From the beginning to the end of the step, on the ledger's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDemand(DemandInterval):
    """A demand interval whose clock is an input."""

    clock: Passage
    so_far_s: Num

    def elapsed_s(self, now: datetime) -> Any:
        return self.so_far_s

    def passage(self, since: datetime, now: datetime, local: datetime) -> Passage:
        return self.clock


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordedTariff(Tariff):
    """A tariff whose calendar is an input. Twin and ledger are given the same: their demand intervals begin
    together, unless a step is longer than the meter's interval."""

    recorded: Terms

    def terms(self, local: datetime, opened: datetime, month: int) -> Terms:
        return self.recorded


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordedCarbon(Carbon):
    """Emission factors that are an input."""

    recorded: Emission

    def emission(self, local: datetime) -> Emission:
        return self.recorded


class RecordedDrives(Drives):
    """What acts from outside, as inputs."""

    def __init__(self, real: Drives, tape: Tape) -> None:
        self.grid, self.scenarios, self.names = real.grid, real.scenarios, real.names
        self._present: dict[str, dict[str, Num]] = {}
        for device, key in real.names:
            self._present.setdefault(device, {})[key] = cast(Num, tape.input())

    def at(self, index: int) -> Mapping[str, Values]:
        return self._present


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFlow(FlowResult):
    """A flow of which only sums are asked for, and how many limits it violates."""

    counts: Mapping[str, Num]


class RecordedNetwork:
    """The power flow as a call out of the machine code."""

    def __init__(self, real: Network, watch: Watch, tape: Tape) -> None:
        self._real, self._watch, self._tape = real, watch, tape
        self.buses, self.branches, self.by_voltage = real.buses, real.branches, real.by_voltage
        self.unserved_kw: Num = 0.0
        self.failed: Mapping[int, str] = {}

    def at(self, now: datetime) -> None:
        """Told to the real one, step by step."""

    def solve(self, p_kw: ByBus, q_kvar: ByBus, available_kvar: ByBus) -> RecordedFlow:
        given = [*p_kw, *q_kvar, *available_kvar]
        return self._result(self._tape.call(self._solve, given, len(FLOW_NUMBERS) + len(KINDS)))

    def solve_again(
        self, p_kw: ByBus, q_kvar: ByBus, available_kvar: ByBus, changed: Flag, before: FlowResult
    ) -> RecordedFlow:
        last = cast(RecordedFlow, before)
        known = [last.slack_p_kw, last.slack_q_kvar, last.losses_kw, self.unserved_kw, *last.counts.values()]
        given = [changed, *known, *p_kw, *q_kvar, *available_kvar]
        return self._result(self._tape.call(self._solve_again, given, len(known)))

    def _result(self, found: Sequence[Symbol]) -> RecordedFlow:
        slack_p_kw, slack_q_kvar, losses_kw, self.unserved_kw, *counts = cast(Sequence[Num], found)
        return RecordedFlow(
            slack_p_kw=slack_p_kw,
            slack_q_kvar=slack_q_kvar,
            losses_kw=losses_kw,
            v_pu=NOTHING,
            branch_p_kw=NOTHING,
            loading_fraction=NOTHING,
            unaccounted_kw=NOTHING,
            counts=dict(zip(KINDS, counts, strict=True)),
        )

    def _solve(self, given: Rows, made: Rows) -> None:
        buses = len(self.buses)
        flow = self._real.solve(given[:buses], given[buses : 2 * buses], given[2 * buses :])
        made[0], made[1], made[2] = flow.slack_p_kw, flow.slack_q_kvar, flow.losses_kw
        made[3] = self._real.unserved_kw
        counts = self._watch(flow)
        for place, kind in enumerate(KINDS, start=len(FLOW_NUMBERS)):
            made[place] = counts.get(kind, 0.0)

    def _solve_again(self, given: Rows, made: Rows) -> None:
        rows = len(made)
        if given[0].any():
            self._solve(given[1 + rows :], made)
        else:
            made[:] = given[1 : 1 + rows]


class ForecastsBeside:
    """The forecasting agent as two calls out of the machine code: it observes, and it is asked."""

    def __init__(self, real: ForecastingAgent, tape: Tape) -> None:
        self._real, self._tape = real, tape
        self.now = datetime.min.replace(tzinfo=UTC)
        """Set by whoever runs the machine."""
        self._forecast: Forecast | None = None

    def observe(self, state: SiteState) -> None:
        seen = [state.assets[signal.device].values[signal.value] for signal in self._real.signals]
        self._tape.call(self._observe, seen, 0)

    def forecast(self, now: datetime) -> Forecast:
        return RecordedForecast(issued_at=now, step_s=1.0, valid_until=now, signals=Signals(dict), ask=self._asked)

    def _asked(self, hours: float, matters: Flag) -> Num:
        def surplus_kwh(given: Rows, made: Rows) -> None:
            forecast = self._forecast
            made[0] = forecast.surplus_kwh(self.now, hours, given[0] > 0.0) if forecast is not None else 0.0

        return cast(Num, self._tape.call(surplus_kwh, [matters], 1)[0])

    def _observe(self, given: Rows, made: Rows) -> None:
        del made
        self._real.observe_values(self.now, given)
        self._forecast = self._real.forecast(self.now)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordedForecast(Forecast):
    """A forecast that is asked while the machine runs."""

    ask: Callable[[float, Flag], Num]

    def surplus_kwh(self, now: datetime, hours: float, matters: Flag = True) -> Num:
        return self.ask(hours, matters)


def clock_inputs(tape: Tape, site: Site, at: datetime) -> Clock:
    """A clock to be read before each step, in the order of its fields."""
    terms, emission = calendar(site, at)

    def recorded(tree: T) -> T:
        return with_numbers(tree, iter([tape.input() for _ in numbers(tree)]))

    def passage() -> Passage:
        return Passage(
            start=at,
            billing_month=(at.year, at.month),
            old_s=cast(Num, tape.input()),
            new_s=cast(Num, tape.input()),
            rolled=cast(Flag, tape.input() != 0.0),
            month_ended=cast(Flag, tape.input() != 0.0),
        )

    terms, emission = recorded(terms), recorded(emission)
    return Clock(terms=terms, emission=emission, elapsed_s=cast(Num, tape.input()), until=passage(), during=passage())


def calendar(site: Site, at: datetime) -> tuple[Terms | None, Emission | None]:
    """What the calendar says of one instant, beside the meters' clocks."""
    if site.grid is None:
        return None, None
    grid, local = cast(GridConnection, site.devices[site.grid]), at.astimezone(site.location.zone)
    return grid.tariff.terms(local, local, local.month), grid.carbon.emission(local) if grid.carbon else None


def with_recorded_calendar(site: Site, clock: Clock) -> Site:
    """A site whose prices and emission factors are inputs."""
    if site.grid is None or clock.terms is None:
        return site
    grid = cast(GridConnection, site.devices[site.grid])
    tariff = RecordedTariff(**_fields_of(grid.tariff, Tariff), recorded=clock.terms)
    carbon = grid.carbon
    if carbon is not None and clock.emission is not None:
        carbon = RecordedCarbon(**_fields_of(carbon, Carbon), recorded=clock.emission)
    return replace(site, devices={**site.devices, site.grid: replace(grid, tariff=tariff, carbon=carbon)})


def _fields_of(item: Any, cls: Any) -> dict[str, Any]:
    return {field.name: getattr(item, field.name) for field in fields(cls)}


def with_clock(demand: DemandInterval | None, clock: Passage, so_far_s: Num) -> DemandInterval | None:
    """A demand interval whose clock is an input."""
    if demand is None:
        return None
    return RecordedDemand(**_fields_of(demand, DemandInterval), clock=clock, so_far_s=so_far_s)


def without_clock(demand: DemandInterval | None) -> DemandInterval | None:
    """The interval itself."""
    if demand is None:
        return None
    return DemandInterval(**_fields_of(demand, DemandInterval))
