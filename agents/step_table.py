"""The steps of a simulation as a Parquet file, written block by block so that memory stays bounded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from agents.step_row import step_row
from twin.errors import InputError, Problem, RecordError
from twin.numeric import FloatArray, Num
from twin.simulator import PlantStep

BLOCK_NUMBERS = 4_000_000
"""Kept before they are written: 32 MB, or one row of all scenarios if that is more."""
SAME_S = 1e-6
"""What is typed has no more digits."""


class StepTable:
    """Columns: `at`, `scenario`, `import_kw`, `losses_kw`, `unserved_kw`, and for each device `<device>.p_kw` and its
    points. With `every` steps in a row, each row holds their means, and `at` is when the first of them begins.

    It is written beside its place and put there when it is complete. Raises `RecordError` where it cannot be written.
    """

    def __init__(self, path: Path, scenarios: Sequence[int], every: int = 1) -> None:
        self._path, self._scenarios, self._every = path, np.asarray(scenarios, dtype=np.int32), every
        self._names: tuple[str, ...] = ()
        self._block: FloatArray = np.empty((0, 0, 0))
        self._at_us = np.empty(0, dtype=np.int64)
        self._rows = self._summed = 0
        self._writer: pq.ParquetWriter | None = None

    def row_of(self, step: PlantStep) -> Mapping[str, Num]:
        return step_row(step)

    def add(self, at: datetime, row: Mapping[str, Num]) -> None:
        """Take in one step of all scenarios."""
        if not self._names:
            self._begin(tuple(row))
        if self._summed == 0:
            self._at_us[self._rows] = round(at.timestamp() * 1e6)
        into = self._block[self._rows]
        for place, name in enumerate(self._names):
            into[place] += row[name]
        self._summed += 1
        if self._summed == self._every:
            self._close_row()

    def _begin(self, names: tuple[str, ...]) -> None:
        self._names, count = names, len(self._scenarios)
        rows = max(BLOCK_NUMBERS // (len(names) * count), 1)
        self._block, self._at_us = np.zeros((rows, len(names), count)), np.zeros(rows, dtype=np.int64)

    def _close_row(self) -> None:
        self._block[self._rows] /= self._summed
        self._rows, self._summed = self._rows + 1, 0
        if self._rows == len(self._block):
            self._flush()

    def _flush(self) -> None:
        rows, count = self._rows, len(self._scenarios)
        at = np.repeat(self._at_us[:rows], count).astype("datetime64[us]")
        columns = {
            "at": pa.array(at, pa.timestamp("us", tz="UTC")),
            "scenario": np.tile(self._scenarios, rows),
        }
        columns |= {name: self._block[:rows, place].ravel() for place, name in enumerate(self._names)}
        batch = pa.table(columns)
        with told_by_path(self._path):
            if self._writer is None:
                self._writer = pq.ParquetWriter(unfinished(self._path), batch.schema)
            self._writer.write_table(batch)
        self._block[:rows] = 0.0
        self._rows = 0

    def close(self) -> None:
        """Write what is left and put the file in its place."""
        if self._summed:
            self._close_row()
        if self._rows:
            self._flush()
        if self._writer is not None:
            with told_by_path(self._path):
                self._writer.close()
                put_in_place(self._path)
            self._writer = None

    def discard(self) -> None:
        """Leave nothing behind, unless it was closed before."""
        if self._writer is not None:
            with suppress(OSError):
                self._writer.close()
            self._writer = None
        unfinished(self._path).unlink(missing_ok=True)


def steps_in(every_s: float, step_s: float) -> int:
    """How many steps make one row: at least one, and no part of one. Raises `InputError`."""
    steps = round(every_s / step_s)
    if steps < 1 or abs(steps * step_s - every_s) > SAME_S:
        expected = f"a multiple of the step, {step_s:g} s, or 0 for no step table"
        raise InputError(
            Problem(file="command line", line=None, path="--every", found=f"{every_s:g}", expected=expected)
        )
    return steps


def write_columns(path: Path, columns: Mapping[str, Sequence[object] | FloatArray]) -> None:
    """A small table as Parquet, whole or not at all. Raises `RecordError` where it cannot be written."""
    with told_by_path(path):
        pq.write_table(pa.table(dict(columns)), unfinished(path))
        put_in_place(path)


@contextmanager
def told_by_path(path: Path) -> Iterator[None]:
    """A full disk or a forbidden folder is an answer, not a traceback."""
    try:
        yield
    except OSError as error:
        raise RecordError(f"{path} cannot be written: {error.strerror or error}") from error


def put_in_place(path: Path) -> None:
    """A file that is complete beside its place: on the disk first, so that a name never stands for half of it."""
    with unfinished(path).open("rb+") as file:
        os.fsync(file.fileno())
    unfinished(path).replace(path)


def unfinished(path: Path) -> Path:
    """Where a file is written; readers of a Parquet dataset pass over such names."""
    return path.with_name(f".{path.name}.part")
