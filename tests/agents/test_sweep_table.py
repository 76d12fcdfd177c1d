"""The step table: bounded memory, instants, and rows of whole steps only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from agents import step_table
from agents.step_table import StepTable, steps_in, write_columns
from twin.errors import InputError, RecordError
from twin.numeric import Num

START = datetime(2025, 3, 30, 0, 30, tzinfo=UTC)
STEPS, SCENARIOS = 50, 3


def fill(table: StepTable) -> None:
    for step in range(STEPS):
        row: dict[str, Num] = {"a_kw": step + np.arange(SCENARIOS) / 10.0, "b_kw": float(step), "c_kw": -1.0}
        table.add(START + timedelta(seconds=0.25 * step), row)


def test_memory_is_one_block_however_many_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(step_table, "BLOCK_NUMBERS", 40)
    path = tmp_path / "part.parquet"
    table = StepTable(path, range(7, 7 + SCENARIOS))
    fill(table)
    assert table._block.size <= 40
    table.close()
    assert pq.ParquetFile(path).num_row_groups == 13
    kept = pq.read_table(path).to_pandas()
    assert kept["at"].tolist() == [START + timedelta(seconds=0.25 * step) for step in range(STEPS) for _ in range(3)]
    assert kept["scenario"].tolist() == [7, 8, 9] * STEPS
    np.testing.assert_array_equal(kept["a_kw"], [step + one / 10.0 for step in range(STEPS) for one in range(3)])
    assert [path.name for path in tmp_path.iterdir()] == ["part.parquet"]


def test_one_row_of_all_scenarios_is_the_least_that_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(step_table, "BLOCK_NUMBERS", 2)
    table = StepTable(tmp_path / "part.parquet", range(SCENARIOS))
    fill(table)
    assert table._block.shape == (1, 3, SCENARIOS)
    table.close()
    assert pq.read_table(tmp_path / "part.parquet").num_rows == STEPS * SCENARIOS


def test_the_last_mean_is_over_the_steps_that_there_were(tmp_path: Path) -> None:
    table = StepTable(tmp_path / "part.parquet", range(SCENARIOS), every=20)
    fill(table)
    table.close()
    kept = pq.read_table(tmp_path / "part.parquet").to_pandas()
    assert kept["b_kw"].tolist()[::SCENARIOS] == [9.5, 29.5, 44.5]


def test_a_table_that_is_not_wanted_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(step_table, "BLOCK_NUMBERS", 40)
    table = StepTable(tmp_path / "part.parquet", range(SCENARIOS))
    fill(table)
    assert [path.name for path in tmp_path.iterdir()] == [".part.parquet.part"]
    table.discard()
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_told_by_its_path(tmp_path: Path) -> None:
    table = StepTable(tmp_path / "nowhere" / "part.parquet", range(SCENARIOS))
    fill(table)
    with pytest.raises(RecordError, match=r"part\.parquet cannot be written"):
        table.close()
    table.discard()
    with pytest.raises(RecordError, match=r"some\.parquet cannot be written"):
        write_columns(tmp_path / "nowhere" / "some.parquet", {"a": [1]})


def test_a_row_holds_whole_steps() -> None:
    assert [steps_in(every_s, 0.1) for every_s in (0.1, 0.3, 3600.0)] == [1, 3, 36000]
    for every_s in (450.0, 100.0, -300.0):
        with pytest.raises(InputError, match=r"--every: found .*, expected a multiple of the step, 300 s"):
            steps_in(every_s, 300.0)
