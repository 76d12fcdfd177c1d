"""How instants, readings and forecasts become bytes, and bytes the same again: pure, and exact to the last bit."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from twin.forecast import Forecast, Signal
from twin.points import Quality, Reading, Snapshot

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
QUALITIES = tuple(Quality)
QUALITY_CODES = {quality: code for code, quality in enumerate(QUALITIES)}
FAST = 3
"""Compression level: a cycle has a second, a slow machine has other work."""


def micros(instant: datetime) -> int:
    """Microseconds since the epoch: an instant, exactly."""
    return (instant - EPOCH) // MICROSECOND


def instant(microseconds: int) -> datetime:
    """The reverse of `micros`."""
    return EPOCH + microseconds * MICROSECOND


def readings_to_bytes(snapshot: Snapshot) -> bytes:
    """Instants, widths, qualities and values of the readings, in their order."""
    known: dict[datetime, int] = {}
    ages, codes, widths, values = [], bytearray(), [], []
    for reading in snapshot.readings.values():
        if reading.at not in known:
            known[reading.at] = (snapshot.now - reading.at) // MICROSECOND
        ages.append(known[reading.at])
        codes.append(QUALITY_CODES[reading.quality])
        value = reading.value
        if isinstance(value, np.ndarray):
            widths.append(len(value))
            values.extend(value.tolist())
        else:
            widths.append(0)
            values.append(value)
    columns = (np.array(ages, dtype="<i8"), np.array(widths, dtype="<i8"), np.array(values, dtype="<f8"))
    return zlib.compress(b"".join([*map(_planes, columns), bytes(codes)]), FAST)


def _planes(column: Any) -> bytes:
    """The first bytes of all numbers, then all second bytes, and so on: what is alike lies together."""
    return np.ascontiguousarray(column.view(np.uint8).reshape(-1, 8).T).tobytes()


def _column(data: bytes, dtype: str) -> Any:
    return np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(8, -1).T).reshape(-1).view(dtype)


def readings_from_bytes(
    data: bytes, now: datetime, points: Sequence[str], reasons: Mapping[str, str]
) -> dict[str, Reading]:
    """The reverse of `readings_to_bytes`; `reasons` by the place of their reading."""
    raw, count = zlib.decompress(data), len(points)
    ages, widths = _column(raw[: 8 * count], "<i8").tolist(), _column(raw[8 * count : 16 * count], "<i8").tolist()
    values = _column(raw[16 * count : len(raw) - count], "<f8")
    codes, place = raw[len(raw) - count :], 0
    readings: dict[str, Reading] = {}
    for row, point in enumerate(points):
        width = widths[row]
        readings[point] = Reading(
            value=values[place : place + width].copy() if width else float(values[place]),
            at=now - ages[row] * MICROSECOND,
            quality=QUALITIES[codes[row]],
            reason=reasons.get(str(row), ""),
        )
        place += width or 1
    return readings


def forecast_to_bytes(forecast: Forecast) -> bytes:
    """A forecast, exactly."""
    head: dict[str, Any] = {
        "issued_at": micros(forecast.issued_at),
        "step_s": forecast.step_s,
        "valid_until": micros(forecast.valid_until),
        "signals": [[name, signal.method, signal.mean.shape] for name, signal in forecast.signals.items()],
    }
    parts = [
        array.astype("<f8").tobytes()
        for item in forecast.signals.values()
        for array in (item.mean, item.low, item.high)
    ]
    return zlib.compress(b"\n".join([json.dumps(head).encode(), b"".join(parts)]))


def forecast_from_bytes(data: bytes) -> Forecast:
    """The reverse of `forecast_to_bytes`."""
    line, _, numbers = zlib.decompress(data).partition(b"\n")
    head, place, signals = json.loads(line), 0, dict[str, Signal]()
    for name, method, shape in head["signals"]:
        size = 3 * int(np.prod(shape))
        mean, low, high = np.frombuffer(numbers, "<f8", size, place).reshape(3, *shape)
        signals[name] = Signal(mean=mean, low=low, high=high, method=method)
        place += 8 * size
    return Forecast(
        issued_at=instant(head["issued_at"]),
        step_s=head["step_s"],
        valid_until=instant(head["valid_until"]),
        signals=signals,
    )
