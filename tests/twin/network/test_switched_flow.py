from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from tests.twin.network.networks import CAMPUS_SLACK, FEEDS, campus, two_feeds
from twin.errors import PowerFlowError
from twin.network.power_flow import FlowResult
from twin.network.switched_flow import SwitchedFlow, SwitchedPowerFlow
from twin.network.switching import normal_state
from twin.network.taps import next_steps
from twin.network.topology import OnLoad, Taps, Topology
from twin.numeric import FloatArray

NORMAL = normal_state(two_feeds())
STATES = [
    NORMAL,
    NORMAL.opened("q_a"),
    NORMAL.without(branches=["t_a"]),
    NORMAL.without(sources=["utility"]),
    NORMAL,
    NORMAL.without(branches=["t_a", "t_b"]),
]


def changing() -> Topology:
    unit = two_feeds().transformers["t_a"]
    assert unit.taps is not None
    taps = replace(unit.taps, on_load=OnLoad(min_v_pu=0.985, max_v_pu=1.005))
    return replace(two_feeds(), transformers={**two_feeds().transformers, "t_a": replace(unit, taps=taps)})


def loads(scenarios: int) -> tuple[FloatArray, FloatArray]:
    rng, buses = np.random.default_rng(5), len(two_feeds().buses)
    return rng.uniform(0, 300, (buses, scenarios)), rng.uniform(0, 90, (buses, scenarios))


def assert_same(many: SwitchedFlow, alone: SwitchedFlow, scenario: int) -> None:
    for item in fields(SwitchedFlow):
        one, other = getattr(alone, item.name), getattr(many, item.name)
        if isinstance(one, dict):
            assert one == pytest.approx({name: value[scenario] for name, value in other.items()}, abs=1e-5), item.name
        else:
            np.testing.assert_allclose(other[..., scenario], one, rtol=1e-9, atol=1e-5, err_msg=item.name)


def test_scenarios_in_different_states_together_equal_one_by_one() -> None:
    flow, (p_kw, q_kvar) = SwitchedPowerFlow(changing(), FEEDS), loads(len(STATES))
    together = flow.solve(p_kw, q_kvar, state=STATES)
    assert isinstance(together, FlowResult)
    for scenario, state in enumerate(STATES):
        alone = flow.solve(p_kw[:, scenario], q_kvar[:, scenario], state=state)
        assert isinstance(alone.slack_p_kw, float)
        assert isinstance(alone.tap_changers_settled, bool)
        assert_same(together, alone, scenario)


def test_the_short_way_of_the_usual_case_gives_what_the_long_way_gives() -> None:
    flow = SwitchedPowerFlow(campus(), {"grid": CAMPUS_SLACK, "battery": "battery_690v"})
    p_kw, q_kvar = np.random.default_rng(6).uniform(0, 200, (2, len(flow.buses), 4))
    assert_same(flow.solve(p_kw, q_kvar, state=[flow.normal] * 4), flow.solve(p_kw[:, 2], q_kvar[:, 2]), 2)
    short, long = flow.solve(p_kw, q_kvar), flow.solve(p_kw, q_kvar, state=[flow.normal] * 4)
    for scenario in range(4):
        assert_same(short, flow.solve(p_kw[:, scenario], q_kvar[:, scenario]), scenario)
    np.testing.assert_allclose(short.v_pu, long.v_pu, atol=1e-12)
    np.testing.assert_array_equal(short.tap_changers_settled, long.tap_changers_settled)


def test_one_loading_in_many_states_is_a_scenario_of_each() -> None:
    flow, (p_kw, q_kvar) = SwitchedPowerFlow(two_feeds(), FEEDS), loads(1)
    together = flow.solve(p_kw[:, 0], q_kvar[:, 0], state=STATES)
    for scenario, state in enumerate(STATES):
        assert_same(together, flow.solve(p_kw[:, 0], q_kvar[:, 0], state=state), scenario)


def test_what_the_sources_give_is_served_or_lost() -> None:
    flow, (p_kw, q_kvar) = SwitchedPowerFlow(two_feeds(), FEEDS), loads(len(STATES))
    found = flow.solve(p_kw, q_kvar, state=STATES)
    given = sum(found.source_p_kw.values())
    np.testing.assert_allclose(given, (p_kw * found.supplied).sum(axis=0) + found.losses_kw, atol=1e-5)
    np.testing.assert_allclose(found.unserved_kw, (p_kw * ~found.supplied).sum(axis=0), atol=1e-9)
    assert (found.v_pu[~found.supplied] == 0).all()
    np.testing.assert_array_equal(found.source_p_kw["utility"], found.slack_p_kw)


