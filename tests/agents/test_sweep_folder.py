"""What a sweep's folder may hold before it begins, and how many scenarios it takes into memory at once."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.assemble import load
from agents.scenario_plan import planned_seeds
from agents.sweep import Sweep, batch_size, run_sweep
from agents.sweep_folder import folder_of
from agents.sweep_memory import MOST_MB, memory_mb, most_side_by_side
from agents.sweep_report import about_memory
from twin.errors import InputError, RecordError
from twin.site import Site
from twin.timegrid import TimeGrid

SITE_CONFIGS = Path(__file__).parents[2] / "site_configs"
GRID = TimeGrid(start=datetime(2025, 7, 1, tzinfo=UTC), step_s=300.0, steps=3)
EDGE = load(SITE_CONFIGS / "edge.yaml").site
WEATHER = "time,ghi_w_m2,dni_w_m2,dhi_w_m2,dry_bulb_c,relative_humidity_fraction,wind_m_s,pressure_kpa\n" + "".join(
    f"2025-07-01T{hour:02}:00:00Z,0,0,0,20,0.5,3,98\n" for hour in range(6)
)


def sweep(out: Path | None = None, scenarios: int = 2) -> Sweep:
    path = SITE_CONFIGS / "edge.yaml"
    return Sweep(site_path=path, policy="rules", grid=GRID, scenarios=planned_seeds(range(scenarios)), out=out, every=1)


def run(one: Sweep, *, restart: bool = False) -> None:
    run_sweep(one, lambda done, of: None, restart=restart)


def names(folder: Path) -> Sequence[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_only_one_command_works_in_a_folder(tmp_path: Path) -> None:
    with folder_of(tmp_path / "out"), pytest.raises(InputError, match="another command at work"):
        run(sweep(tmp_path / "out"))
    run(sweep(tmp_path / "out"))
    assert names(tmp_path) == ["manifest.json", "part-0000.parquet", "part-0000.parquet", "scenarios.parquet"]


def test_parts_without_their_question_are_no_answer(tmp_path: Path) -> None:
    run(sweep(tmp_path))
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"parts of a sweep without its manifest\.json.*--restart"):
        run(sweep(tmp_path))
    run(sweep(tmp_path), restart=True)


def test_to_start_anew_deletes_what_sweeps_leave_and_nothing_else(tmp_path: Path) -> None:
    run(sweep(tmp_path))
    for name in ("mine.txt", "part-of-mine.parquet.txt"):
        (tmp_path / "steps" / name).touch()
    (tmp_path / "steps" / ".part-0007.parquet.part").touch()
    (tmp_path / "steps" / "part-0007.parquet").touch()
    run(sweep(tmp_path), restart=True)
    assert names(tmp_path / "steps") == ["mine.txt", "part-0000.parquet", "part-of-mine.parquet.txt"]


def test_another_weather_is_another_question(tmp_path: Path) -> None:
    shutil.copytree(SITE_CONFIGS / "maps", tmp_path / "maps")
    text = (SITE_CONFIGS / "edge.yaml").read_text(encoding="utf-8")
    source = "weather:\n  format: csv\n  file: weather.csv\n  typical_year: false\n"
    site_path, weather = tmp_path / "site.yaml", tmp_path / "weather.csv"
    site_path.write_text(text.replace("weather:\n  format: greensboro\n", source), encoding="utf-8")
    weather.write_text(WEATHER, encoding="utf-8")
    windless = replace(sweep(tmp_path / "out"), site_path=site_path)
    run(windless)
    run(windless)
    weather.write_text(WEATHER.replace(",0.5,3,", ",0.5,9,"), encoding="utf-8")
    with pytest.raises(InputError, match=r"weather_sha256 .+, not .+"):
        run(windless)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "steps").touch()
    with pytest.raises(InputError, match="cannot be made"):
        run(sweep(tmp_path))


def test_a_part_that_is_no_table_is_told(tmp_path: Path) -> None:
    run(sweep(tmp_path))
    part = tmp_path / "scenarios" / "part-0000.parquet"
    part.write_bytes(b"PAR1")
    with pytest.raises(RecordError, match=r"part-0000\.parquet .* delete it"):
        run(sweep(tmp_path))


def large(buses: int) -> Site:
    bus = next(iter(EDGE.network.buses.values()))
    many = {f"bus_{number}": bus for number in range(buses)}
    return replace(EDGE, network=replace(EDGE.network, buses=many))


def test_a_large_site_has_smaller_batches_and_says_so() -> None:
    few, many = sweep(scenarios=10), sweep(scenarios=1000)
    assert (batch_size(few, EDGE), batch_size(many, EDGE)) == (10, 256)
    assert not about_memory(EDGE, many)
    size = batch_size(many, large(20_000))
    assert 1 <= size == most_side_by_side(large(20_000)) < 256
    assert memory_mb(large(20_000), size) <= MOST_MB
    assert (
        about_memory(large(20_000), many) == f"batches of {size} scenarios: with more, a process would take over 1 GB\n"
    )


def test_who_asks_for_large_batches_gets_them_and_is_told_what_they_take() -> None:
    many = replace(sweep(scenarios=100_000), batch=50_000)
    assert batch_size(many, EDGE) == 50_000
    assert "batches of 50000 scenarios take some" in about_memory(EDGE, many)
    assert not about_memory(EDGE, replace(many, batch=100))
