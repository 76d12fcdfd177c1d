"""Which part of the network is alive, and how it hangs together, for one position of all switches.

Pure functions from (topology, what is open, what is out of service) to the energised network. Buses that
closed couplers and transfer switches join are one node, as pandapower's bus-bus switches without
impedance make them. A branch with one end open hangs on a node of its own there and draws its charging
or no-load current, as in pandapower.

A transfer switch goes where a source is: to its preferred feed while that is alive, else to the
alternate one. What counts is whether the feed is alive *without* the switch's own help, so that no feed
is held alive from behind; feeds of one transfer switch may hang on another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from twin.network.build import connected
from twin.network.topology import Bus, Line, Topology, Transformer

Feed = Literal["preferred", "alternate", "none"]
Pair = tuple[str, str]

OPEN_END = "{branch}, open at {bus}"
"""Name of the node at an end that a breaker cuts off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkState:
    """What differs from one moment to the next. Its names are those of the site file."""

    open_switches: frozenset[str] = frozenset()
    """Every breaker and coupler that is open, those included that are normally open."""
    branches_out: frozenset[str] = frozenset()
    """Lines and transformers out of service: cut off at both ends."""
    sources_out: frozenset[str] = frozenset()
    """Sources that hold no voltage."""

    def opened(self, *names: str) -> NetworkState:
        """With these breakers and couplers open too."""
        return replace(self, open_switches=self.open_switches | set(names))

    def closed(self, *names: str) -> NetworkState:
        """With these breakers and couplers closed."""
        return replace(self, open_switches=self.open_switches - set(names))

    def without(self, *, branches: Iterable[str] = (), sources: Iterable[str] = ()) -> NetworkState:
        """With these branches and sources out of service too."""
        return replace(
            self,
            branches_out=self.branches_out | set(branches),
            sources_out=self.sources_out | set(sources),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Island:
    """A connected part of the network that a source holds at voltage."""

    topology: Topology
    """Nodes instead of buses, no switches."""
    source: str
    """The first one there, in the order of the sources; the others there follow its voltage."""
    slack: str
    """Its node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Energised:
    """The network as it is alive."""

    islands: Sequence[Island]
    node: Mapping[str, str]
    """Supplied bus → its node, which has the name of the first of the buses in it."""
    feeds: Mapping[str, Feed]
    """Transfer switch → where it stands."""
    unsupplied: Sequence[str]
    """Buses that no source reaches, in the order of the site file."""


def normal_state(topology: Topology) -> NetworkState:
    """Switches as the site file has them, everything in service."""
    closed = {name: item.closed for name, item in topology.breakers.items()}
    closed |= {name: item.closed for name, item in topology.couplers.items()}
    return NetworkState(open_switches=frozenset(name for name, shut in closed.items() if not shut))


def energise(topology: Topology, sources: Mapping[str, str], state: NetworkState) -> Energised:
    """The energised network with `sources` (name → bus, the one that sets the voltage first) in `state`."""
    buses = [bus for name, bus in sources.items() if name not in state.sources_out]
    ends = _branch_ends(topology, state)
    joined = [(item.from_bus, item.to_bus) for name, item in topology.couplers.items() if _shut(name, state)]
    feeds = _feeds(topology, [*ends.values(), *joined], buses)
    joined += [_pair(topology, name, feed) for name, feed in feeds.items() if feed != "none"]
    alive = connected([*ends.values(), *joined], buses)
    node = _nodes([bus for bus in topology.buses if bus in alive], joined)
    in_service = {name: bus for name, bus in sources.items() if name not in state.sources_out}
    return Energised(
        islands=_islands(topology, node, ends, in_service),
        node=node,
        feeds=feeds,
        unsupplied=tuple(bus for bus in topology.buses if bus not in alive),
    )


def _shut(name: str, state: NetworkState) -> bool:
    return name not in state.open_switches


def _branch_ends(topology: Topology, state: NetworkState) -> dict[str, Pair]:
    """Branch in service → the two buses it ends at, or the open end that stands for one."""
    cut = {(item.branch, item.bus) for name, item in topology.breakers.items() if not _shut(name, state)}

    def end(branch: str, bus: str) -> str:
        return OPEN_END.format(branch=branch, bus=bus) if (branch, bus) in cut else bus

    return {
        branch: (end(branch, one), end(branch, other))
        for branch in topology.branches
        if branch not in state.branches_out
        for one, other in (topology.ends(branch),)
    }


def _pair(topology: Topology, name: str, feed: Feed) -> Pair:
    switch = topology.transfer_switches[name]
    return (switch.preferred_bus if feed == "preferred" else switch.alternate_bus), switch.load_bus


def _feeds(topology: Topology, pairs: list[Pair], sources: Sequence[str]) -> dict[str, Feed]:
    """Where every transfer switch stands. One after the other, as soon as it has a feed that is alive."""
    feeds: dict[str, Feed] = {}
    while True:
        taken = [_pair(topology, name, feed) for name, feed in feeds.items()]
        alive = connected([*pairs, *taken], sources)
        found = _next_feed(topology, pairs, sources, alive, feeds)
        if found is None:
            return {name: feeds.get(name, "none") for name in topology.transfer_switches}
        feeds |= found


def _next_feed(
    topology: Topology, pairs: list[Pair], sources: Sequence[str], alive: set[str], feeds: Mapping[str, Feed]
) -> dict[str, Feed] | None:
    """A switch that can be decided now; one whose preferred feed may yet come alive waits for it."""
    waiting = {name: item for name, item in topology.transfer_switches.items() if name not in feeds}
    for name, item in waiting.items():
        if item.preferred_bus in alive:
            return {name: "preferred"}
    able = [name for name, item in waiting.items() if item.alternate_bus in alive]
    for name in able:
        others = [_pair(topology, other, feed) for other in waiting if other != name for feed in _BOTH]
        taken = [_pair(topology, other, feed) for other, feed in feeds.items()]
        if waiting[name].preferred_bus not in _fed([*pairs, *taken], others, sources):
            return {name: "alternate"}
    return {able[0]: "alternate"} if able else None


_BOTH: tuple[Feed, Feed] = ("preferred", "alternate")


def _fed(pairs: Sequence[Pair], one_way: Sequence[Pair], sources: Sequence[str]) -> set[str]:
    """What could be alive if every transfer switch still to be decided took whichever feed it can."""
    reached = connected(pairs, sources)
    while True:
        fresh = {load for feed, load in one_way if feed in reached} - reached
        if not fresh:
            return reached
        reached = connected(pairs, reached | fresh)


def _nodes(alive: Sequence[str], joined: Sequence[Pair]) -> dict[str, str]:
    node: dict[str, str] = {}
    for bus in alive:
        if bus not in node:
            together = connected(joined, {bus})
            node |= {other: bus for other in alive if other in together}
    return {bus: node[bus] for bus in alive}


def _islands(
    topology: Topology, node: Mapping[str, str], ends: Mapping[str, Pair], sources: Mapping[str, str]
) -> tuple[Island, ...]:
    placed = {name: (node.get(one, one), node.get(other, other)) for name, (one, other) in ends.items()}
    islands, taken = list[Island](), set[str]()
    for source, bus in sources.items():
        slack = node[bus]
        if slack not in taken:
            inside = connected(placed.values(), {slack})
            islands.append(Island(topology=_part(topology, node, placed, inside), source=source, slack=slack))
            taken |= inside
    return tuple(islands)


def _part(topology: Topology, node: Mapping[str, str], placed: Mapping[str, Pair], inside: set[str]) -> Topology:
    """The nodes `inside` and the branches between them, as a network without switches."""
    buses = {bus: row for bus, row in topology.buses.items() if bus in inside and node[bus] == bus}
    lines, transformers = dict[str, Line](), dict[str, Transformer]()
    for branch, pair in placed.items():
        if pair[0] not in inside:
            continue
        for end, bus in zip(pair, topology.ends(branch), strict=True):
            buses.setdefault(end, Bus(rated_v=topology.buses[bus].rated_v))
        if branch in topology.lines:
            lines[branch] = replace(topology.lines[branch], from_bus=pair[0], to_bus=pair[1])
        else:
            transformers[branch] = replace(topology.transformers[branch], hv_bus=pair[0], lv_bus=pair[1])
    return Topology(
        frequency_hz=topology.frequency_hz,
        slack_v_pu=topology.slack_v_pu,
        buses=buses,
        lines=lines,
        transformers=transformers,
    )
