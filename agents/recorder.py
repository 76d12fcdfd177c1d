"""The history: every cycle, appended to one SQLite file, from which any cycle replays.

One transaction for each cycle: a process that is killed leaves every finished cycle behind, and a
reader sees whole cycles only, also while they are written. The words of a cycle differ little from
one second to the next, so each is packed against the words of an earlier one, the `pattern`.

========== ============================================================================================
table      holds
========== ============================================================================================
`layout`   names of the points of a snapshot, as JSON
`pattern`  words of a cycle against which later ones are packed
`forecast` a forecast, once, when it was issued
`cycle`    instant (microseconds since the epoch), readings, words, and which of the above they go with
========== ============================================================================================
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from agents.control import Cycle
from agents.recorder_encoding import RecordedCycle, cycle_from, cycle_to_text, snapshot_from
from agents.recorder_file import Claim, check_ours, occupied, open_database, open_for_recording, told
from agents.recorder_numbers import (
    FAST,
    forecast_from_bytes,
    forecast_to_bytes,
    instant,
    micros,
    readings_to_bytes,
)
from twin.errors import RecordError
from twin.forecast import Forecast
from twin.points import Snapshot

CYCLES_PER_PATTERN = 600


class Recorder:
    """Appends cycles to a history file; the only one that may at any time. Readers are not hindered."""

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises `RecordError`, and leaves a file that is not a history untouched."""
        self._path = path
        if occupied(path):
            check_ours(path)
        with ExitStack() as undo:
            claim = Claim(path)
            undo.callback(claim.release)
            self._connection = open_for_recording(path)
            undo.pop_all()
        self._claim: Claim | None = claim
        self._forget()

    def _forget(self) -> None:
        """Refer to nothing that was written before."""
        self._layouts: dict[tuple[str, ...], int] = {}
        self._forecast: tuple[Forecast | None, int | None] = (None, None)
        self._pattern: tuple[int, bytes] = (0, b"")
        self._cycles_left = 0

    def append(self, cycle: Cycle) -> None:
        """Keep one cycle, for good once this returns. Raises `RecordError`; the next cycle may succeed again."""
        words = cycle_to_text(cycle)
        with told(self._path), ExitStack() as undo:
            undo.callback(self._forget)
            with self._connection:  # commits, or rolls back
                self._connection.execute("BEGIN IMMEDIATE")
                self._insert(cycle, words)
            undo.pop_all()

    def _insert(self, cycle: Cycle, words: bytes) -> None:
        pattern, dictionary = self._pattern_for(words)
        row = (
            micros(cycle.now),
            self._layout_of(cycle.snapshot),
            pattern,
            self._forecast_of(cycle.forecast),
            readings_to_bytes(cycle.snapshot),
            pack(words, dictionary),
        )
        self._connection.execute(
            "INSERT INTO cycle (now, layout, pattern, forecast, readings, words) VALUES (?, ?, ?, ?, ?, ?)", row
        )

    def _layout_of(self, snapshot: Snapshot) -> int:
        points = tuple(snapshot.readings)
        if points not in self._layouts:
            self._layouts[points] = self._add("layout", points=json.dumps(points))
        return self._layouts[points]

    def _pattern_for(self, words: bytes) -> tuple[int, bytes]:
        if self._cycles_left == 0:
            self._pattern = (self._add("pattern", words=zlib.compress(words)), words)
            self._cycles_left = CYCLES_PER_PATTERN
        self._cycles_left -= 1
        return self._pattern

    def _forecast_of(self, forecast: Forecast | None) -> int | None:
        if forecast is not self._forecast[0]:
            number = None
            if forecast is not None:
                number = self._add("forecast", issued_at=micros(forecast.issued_at), body=forecast_to_bytes(forecast))
            self._forecast = (forecast, number)
        return self._forecast[1]

    def _add(self, table: str, **columns: Any) -> int:
        marks = ", ".join("?" for _ in columns)
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
        return int(self._connection.execute(statement, tuple(columns.values())).lastrowid or 0)

    def close(self) -> None:
        """Finish the file: one plain file, which can be copied and read anywhere. May be called twice."""
        if self._claim is None:
            return
        with suppress(sqlite3.Error):
            # Fails while somebody reads: then the log stays beside it.
            self._connection.execute("PRAGMA journal_mode=DELETE")
        self._connection.close()
        self._claim.release()
        self._claim = None


class History:
    """Reads a history file, also while it is written."""

    def __init__(self, path: Path) -> None:
        """Raises `RecordError` if there is no such file, or if it is not a history."""
        self._path = path
        check_ours(path)
        with told(path):
            # A reader may have to finish the log of a killed recorder, so the file is not opened read-only.
            self._connection = open_database(path, "mode=rw")
            self._connection.execute("PRAGMA query_only=ON")
        self._layouts: dict[int, list[str]] = {}
        self._patterns: dict[int, bytes] = {}
        self._forecasts: dict[int, Forecast] = {}

    def cycles(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[RecordedCycle]:
        """The cycles from `since` to before `until`, as they came."""
        with told(self._path):
            for row in self._rows("now >= ? AND now < ? ORDER BY id", *_range(since, until)):
                yield self._cycle(*row)

    def snapshot(self, now: datetime) -> Snapshot:
        """What was read in the cycle at exactly `now`. Raises `RecordError` if there was none."""
        with told(self._path):
            for row in self._rows("now = ? ORDER BY id DESC LIMIT 1", micros(now)):
                return self._cycle(*row).snapshot
        raise RecordError(f"{self._path}: no cycle at {now.isoformat()}")

    def _rows(self, condition: str, *values: int) -> sqlite3.Cursor:
        columns = "now, layout, pattern, forecast, readings, words"
        return self._connection.execute(f"SELECT {columns} FROM cycle WHERE {condition}", values)

    def _cycle(
        self, now: int, layout: int, pattern: int, forecast: int | None, readings: bytes, words: bytes
    ) -> RecordedCycle:
        found = json.loads(unpack(words, self._pattern(pattern)))
        snapshot = snapshot_from(found, instant(now), self._layout(layout), readings)
        return cycle_from(found, snapshot, None if forecast is None else self._forecast(forecast))

    def _layout(self, number: int) -> list[str]:
        if number not in self._layouts:
            self._layouts[number] = json.loads(self._one("layout", "points", number))
        return self._layouts[number]

    def _pattern(self, number: int) -> bytes:
        if number not in self._patterns:
            self._patterns = {number: zlib.decompress(self._one("pattern", "words", number))}
        return self._patterns[number]

    def _forecast(self, number: int) -> Forecast:
        if number not in self._forecasts:
            self._forecasts = {number: forecast_from_bytes(self._one("forecast", "body", number))}
        return self._forecasts[number]

    def _one(self, table: str, column: str, number: int) -> Any:
        return self._connection.execute(f"SELECT {column} FROM {table} WHERE id = ?", (number,)).fetchone()[0]

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def _range(since: datetime | None, until: datetime | None) -> tuple[int, int]:
    return (-(2**62) if since is None else micros(since), 2**62 if until is None else micros(until))


def pack(words: bytes, pattern: bytes) -> bytes:
    """Compressed against the words of another cycle."""
    packer = zlib.compressobj(FAST, zdict=pattern)
    return packer.compress(words) + packer.flush()


def unpack(data: bytes, pattern: bytes) -> bytes:
    """The reverse of `pack`."""
    return zlib.decompressobj(zdict=pattern).decompress(data)
