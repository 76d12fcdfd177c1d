from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.twin.network.networks import CAMPUS_RATED_KW, CAMPUS_SLACK, campus, consumption
from twin.network.estimate import Estimator, Kind, Measurement
from twin.network.power_flow import FlowResult, PowerFlow
from twin.network.topology import Line, Topology, Transformer
from twin.numeric import FloatArray, first
from twin.state import NetworkEstimate

POWER_SIGMA, VOLTAGE_SIGMA, IMPEDANCE_SIGMA = 0.005, 0.002, 0.03
GRID_RATED_KW = 10_000.0


@pytest.fixture(scope="module")
def twin_flow() -> PowerFlow:
    return PowerFlow(campus(), CAMPUS_SLACK)


def measured(
    plant: PowerFlow, p_kw: FloatArray, q_kvar: FloatArray, rng: np.random.Generator, noise: float = 1.0
) -> list[Measurement]:
    """What noisy meters at every bus with devices and at the connection show."""
    flow, found = plant.solve(p_kw, q_kvar), list[Measurement]()

    def add(kind: Kind, bus: str, value: float, sigma: float) -> None:
        found.append(Measurement(kind=kind, bus=bus, value=value + noise * sigma * rng.standard_normal(), sigma=sigma))

    for bus, rated_kw in CAMPUS_RATED_KW.items():
        at = plant.buses.index(bus)
        add("p_kw", bus, p_kw[at], POWER_SIGMA * rated_kw)
        add("q_kvar", bus, q_kvar[at], POWER_SIGMA * rated_kw)
        add("v_pu", bus, flow.v_pu[at], VOLTAGE_SIGMA)
    add("v_pu", CAMPUS_SLACK, flow.v_pu[plant.buses.index(CAMPUS_SLACK)], VOLTAGE_SIGMA)
    add("slack_p_kw", CAMPUS_SLACK, first(flow.slack_p_kw), POWER_SIGMA * GRID_RATED_KW)
    add("slack_q_kvar", CAMPUS_SLACK, first(flow.slack_q_kvar), POWER_SIGMA * GRID_RATED_KW)
    return found


def errors_in_sigma(estimate: NetworkEstimate, flow: FlowResult) -> list[float]:
    voltages = zip(estimate.buses.values(), flow.v_pu, strict=True)
    powers = zip(estimate.branches.values(), flow.branch_p_kw, strict=True)
    return [
        *((bus.v_pu - true_v_pu) / bus.sigma_v_pu for bus, true_v_pu in voltages),
        *((branch.p_kw - true_p_kw) / branch.sigma_p_kw for branch, true_p_kw in powers),
    ]


def as_built(drawing: Topology, rng: np.random.Generator) -> Topology:
    """Every resistance and reactance off by its own error."""

    def off() -> float:
        return 1 + IMPEDANCE_SIGMA * rng.standard_normal()

    def line(item: Line) -> Line:
        return replace(
            item,
            resistance_ohm_per_km=item.resistance_ohm_per_km * off(),
            reactance_ohm_per_km=item.reactance_ohm_per_km * off(),
        )

    def unit(item: Transformer) -> Transformer:
        return replace(
            item,
            short_circuit_fraction=item.short_circuit_fraction * off(),
            copper_fraction=item.copper_fraction * off(),
            iron_losses_kw=item.iron_losses_kw * off(),
        )

    lines = {name: line(item) for name, item in drawing.lines.items()}
    return replace(drawing, lines=lines, transformers={name: unit(item) for name, item in drawing.transformers.items()})


def test_perfect_measurements_give_the_true_state(twin_flow: PowerFlow) -> None:
    rng = np.random.default_rng(21)
    p_kw, q_kvar = consumption(twin_flow, rng)
    flow = twin_flow.solve(p_kw, q_kvar)
    perfect = [replace(item, sigma=item.sigma / 1e3) for item in measured(twin_flow, p_kw, q_kvar, rng, noise=0.0)]
    estimate = Estimator(twin_flow, CAMPUS_RATED_KW).estimate(perfect)
    np.testing.assert_allclose([bus.v_pu for bus in estimate.buses.values()], flow.v_pu, atol=1e-7)
    np.testing.assert_allclose([item.p_kw for item in estimate.branches.values()], flow.branch_p_kw, atol=1e-2)
    assert estimate.losses_kw == pytest.approx(first(flow.losses_kw), abs=1e-2)
    assert estimate.redundancy == len(perfect) - 2 * len(CAMPUS_RATED_KW) - 1