def test_without_any_source_nothing_is_served_and_nothing_crashes() -> None:
    p_kw, q_kvar = loads(1)
    found = SwitchedPowerFlow(two_feeds(), FEEDS).solve(p_kw[:, 0], q_kvar[:, 0], state=NORMAL.without(sources=FEEDS))
    assert found.unserved_kw == pytest.approx(p_kw.sum())
    assert not found.v_pu.any()
    assert not found.branch_p_kw.any()
    assert found.slack_p_kw == found.losses_kw == 0.0


def test_a_load_that_is_impossible_in_one_state_is_told_and_harms_no_later_solve() -> None:
    flow, (p_kw, q_kvar) = SwitchedPowerFlow(two_feeds(), FEEDS), loads(len(STATES))
    p_kw[list(two_feeds().buses).index("hall_b"), 2] = 60_000.0
    with pytest.raises(PowerFlowError, match=r"core with 60\d+\.\d kW"):
        flow.solve(p_kw, q_kvar, state=STATES)
    p_kw[list(two_feeds().buses).index("hall_b"), 2] = 0.0
    assert flow.solve(p_kw, q_kvar, state=STATES).tap_changers_settled.all()  # type: ignore[union-attr]


@pytest.mark.parametrize("held", ["hv", "lv"])
@pytest.mark.parametrize("side", ["hv", "lv"])
@pytest.mark.parametrize("step_fraction", [0.01, -0.01])
def test_a_step_goes_towards_the_dead_band(held: str, side: str, step_fraction: float) -> None:
    on_load = OnLoad(side=held, min_v_pu=0.98, max_v_pu=1.02)  # type: ignore[arg-type]
    taps = Taps(side=side, step_fraction=step_fraction, min_steps=-3, max_steps=3, on_load=on_load)  # type: ignore[arg-type]
    up = 1 if (held == side) == (step_fraction > 0) else -1
    v_pu = np.array([0.97, 0.98, 1.0, 1.02, 1.03, 0.0])
    np.testing.assert_array_equal(next_steps(taps, np.zeros(6, dtype=np.intp), v_pu), [up, 0, 0, 0, -up, 0])
    ends = next_steps(taps, np.array([3 * up, -3 * up]), np.array([0.9, 1.1]))
    np.testing.assert_array_equal(ends, [3 * up, -3 * up])


def test_a_tap_changer_goes_on_from_where_it_stands() -> None:
    flow, (p_kw, q_kvar) = SwitchedPowerFlow(changing(), FEEDS), loads(1)
    first = flow.solve(p_kw[:, 0], q_kvar[:, 0])
    again = flow.solve(p_kw[:, 0], q_kvar[:, 0], tap_steps=first.tap_steps)
    assert first.tap_steps == again.tap_steps != {"t_a": -2.0}
    far = flow.solve(p_kw[:, 0], q_kvar[:, 0], tap_steps={"t_a": 8})
    assert far.tap_changers_settled
    assert 0.985 <= far.v_pu[list(two_feeds().buses).index("hall_a")] <= 1.005


def test_only_a_source_that_sets_the_voltage_leaves_a_tap_changer_nothing_to_do() -> None:
    """A genset beside the held bus follows the grid; when the grid is lost it sets that voltage itself."""
    flow = SwitchedPowerFlow(changing(), {"utility": "grid", "genset": "hall_a"})
    p_kw, q_kvar = loads(1)
    found = flow.solve(p_kw[:, 0], q_kvar[:, 0], state=[NORMAL, NORMAL.without(sources=["utility"])])
    alone = SwitchedPowerFlow(changing(), "grid").solve(p_kw[:, 0], q_kvar[:, 0])
    steps = np.asarray(found.tap_steps["t_a"])
    assert steps[0] == alone.tap_steps["t_a"] != -2.0
    assert steps[1] == -2.0


def test_changers_that_hunt_are_left_where_they_are_and_said_to_hunt() -> None:
    unit = changing().transformers["t_a"]
    assert unit.taps is not None
    narrow = replace(unit.taps, on_load=OnLoad(min_v_pu=0.9951, max_v_pu=0.9952))
    topology = replace(changing(), transformers={**changing().transformers, "t_a": replace(unit, taps=narrow)})
    p_kw, q_kvar = loads(1)
    found = SwitchedPowerFlow(topology, FEEDS).solve(p_kw[:, 0], q_kvar[:, 0])
    assert found.tap_changers_settled is False
    assert found.residual_kw < 1e-5
