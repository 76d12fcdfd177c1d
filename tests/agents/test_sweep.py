"""Sweeps over real processes: split, resumed, interrupted, and with a process killed in the middle."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from agents.scenario_plan import PlannedScenario, planned_seeds
from agents.sweep import Sweep, SweepResult, run_sweep
from agents.sweep_batch import Batch
from agents.sweep_workers import Told, work_off
from twin.errors import InputError
from twin.numeric import FloatArray
from twin.scenario import Scenario
from twin.timegrid import TimeGrid

SITE_CONFIGS = Path(__file__).parents[2] / "site_configs"
DAY = TimeGrid(start=datetime(2025, 7, 1, tzinfo=UTC), step_s=300.0, steps=48)
SWEEP = Sweep(site_path=SITE_CONFIGS / "edge.yaml", policy="rules", grid=DAY, scenarios=planned_seeds(range(6)))


def silent(done: int, of: int) -> None:
    assert 0 <= done <= of


def run(sweep: Sweep, *, restart: bool = False) -> SweepResult:
    return run_sweep(sweep, silent, restart=restart)


def same(one: Mapping[str, FloatArray], other: Mapping[str, FloatArray]) -> None:
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], rtol=1e-9, atol=1e-6, err_msg=name)


def test_results_depend_neither_on_batches_nor_on_processes(tmp_path: Path) -> None:
    whole = run(SWEEP)
    assert len(whole.columns["energy_cost"]) == 6
    for number, (batch, processes) in enumerate(((1, 1), (4, 1), (3, 2))):
        out = tmp_path / str(number)
        split = run(replace(SWEEP, batch=batch, processes=processes, out=out, every=1))
        same(whole.columns, split.columns)
        steps = pq.read_table(out / "steps").to_pandas()
        assert len(steps) == 6 * DAY.steps
        assert sorted(steps["scenario"].unique()) == list(range(6))
        table = pq.read_table(out / "scenarios.parquet").to_pandas()
        assert table["seed"].tolist() == table["scenario"].tolist() == list(range(6))


def test_rows_may_be_means_of_many_steps(tmp_path: Path) -> None:
    few = replace(SWEEP, scenarios=planned_seeds([4, 5]))
    run(replace(few, out=tmp_path / "each", every=1))
    run(replace(few, out=tmp_path / "hours", every=12))
    each = pq.read_table(tmp_path / "each" / "steps").to_pandas()
    hours = pq.read_table(tmp_path / "hours" / "steps").to_pandas()
    assert len(hours) == 2 * DAY.steps / 12
    mean = each[each["scenario"] == 5]["import_kw"].to_numpy().reshape(-1, 12).mean(axis=1)
    np.testing.assert_allclose(hours[hours["scenario"] == 5]["import_kw"], mean)
    assert hours["at"].iloc[2] == each["at"].iloc[24]


def test_the_same_question_goes_on_where_it_ended(tmp_path: Path) -> None:
    sweep = replace(SWEEP, batch=2, out=tmp_path)
    first = run(sweep)
    kept = tmp_path / "scenarios" / "part-0001.parquet"
    before, gone = kept.stat().st_mtime_ns, tmp_path / "scenarios" / "part-0002.parquet"
    gone.unlink()
    again = run(sweep)
    same(first.columns, again.columns)
    assert gone.exists()
    assert kept.stat().st_mtime_ns == before, "what is done is not done again"


def test_another_question_is_refused_until_told_to_start_anew(tmp_path: Path) -> None:
    run(replace(SWEEP, batch=3, out=tmp_path))
    other = replace(SWEEP, grid=replace(DAY, steps=24), batch=2, out=tmp_path)
    with pytest.raises(InputError) as caught:
        run(other)
    (problem,) = caught.value.problems
    assert "steps 48, not 24; batch 3, not 2" in problem.found
    assert "--restart" in problem.expected
    (tmp_path / "mine.txt").write_text("stays", encoding="utf-8")
    assert run(other, restart=True).steps == 24
    assert (tmp_path / "mine.txt").exists()


def test_a_scenario_that_has_no_solution_is_a_row_with_its_reason(tmp_path: Path) -> None:
    hot = PlannedScenario(scenario=Scenario(parameters={"dry_coolers.fan_kw": 1e7}), label={"seed": 0})
    campus = replace(SWEEP, site_path=SITE_CONFIGS / "campus.yaml", scenarios=[*planned_seeds([1]), hot], out=tmp_path)
    plain = replace(campus.scenarios[0], scenario=Scenario(seed=1, parameters={"dry_coolers.fan_kw": 95.0}))
    for batch in (2, 1):
        found = run(replace(campus, scenarios=[plain, hot], batch=batch), restart=True)
        assert list(found.failed) == [1]
        assert len(found.columns["pue"]) == 1
        table = pq.read_table(tmp_path / "scenarios.parquet").to_pandas()
        assert table["failed"].iloc[0] == ""
        assert "most strained bus is cooling_480v" in table["failed"].iloc[1]
        assert np.isnan(table["pue"].iloc[1])


def command(out: Path, *words: str) -> list[str]:
    base = [sys.executable, "-m", "agents", "simulate", str(SWEEP.site_path), "--days", "5", "--scenarios", "4"]
    return [*base, "--batch", "2", "--processes", "2", "--every", "0", "--out", str(out), *words]


def workers_of(parent: int) -> list[int]:
    words = ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(parent)]
    listing = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    return [int(line.split()[0]) for line in listing.splitlines() if "spawn_main" in line]


def started(out: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """A sweep whose two workers are at work."""
    process = subprocess.Popen(command(out), cwd=SITE_CONFIGS.parent, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60.0
    while len(found := workers_of(process.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    return process, found


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX processes")
def test_a_killed_worker_takes_its_own_batch_with_it_and_no_other(tmp_path: Path) -> None:
    process, workers = started(tmp_path)
    os.kill(workers[0], signal.SIGKILL)
    _, words = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "lost: batch" in words
    assert "its process ended with code -9; the same command runs it again" in words
    assert len(list((tmp_path / "scenarios").iterdir())) == 1
    again = subprocess.run(command(tmp_path), cwd=SITE_CONFIGS.parent, timeout=120, check=False)
    assert again.returncode == 0
    assert pq.read_table(tmp_path / "scenarios.parquet").num_rows == 4


def test_ctrl_c_ends_every_worker_and_leaves_no_half_file(tmp_path: Path) -> None:
    process, workers = started(tmp_path)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))["batch"] == 2
    assert not list(tmp_path.rglob("*.part"))


def test_workers_in_the_middle_of_a_run_end_at_once_and_leave_no_half_file(tmp_path: Path) -> None:
    batches = [
        Batch(
            number=number, site_path=SWEEP.site_path, policy="rules", grid=replace(DAY, steps=60_000),
            first=2 * number, scenarios=planned_seeds([0, 1]), out=tmp_path, every=1,
        )
        for number in range(3)
    ]  # fmt: skip
    (tmp_path / "steps").mkdir()
    (tmp_path / "scenarios").mkdir()
    words = work_off(batches, 2, lambda: False)
    for _ in range(20):
        assert isinstance(next(words), Told)
    ending = threading.Thread(target=words.close, daemon=True)
    ending.start()
    ending.join(30.0)
    assert not ending.is_alive()
    assert not multiprocessing.active_children()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_error_of_a_worker_is_the_error_of_the_sweep() -> None:
    with pytest.raises(InputError, match="no_such_site"):
        run(replace(SWEEP, site_path=Path("no_such_site.yaml"), processes=2))
    assert not multiprocessing.active_children()


def test_a_batch_that_was_interrupted_is_not_in_the_summary_of_finished_ones() -> None:
    def interrupt(done: int, of: int) -> None:
        if of / 3 < done < of * 2 / 3:
            os.kill(os.getpid(), signal.SIGINT)

    found = run_sweep(replace(SWEEP, grid=replace(DAY, steps=8640), batch=2), interrupt)
    assert found.interrupted
    assert found.steps == 8640
    assert len(found.columns["energy_cost"]) == 2


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_folder_that_holds_something_else_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="the manifest of a sweep"):
        run(replace(SWEEP, out=tmp_path))
    with pytest.raises(InputError, match="a folder"):
        run(replace(SWEEP, out=tmp_path / "manifest.json"))
