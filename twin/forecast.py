"""What is expected, with how sure one is of it, and until when it may be relied on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from twin.numeric import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One forecast signal; each array has the shape ``(horizon,)`` or ``(horizon, scenarios)``."""

    mean: FloatArray
    low: FloatArray
    """10% quantile."""
    high: FloatArray
    """90% quantile."""
    method: str
    """Forecaster that made it, for example `clear_sky_persistence`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Signals from `issued_at` on, each value the mean of one interval of `step_s`.

    Signal names: `<device>.available_kw` for sun and wind, `<device>.demand_kw` for halls and loads.
    """

    issued_at: datetime
    step_s: float
    valid_until: datetime
    signals: Mapping[str, Signal]
