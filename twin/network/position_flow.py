"""The flow in one position of all switches and tap changers, told in the buses and branches of the site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from twin.network.admittance import IntArray
from twin.network.power_flow import PowerFlow
from twin.network.switching import Energised, Island, NetworkState
from twin.network.topology import Topology
from twin.numeric import BoolArray, FloatArray

Position = tuple[NetworkState, tuple[int, ...]]
"""Switches and outages, and the steps of every on-load tap changer."""


Columns = dict[str, FloatArray]
"""Field of the result → its numbers, with a scenario axis."""

PLACE = {
    "slack_p_kw": "site",
    "slack_q_kvar": "site",
    "losses_kw": "site",
    "v_pu": "buses",
    "branch_p_kw": "branches",
    "loading_fraction": "branches",
    "unaccounted_kw": "buses",
}
"""Field of `FlowResult` → what its rows stand for."""


def source_column(name: str) -> str:
    """Field that holds the power of a source."""
    return f"source {name}"


@dataclass(slots=True, kw_only=True)
class Case:
    """What is being solved: one column for each scenario."""

    p_kw: FloatArray
    q_kvar: FloatArray
    slack_v_pu: FloatArray
    states: Sequence[NetworkState]
    steps: IntArray
    """(changers, scenarios)"""
    flow: Columns

    def positions(self, chosen: BoolArray) -> list[tuple[Position, IntArray]]:
        """The positions of the chosen scenarios, with the scenarios in each."""
        groups: dict[Position, list[int]] = {}
        for scenario in np.flatnonzero(chosen).tolist():
            groups.setdefault((self.states[scenario], tuple(self.steps[:, scenario].tolist())), []).append(scenario)
        return [(position, np.array(members, dtype=np.intp)) for position, members in groups.items()]


class PositionFlow:
    """The flow in one position of everything."""

    whole: PowerFlow | None
    """The flow itself where the first source holds all buses and branches, each as it stands in the site."""

    def __init__(self, topology: Topology, energised: Energised, first: str) -> None:
        buses = list(topology.buses)
        self._supplied = np.array([bus in energised.node for bus in buses])
        self._parts = [
            _IslandFlow(topology, island, energised.node, leads=island.source == first) for island in energised.islands
        ]
        only = self._parts[0] if len(self._parts) == 1 else None
        self.whole = only.flow if only is not None and only.is_whole(topology) else None

    def solve_into(self, case: Case, where: IntArray) -> None:
        flow = case.flow
        for name in (*PLACE, *(name for name in flow if name.startswith(source_column("")))):
            flow[name][..., where] = 0.0
        flow["supplied"][:, where] = self._supplied[:, None]
        unserved_kw = np.maximum(case.p_kw[np.ix_(~self._supplied, where)], 0.0)
        flow["unserved_kw"][where] = unserved_kw.sum(axis=0)
        for part in self._parts:
            part.solve_into(case, where)


class _IslandFlow:
    """The flow of one island, and the places of its nodes and branches in the site."""

    def __init__(self, topology: Topology, island: Island, node: Mapping[str, str], *, leads: bool) -> None:
        self.flow, self._source = PowerFlow(island.topology, island.slack), source_column(island.source)
        self._leads = leads
        nodes = {name: place for place, name in enumerate(self.flow.buses)}
        members = [(at, nodes[node[bus]]) for at, bus in enumerate(topology.buses) if node.get(bus) in nodes]
        self._buses, self._nodes = np.array(members, dtype=np.intp).T
        self._joins = (np.arange(len(nodes))[:, None] == self._nodes).astype(np.float64)
        first = [place for place, bus in enumerate(topology.buses) if bus in nodes]
        self._first = np.array(first, dtype=np.intp)
        self._first_nodes = np.array([nodes[bus] for bus in topology.buses if bus in nodes], dtype=np.intp)
        self._branches = np.array([topology.branches.index(name) for name in self.flow.branches], dtype=np.intp)

    def is_whole(self, topology: Topology) -> bool:
        same = self.flow.buses == tuple(topology.buses) and self.flow.branches == topology.branches
        return self._leads and same

    def solve_into(self, case: Case, where: IntArray) -> None:
        columns = np.ix_(self._buses, where)
        flow = self.flow.solve(
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
