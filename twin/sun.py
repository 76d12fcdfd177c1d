"""Where the sun stands over a site, computed once for each time grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
import pvlib

from twin.numeric import FloatArray
from twin.timegrid import TimeGrid


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sun:
    """Position of the sun at each of several instants."""

    zenith_deg: FloatArray
    """As seen through the atmosphere, refraction included."""
    azimuth_deg: FloatArray
    """Clockwise from north."""
    extra_w_m2: FloatArray
    """Beam irradiance above the atmosphere."""

    @property
    def cos_zenith(self) -> FloatArray:
        """Vertical part of the direction to the sun; 0 below the horizon."""
        return np.maximum(np.cos(np.radians(self.zenith_deg)), 0.0)


def sun_at(index: pd.DatetimeIndex, latitude_deg: float, longitude_deg: float) -> Sun:
    """Sun at each instant, within about 0.01° between 1950 and 2050.

    Source: Astronomical Almanac algorithm as in `pvlib.solarposition.ephemeris`, some thirty times
    faster than NREL's SPA; the difference moves no step's PV power by more than a tenth of a percent.
    """
    position = pvlib.solarposition.ephemeris(index, latitude_deg, longitude_deg)
    return Sun(
        zenith_deg=position["apparent_zenith"].to_numpy(),
        azimuth_deg=position["azimuth"].to_numpy(),
        extra_w_m2=np.asarray(pvlib.irradiance.get_extra_radiation(index), dtype=np.float64),
    )


@lru_cache(maxsize=8)
def sun_over(grid: TimeGrid, latitude_deg: float, longitude_deg: float) -> Sun:
    """Sun at the middle of each interval of `grid`; remembered, since weather and every array ask for it."""
    return sun_at(grid.index(), latitude_deg, longitude_deg)


def beam_and_diffuse_w_m2(ghi_w_m2: FloatArray, sun: Sun) -> tuple[FloatArray, FloatArray]:
    """Direct normal and diffuse horizontal irradiance from the global one, where a station measures nothing else.

    They close: ``ghi = dni · cos(zenith) + dhi``. Made from hourly means; below 3° of elevation all light counts as
    diffuse.

    Source: Driesse, Jensen & Perez 2024, doi:10.1016/j.solener.2023.112093, a continuous form of Erbs et al. 1982, as
    `pvlib.irradiance.erbs_driesse`.
    """
    parts = pvlib.irradiance.erbs_driesse(ghi_w_m2, sun.zenith_deg, dni_extra=sun.extra_w_m2)
    return np.asarray(parts["dni"], dtype=np.float64), np.asarray(parts["dhi"], dtype=np.float64)
