"""Power flow of a network whose switches and tap changers move, scenario by scenario.

Every position of all switches and tap changers is a network of its own, built when it is first needed and
kept. Scenarios in the same position are solved together. On-load tap changers are a discrete outer loop,
one step at a time and all changers together, as pandapower's ``DiscreteTapControl`` takes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twin.errors import PowerFlowError
from twin.network.admittance import IntArray
from twin.network.position_flow import PLACE, Case, Columns, Position, PositionFlow, source_column
from twin.network.power_flow import FlowResult, as_num
from twin.network.switching import Energised, NetworkState, energise, normal_state
from twin.network.taps import at_steps, held_bus, next_steps, tap_changers
from twin.network.topology import Topology
from twin.numeric import BoolArray, Flag, FloatArray, Num

MAX_ROUNDS = 100
"""Rounds after which changers that still hunt are left where they are."""

MAX_KEPT = 500
"""Positions whose networks are kept; the oldest goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchedFlow(FlowResult):
    """A solved flow with what the switches leave dark. Buses and branches in the order of the site file.

    `slack_p_kw` is that of the first source; the others are in `source_p_kw`. A bus without supply stands
    at 0 pu and a branch without supply carries nothing. `unaccounted_kw` of buses that are one node stands
    at the first of them.
    """

    source_p_kw: Mapping[str, Num]
    """Source → active power into the network; 0 for one out of service, or on the node of an earlier one."""
    supplied: BoolArray
    """Bus by bus."""
    unserved_kw: Num
    """Consumption at the buses without supply, which nobody serves."""
    tap_steps: Mapping[str, Num]
    """On-load tap changer → position."""
    tap_changers_settled: Flag
    """False where they still hunted after `MAX_ROUNDS`."""


