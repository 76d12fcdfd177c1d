"""The plug is pulled in the middle: what is lost is named, the safe thing is done, and all comes back by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.alarms import alarms
from agents.control import PERIODS_OF_VALIDITY, Cycle
from controllers.fallback import Rung
from tests.scenarios.running_site import RunningSite, on_free_ports, running
from twin.points import Outcome
from twin.site import load_site

pytestmark = pytest.mark.sockets

CONTRACTED_KW = 3900.0
PROMPT_CYCLES = 3
VALIDITY_CYCLES = PERIODS_OF_VALIDITY + 1


def all_is_well(cycle: Cycle) -> bool:
    return cycle.rung is Rung.FULL and not alarms(cycle)


def commanded(cycle: Cycle) -> set[str]:
    return {command.device for command in cycle.commands}


def test_battery_then_broker_are_lost_and_come_back(tmp_path: Path) -> None:
    path = on_free_ports("campus.yaml", tmp_path)
    with running(path) as plant:
        assert all_is_well(plant.until(all_is_well, "a quiet start"))
        lose_the_battery(plant)
        lose_the_broker(plant, load_site(path).devices["hall_b"].safe_setpoint)

        plant.rig.emulator.restore("battery_inverter")
        plant.until(lambda cycle: "battery" not in cycle.state.lost, "the battery answers again")
        cycle = plant.run(PROMPT_CYCLES)
        outcomes = [receipt.outcome for receipt in cycle.receipts if receipt.command.device == "battery"]
        assert outcomes == [Outcome.APPLIED]

        plant.rig.emulator.restore("broker")
        cycle = plant.until(all_is_well, "everything is back")
        assert {"battery", "hall_a", "hall_b"} <= commanded(cycle)
        assert plant.truth["branch_p_kw"]["feeder"] <= CONTRACTED_KW


def lose_the_battery(plant: RunningSite) -> None:
    plant.rig.emulator.kill("battery_inverter")
    cycle = plant.run(PROMPT_CYCLES)
    assert list(cycle.state.lost) == ["battery"]
    assert "127.0.0.1" in alarms(cycle)["lost battery"]
    assert cycle.rung is Rung.PARTIAL
    assert "battery" not in commanded(cycle)
    assert {"hall_a", "hall_b"} <= commanded(cycle)
    assert plant.truth["branch_p_kw"]["feeder"] <= CONTRACTED_KW

    plant.run(VALIDITY_CYCLES)
    assert abs(plant.truth["branch_p_kw"]["t_battery"]) < 20, "the inverter rests once its last command expired"


def lose_the_broker(plant: RunningSite, safe_kw: float) -> None:
    plant.rig.emulator.kill("broker")
    cycle = plant.run(PROMPT_CYCLES)
    assert set(cycle.state.lost) == {"battery", "hall_a", "hall_b", "weather"}
    assert "connection" in alarms(cycle)["lost hall_a"]
    assert cycle.rung is Rung.PARTIAL
    assert not {"battery", "hall_a", "hall_b"} & commanded(cycle)

    firm_kw = float(cycle.state.assets["hall_b"].values["firm_kw"])
    plant.run(VALIDITY_CYCLES)
    # What no budget takes away goes on; the UPS adds its losses.
    hall_b_kw = plant.truth["branch_p_kw"]["t_hall_b"]
    assert hall_b_kw <= 1.1 * max(safe_kw, firm_kw), "the hall holds its own safe limit"
    assert plant.truth["branch_p_kw"]["feeder"] <= CONTRACTED_KW


def test_a_dead_controller_releases_the_plant(tmp_path: Path) -> None:
    """Nobody renews the commands: every device returns to its safe setpoint by itself."""
    path = on_free_ports("campus.yaml", tmp_path)
    with running(path) as plant:
        plant.until(all_is_well, "a quiet start")
        cycle = plant.until(
            lambda cycle: any(item.device == "battery" and abs(float(item.value)) > 100 for item in cycle.commands),
            "the battery is used",
        )
        assert abs(plant.rig.emulator.advance_to(cycle.now + plant.period)["branch_p_kw"]["t_battery"]) > 50
        truth = plant.rig.emulator.advance_to(cycle.now + 5 * plant.period)
        assert abs(truth["branch_p_kw"]["t_battery"]) < 20


def test_without_its_grid_meter_the_import_is_inferred_with_wider_margins(tmp_path: Path) -> None:
    path = on_free_ports("campus.yaml", tmp_path)
    with running(path) as plant:
        plant.until(all_is_well, "a quiet start")
        plant.rig.emulator.kill("grid_meter")
        cycle = plant.run(PROMPT_CYCLES)
        assert cycle.rung is Rung.INFERRED
        assert cycle.state.grid is not None
        assert float(cycle.state.grid.import_kw) == pytest.approx(plant.truth["branch_p_kw"]["feeder"], abs=150)
        assert "margins" in alarms(cycle)["inferred"]

        plant.rig.emulator.kill("solar_inverter")
        cycle = plant.run(PROMPT_CYCLES)
        assert cycle.rung is Rung.BLIND
        safe = {command.device: float(command.value) for command in cycle.commands}
        assert safe["battery"] == 0.0
        assert safe["hall_a"] == pytest.approx(0.6 * 1177.6)

        plant.rig.emulator.restore("solar_inverter")
        plant.rig.emulator.restore("grid_meter")
        assert all_is_well(plant.until(all_is_well, "everything is back"))
