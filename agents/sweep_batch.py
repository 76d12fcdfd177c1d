"""One batch of a sweep: scenarios that step side by side in one process, and the files they leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from agents.assemble import LoadedSite, load
from agents.results import columns_of
from agents.scenario_plan import PlannedScenario
from agents.simulation import simulate
from agents.step_table import StepTable, write_columns
from twin.errors import PowerFlowError, RecordError
from twin.numeric import FloatArray
from twin.timegrid import TimeGrid

Column = FloatArray | Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one process does in one go. It travels to the process whole."""

    number: int
    site_path: Path
    policy: str
    grid: TimeGrid
    first: int
    """Number of its first scenario in the sweep."""
    scenarios: Sequence[PlannedScenario]
    out: Path | None
    """Folder of the sweep; None: nothing is written."""
    every: int
    """Steps in one row of the step table; 0: there is none."""

    @property
    def numbers(self) -> range:
        """Of its scenarios, in the sweep."""
        return range(self.first, self.first + len(self.scenarios))

    @property
    def steps_file(self) -> Path:
        return (self.out or Path()) / "steps" / f"part-{self.number:04d}.parquet"

    @property
    def scenarios_file(self) -> Path:
        """It is written last: where it is, the batch is done."""
        return (self.out or Path()) / "scenarios" / f"part-{self.number:04d}.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What came of a batch: a row for each scenario."""

    columns: Mapping[str, FloatArray]
    """Numbers; nan in those of a scenario that was given up."""
    labels: Mapping[str, Column]
    """Columns that tell the scenarios apart, and `failed`: when and why one was given up, or nothing."""
    steps: int
    """How far it got: all of them, unless it was interrupted."""

    @property
    def failed(self) -> Mapping[int, str]:
        """Scenario of the sweep → when and why it was given up."""
        words = zip(self.labels["scenario"], self.labels["failed"], strict=True)
        return {int(number): str(why) for number, why in words if why}


def run_batch(batch: Batch, progress: Callable[[int], None], loaded: LoadedSite | None = None) -> BatchResult:
    """Run it and write its files; of one that is interrupted no file is left. The site is read unless it is given."""
    loaded = loaded or load(batch.site_path, with_links=False)
    table = StepTable(batch.steps_file, batch.numbers, batch.every) if batch.out and batch.every else None
    try:
        result = _simulated(batch, loaded, table, progress)
        if batch.out is not None and result.steps == batch.grid.steps:
            if table is not None:
                table.close()
            write_columns(batch.scenarios_file, {**result.labels, **result.columns})
        return result
    finally:
        if table is not None:
            table.discard()


def _simulated(
    batch: Batch, loaded: LoadedSite, table: StepTable | None, progress: Callable[[int], None]
) -> BatchResult:
    scenarios = [planned.scenario for planned in batch.scenarios]
    try:
        done = simulate(
            loaded.site, batch.site_path, batch.grid, loaded.policy(batch.policy), scenarios,
            table=table, progress=progress,
        )  # fmt: skip
    except PowerFlowError as error:
        if len(scenarios) > 1:
            raise
        return _all_failed(batch, str(error))
    columns = columns_of(done.books, len(scenarios))
    for scenario in done.failed:
        for values in columns.values():
            values[scenario] = np.nan
    return _labelled(batch, columns, done.failed, done.run.steps)


def _labelled(batch: Batch, columns: Mapping[str, FloatArray], failed: Mapping[int, str], steps: int) -> BatchResult:
    labels: dict[str, Column] = {"scenario": np.array(batch.numbers)}
    for name in batch.scenarios[0].label:
        values = [planned.label[name] for planned in batch.scenarios]
        labels[name] = [str(value) for value in values] if isinstance(values[0], str) else np.array(values)
    labels["failed"] = [failed.get(place, "") for place in range(len(batch.scenarios))]
    return BatchResult(columns=columns, labels=labels, steps=steps)


def _all_failed(batch: Batch, words: str) -> BatchResult:
    """A scenario that ran alone and has no solution. Its columns are those of the others, without a number."""
    return _labelled(batch, {}, {0: words}, batch.grid.steps)


def read_batch(batch: Batch) -> BatchResult:
    """What a finished batch has left. Raises `RecordError`."""
    try:
        table = pq.read_table(batch.scenarios_file)
    except (OSError, pa.ArrowException) as error:
        words = f"{batch.scenarios_file} cannot be read ({error}); delete it, and the same command runs its batch again"
        raise RecordError(words) from error
    label_names = ["scenario", *batch.scenarios[0].label, "failed"]
    labels: dict[str, Column] = {}
    columns: dict[str, FloatArray] = {}
    for name in table.column_names:
        values = table[name]
        if name in label_names:
            labels[name] = values.to_pylist()
        else:
            columns[name] = values.to_numpy()
    return BatchResult(columns=columns, labels=labels, steps=batch.grid.steps)
