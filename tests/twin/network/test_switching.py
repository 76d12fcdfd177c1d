from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twin.network.networks import CABLE, FEEDS, two_feeds
from twin.errors import PowerFlowError
from twin.network.power_flow import PowerFlow
from twin.network.switching import Energised, NetworkState, energise, normal_state
from twin.network.topology import Bus, Topology, TransferSwitch

NORMAL = normal_state(two_feeds())
SWITCHES = [*two_feeds().breakers, *two_feeds().couplers]

states = st.builds(
    NetworkState,
    open_switches=st.frozensets(st.sampled_from(SWITCHES)),
    branches_out=st.frozensets(st.sampled_from(two_feeds().branches), max_size=3),
    sources_out=st.frozensets(st.sampled_from([*FEEDS])),
)
"""Anything that may be open or broken at once."""


def alive(state: NetworkState) -> set[str]:
    return set(energise(two_feeds(), FEEDS, state).node)


def test_the_normal_state_is_that_of_the_site_file() -> None:
    assert NORMAL.open_switches == {"q_tie", "halls", "bars"}
    found = energise(two_feeds(), FEEDS, NORMAL)
    assert found.feeds == {"ats_core": "preferred", "ats_rack": "preferred"}
    assert found.unsupplied == ()
    assert found.node["core"] == found.node["rack"] == found.node["hall_a"]
    assert [(island.source, island.slack) for island in found.islands] == [("utility", "grid"), ("genset", "standby")]


@pytest.mark.parametrize(
    ("state", "feeds", "unsupplied"),
    [
        (NORMAL.without(branches=["t_a"]), ("preferred", "alternate"), ("hall_a",)),
        (NORMAL.without(branches=["t_a", "t_b"]), ("alternate", "none"), ("hall_a", "hall_b", "rack")),
        (NORMAL.without(branches=["t_a"]).closed("halls"), ("preferred", "preferred"), ()),
        (NORMAL.opened("q_t_b").without(branches=["t_a"], sources=["genset"]), ("none", "none"), None),
        (NORMAL.without(sources=["utility"]), ("alternate", "none"), None),
    ],
    ids=["one feed", "no feed but the genset", "coupler", "neither feed", "grid lost"],
)
def test_a_transfer_switch_is_on_the_best_feed_that_is_alive(
    state: NetworkState, feeds: tuple[str, str], unsupplied: tuple[str, ...] | None
) -> None:
    found = energise(two_feeds(), FEEDS, state)
    assert (found.feeds["ats_core"], found.feeds["ats_rack"]) == feeds
    assert unsupplied is None or found.unsupplied == unsupplied


def test_transfer_switches_in_a_circle_do_not_hold_each_other_alive() -> None:
    """Each would prefer the other's load: one has to take the feed that comes from outside."""
    circle = Topology(
        buses={name: Bus(rated_v=480) for name in ("left", "right", "source", "other")},
        lines={"spare": replace(CABLE, from_bus="source", to_bus="other")},
        transfer_switches={
            "one": TransferSwitch(load_bus="left", preferred_bus="right", alternate_bus="source"),
            "two": TransferSwitch(load_bus="right", preferred_bus="left", alternate_bus="other"),
        },
    )
    found = energise(circle, {"source": "source"}, NetworkState())
    assert found.feeds == {"one": "alternate", "two": "preferred"}
    assert found.unsupplied == ()
    dark = energise(circle, {"source": "source"}, NetworkState(sources_out=frozenset({"source"})))
    assert dark.feeds == {"one": "none", "two": "none"}
    assert dark.islands == ()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(states, st.sampled_from(SWITCHES), st.sampled_from(two_feeds().branches), st.sampled_from([*FEEDS]))
def test_opening_or_losing_anything_never_brings_a_bus_to_life(
    state: NetworkState, switch: str, branch: str, source: str
) -> None:
    before = alive(state)
    assert alive(state.opened(switch)) <= before
    assert alive(state.without(branches=[branch])) <= before
    assert alive(state.without(sources=[source])) <= before


@settings(max_examples=300, deadline=None, derandomize=True)
@given(states)
def test_every_supplied_bus_has_a_path_to_its_source_and_is_in_one_island(state: NetworkState) -> None:
    found = energise(two_feeds(), FEEDS, state)
    assert {*found.node, *found.unsupplied} == set(two_feeds().buses)
    assert not set(found.node) & set(found.unsupplied)
    for bus, node in found.node.items():
        islands = [island for island in found.islands if node in island.topology.buses]
        assert len(islands) == 1, bus
        assert path_exists(islands[0].topology, islands[0].slack, node)
    assert all(stands_on_a_live_feed(found, name) for name in found.feeds)


def path_exists(topology: Topology, start: str, end: str) -> bool:
    reached = {start}
    for _ in topology.buses:
        for branch in topology.branches:
            ends = set(topology.ends(branch))
            reached |= ends if ends & reached else set()
    return end in reached


def stands_on_a_live_feed(found: Energised, name: str) -> bool:
    switch, feed = two_feeds().transfer_switches[name], found.feeds[name]
    if feed == "none":
        return switch.preferred_bus not in found.node and switch.alternate_bus not in found.node
    bus = switch.preferred_bus if feed == "preferred" else switch.alternate_bus
    right = feed == "preferred" or switch.preferred_bus not in found.node
    return right and found.node[bus] == found.node[switch.load_bus]


def test_a_plain_power_flow_says_that_it_knows_no_switches() -> None:
    with pytest.raises(PowerFlowError, match=r"q_tie, ats_core, ats_rack cut or join.*SwitchedPowerFlow"):
        PowerFlow(two_feeds(), "grid")
