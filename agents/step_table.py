"""The steps of a simulation as a Parquet file, written in batches so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from twin.simulator import PlantStep

BATCH_ROWS = 20_000


class StepTable:
    """Columns: `at`, `scenario`, `import_kw`, `losses_kw`, and for each device `<device>.p_kw` and its points."""

    def __init__(self, path: Path, scenarios: int) -> None:
        self._path, self._scenarios = path, scenarios
        self._rows: dict[str, list[Any]] = {}
        self._writer: pq.ParquetWriter | None = None

    def add(self, step: PlantStep) -> None:
        """Append one step, a row for each scenario."""
        row: dict[str, Any] = {"import_kw": step.import_kw, "losses_kw": step.flow.losses_kw}
        for name, done in step.steps.items():
            row[f"{name}.p_kw"] = done.p_kw
            row.update({f"{name}.{point}": value for point, value in done.points.items()})
        self._append("at", [step.start] * self._scenarios)
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
