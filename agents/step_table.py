"""The steps of a simulation as a Parquet file, written block by block so that memory stays bounded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from agents.step_row import step_row
from twin.numeric import FloatArray, Num
from twin.simulator import PlantStep

BLOCK_NUMBERS = 4_000_000
"""Kept before they are written: 32 MB."""


class StepTable:
    """Columns: `at`, `scenario`, `import_kw`, `losses_kw`, `unserved_kw`, and for each device `<device>.p_kw` and its
    points. With `every` steps in a row, each row holds their means, and `at` is when the first of them begins.

    It is written beside its place and put there when it is complete.
    """

    def __init__(self, path: Path, scenarios: Sequence[int], every: int = 1) -> None:
        self._path, self._scenarios, self._every = path, np.asarray(scenarios, dtype=np.int32), every
        self._names: tuple[str, ...] = ()
        self._block: FloatArray = np.empty((0, 0, 0))
        self._at: list[datetime] = []
        self._summed = 0
        self._writer: pq.ParquetWriter | None = None

    def row_of(self, step: PlantStep) -> Mapping[str, Num]:
        return step_row(step)

    def add(self, at: datetime, row: Mapping[str, Num]) -> None:
        """Take in one step of all scenarios."""
        if not self._names:
            self._names = tuple(row)
            width = len(self._names) * len(self._scenarios)
            self._block = np.zeros((max(BLOCK_NUMBERS // width, 1), len(self._names), len(self._scenarios)))
        if self._summed == 0:
            self._at.append(at)
        into = self._block[len(self._at) - 1]
        for place, name in enumerate(self._names):
            into[place] += row[name]
        self._summed += 1
        if self._summed == self._every:
            self._close_row()

    def _close_row(self) -> None:
        self._block[len(self._at) - 1] /= self._summed
        self._summed = 0
        if len(self._at) == len(self._block):
            self._flush()

    def _flush(self) -> None:
        rows, count = len(self._at), len(self._scenarios)
        columns = {
            "at": pa.array(np.repeat(np.array(self._at, dtype=object), count), pa.timestamp("us", tz="UTC")),
            "scenario": np.tile(self._scenarios, rows),
        }
        columns |= {name: self._block[:rows, place].ravel() for place, name in enumerate(self._names)}
        batch = pa.table(columns)
        if self._writer is None:
            self._writer = pq.ParquetWriter(unfinished(self._path), batch.schema)
        self._writer.write_table(batch)
        self._block[:rows] = 0.0
        self._at.clear()

    def close(self) -> None:
        """Write what is left and put the file in its place."""
        if self._summed:
            self._close_row()
        if self._at:
            self._flush()
        if self._writer is not None:
            self._writer.close()
            put_in_place(self._path)
            self._writer = None

    def discard(self) -> None:
        """Leave nothing behind, unless it was closed before."""
        if self._writer is not None:
            self._writer.close()
            unfinished(self._path).unlink()
            self._writer = None


def steps_in(every_s: float, step_s: float) -> int:
    """How many steps make one row."""
    return max(round(timedelta(seconds=every_s) / timedelta(seconds=step_s)), 1)


def write_columns(path: Path, columns: Mapping[str, Sequence[object] | FloatArray]) -> None:
    """A small table as Parquet, whole or not at all."""
    pq.write_table(pa.table(dict(columns)), unfinished(path))
    put_in_place(path)


def put_in_place(path: Path) -> None:
    """A file that is complete beside its place: on the disk first, so that a name never stands for half of it."""
    with unfinished(path).open("rb+") as file:
        os.fsync(file.fileno())
    unfinished(path).replace(path)


def unfinished(path: Path) -> Path:
    """Where a file is written; readers of a Parquet dataset pass over such names."""
    return path.with_name(f".{path.name}.part")
