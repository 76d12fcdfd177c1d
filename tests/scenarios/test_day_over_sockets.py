"""The main job on a hot afternoon, both processes and all sockets: the contract holds, the twin knows the plant."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agents.assemble import load
from agents.demo import run_demo
from agents.recorder import History, Recorder
from tests.scenarios.running_site import AFTERNOON, on_free_ports, running
from tests.twin.telemetry.telemetry_rig import peer
from twin.site import load_site
from twin.telemetry.config import ModbusLink
from twin.timegrid import TimeGrid

pytestmark = pytest.mark.sockets

EVENING = datetime(2025, 7, 15, 23, tzinfo=UTC)
"""19:00 at the site: the sun goes, the halls are full, and at 20:00 the price falls."""


def an_evening(path: Path, policy: str) -> dict[str, Any]:
    loaded = load(path)
    grid = TimeGrid(start=EVENING, step_s=30.0, steps=240)
    return dict(run_demo(loaded.site, path, grid, loaded.policy(policy), seed=1, on_cycle=lambda cycle: None))


def test_the_contract_holds_with_control_and_does_not_without(tmp_path: Path) -> None:
    path = on_free_ports("campus.yaml", tmp_path)
    tight = path.read_text(encoding="utf-8").replace("import_kw: 3900", "import_kw: 3700").replace("3650", "3500")
    path.write_text(tight, encoding="utf-8")
    idle, steered = an_evening(path, "idle"), an_evening(path, "rules")

    assert idle["violations"]["import_limit"] > 2
    assert steered["longest_import_excess_steps"] <= 2
    assert steered["peak_import_kw"] < idle["peak_import_kw"]
    for result in (idle, steered):
        assert result["balance_residual_kw_max"] <= 1e-6 * result["peak_import_kw"]
        assert result["twin"]["within_3_sigma_share"] >= 0.99
        assert result["controller"]["cycles"] == 239
    assert idle["controller"]["commands_written"] == 0
    assert steered["controller"]["commands_confirmed"] == steered["controller"]["commands_written"] > 0


def test_what_is_recorded_as_commanded_is_what_mbpoll_reads(tmp_path: Path) -> None:
    """The recorded command of the battery, by a client that we did not write."""
    mbpoll = peer("mbpoll")
    path = on_free_ports("campus.yaml", tmp_path)
    recorder = Recorder(tmp_path / "history.sqlite")
    link = load_site(path).telemetry.links["battery_inverter"]
    assert isinstance(link, ModbusLink)
    with running(path, start=AFTERNOON, record=recorder.append) as plant:
        for _ in range(3):
            cycle = plant.run(4)
            # Holding 40 and 41: hundredths of a kilowatt, low word first, discharging positive.
            order = [mbpoll, "-m", "tcp", "-a", str(link.unit_id), "-p", str(link.port), "-0", "-r", "40"]
            output = subprocess.run(
                [*order, "-t", "4:int", "-1", "127.0.0.1"], check=True, capture_output=True, text=True
            )
            read_kw = -int(output.stdout.split("[40]:")[1].split()[0]) / 100
            recorded = recorded_commands(tmp_path / "history.sqlite", cycle.now)
            assert recorded["battery"] == pytest.approx(read_kw, abs=0.005)
    recorder.close()


def recorded_commands(path: Path, now: datetime) -> dict[str, float]:
    history = History(path)
    try:
        (cycle,) = history.cycles(since=now)
        return {command.device: float(command.value) for command in cycle.commands}
    finally:
        history.close()
