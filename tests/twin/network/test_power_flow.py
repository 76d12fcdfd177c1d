from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from tests.twin.network.networks import CAMPUS_SLACK, campus, consumption
from twin.errors import PowerFlowError
from twin.network.power_flow import FlowResult, PowerFlow
from twin.network.sensitivity import Linearisation

RATED_KW = 10_000.0


@pytest.fixture(scope="module")
def power_flow() -> PowerFlow:
    return PowerFlow(campus(), CAMPUS_SLACK)


def test_energy_balances_at_every_bus_and_for_the_site(power_flow: PowerFlow) -> None:
    rng = np.random.default_rng(11)
    for _ in range(300):
        p_kw, q_kvar = consumption(power_flow, rng)
        flow = power_flow.solve(p_kw, q_kvar)
        assert flow.residual_kw < 1e-9 * RATED_KW
        assert abs(flow.slack_p_kw - p_kw.sum() - flow.losses_kw) < 1e-8 * RATED_KW
        assert flow.losses_kw > 29.4 * 0.8, "no-load losses of the eleven transformers never vanish"


def test_scenarios_together_equal_scenarios_one_by_one(power_flow: PowerFlow) -> None:
    p_kw, q_kvar = consumption(power_flow, np.random.default_rng(12), scenarios=60)
    together = power_flow.solve(p_kw, q_kvar)
    for scenario in range(60):
        alone = power_flow.solve(p_kw[:, scenario], q_kvar[:, scenario])
        for item in fields(FlowResult):
            one, many = getattr(alone, item.name), getattr(together, item.name)
            np.testing.assert_allclose(many[..., scenario], one, rtol=1e-9, atol=1e-5, err_msg=item.name)


def test_the_answer_does_not_depend_on_what_was_solved_before(power_flow: PowerFlow) -> None:
    rng = np.random.default_rng(13)
    p_kw, q_kvar = consumption(power_flow, rng)
    fresh = PowerFlow(campus(), CAMPUS_SLACK).solve(p_kw, q_kvar)
    for _ in range(20):
        power_flow.solve(*consumption(power_flow, rng))
    np.testing.assert_allclose(power_flow.solve(p_kw, q_kvar).v_pu, fresh.v_pu, atol=1e-10)


def test_power_of_the_slack_bus_itself_comes_straight_from_the_slack(power_flow: PowerFlow) -> None:
    p_kw, q_kvar = consumption(power_flow, np.random.default_rng(14))
    without = power_flow.solve(p_kw, q_kvar)
    p_kw[power_flow.buses.index(CAMPUS_SLACK)] += 123.0
    along = power_flow.solve(p_kw, q_kvar)
    assert along.slack_p_kw - without.slack_p_kw == pytest.approx(123.0, abs=1e-5)
    np.testing.assert_allclose(along.branch_p_kw, without.branch_p_kw, atol=1e-5)


def test_slack_voltage_can_be_set_for_each_scenario(power_flow: PowerFlow) -> None:
    p_kw, q_kvar = consumption(power_flow, np.random.default_rng(15))
    levels = np.array([0.97, 1.0, 1.03])
    together = power_flow.solve(np.tile(p_kw[:, None], 3), np.tile(q_kvar[:, None], 3), levels)
    np.testing.assert_allclose(together.v_pu[power_flow.buses.index(CAMPUS_SLACK)], levels, atol=1e-12)
    for scenario, level in enumerate(levels):
        alone = power_flow.solve(p_kw, q_kvar, float(level))
        np.testing.assert_allclose(together.v_pu[:, scenario], alone.v_pu, atol=1e-10)


def test_an_impossible_load_is_refused_with_its_bus_and_scenario(power_flow: PowerFlow) -> None:
    p_kw, q_kvar = consumption(power_flow, np.random.default_rng(16), scenarios=4)
    p_kw[power_flow.buses.index("office_480v"), 2] = 40_000.0
    with pytest.raises(PowerFlowError, match=r"scenario 2.*office_480v with 40000\.0 kW"):
        power_flow.solve(p_kw, q_kvar)
    feasible = power_flow.solve(p_kw[:, 0], q_kvar[:, 0])
    assert feasible.residual_kw < 1e-9 * RATED_KW, "the next solve is not harmed"


def test_a_heavy_but_possible_load_is_found_from_anywhere(power_flow: PowerFlow) -> None:
    """Close to the voltage collapse of the office transformer, where the kept Jacobian does not converge."""
    p_kw, q_kvar = np.zeros((2, len(power_flow.buses)))
    office = power_flow.buses.index("office_480v")
    power_flow.solve(p_kw, q_kvar)
    p_kw[office] = 5_300.0
    flow = power_flow.solve(p_kw, q_kvar)
    assert flow.residual_kw < 1e-8 * RATED_KW
    assert 0.5 < flow.v_pu[office] < 0.9


def test_slopes_with_consumption_equal_differences(power_flow: PowerFlow) -> None:
    p_kw, q_kvar = consumption(power_flow, np.random.default_rng(17))
    load = p_kw + 1j * q_kvar
    near = Linearisation(power_flow, load, power_flow.voltages(load))
    for unit, (dp, dq) in ((1.0 + 0j, (1.0, 0.0)), (1j, (0.0, 1.0))):
        slopes = near.of_loads(np.asarray(unit * np.eye(len(p_kw)), dtype=np.complex128))
        for bus in range(len(p_kw)):
            step = np.eye(len(p_kw))[bus]
            above = power_flow.solve(p_kw + dp * step, q_kvar + dq * step)
            below = power_flow.solve(p_kw - dp * step, q_kvar - dq * step)
            np.testing.assert_allclose((above.v_pu - below.v_pu) / 2, slopes.v_pu[bus], atol=1e-9)
            np.testing.assert_allclose((above.branch_p_kw - below.branch_p_kw) / 2, slopes.branch_p_kw[bus], atol=1e-4)
            assert (above.losses_kw - below.losses_kw) / 2 == pytest.approx(slopes.losses_kw[bus], abs=1e-4)
            assert (above.slack_q_kvar - below.slack_q_kvar) / 2 == pytest.approx(slopes.slack_kva[bus].imag, abs=1e-4)
