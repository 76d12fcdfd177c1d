"""Inverters whose reactive power follows their voltage, solved with the flow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq, root

from tests.twin.network.networks import CABLE, CAMPUS_SLACK, campus, consumption, ring
from tests.twin.network.test_power_flow_large import some_load, with_feeders
from twin.devices.inverter import Reactive, VoltVarCurve
from twin.network.power_flow import PowerFlow, solve_with_pandapower
from twin.network.topology import Bus, Topology
from twin.network.volt_var import VoltVar
from twin.numeric import FloatArray

CATEGORY_B = VoltVarCurve()
STEEP = VoltVarCurve(v_pu=(0.99, 1.0, 1.001, 1.01), injected_fraction=(1.0, 0.05, -0.05, -1.0))


def settled_with_pandapower(
    topology: Topology, slack_bus: str, p_kw: FloatArray, q_kvar: FloatArray, inverters: list[VoltVar]
) -> FloatArray:
    """Voltages where flow and curves agree: a root that SciPy finds with nothing but `runpp` and the curves."""
    places = [list(topology.buses).index(item.bus) for item in inverters]

    def v_pu(absorbed: FloatArray) -> FloatArray:
        total = q_kvar.copy()
        np.add.at(total, places, absorbed)
        return solve_with_pandapower(topology, slack_bus, p_kw, total).v_pu

    def gap_kvar(absorbed: FloatArray) -> FloatArray:
        at = v_pu(absorbed)[places]
        return absorbed - [item.q_kvar(float(v)) for item, v in zip(inverters, at, strict=True)]

    found = root(gap_kvar, np.zeros(len(inverters)), options={"eps": 1e-5, "xtol": 1e-11})
    assert np.abs(gap_kvar(found.x)).max() < 1e-4, found.message
    return v_pu(found.x)


@pytest.mark.parametrize("seed", [0])
def test_the_campus_settles_where_pandapower_settles(seed: int) -> None:
    flow = PowerFlow(campus(), CAMPUS_SLACK)
    p_kw, q_kvar = consumption(flow, np.random.default_rng(seed))
    inverters = [
        VoltVar(bus="solar_690v", curve=CATEGORY_B, available_kvar=2900.0),
        VoltVar(bus="wind_690v", curve=CATEGORY_B, available_kvar=2000.0),
        VoltVar(bus="battery_690v", curve=STEEP, available_kvar=1500.0),
    ]
    ours = flow.solve_load(p_kw + 1j * q_kvar, volt_var=inverters)
    theirs = settled_with_pandapower(campus(), CAMPUS_SLACK, p_kw, q_kvar, inverters)
    np.testing.assert_allclose(ours.v_pu, theirs, rtol=0, atol=1e-8)
    assert np.abs(ours.v_pu - flow.solve(p_kw, q_kvar).v_pu).max() > 1e-4, "they did something"


def test_a_ring_settles_where_pandapower_settles() -> None:
    flow = PowerFlow(ring(), "grid")
    p_kw, q_kvar = np.array([-700.0, 0.0, 0.0, 0.0, 900.0]), np.array([90.0, 0.0, 0.0, 0.0, 400.0])
    inverters = [VoltVar(bus="south", curve=CATEGORY_B, available_kvar=800.0)] * 2
    ours = flow.solve(p_kw, q_kvar, volt_var=inverters)
    theirs = settled_with_pandapower(ring(), "grid", p_kw, q_kvar, inverters)
    np.testing.assert_allclose(ours.v_pu, theirs, rtol=0, atol=1e-8)


def weak_line() -> Topology:
    return Topology(
        buses={"grid": Bus(rated_v=20000), "end": Bus(rated_v=20000)},
        lines={"line": replace(CABLE, from_bus="grid", to_bus="end", length_m=30_000, capacitance_nf_per_km=0.0)},
    )


@pytest.mark.parametrize("p_kw", [-9000.0, -4000.0, 0.0, 3000.0])
def test_a_steep_curve_on_a_weak_line_settles_where_turns_would_swing(p_kw: float) -> None:
    """The loop gain is 12 here: solving flow and curve by turns would diverge."""
    flow, inverter = PowerFlow(weak_line(), "grid"), VoltVar(bus="end", curve=STEEP, available_kvar=9000.0)

    def gap_kvar(absorbed: float) -> float:
        v_pu = flow.solve(np.array([0.0, p_kw]), np.array([0.0, absorbed])).v_pu[1]
        return absorbed - float(inverter.q_kvar(float(v_pu)))

    expected = brentq(gap_kvar, -9000.0, 9000.0, xtol=1e-9)
    found = PowerFlow(weak_line(), "grid").solve(np.array([0.0, p_kw]), np.zeros(2), volt_var=[inverter])
    assert inverter.q_kvar(float(found.v_pu[1])) == pytest.approx(expected, abs=1e-3)


def test_scenarios_together_equal_scenarios_one_by_one() -> None:
    topology, (p_kw, q_kvar) = with_feeders(90), some_load(90, scenarios=9)
    available = np.random.default_rng(5).uniform(0.0, 900.0, 9)
    buses = ["feeder_2_9", "feeder_3_5", "hall_a_480v"]
    many = [VoltVar(bus=bus, curve=CATEGORY_B, available_kvar=available) for bus in buses]
    p_kw[20, 4] = 1e9
    flow = PowerFlow(topology, CAMPUS_SLACK)
    for _ in range(2):
        together = flow.solve(p_kw, q_kvar, volt_var=many, mark_unsolved=True)
        assert np.flatnonzero(~np.asarray(together.solved)).tolist() == [4]
        for scenario in (0, 3, 8):
            one = [VoltVar(bus=bus, curve=CATEGORY_B, available_kvar=float(available[scenario])) for bus in buses]
            alone = flow_alone(topology).solve(p_kw[:, scenario], q_kvar[:, scenario], volt_var=one)
            np.testing.assert_allclose(together.v_pu[:, scenario], alone.v_pu, rtol=0, atol=1e-9)
            assert together.slack_q_kvar[scenario] == pytest.approx(alone.slack_q_kvar, abs=1e-3)  # type: ignore[index]


def flow_alone(topology: Topology) -> PowerFlow:
    return PowerFlow(topology, CAMPUS_SLACK)


def test_q_of_the_curve_is_what_the_flow_has() -> None:
    flow, p_kw = PowerFlow(weak_line(), "grid"), np.array([0.0, -5000.0])
    inverter = VoltVar(bus="end", curve=CATEGORY_B, available_kvar=Reactive(rated_kva=6000.0).available_kvar(-5000.0))
    found = flow.solve(p_kw, np.zeros(2), volt_var=[inverter])
    again = flow.solve(p_kw, np.array([0.0, float(inverter.q_kvar(found.v_pu[1]))]))
    assert again.slack_q_kvar == pytest.approx(found.slack_q_kvar, abs=1e-4)
