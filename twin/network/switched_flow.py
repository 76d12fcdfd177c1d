"""Power flow of a network whose switches and tap changers move, scenario by scenario.

Every position of all switches and tap changers is a network of its own, built when it is first needed and
kept. Scenarios in the same position are solved together. On-load tap changers are a discrete outer loop,
one step at a time and all changers together, as pandapower's ``DiscreteTapControl`` takes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from twin.errors import PowerFlowError
from twin.network.admittance import IntArray
from twin.network.power_flow import FlowResult, PowerFlow, as_num
from twin.network.switching import Energised, Island, NetworkState, energise, normal_state
from twin.network.taps import at_steps, held_bus, next_steps, tap_changers
from twin.network.topology import Topology
from twin.numeric import BoolArray, Flag, FloatArray, Num

MAX_ROUNDS = 100
"""Rounds after which changers that still hunt are left where they are."""

Position = tuple[NetworkState, tuple[int, ...]]
"""Switches and outages, and the steps of every on-load tap changer."""


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
        self._kept: dict[Position, _PositionFlow] = {}

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
        states = [state or self.normal] if isinstance(state, NetworkState | None) else list(state)
        alone = p_kw.ndim == 1 and isinstance(state, NetworkState | None)
        count = len(states) if p_kw.ndim == 1 else p_kw.shape[1]
        states = states * count if len(states) == 1 else states
        case = _Case(
            p_kw=_wide(p_kw, count),
            q_kvar=_wide(q_kvar, count),
            slack_v_pu=np.broadcast_to(self.topology.slack_v_pu if slack_v_pu is None else slack_v_pu, count),
            states=states,
            steps=self._first_steps(tap_steps or {}, count),
            flow=self._empty(count),
        )
        return self._result(case, self._settle(case), alone)

    def _result(self, case: _Case, settled: BoolArray, alone: bool) -> SwitchedFlow:
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
            source_p_kw={name: _as_asked(flow[_source(name)], alone) for name in self.sources},
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

    def _empty(self, count: int) -> _Flow:
        places = {"buses": (len(self.buses), count), "branches": (len(self.branches), count), "site": (count,)}
        flow: _Flow = {name: np.zeros(places[place]) for name, place in _PLACE.items()}
        flow |= {"supplied": np.zeros(places["buses"]), "unserved_kw": np.zeros(count)}
        return flow | {_source(name): np.zeros(count) for name in self.sources}

    def _settle(self, case: _Case) -> BoolArray:
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

    def _wanted(self, case: _Case) -> IntArray:
        wanted = case.steps.copy()
        for row, (name, taps) in enumerate(self._changers.items()):
            free = np.array([self._moves(name, state) for state in case.states])
            v_pu = np.where(free, case.flow["v_pu"][self._held[name]], 0.0)
            wanted[row] = next_steps(taps, case.steps[row], v_pu)
        return wanted

    def _moves(self, changer: str, state: NetworkState) -> bool:
        """A transformer out of service, and one at whose held bus a source stands, has nothing to do."""
        held = self.buses[self._held[changer]]
        return changer not in state.branches_out and not any(
            bus == held and name not in state.sources_out for name, bus in self.sources.items()
        )

    def _solve_position(self, position: Position, case: _Case, where: IntArray) -> None:
        try:
            self._flow_of(position).solve_into(case, where)
        except PowerFlowError as error:
            others = len(where) < len(case.states)
            numbers = f" (counted among scenarios {_some(where)}, which share a state)" if others else ""
            raise PowerFlowError(f"{error}{numbers}") from error

    def _flow_of(self, position: Position) -> _PositionFlow:
        kept = self._kept.get(position)
        if kept is None:
            state, steps = position
            topology = at_steps(self.topology, dict(zip(self._changers, steps, strict=True)))
            kept = self._kept[position] = _PositionFlow(
                topology, energise(topology, self.sources, state), next(iter(self.sources))
            )
        return kept


_Flow = dict[str, FloatArray]
"""Field of the result → its numbers, with a scenario axis."""

_PLACE = {
    "slack_p_kw": "site",
    "slack_q_kvar": "site",
    "losses_kw": "site",
    "v_pu": "buses",
    "branch_p_kw": "branches",
    "loading_fraction": "branches",
    "unaccounted_kw": "buses",
}
"""Field of `FlowResult` → what its rows stand for."""


def _source(name: str) -> str:
    return f"source {name}"


@dataclass(slots=True, kw_only=True)
class _Case:
    """What is being solved: one column for each scenario."""

    p_kw: FloatArray
    q_kvar: FloatArray
    slack_v_pu: FloatArray
    states: Sequence[NetworkState]
    steps: IntArray
    """(changers, scenarios)"""
    flow: _Flow

    def positions(self, chosen: BoolArray) -> list[tuple[Position, IntArray]]:
        """The positions of the chosen scenarios, with the scenarios in each."""
        groups: dict[Position, list[int]] = {}
        for scenario in np.flatnonzero(chosen).tolist():
            groups.setdefault((self.states[scenario], tuple(self.steps[:, scenario].tolist())), []).append(scenario)
        return [(position, np.array(members, dtype=np.intp)) for position, members in groups.items()]


class _PositionFlow:
    """The flow in one position of everything."""

    def __init__(self, topology: Topology, energised: Energised, first: str) -> None:
        buses = list(topology.buses)
        self._supplied = np.array([bus in energised.node for bus in buses])
        self._parts = [
            _IslandFlow(topology, island, energised.node, leads=island.source == first) for island in energised.islands
        ]

    def solve_into(self, case: _Case, where: IntArray) -> None:
        flow = case.flow
        for name in (*_PLACE, *(name for name in flow if name.startswith(_source("")))):
            flow[name][..., where] = 0.0
        flow["supplied"][:, where] = self._supplied[:, None]
        unserved_kw = np.maximum(case.p_kw[np.ix_(~self._supplied, where)], 0.0)
        flow["unserved_kw"][where] = unserved_kw.sum(axis=0)
        for part in self._parts:
            part.solve_into(case, where)


class _IslandFlow:
    """The flow of one island, and the places of its nodes and branches in the site."""

    def __init__(self, topology: Topology, island: Island, node: Mapping[str, str], *, leads: bool) -> None:
        self._flow, self._source = PowerFlow(island.topology, island.slack), _source(island.source)
        self._leads = leads
        nodes = {name: place for place, name in enumerate(self._flow.buses)}
        members = [(at, nodes[node[bus]]) for at, bus in enumerate(topology.buses) if node.get(bus) in nodes]
        self._buses, self._nodes = np.array(members, dtype=np.intp).T
        self._joins = (np.arange(len(nodes))[:, None] == self._nodes).astype(np.float64)
        first = [place for place, bus in enumerate(topology.buses) if bus in nodes]
        self._first = np.array(first, dtype=np.intp)
        self._first_nodes = np.array([nodes[bus] for bus in topology.buses if bus in nodes], dtype=np.intp)
        self._branches = np.array([topology.branches.index(name) for name in self._flow.branches], dtype=np.intp)

    def solve_into(self, case: _Case, where: IntArray) -> None:
        columns = np.ix_(self._buses, where)
        flow = self._flow.solve(
            self._joins @ case.p_kw[columns], self._joins @ case.q_kvar[columns], case.slack_v_pu[where]
        )
        into = case.flow
        into["v_pu"][columns] = flow.v_pu[self._nodes]
        into["unaccounted_kw"][np.ix_(self._first, where)] = flow.unaccounted_kw[self._first_nodes]
        for name in ("branch_p_kw", "loading_fraction"):
            into[name][np.ix_(self._branches, where)] = getattr(flow, name)
        into["losses_kw"][where] += flow.losses_kw
        into[self._source][where] = flow.slack_p_kw
        if self._leads:
            into["slack_p_kw"][where], into["slack_q_kvar"][where] = flow.slack_p_kw, flow.slack_q_kvar


def _some(scenarios: IntArray) -> str:
    return ", ".join(map(str, scenarios.tolist()[:8])) + (" …" if len(scenarios) > 8 else "")


def _wide(values: FloatArray, count: int) -> FloatArray:
    return np.broadcast_to(values[:, None], (len(values), count)) if values.ndim == 1 else values


def _as_asked(values: FloatArray, alone: bool) -> Num:
    """One number per scenario, or the number where there is no scenario axis."""
    return as_num(values[0] if alone else values)
