"""Spans of time that a person's file tells: maintenance, or a supply that is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from twin.devices.base import STRICT
from twin.numeric import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From one instant up to another. Instants without a time zone are UTC."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if _utc(self.start) >= _utc(self.end):
            raise ValueError(f"start before end, not {self.start.isoformat()} and {self.end.isoformat()}")


def inside(spans: Sequence[Span], index: pd.DatetimeIndex) -> FloatArray:
    """1 for each interval that begins within one of `spans`, else 0."""
    held = [(index >= _stamp(span.start)) & (index < _stamp(span.end)) for span in spans]
    return np.any(held, axis=0).astype(np.float64) if held else np.zeros(len(index))


def _utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _stamp(instant: datetime) -> pd.Timestamp:
    return pd.Timestamp(_utc(instant))
