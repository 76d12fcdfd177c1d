"""Our power flow and our state estimation, each against pandapower's own."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twin.network.networks import CAMPUS_SLACK, campus, consumption, ring
from twin.network.admittance import run_pandapower
from twin.network.build import build_net
from twin.network.estimate import Estimator, Measurement
from twin.network.power_flow import FlowResult, PowerFlow, solve_with_pandapower
from twin.network.topology import Topology
from twin.numeric import first

TOLERANCES = {
    "slack_p_kw": 1e-4,
    "slack_q_kvar": 1e-4,
    "losses_kw": 1e-4,
    "v_pu": 1e-8,
    "branch_p_kw": 1e-4,
    "loading_fraction": 1e-7,
}


@cache
def campus_flow() -> PowerFlow:
    return PowerFlow(campus(), CAMPUS_SLACK)


@cache
def ring_flow() -> PowerFlow:
    return PowerFlow(ring(), "grid")


def assert_equal(ours: FlowResult, theirs: FlowResult) -> None:
    for name, tolerance in TOLERANCES.items():
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=0, atol=tolerance, err_msg=name)
    assert max(first(ours.residual_kw), first(theirs.residual_kw)) < 1e-4


@pytest.mark.parametrize("seed", range(8))
def test_campus_anywhere_within_its_ratings(seed: int) -> None:
    p_kw, q_kvar = consumption(campus_flow(), np.random.default_rng(seed))
    assert_equal(campus_flow().solve(p_kw, q_kvar), solve_with_pandapower(campus(), CAMPUS_SLACK, p_kw, q_kvar))


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.lists(st.floats(-600, 600), min_size=10, max_size=10))
def test_meshed_network_with_the_slack_in_the_middle(consumed: list[float]) -> None:
    p_kw, q_kvar = np.array(consumed).reshape(2, 5)
    assert_equal(ring_flow().solve(p_kw, q_kvar), solve_with_pandapower(ring(), "grid", p_kw, q_kvar))


def test_state_estimation_on_a_noisy_case() -> None:
    """Both minimise the same weighted squares, ours with a prior that 1 GW makes negligible."""
    topology, rng = ring(), np.random.default_rng(31)
    flow = ring_flow()
    p_kw, q_kvar = np.array([400.0, 0.0, 0.0, 0.0, -900.0]), np.array([90.0, 0.0, 0.0, 0.0, 120.0])
    readings = noisy_readings(flow, p_kw, q_kvar, rng)
    ours = Estimator(flow, dict.fromkeys(("south", "north"), 1e6)).estimate(readings)
    v_pu, branch_p_kw = estimate_with_pandapower(topology, p_kw, q_kvar, readings)
    np.testing.assert_allclose([bus.v_pu for bus in ours.buses.values()], v_pu, atol=2e-6)
    np.testing.assert_allclose([branch.p_kw for branch in ours.branches.values()], branch_p_kw, atol=0.05)
    truth = flow.solve(p_kw, q_kvar)
    assert np.abs(v_pu - truth.v_pu).max() > 1e-4, "the noise moved the estimate away from the truth"


def noisy_readings(
    flow: PowerFlow, p_kw: np.ndarray, q_kvar: np.ndarray, rng: np.random.Generator
) -> list[Measurement]:
    truth, found = flow.solve(p_kw, q_kvar), list[Measurement]()
    for at, bus in enumerate(flow.buses):
        value = float(truth.v_pu[at] + 0.002 * rng.standard_normal())
        found.append(Measurement(kind="v_pu", bus=bus, value=value, sigma=0.002))
    for bus in ("south", "north"):
        at = flow.buses.index(bus)
        found.append(Measurement(kind="p_kw", bus=bus, value=float(p_kw[at] + 8 * rng.standard_normal()), sigma=8))
        found.append(Measurement(kind="q_kvar", bus=bus, value=float(q_kvar[at] + 8 * rng.standard_normal()), sigma=8))
    for branch in ("grid_west", "east_grid"):
        value = float(truth.branch_p_kw[flow.branches.index(branch)] + 5 * rng.standard_normal())
        found.append(Measurement(kind="branch_p_kw", bus=branch, value=value, sigma=5))
    return found


def estimate_with_pandapower(
    topology: Topology, p_kw: np.ndarray, q_kvar: np.ndarray, readings: list[Measurement]
) -> tuple[np.ndarray, np.ndarray]:
    import pandapower
    from pandapower.estimation import estimate

    net = build_net(topology, "grid")
    net.load["p_mw"], net.load["q_mvar"] = p_kw / 1e3, q_kvar / 1e3
    run_pandapower(net)
    index = {name: at for at, name in enumerate(topology.buses)}
    for item in readings:
        if item.kind == "v_pu":
            pandapower.create_measurement(net, "v", "bus", item.value, item.sigma, index[item.bus])
        elif item.kind == "branch_p_kw":
            line = list(topology.lines).index(item.bus)
            pandapower.create_measurement(net, "p", "line", item.value / 1e3, item.sigma / 1e3, line, side="from")
        else:
            kind = "p" if item.kind == "p_kw" else "q"
            pandapower.create_measurement(net, kind, "bus", item.value / 1e3, item.sigma / 1e3, index[item.bus])
    for bus in ("west", "east"):
        for kind in ("p", "q"):
            pandapower.create_measurement(net, kind, "bus", 0.0, 1e-6, index[bus])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert estimate(net, init="results", tolerance=1e-9, zero_injection=None)["success"]
    powers = np.concatenate([net.res_line_est["p_from_mw"], net.res_trafo_est["p_hv_mw"]]) * 1e3
    return net.res_bus_est["vm_pu"].to_numpy(), powers