class SwitchedPowerFlow:
    """The site's network with its switches, solved as `PowerFlow` solves one that never changes.

    It starts each solution from the previous one in the same position, so one object serves one thread.
    """

    def __init__(self, topology: Topology, sources: str | Mapping[str, str]) -> None:
        """`sources`: name → bus of what can hold the voltage, the most important first; or the only such bus."""
        self.topology = topology
        self.sources = {sources: sources} if isinstance(sources, str) else dict(sources)
        self.buses, self.branches = tuple(topology.buses), topology.branches
        self.normal = normal_state(topology)
        self._changers = tap_changers(topology)
        self._held = {name: self.buses.index(held_bus(topology, name)) for name in self._changers}
        self._kept: dict[Position, PositionFlow] = {}
        self._idle: dict[NetworkState, frozenset[str]] = {}

    def energised(self, state: NetworkState | None = None) -> Energised:
        """What is alive in `state`, the normal one unless told otherwise."""
        return energise(self.topology, self.sources, state or self.normal)

    def solve(
        self,
        p_kw: FloatArray,
        q_kvar: FloatArray,
        slack_v_pu: Num | None = None,
        *,
        state: NetworkState | Sequence[NetworkState] | None = None,
        tap_steps: Mapping[str, Num] | None = None,
    ) -> SwitchedFlow:
        """The flow with `p_kw` and `q_kvar` consumed at `buses`; each ``(buses,)`` or ``(buses, scenarios)``.

        One `state` for all scenarios or one for each; several states of one loading make a scenario of each.
        `tap_steps` is where the on-load tap changers start, in the site file's position otherwise. Raises
        `PowerFlowError` where a part that is alive has no solution.
        """
        if isinstance(state, NetworkState | None):
            usual = self._at_rest(p_kw, q_kvar, slack_v_pu, state or self.normal, tap_steps or {})
            if usual is not None:
                return usual
        states = [state or self.normal] if isinstance(state, NetworkState | None) else list(state)
        alone = p_kw.ndim == 1 and isinstance(state, NetworkState | None)
        count = len(states) if p_kw.ndim == 1 else p_kw.shape[1]
        states = states * count if len(states) == 1 else states
        case = Case(
            p_kw=_wide(p_kw, count),
            q_kvar=_wide(q_kvar, count),
            slack_v_pu=np.broadcast_to(self.topology.slack_v_pu if slack_v_pu is None else slack_v_pu, count),
            states=states,
            steps=self._first_steps(tap_steps or {}, count),
            flow=self._empty(count),
        )
        return self._result(case, self._settle(case), alone)

    def _at_rest(
        self,
        p_kw: FloatArray,
        q_kvar: FloatArray,
        slack_v_pu: Num | None,
        state: NetworkState,
        tap_steps: Mapping[str, Num],
    ) -> SwitchedFlow | None:
        """The usual case without detours: all is supplied, no buses are joined, no tap changer has to move."""
        told = {name: tap_steps.get(name, taps.position_steps) for name, taps in self._changers.items()}
        if any(isinstance(steps, np.ndarray) for steps in told.values()):
            return None
        steps = {name: float(value) for name, value in told.items() if not isinstance(value, np.ndarray)}
        whole = self._flow_of((state, tuple(map(int, steps.values())))).whole
        if whole is None:
            return None
        flow = whole.solve(p_kw, q_kvar, slack_v_pu)
        if any(not self._within(name, flow.v_pu, state) for name in steps):
            return None
        return self._as_switched(flow, steps)

    def _within(self, changer: str, v_pu: FloatArray, state: NetworkState) -> bool:
        on_load, held = self._changers[changer].on_load, v_pu[self._held[changer]]
        if on_load is None or changer in self._idle_in(state):
            return True
        return bool(on_load.min_v_pu <= held.min() and held.max() <= on_load.max_v_pu)

    def _as_switched(self, flow: FlowResult, steps: Mapping[str, float]) -> SwitchedFlow:
        like = np.zeros(flow.v_pu.shape[1:])
        nothing = as_num(like) if like.ndim else 0.0
        first = next(iter(self.sources))
        return SwitchedFlow(
            slack_p_kw=flow.slack_p_kw,
            slack_q_kvar=flow.slack_q_kvar,
            losses_kw=flow.losses_kw,
            v_pu=flow.v_pu,
            branch_p_kw=flow.branch_p_kw,
            loading_fraction=flow.loading_fraction,
            unaccounted_kw=flow.unaccounted_kw,
            source_p_kw=dict.fromkeys(self.sources, nothing) | {first: flow.slack_p_kw},
            supplied=np.ones(flow.v_pu.shape, dtype=bool),
            unserved_kw=nothing,
            tap_steps={name: like + value if like.ndim else value for name, value in steps.items()},
            tap_changers_settled=like == 0 if like.ndim else True,
        )

    def _result(self, case: Case, settled: BoolArray, alone: bool) -> SwitchedFlow:
        flow = case.flow
        rows = {name: values[:, 0] if alone else values for name, values in flow.items() if values.ndim > 1}
        return SwitchedFlow(
            slack_p_kw=_as_asked(flow["slack_p_kw"], alone),
            slack_q_kvar=_as_asked(flow["slack_q_kvar"], alone),
            losses_kw=_as_asked(flow["losses_kw"], alone),
            v_pu=rows["v_pu"],
            branch_p_kw=rows["branch_p_kw"],
            loading_fraction=rows["loading_fraction"],
            unaccounted_kw=rows["unaccounted_kw"],
            source_p_kw={name: _as_asked(flow[source_column(name)], alone) for name in self.sources},
            supplied=rows["supplied"].astype(np.bool_),
            unserved_kw=_as_asked(flow["unserved_kw"], alone),
            tap_steps={
                name: _as_asked(case.steps[row].astype(np.float64), alone) for row, name in enumerate(self._changers)
            },
            tap_changers_settled=bool(settled[0]) if alone else settled,
        )

    def _first_steps(self, told: Mapping[str, Num], count: int) -> IntArray:
        start = {name: taps.position_steps for name, taps in self._changers.items()} | dict(told)
        rows = [np.broadcast_to(np.asarray(start[name], dtype=np.intp), count) for name in self._changers]
        return np.array(rows, dtype=np.intp).reshape(len(rows), count)

    def _empty(self, count: int) -> Columns:
        places = {"buses": (len(self.buses), count), "branches": (len(self.branches), count), "site": (count,)}
        flow: Columns = {name: np.zeros(places[place]) for name, place in PLACE.items()}
        flow |= {"supplied": np.zeros(places["buses"]), "unserved_kw": np.zeros(count)}
        return flow | {source_column(name): np.zeros(count) for name in self.sources}

    def _settle(self, case: Case) -> BoolArray:
        """Solve, move the tap changers, solve again where any has moved; tells which scenarios came to rest."""
        moving = np.ones(len(case.states), dtype=bool)
        for turn in range(MAX_ROUNDS):
            for position, where in case.positions(moving):
                self._solve_position(position, case, where)
            wanted = self._wanted(case)
            moving = (wanted != case.steps).any(axis=0)
            if turn == MAX_ROUNDS - 1 or not moving.any():
                break
            case.steps = wanted
        return ~moving

    def _wanted(self, case: Case) -> IntArray:
        wanted = case.steps.copy()
        idle_in = {state: self._idle_in(state) for state in set(case.states)}
        for row, (name, taps) in enumerate(self._changers.items()):
            free = np.array([name not in idle_in[state] for state in case.states])
            v_pu = np.where(free, case.flow["v_pu"][self._held[name]], 0.0)
            wanted[row] = next_steps(taps, case.steps[row], v_pu)
        return wanted

    def _idle_in(self, state: NetworkState) -> frozenset[str]:
        """Changers without a task: out of service, or at a bus whose voltage a source sets already.

        A source that follows the voltage of another one in its island, as a battery on the grid does, sets none.
        Buses that a closed coupler joins are one node in this; pandapower's changer, which looks at its own bus
        alone, would run to its last tap there without any effect.
        """
        kept = self._idle.get(state)
        if kept is None:
            _make_room(self._idle)
            energised = self.energised(state)
            set_by_source = {island.slack for island in energised.islands}
            kept = self._idle[state] = frozenset(
                name
                for name, held in self._held.items()
                if name in state.branches_out or energised.node.get(self.buses[held]) in set_by_source
            )
        return kept

    def _solve_position(self, position: Position, case: Case, where: IntArray) -> None:
        try:
            self._flow_of(position).solve_into(case, where)
        except PowerFlowError as error:
            others = len(where) < len(case.states)
            numbers = f" (counted among scenarios {_some(where)}, which share a state)" if others else ""
            raise PowerFlowError(f"{error}{numbers}") from error

    def _flow_of(self, position: Position) -> PositionFlow:
        kept = self._kept.get(position)
        if kept is None:
            _make_room(self._kept)
            state, steps = position
            topology = at_steps(self.topology, dict(zip(self._changers, steps, strict=True)))
            kept = self._kept[position] = PositionFlow(
                topology, energise(topology, self.sources, state), next(iter(self.sources))
            )
        return kept


def _some(scenarios: IntArray) -> str:
    return ", ".join(map(str, scenarios.tolist()[:8])) + (" …" if len(scenarios) > 8 else "")


def _make_room(kept: dict[Any, Any]) -> None:
    if len(kept) >= MAX_KEPT:
        del kept[next(iter(kept))]


def _wide(values: FloatArray, count: int) -> FloatArray:
    return np.broadcast_to(values[:, None], (len(values), count)) if values.ndim == 1 else values


def _as_asked(values: FloatArray, alone: bool) -> Num:
    """One number per scenario, or the number where there is no scenario axis."""
    return as_num(values[0] if alone else values)
