"""The command line as its users meet it: results, words and exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from agents.__main__ import main
from agents.recorder import History
from tests.scenarios.running_site import SITES, on_free_ports
from twin.errors import RecordError

EDGE = SITES / "edge.yaml"
WEATHER_HEADER = "time,ghi_w_m2,dni_w_m2,dhi_w_m2,dry_bulb_c,relative_humidity_fraction,wind_m_s,pressure_kpa\n"

SUMMARY = {
    "site", "policy", "start", "end", "step_s", "steps", "energy_kwh", "peak_import_kw", "energy_cost", "demand_cost",
    "fixed_cost", "currency", "carbon_kg", "marginal_carbon_kg", "pue", "tue", "wue_l_per_kwh",
    "kwh_per_gpu_h", "heat", "unbacked_kwh", "battery", "gpu", "violations",
    "balance_residual_kw_max", "scenarios", "wall_s",
}  # fmt: skip
ENERGY = {
    "import", "export", "pv", "wind", "genset", "battery_charge", "battery_discharge", "it", "cooling", "ups_losses",
    "network_losses", "other",
}  # fmt: skip


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """Exit code of one command in this process."""
    monkeypatch.setattr(sys, "argv", ["gridhelm", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_a_simulation_writes_its_summary_and_its_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = ("--days", 0.25, "--scenarios", 3, "--seed", 5, "--json", tmp_path / "run.json", "--out", tmp_path / "out")
    assert run(monkeypatch, "simulate", EDGE, *words) == 0
    result = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert result.keys() >= SUMMARY
    assert result["energy_kwh"].keys() == ENERGY
    assert result["battery"].keys() == {"min_soc", "max_soc", "equivalent_full_cycles", "wear_cost"}
    assert result["gpu"].keys() == {"delivered_gpu_h", "deferred_gpu_h", "missed_deadlines"}
    assert (result["steps"], result["scenarios"], result["policy"]) == (72, 3, "rules")
    assert result["balance_residual_kw_max"] <= 1e-6 * result["peak_import_kw"]
    left = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert left == ["manifest.json", "scenarios", "scenarios.parquet", "steps"]


def test_a_plan_of_scenarios_is_run_and_a_wrong_one_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("vary:\n  battery.capacity_kwh: [50, 200]\n", encoding="utf-8")
    words = ("simulate", EDGE, "--days", 0.1, "--plan", plan, "--json", tmp_path / "run.json")
    assert run(monkeypatch, *words) == 0
    result = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert (result["scenarios"], set(result["p10_p50_p90"]["pue"])) == (2, {"p10", "p50", "p90"})
    plan.write_text("vary:\n  battery.capacity_kw: [50, 200]\n", encoding="utf-8")
    assert run(monkeypatch, *words) == 2
    assert "plan.yaml:2: vary.battery.capacity_kw: found 'capacity_kw'" in said(capsys)


def test_one_seed_gives_one_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run(monkeypatch, "simulate", EDGE, "--days", 0.1, "--seed", seed, "--json", tmp_path / name) == 0
    runs = [json.loads((tmp_path / name).read_text(encoding="utf-8"))["energy_kwh"] for name in "abc"]
    assert runs[0] == runs[1] != runs[2]


def test_the_schema_is_one_that_editors_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gridhelm", "schema"])
    with pytest.raises(SystemExit):
        main()
    schema = json.loads(capsys.readouterr().out)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"devices", "rules", "telemetry", "network"} <= schema["properties"].keys()
    assert "contract_limit" in json.dumps(schema["properties"]["rules"])


@pytest.mark.parametrize("site", ["campus.yaml", "edge.yaml", "island.yaml"])
def test_the_sites_of_the_house_bear_their_rated_power(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], site: str
) -> None:
    assert run(monkeypatch, "check", SITES / site) == 0, capsys.readouterr().out


def test_check_names_what_is_overloaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = (SITES / "edge.yaml").read_text(encoding="utf-8").replace("rated_a: 196", "rated_a: 60")
    path = tmp_path / "thin.yaml"
    path.write_text(text, encoding="utf-8")
    assert run(monkeypatch, "check", path) == 1
    told = capsys.readouterr().out
    assert "service" in told
    assert "60 A" in told


MISTAKES: Sequence[tuple[tuple[str, str], list[str]]] = [
    (("rated_dc_kw: 30", "rated_dc_kW: 30"), ["devices.solar.rated_dc_kW", "unknown key", "rated_dc_kw?"]),
    (("capacity_kwh: 120", "capacity_mwh: 0.12"), ["devices.battery.capacity_mwh", "unit is part of the key"]),
    (
        ("to_bus: solar_480v", "to_bus: solar_48v"),
        ["solar_cable.to_bus", "'solar_48v'", "did you mean solar_480v?"],
    ),
    (("port: 15122", "port: 15121"), ["solar_inverter.port", "15121 unit_id 1", "battery_inverter"]),
    (("rule: price", "rule: prize"), ["rules.6.rule", "'prize'", "did you mean price?"]),
    (("priority: 40", "priority: 50"), ["rules.5.priority", "gpu_shift"]),
]
MISTAKES_OF_LINKS: Sequence[tuple[tuple[str, str], list[str]]] = [
    (("map: pv_inverter", "map: pv_invertor"), ["links.solar_inverter.map", "pv_invertor", "pv_inverter"]),
    (("map: pv_inverter", "map: battery_inverter"), ["available_kw", "a setpoint p_kw", "the setpoint limit_kw"]),
]
"""A simulation does without links, and does not look at their maps."""
COMMANDS = ("check", "simulate", "emulate", "run", "demo")


@pytest.mark.parametrize(
    ("command", "change", "words"),
    [
        *((command, *mistake) for command in COMMANDS for mistake in MISTAKES),
        *((command, *mistake) for command in COMMANDS if command != "simulate" for mistake in MISTAKES_OF_LINKS),
    ],
)
def test_a_mistake_in_a_file_ends_every_command_at_once(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    command: str,
    change: tuple[str, str],
    words: list[str],
) -> None:
    old, new = change
    text = EDGE.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path = tmp_path / "wrong.yaml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    assert run(monkeypatch, command, path) == 2
    told = said(capsys)
    assert "wrong.yaml" in told
    assert [word for word in words if word not in told] == []
    assert list(tmp_path.iterdir()) == [path], "nothing is half-started"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([f"2025-07-01T{hour:02}:00:00Z" for hour in (0, 1, 2, 4, 5, 6)], ["weather.csv:5", "gap"]),
        ([f"2025-03-09T{hour:02}:00:00-05:00" for hour in (0, 1, 3, 4, 5, 6)], ["weather.csv:4", "daylight saving"]),
        (["2025-07-01T00:00:00", "2025-07-01T01:00:00"], ["weather.csv:2", "offset"]),
    ],
    ids=["gap", "summer time", "no offset"],
)
def test_weather_with_a_hole_or_a_jump_is_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    rows: Sequence[str],
    words: Sequence[str],
) -> None:
    (tmp_path / "weather.csv").write_text(
        WEATHER_HEADER + "".join(f"{row},0,0,0,20,0.5,3,98\n" for row in rows), encoding="utf-8"
    )
    text = EDGE.read_text(encoding="utf-8")
    source = "weather:\n  format: csv\n  file: weather.csv\n  typical_year: false\n"
    path = tmp_path / "site.yaml"
    path.write_text(text.replace("weather:\n  format: greensboro\n", source), encoding="utf-8")
    assert run(monkeypatch, "simulate", path, "--start", "2025-07-01", "--days", 0.1) == 2
    told = said(capsys)
    assert [word for word in words if word not in told] == []


def test_options_that_make_no_sense_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "simulate", EDGE, "--start", "yesterday") == 2
    assert "ISO 8601" in said(capsys)
    assert run(monkeypatch, "simulate", EDGE, "--days", "-3") == 2
    assert run(monkeypatch, "check", "nowhere.yaml") == 2
    assert "nowhere.yaml" in said(capsys)


@pytest.mark.sockets
def test_a_plant_that_does_not_answer_is_named_with_its_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("agents.operation.CONNECT_S", 0.5)
    path = on_free_ports("edge.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "run", path, "--record", tmp_path / "history.sqlite") == 2
    told = said(capsys)
    assert "battery: Modbus 127.0.0.1:" in told
    assert "connection refused" in told
    assert not (tmp_path / "history.sqlite").exists(), "nothing is half-started"


@pytest.mark.sockets
def test_without_a_broker_the_emulator_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = on_free_ports("edge.yaml", tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace("embedded: true", "embedded: false"), encoding="utf-8")
    assert run(monkeypatch, "emulate", path) == 2
    assert "embedded: true" in said(capsys)


@pytest.mark.sockets
def test_run_starts_in_shadow_mode_and_ends_cleanly(tmp_path: Path) -> None:
    """Two commands, two terminals: the plant emulated in real time, the controller beside it, Ctrl-C for both."""
    path = on_free_ports("edge.yaml", tmp_path)
    history = tmp_path / "history.sqlite"
    with started("emulate", path) as emulator:
        assert emulator.stdout is not None
        assert "is served" in emulator.stdout.readline()
        with started("run", path, "--record", history) as controller:
            cycles = wait_for_cycles(history, controller)
            controller.send_signal(signal.SIGINT)
            assert controller.wait(60) == 0
        emulator.send_signal(signal.SIGINT)
        assert emulator.wait(60) == 0
    assert all(commands and not receipts for commands, receipts in cycles), "shadow mode decides, and writes nothing"


@contextmanager
def started(*words: object) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, which never outlives the block."""
    command = [sys.executable, "-u", "-m", "agents", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_cycles(path: Path, process: subprocess.Popen[str]) -> list[tuple[int, int]]:
    """Commands and receipts of the first cycles, read while they are being written."""
    while process.poll() is None:
        with suppress(RecordError), closing(History(path)) as history:
            found = [(len(cycle.commands), len(cycle.receipts)) for cycle in history.cycles()]
            if len(found) >= 3:
                return found
    raise AssertionError(f"the controller ended with {process.returncode}")
