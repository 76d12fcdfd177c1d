"""From sunlight to direct current: what reaches a tilted module, what dirt and age take, what its cells make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import pvlib
from annotated_types import Ge, Gt, Le, Lt

from twin.devices.base import STRICT
from twin.noise import seconds_of
from twin.numeric import FloatArray
from twin.sun import Sun
from twin.units import SECONDS_PER_HOUR
from twin.weather import Weather

SECONDS_PER_DAY = 24.0 * SECONDS_PER_HOUR
SECONDS_PER_YEAR = 365.25 * SECONDS_PER_DAY

Mounting = Literal["freestanding", "semi_integrated", "insulated"]
"""How freely air passes behind the modules, as PVsyst tells them apart: 29, 20 and 15 W/(m²·K)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Soiling:
    """Dirt that settles from day to day until the modules are washed."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    loss_fraction_per_day: Annotated[float, Ge(0), Le(0.05)] = 0.0015
    """Kimber measured 0.0011 in rural northern California, 0.002 beside roads, 0.003 in the desert."""
    max_loss_fraction: Annotated[float, Gt(0), Lt(1)] = 0.3
    cleaned: tuple[str, ...]
    """Days of each year on which the modules are washed, or rain does it reliably, as month-day: ``"03-15"``."""

    def __post_init__(self) -> None:
        if not self.cleaned:
            raise ValueError("cleaned with one day of the year at least")
        for day in self.cleaned:
            _of_year(day, 2001)


def _of_year(month_day: str, year: int) -> datetime:
    try:
        return datetime.strptime(f"{year}-{month_day} +0000", "%Y-%m-%d %z")
    except ValueError:
        raise ValueError(f"cleaned as days of every year, month-day such as '03-15', not {month_day!r}") from None


def soiling_loss_fraction(index: pd.DatetimeIndex, soiling: Soiling) -> FloatArray:
    """Light that dirt keeps from the cells: so much a day since the last washing, up to a limit.

    The model of Kimber without rain, of which weather files here tell nothing; washing takes effect at 0:00 UTC.

    Source: Kimber et al. 2006, doi:10.1109/WCPEC.2006.279690; `pvlib.soiling.kimber`.
    """
    at_s = seconds_of(index)
    first, last = int(index.year.min()), int(index.year.max())
    washed_s = sorted(_of_year(day, year).timestamp() for year in range(first - 1, last + 1) for day in soiling.cleaned)
    since_s = at_s - np.array(washed_s)[np.searchsorted(washed_s, at_s, side="right") - 1]
    lost_fraction: FloatArray = soiling.loss_fraction_per_day * since_s / SECONDS_PER_DAY
    return np.minimum(lost_fraction, soiling.max_loss_fraction)


def age_factor(index: pd.DatetimeIndex, commissioned: date, degradation_fraction_per_year: float) -> FloatArray:
    """Power left of that when new, falling by the same amount every year; 1 before `commissioned`, never below 0.

    Source: Jordan & Kurtz 2013, doi:10.1002/pip.1182: 2,000 rates, median 0.5% a year.
    """
    begun_s = datetime(commissioned.year, commissioned.month, commissioned.day, tzinfo=index.tz).timestamp()
    years = np.maximum(seconds_of(index) - begun_s, 0.0) / SECONDS_PER_YEAR
    return np.maximum(1.0 - degradation_fraction_per_year * years, 0.0)


def plane_irradiance_w_m2(
    weather: Weather,
    sun: Sun,
    *,
    tilt_deg: float,
    azimuth_deg: float,
    albedo_fraction: float,
    incidence_loss_factor: float = 0.0,
) -> FloatArray:
    """Irradiance on a tilted plane that enters the glass, with the circumsolar diffuse model of Hay and Davies (1980).

    At an angle θ of incidence, the glass reflects ``b0 · (1 / cos θ - 1)`` more than at 0°, where b0 is
    `incidence_loss_factor`; of diffuse light, the mean over the directions it comes from. Nothing is received when
    the sun is below the horizon.

    Source: `pvlib.irradiance.get_total_irradiance`; Hay & Davies, Proc. First Canadian Solar Radiation Data Workshop,
    1980. Reflection: Souka & Safwat 1966 as `pvlib.iam.ashrae`, and Marion 2017, doi:10.1016/j.solener.2017.03.027.
    """
    total = pvlib.irradiance.get_total_irradiance(
        tilt_deg,
        azimuth_deg,
        sun.zenith_deg,
        sun.azimuth_deg,
        weather.dni_w_m2,
        weather.ghi_w_m2,
        weather.dhi_w_m2,
        dni_extra=sun.extra_w_m2,
        albedo=albedo_fraction,
        model="haydavies",
    )
    angle_deg = pvlib.irradiance.aoi(tilt_deg, azimuth_deg, sun.zenith_deg, sun.azimuth_deg)
    sky, ground = _diffuse_passed(tilt_deg, incidence_loss_factor)
    beam_w_m2 = total["poa_direct"] * pvlib.iam.ashrae(angle_deg, incidence_loss_factor)
    entered_w_m2 = beam_w_m2 + total["poa_sky_diffuse"] * sky + total["poa_ground_diffuse"] * ground
    return np.where(sun.zenith_deg < 90.0, np.maximum(entered_w_m2, 0.0), 0.0)


@lru_cache(maxsize=64)
def _diffuse_passed(tilt_deg: float, incidence_loss_factor: float) -> Sequence[float]:
    """Of the diffuse light from the sky, and of that from the ground."""
    if incidence_loss_factor == 0.0:
        return 1.0, 1.0
    passed = pvlib.iam.marion_diffuse("ashrae", tilt_deg, b=incidence_loss_factor)
    return tuple(float(np.nan_to_num(passed[part], nan=1.0)) for part in ("sky", "ground"))


def modules_kw(
    entered_w_m2: FloatArray,
    weather: Weather,
    *,
    rated_dc_kw: float,
    power_drop_fraction_per_k: float,
    low_light_loss_fraction: float = 0.0,
    mounting: Mounting = "freestanding",
) -> FloatArray:
    """DC power of clean, new modules: the cells' temperature by PVsyst, their power by PVWatts; never negative.

    `low_light_loss_fraction` of rated power is missing at 200 W/m²; in proportion below, and less above, up to
    1,000 W/m².

    Source: `pvlib.temperature.pvsyst_cell`; Dobos, NREL/TP-6A20-62641 (2014), eq. 5, with Marion 2008 (Photovoltaic
    Specialists Conference, doi:10.1109/PVSC.2008.4922586), as `pvlib.pvsystem.pvwatts_dc`.
    """
    loss = pvlib.temperature.TEMPERATURE_MODEL_PARAMETERS["pvsyst"][mounting]
    cell_c = pvlib.temperature.pvsyst_cell(entered_w_m2, weather.dry_bulb_c, weather.wind_m_s, **loss)
    dc_kw = pvlib.pvsystem.pvwatts_dc(
        entered_w_m2,
        cell_c,
        rated_dc_kw,
        -power_drop_fraction_per_k,
        k=low_light_loss_fraction,
        cap_adjustment=True,
    )
    return np.maximum(np.asarray(dc_kw, dtype=np.float64), 0.0)
