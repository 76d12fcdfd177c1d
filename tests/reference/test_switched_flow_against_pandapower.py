"""Switches, transfer switches, taps and tap changers, each against pandapower's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twin.network.networks import CAMPUS_SLACK, FEEDS, campus, consumption, two_feeds
from twin.network.admittance import run_pandapower
from twin.network.build import TRANSFER_TYPES, PandapowerNet, add_tap_controls, build_net
from twin.network.power_flow import PowerFlow, solve_with_pandapower
from twin.network.switched_flow import SwitchedFlow, SwitchedPowerFlow
from twin.network.switching import Energised, NetworkState, normal_state
from twin.network.topology import OnLoad, Topology
from twin.numeric import FloatArray

BUSES = len(two_feeds().buses)
SWITCHES = [*two_feeds().breakers, *two_feeds().couplers]
CASES = {
    "normal": NetworkState(open_switches=frozenset({"q_tie", "halls", "bars"})),
    "line open at one end": NetworkState(open_switches=frozenset({"q_tie", "halls", "bars", "q_a"})),
    "line open at both ends": NetworkState(open_switches=frozenset({"q_tie", "halls", "bars", "q_a", "q_a_grid"})),
    "line open at the source": NetworkState(open_switches=frozenset({"halls", "bars", "q_b"})),
    "transformer open on its lv side": NetworkState(open_switches=frozenset({"q_tie", "halls", "bars", "q_t_a_low"})),
    "transformer fed from behind": NetworkState(open_switches=frozenset({"q_tie", "bars", "q_t_a"})),
    "halls on one node": NetworkState(open_switches=frozenset({"q_tie", "bars"})),
    "a line beside a closed coupler": NetworkState(open_switches=frozenset({"halls"})),
    "rack on its alternate feed": NetworkState(
        open_switches=frozenset({"q_tie", "halls", "bars"}), branches_out=frozenset({"t_a"})
    ),
    "core on its alternate feed": NetworkState(
        open_switches=frozenset({"q_tie", "halls", "bars"}), branches_out=frozenset({"t_a", "t_b"})
    ),
    "everything on the genset": NetworkState(sources_out=frozenset({"utility"})),
    "core without any feed": NetworkState(
        open_switches=frozenset({"halls"}), branches_out=frozenset({"t_a", "t_b"}), sources_out=frozenset({"genset"})
    ),
    "no source": NetworkState(sources_out=frozenset(FEEDS)),
}


@cache
def flow() -> SwitchedPowerFlow:
    return SwitchedPowerFlow(two_feeds(), FEEDS)


def loads(seed: int) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-60, 220, BUSES), rng.uniform(-20, 60, BUSES)


def pandapower_in(topology: Topology, state: NetworkState, energised: Energised) -> PandapowerNet:
    """The whole net with its switches in their places: what is alive, pandapower finds by itself."""
    import pandapower

    net = build_net(topology, next(iter(topology.buses)))
    net.ext_grid = net.ext_grid.drop(net.ext_grid.index)
    for island in energised.islands:
        bus = list(topology.buses).index(FEEDS.get(island.source, island.source))
        pandapower.create_ext_grid(net, bus, vm_pu=topology.slack_v_pu, name=island.source)
    for index, row in net.switch.iterrows():
        half = dict(zip(TRANSFER_TYPES, ("preferred", "alternate"), strict=True)).get(row["type"])
        shut = energised.feeds[row["name"]] == half if half else row["name"] not in state.open_switches
        net.switch.loc[index, "closed"] = shut
    for table in (net.line, net.trafo):
        table["in_service"] = ~table["name"].isin(state.branches_out)
    return net


def assert_equal(ours: SwitchedFlow, net: PandapowerNet, names: Sequence[str]) -> None:
    dead = net.res_bus["vm_pu"].isna().to_numpy()
    np.testing.assert_array_equal(ours.supplied, ~dead)
    np.testing.assert_allclose(ours.v_pu, net.res_bus["vm_pu"].fillna(0.0), rtol=0, atol=1e-8)
    p_kw = np.concatenate([net.res_line["p_from_mw"], net.res_trafo["p_hv_mw"]]) * 1e3
    np.testing.assert_allclose(ours.branch_p_kw, np.nan_to_num(p_kw), rtol=0, atol=1e-4)
    loading = np.concatenate([net.res_line["loading_percent"], net.res_trafo["loading_percent"]]) / 100
    np.testing.assert_allclose(ours.loading_fraction, np.nan_to_num(loading), rtol=0, atol=1e-6)
    found = dict(zip(net.ext_grid["name"], net.res_ext_grid["p_mw"] * 1e3, strict=True))
    for name in names:
        assert ours.source_p_kw[name] == pytest.approx(found.get(name, 0.0), abs=1e-4)
    assert np.max(np.abs(ours.unaccounted_kw)) < 1e-4


def compare(topology: Topology, ours: SwitchedPowerFlow, state: NetworkState, seed: int) -> None:
    p_kw, q_kvar = loads(seed)
    net = pandapower_in(topology, state, ours.energised(state))
    net.load["p_mw"], net.load["q_mvar"] = p_kw / 1e3, q_kvar / 1e3
    found = ours.solve(p_kw, q_kvar, state=state)
    if len(net.ext_grid):
        run_pandapower(net)
        assert_equal(found, net, list(FEEDS))
    else:
        assert not found.supplied.any()
        assert found.slack_p_kw == found.losses_kw == 0.0


@pytest.mark.parametrize("name", CASES)
def test_each_position_of_the_switches(name: str) -> None:
    for seed in range(3):
        compare(two_feeds(), flow(), CASES[name], seed)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.frozensets(st.sampled_from(SWITCHES)),
    st.frozensets(st.sampled_from(two_feeds().branches), max_size=2),
    st.frozensets(st.sampled_from([*FEEDS]), max_size=1),
    st.integers(0, 100),
)
def test_any_position_of_the_switches(
    opened: frozenset[str], out: frozenset[str], lost: frozenset[str], seed: int
) -> None:
    compare(two_feeds(), flow(), NetworkState(open_switches=opened, branches_out=out, sources_out=lost), seed)


def with_tap_changers(topology: Topology, held: dict[str, OnLoad]) -> Topology:
    units = dict(topology.transformers)
    for name, on_load in held.items():
        taps = units[name].taps
        assert taps is not None
        units[name] = replace(units[name], taps=replace(taps, on_load=on_load))
    return replace(topology, transformers=units)


HELD = {
    "t_a": OnLoad(min_v_pu=0.985, max_v_pu=1.005),
    "t_b": OnLoad(min_v_pu=0.97, max_v_pu=0.995),
}
"""Dead bands a little wider than a step."""


def settled_by_pandapower(
    topology: Topology, p_kw: FloatArray, q_kvar: FloatArray, state: NetworkState
) -> PandapowerNet:
    from pandapower.control import run_control

    net = pandapower_in(topology, state, SwitchedPowerFlow(topology, FEEDS).energised(state))
    net.load["p_mw"], net.load["q_mvar"] = p_kw / 1e3, q_kvar / 1e3
    add_tap_controls(net, topology)
    run_control(net, calculate_voltage_angles=True, trafo_model="t", tolerance_mva=1e-9, max_iteration=30, numba=False)
    return net


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ["normal", "transformer fed from behind", "rack on its alternate feed"])
def test_tap_changers_come_to_rest_where_those_of_pandapower_do(name: str, seed: int) -> None:
    topology, (p_kw, q_kvar) = with_tap_changers(two_feeds(), HELD), loads(seed)
    p_kw, q_kvar = 2 * p_kw, 3 * q_kvar
    ours = SwitchedPowerFlow(topology, FEEDS).solve(p_kw, q_kvar, state=CASES[name])
    theirs = settled_by_pandapower(topology, p_kw, q_kvar, CASES[name])
    steps = dict(zip(theirs.trafo["name"], theirs.trafo["tap_pos"], strict=True))
    assert {name: ours.tap_steps[name] for name in HELD} == steps
    assert_equal(ours, theirs, list(FEEDS))


def test_tap_changers_have_moved_in_that_comparison() -> None:
    topology = with_tap_changers(two_feeds(), HELD)
    ends = set()
    for seed in range(6):
        p_kw, q_kvar = loads(seed)
        found = SwitchedPowerFlow(topology, FEEDS).solve(2 * p_kw, 3 * q_kvar)
        ends.add(tuple(found.tap_steps.values()))
        assert found.tap_changers_settled
    assert len(ends) > 1
    assert all(steps[1] != 3 for steps in ends)


def test_fixed_taps_alone_need_no_switched_flow() -> None:
    topology = replace(two_feeds(), breakers={}, couplers={}, transfer_switches={})
    topology = replace(topology, buses={name: bus for name, bus in topology.buses.items() if name in WITHOUT_SWITCHES})
    rng = np.random.default_rng(4)
    p_kw, q_kvar = rng.uniform(-100, 300, 5), rng.uniform(-30, 80, 5)
    ours = PowerFlow(topology, "grid").solve(p_kw, q_kvar)
    theirs = solve_with_pandapower(topology, "grid", p_kw, q_kvar)
    np.testing.assert_allclose(ours.v_pu, theirs.v_pu, rtol=0, atol=1e-8)
    np.testing.assert_allclose(ours.branch_p_kw, theirs.branch_p_kw, rtol=0, atol=1e-4)
    np.testing.assert_allclose(ours.loading_fraction, theirs.loading_fraction, rtol=0, atol=1e-7)


WITHOUT_SWITCHES = ("grid", "bar_a", "bar_b", "hall_a", "hall_b")


def test_windings_rated_for_another_voltage_than_their_buses() -> None:
    """Voltages and powers to the last digit; the loading at most by the difference of the ratings too high."""
    units = {
        name: replace(
            unit,
            hv_rated_v=1.05 * campus().buses[unit.hv_bus].rated_v,
            lv_rated_v=1.04 * campus().buses[unit.lv_bus].rated_v,
        )
        for name, unit in campus().transformers.items()
    }
    units = {name: unit if name != "t_office" else campus().transformers[name] for name, unit in units.items()}
    topology = replace(campus(), transformers=units)
    flow = PowerFlow(topology, CAMPUS_SLACK)
    p_kw, q_kvar = consumption(flow, np.random.default_rng(8))
    ours, theirs = flow.solve(p_kw, q_kvar), solve_with_pandapower(topology, CAMPUS_SLACK, p_kw, q_kvar)
    np.testing.assert_allclose(ours.v_pu, theirs.v_pu, rtol=0, atol=1e-8)
    np.testing.assert_allclose(ours.branch_p_kw, theirs.branch_p_kw, rtol=0, atol=1e-4)
    over = ours.loading_fraction / theirs.loading_fraction
    assert (over > 1 - 1e-7).all()
    assert (over < 1.055).all()


def test_the_campus_as_it_normally_stands_is_the_same_in_both() -> None:
    plain, switched = PowerFlow(campus(), CAMPUS_SLACK), SwitchedPowerFlow(campus(), CAMPUS_SLACK)
    p_kw, q_kvar = consumption(plain, np.random.default_rng(9))
    p_kw, q_kvar = 0.3 * p_kw, 0.3 * q_kvar
    one, other = plain.solve(p_kw, q_kvar), switched.solve(p_kw, q_kvar, state=normal_state(campus()))
    assert other.tap_steps == {"t_substation": 0.0}, "within its dead band"
    np.testing.assert_allclose(one.v_pu, other.v_pu, rtol=0, atol=1e-12)
    assert other.slack_p_kw == pytest.approx(one.slack_p_kw, abs=1e-7)
