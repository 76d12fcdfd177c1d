"""The steps of a simulation as a Parquet file, written in batches so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from agents.step_row import step_row
from twin.numeric import Num
from twin.simulator import PlantStep

BATCH_ROWS = 20_000


class StepTable:
    """Columns: `at`, `scenario`, `import_kw`, `losses_kw`, and for each device `<device>.p_kw` and its points."""

    def __init__(self, path: Path, scenarios: int) -> None:
        self._path, self._scenarios = path, scenarios
        self._rows: dict[str, list[Any]] = {}
        self._writer: pq.ParquetWriter | None = None

    def row_of(self, step: PlantStep) -> Mapping[str, Num]:
        return step_row(step)

    def add(self, at: datetime, row: Mapping[str, Num]) -> None:
        """Append one step, a row for each scenario."""
        self._append("at", [at] * self._scenarios)
        self._append("scenario", range(self._scenarios))
        for key, value in row.items():
            self._append(key, np.broadcast_to(value, (self._scenarios,)).tolist())
        if len(self._rows["at"]) >= BATCH_ROWS:
            self._flush()

    def _append(self, column: str, values: Sequence[Any]) -> None:
        self._rows.setdefault(column, []).extend(values)

    def _flush(self) -> None:
        batch = pa.table(self._rows)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, batch.schema)
        self._writer.write_table(batch)
        self._rows = {}

    def close(self) -> None:
        """Write what is left and finish the file."""
        if self._rows:
            self._flush()
        if self._writer is not None:
            self._writer.close()


def write_rows(path: Path, rows: list[dict[str, float]]) -> None:
    """A small table as Parquet."""
    pq.write_table(pa.Table.from_pylist(rows), path)
