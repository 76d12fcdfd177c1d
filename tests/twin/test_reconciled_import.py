"""What the twin takes as the import: all meters together, unless one of them lies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.assemble import network_estimator
from tests.twin.test_digital_twin import CAMPUS, NOON, noon
from twin.digital_twin import DigitalTwin
from twin.errors import PowerFlowError
from twin.network.estimate import Estimator
from twin.perturbation import NoisyMeters
from twin.points import Quality, Snapshot
from twin.state import GridState

ESTIMATOR = network_estimator(CAMPUS)
SAMPLES = 60
TRUE_KW = float(noon().readings["grid.p_kw"].value)


def grid_of(snapshot: Snapshot, estimator: Estimator = ESTIMATOR) -> GridState:
    grid = DigitalTwin(CAMPUS, estimator).assimilate(snapshot).grid
    assert grid is not None
    return grid


def rms_error_kw(values: list[float]) -> float:
    return float((sum((value - TRUE_KW) ** 2 for value in values) / len(values)) ** 0.5)


def test_all_meters_together_are_less_noisy_than_the_one_at_the_connection() -> None:
    meters = NoisyMeters(CAMPUS, seed=7)
    snapshots = [meters(noon()) for _ in range(SAMPLES)]
    metered = [float(snapshot.readings["grid.p_kw"].value) for snapshot in snapshots]
    reconciled = [float(grid_of(snapshot).import_kw) for snapshot in snapshots]
    assert rms_error_kw(reconciled) < 0.7 * rms_error_kw(metered)


def test_where_another_meter_lies_the_connection_s_own_is_believed() -> None:
    """A battery meter that shows 1 MW which is not there moves the estimate, and must not move the import."""
    lying = dict(noon().readings)
    battery = lying["battery.p_kw"]
    lying["battery.p_kw"] = replace(battery, value=float(battery.value) + 1000.0)
    assert float(grid_of(Snapshot(now=NOON, readings=lying)).import_kw) == TRUE_KW


@pytest.mark.parametrize("lie_kw", [-400.0, -300.0, 300.0, 400.0])
def test_a_small_lie_of_another_meter_moves_the_import_by_three_sigmas_at_most(lie_kw: float) -> None:
    """The margin of the contract, 195 kW on this site, is wider than that."""
    sigma_kw = CAMPUS.telemetry.power_sigma_fraction * CAMPUS.devices["grid"].rated_kw
    lying = dict(noon().readings)
    lying["battery.p_kw"] = replace(lying["battery.p_kw"], value=float(lying["battery.p_kw"].value) + lie_kw)
    moved_kw = float(grid_of(Snapshot(now=NOON, readings=lying)).import_kw) - TRUE_KW
    assert abs(moved_kw) <= 3.0 * sigma_kw * (1 + 1e-9)


def test_nonsense_that_no_network_could_be_in_does_not_stop_control(monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(*_: object) -> None:
        raise PowerFlowError("no power flow solution")

    monkeypatch.setattr(ESTIMATOR, "estimate", raises)
    state = DigitalTwin(CAMPUS, ESTIMATOR).assimilate(noon())
    assert state.network is None
    assert state.grid is not None
    assert (float(state.grid.import_kw), state.grid.quality) == (TRUE_KW, Quality.GOOD)


def test_a_lost_meter_is_replaced_by_the_sum_of_all_others() -> None:
    readings = {name: reading for name, reading in noon().readings.items() if not name.startswith("grid.")}
    grid = grid_of(Snapshot(now=NOON, readings=readings, lost={"grid": "grid: unplugged"}))
    assert grid.quality is Quality.SUSPECT
    assert float(grid.import_kw) == pytest.approx(TRUE_KW, abs=20.0)
