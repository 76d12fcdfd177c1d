"""Whether an engine starts: attempts that fail by chance, the same for every length of step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from annotated_types import Ge, Gt, Le

from twin.devices.base import STRICT
from twin.noise import Seed, smooth_noise
from twin.numeric import FloatArray, Num, where

DRAWN_EVERY_S = 60.0
"""Two calls within the same minute meet the same luck."""
NEVER_S = 1e9
"""Until an engine is ready that was given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Starting:
    """How often an engine does not start, and what its controller then does.

    Notes
    -----
    Attempts fail independently: ``P(n failures) = success · (1 − success)^n``. After `max_attempts_count` of them the
    controller gives up until the call is taken back: the overcrank lockout of NFPA 110, whose cycle is three times
    15 s of cranking and 15 s of rest.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    success_fraction: Annotated[float, Gt(0), Le(1)]
    """Of all attempts."""
    retry_s: Annotated[float, Ge(0)] = 30.0
    """Cranking and rest of a failed attempt."""
    max_attempts_count: Annotated[int, Gt(0)] = 3
    stream: str = ""
    """Tells the luck of engines on one bus apart: those with the same stream fail together."""

    def failures(self, index: pd.DatetimeIndex, seed: Seed, place: str) -> FloatArray:
        """Failed attempts of a call in each interval, as many as are made: ``(steps,)``, or ``(seeds, steps)``."""
        minutes = index.floor(f"{DRAWN_EVERY_S:g}s")
        drawn = smooth_noise(minutes, seed=seed, name=f"{place}.{self.stream}.start", period_s=DRAWN_EVERY_S)
        even = (1.0 - drawn) / 2.0  # above 0, up to 1
        if self.success_fraction == 1.0:
            return np.zeros_like(even)
        failed: FloatArray = np.floor(np.log(even) / np.log1p(-self.success_fraction))
        return np.minimum(failed, float(self.max_attempts_count))

    def ready_in_s(self, start_s: Num, failed_count: Num) -> Num:
        """From the call to delivering."""
        return where(failed_count >= self.max_attempts_count, NEVER_S, start_s + self.retry_s * failed_count)
