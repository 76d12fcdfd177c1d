"""Large networks, whose buses without a load do not iterate, and scenarios without a solution."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from tests.twin.network.networks import CABLE, CAMPUS_SLACK, campus, consumption
from twin.errors import PowerFlowError
from twin.network import power_flow as engine
from twin.network.power_flow import FlowResult, MarkedFlow, PowerFlow, solve_with_pandapower
from twin.network.topology import Bus, Topology
from twin.numeric import FloatArray


def with_feeders(count: int) -> Topology:
    """The campus with radial feeders of ten buses on its 20 kV bus, `count` buses in all."""
    topology = campus()
    buses, lines = dict(topology.buses), dict(topology.lines)
    before = "main_20kv"
    for number in range(count - len(buses)):
        name = f"feeder_{number // 10}_{number % 10}"
        before = "main_20kv" if number % 10 == 0 else before
        buses[name] = Bus(rated_v=20000)
        lines[name] = replace(CABLE, from_bus=before, to_bus=name, length_m=100)
        before = name
    return replace(topology, buses=buses, lines=lines, breakers={}, couplers={})


def some_load(buses: int, scenarios: int | None = None) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(21)
    carries = rng.random(buses) < 0.3
    shape = (buses,) if scenarios is None else (buses, scenarios)
    p_kw = np.where(carries if scenarios is None else carries[:, None], rng.uniform(-80.0, 90.0, shape), 0.0)
    return p_kw, 0.2 * p_kw


@pytest.mark.parametrize("buses", [80, 300])
def test_a_large_network_gives_what_pandapower_gives(buses: int) -> None:
    topology = with_feeders(buses)
    p_kw, q_kvar = some_load(buses)
    ours = PowerFlow(topology, CAMPUS_SLACK).solve(p_kw, q_kvar)
    theirs = solve_with_pandapower(topology, CAMPUS_SLACK, p_kw, q_kvar)
    np.testing.assert_allclose(ours.v_pu, theirs.v_pu, rtol=0, atol=1e-8)
    np.testing.assert_allclose(ours.loading_fraction, theirs.loading_fraction, rtol=0, atol=1e-7)
    for name in ("slack_p_kw", "slack_q_kvar", "losses_kw", "branch_p_kw"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=0, atol=1e-3, err_msg=name)


def test_reduced_and_whole_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    topology, (p_kw, q_kvar) = with_feeders(90), some_load(90, scenarios=7)
    reduced = PowerFlow(topology, CAMPUS_SLACK)
    monkeypatch.setattr(engine, "WHOLE_BUSES", 1000)
    whole = PowerFlow(topology, CAMPUS_SLACK)
    levels = np.linspace(0.98, 1.03, 7)
    one, other = reduced.solve(p_kw, q_kvar, levels), whole.solve(p_kw, q_kvar, levels)
    for item in fields(FlowResult):
        expected = getattr(other, item.name)
        np.testing.assert_allclose(getattr(one, item.name), expected, rtol=1e-8, atol=1e-4, err_msg=item.name)
    load = (p_kw + 1j * q_kvar).T
    np.testing.assert_allclose(reduced.voltages(load, levels), whole.voltages(load, levels), rtol=0, atol=1e-10)


def test_a_load_where_none_was_before_is_solved_as_well() -> None:
    topology = with_feeders(90)
    flow = PowerFlow(topology, CAMPUS_SLACK, load_buses=["hall_a_480v"])
    for bus in ("hall_a_480v", "feeder_3_4", CAMPUS_SLACK):
        p_kw, q_kvar = np.zeros((2, 90))
        p_kw[flow.buses.index(bus)] = 120.0
        found = flow.solve(p_kw, q_kvar)
        assert found.slack_p_kw == pytest.approx(120.0 + float(found.losses_kw), abs=1e-5)
        reactive = flow.solve(q_kvar, p_kw)
        assert reactive.slack_q_kvar - flow.solve(q_kvar, q_kvar).slack_q_kvar == pytest.approx(120.0, abs=15.0)


@pytest.mark.parametrize("buses", [12, 90])
@pytest.mark.parametrize("bad_kw", [40_000.0, np.nan])
def test_a_scenario_without_a_solution_changes_nothing_for_the_others(buses: int, bad_kw: float) -> None:
    topology = with_feeders(buses)
    flow, (p_kw, q_kvar) = PowerFlow(topology, CAMPUS_SLACK), some_load(buses, scenarios=6)
    alone = PowerFlow(topology, CAMPUS_SLACK).solve(np.delete(p_kw, 2, axis=1), np.delete(q_kvar, 2, axis=1))
    p_kw[flow.buses.index("office_480v"), 2] = bad_kw
    for _ in range(3):
        found = flow.solve(p_kw, q_kvar, mark_unsolved=True)
        assert isinstance(found, MarkedFlow)
        assert found.solved.tolist() == [True, True, False, True, True, True]
        for item in fields(FlowResult):
            others = np.delete(getattr(found, item.name), 2, axis=-1)
            np.testing.assert_allclose(others, getattr(alone, item.name), rtol=1e-8, atol=1e-5, err_msg=item.name)
    words = flow.why_unsolved(p_kw[:, 2] + 1j * q_kvar[:, 2], scenario=2)
    assert f"in scenario 2; the most strained bus is office_480v with {bad_kw:.1f} kW" in words
    with pytest.raises(PowerFlowError) as raised:
        flow.solve(p_kw, q_kvar)
    assert str(raised.value) == words


def test_the_numbers_of_a_scenario_without_a_solution_are_those_of_the_unloaded_network() -> None:
    flow = PowerFlow(campus(), CAMPUS_SLACK)
    p_kw, q_kvar = consumption(flow, np.random.default_rng(22), scenarios=3)
    p_kw[flow.buses.index("office_480v"), 1] = 1e9
    found = flow.solve(p_kw, q_kvar, mark_unsolved=True)
    unloaded = flow.solve(0.0 * p_kw[:, 0], 0.0 * p_kw[:, 0])
    for item in fields(FlowResult):
        one = getattr(found, item.name)[..., 1]
        np.testing.assert_allclose(one, getattr(unloaded, item.name), rtol=1e-8, atol=1e-5, err_msg=item.name)


def test_one_scenario_alone_is_refused_even_where_it_might_be_marked() -> None:
    flow = PowerFlow(campus(), CAMPUS_SLACK)
    p_kw, q_kvar = consumption(flow, np.random.default_rng(23))
    p_kw[flow.buses.index("office_480v")] = 40_000.0
    with pytest.raises(PowerFlowError, match="office_480v with 40000"):
        flow.solve(p_kw, q_kvar, mark_unsolved=True)
