"""Weather of a run: one frozen table on a time grid, read from a station file. (Filled in by its reader.)"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from twin.numeric import FloatArray
from twin.timegrid import TimeGrid


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """Mean values over each interval of `grid`; every array has the shape ``(grid.steps,)``."""

    grid: TimeGrid
    latitude_deg: float
    longitude_deg: float
    altitude_m: float
    time_zone: str
    ghi_w_m2: FloatArray
    dni_w_m2: FloatArray
    dhi_w_m2: FloatArray
    dry_bulb_c: FloatArray
    wet_bulb_c: FloatArray
    wind_m_s: FloatArray
    """At 10 m."""
    pressure_kpa: FloatArray

    @property
    def index(self) -> pd.DatetimeIndex:
        """Middle of each interval, UTC."""
        return self.grid.index()