def test_truth_lies_within_the_stated_sigma_though_the_plant_differs_from_its_drawing(twin_flow: PowerFlow) -> None:
    rng = np.random.default_rng(22)
    estimator = Estimator(twin_flow, CAMPUS_RATED_KW, model_error_fraction=IMPEDANCE_SIGMA)
    errors, chi_squares, redundancies = list[float](), list[float](), list[int]()
    for _ in range(16):
        plant = PowerFlow(as_built(campus(), rng), CAMPUS_SLACK)
        for _ in range(8):
            p_kw, q_kvar = consumption(plant, rng)
            estimate = estimator.estimate(measured(plant, p_kw, q_kvar, rng))
            errors += errors_in_sigma(estimate, plant.solve(p_kw, q_kvar))
            chi_squares.append(estimate.chi_square)
            redundancies.append(estimate.redundancy)
    size = np.abs(errors)
    assert (size < 3).mean() >= 0.99
    assert 0.60 < (size < 1).mean() < 0.76, "a sigma that is too large is as wrong as one that is too small"
    assert np.mean(chi_squares) == pytest.approx(np.mean(redundancies), rel=0.1)


def test_a_meter_that_is_lost_makes_its_value_uncertain_and_no_other_wrong(twin_flow: PowerFlow) -> None:
    rng = np.random.default_rng(23)
    p_kw, q_kvar = consumption(twin_flow, rng)
    flow, estimator = twin_flow.solve(p_kw, q_kvar), Estimator(twin_flow, CAMPUS_RATED_KW)
    complete = measured(twin_flow, p_kw, q_kvar, rng)
    without = [item for item in complete if (item.kind, item.bus) != ("p_kw", "battery_690v")]
    before, after = estimator.estimate(complete), estimator.estimate(without)
    grown = after.branches["t_battery"].sigma_p_kw
    assert grown > 3 * before.branches["t_battery"].sigma_p_kw
    assert grown < 100, "the grid meter and the other meters still tell what the battery must be doing"
    assert np.abs(errors_in_sigma(after, flow)).max() < 4
    assert after.redundancy == before.redundancy - 1


def test_without_any_measurement_everything_is_as_uncertain_as_its_rating(twin_flow: PowerFlow) -> None:
    estimate = Estimator(twin_flow, CAMPUS_RATED_KW).estimate([])
    assert estimate.branches["t_battery"].sigma_p_kw == pytest.approx(2500, rel=0.01)
    assert estimate.branches["feeder"].sigma_p_kw > 5000
    assert min(bus.sigma_v_pu for bus in estimate.buses.values()) >= 0.05
    assert (estimate.chi_square, estimate.redundancy) == (0.0, 0)


def test_a_false_meter_shows_in_chi_square(twin_flow: PowerFlow) -> None:
    rng = np.random.default_rng(24)
    readings = measured(twin_flow, *consumption(twin_flow, rng), rng)
    estimator = Estimator(twin_flow, CAMPUS_RATED_KW)
    honest = estimator.estimate(readings)
    false = [replace(item, value=item.value + 800) if item.kind == "slack_p_kw" else item for item in readings]
    assert honest.chi_square < 3 * honest.redundancy
    assert estimator.estimate(false).chi_square > 10 * honest.redundancy


def test_power_at_a_bus_without_devices_is_not_asked_for(twin_flow: PowerFlow) -> None:
    rng = np.random.default_rng(25)
    readings = measured(twin_flow, *consumption(twin_flow, rng), rng)
    nonsense = Measurement(kind="p_kw", bus="main_20kv", value=999.0, sigma=1.0)
    estimator = Estimator(twin_flow, CAMPUS_RATED_KW)
    assert estimator.estimate([*readings, nonsense]).redundancy == estimator.estimate(readings).redundancy


def test_a_branch_meter_counts_as_well(twin_flow: PowerFlow) -> None:
    rng = np.random.default_rng(26)
    p_kw, q_kvar = consumption(twin_flow, rng)
    true_p_kw = twin_flow.solve(p_kw, q_kvar).branch_p_kw[twin_flow.branches.index("field_cable")]
    estimator = Estimator(twin_flow, CAMPUS_RATED_KW)
    readings = measured(twin_flow, p_kw, q_kvar, rng)
    added = Measurement(kind="branch_p_kw", bus="field_cable", value=float(true_p_kw), sigma=1.0)
    estimate = estimator.estimate([*readings, added]).branches["field_cable"]
    assert estimate.sigma_p_kw < 1.0 < estimator.estimate(readings).branches["field_cable"].sigma_p_kw
    assert estimate.p_kw == pytest.approx(true_p_kw, abs=4.0)
