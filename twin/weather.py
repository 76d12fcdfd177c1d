"""Weather of a run: one frozen table on a time grid, from a station file.

Sun between the rows of a file follows the sun itself: what is interpolated is how clear the sky is,
not how bright it is, so that no light is left after sunset and an hour keeps its energy.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pvlib

from twin.errors import InputError, Problem
from twin.noise import seconds_of
from twin.numeric import FloatArray
from twin.sun import Sun, sun_at, sun_over
from twin.timegrid import TimeGrid
from twin.weather_source import WeatherSource
from twin.weather_table import YEAR_S, Table, check_measured, read_table, second_of_year_s, stamp, typical, year_of

if TYPE_CHECKING:
    from twin.site import Location

SAMPLES = 6
"""Positions of the sun taken within each row of a file."""
LOWEST_COS = 0.03
"""Below this mean elevation a row says too little about the sky to be used."""
MAX_CLEARNESS = 1.1
"""Clouds beside the sun can lift short means a little above the light outside the atmosphere."""
LOWEST_SUN_DEG = 89.5
"""The clear-sky model divides by the cosine of the zenith angle: held here, and dark below the horizon."""
LINKE_TURBIDITY = 3.0
"""Haze of a mean mid-latitude year; 2 is very clear, 6 is polluted."""
CLEAR_SKY_DRY_BULB_C, CLEAR_SKY_HUMIDITY_FRACTION = 20.0, 0.5
"""Where a sky is asked for and no file says what lies under it."""


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

    @property
    def sun(self) -> Sun:
        """Position of the sun in the middle of each interval."""
        return sun_over(self.grid, self.latitude_deg, self.longitude_deg)


def part_of(weather: Weather, first: int, steps: int) -> Weather:
    """Some intervals of it, as a weather of their own."""
    grid = weather.grid
    series = {
        item.name: getattr(weather, item.name)[first : first + steps]
        for item in fields(weather)
        if isinstance(getattr(weather, item.name), np.ndarray)
    }
    start = grid.start + timedelta(seconds=first * grid.step_s)
    return replace(weather, grid=TimeGrid(start=start, step_s=grid.step_s, steps=steps), **series)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sky:
    """A weather file as what the sky lets through: fractions of the light outside the atmosphere."""

    table: Table
    clearness: FloatArray
    """Global horizontal, of the extraterrestrial light on the same plane."""
    beam: FloatArray
    """Direct normal, of the extraterrestrial light, while the sun is up."""


def wet_bulb_c(dry_bulb_c: FloatArray, humidity_fraction: FloatArray) -> FloatArray:
    """Wet-bulb temperature at 101.3 kPa, within 0.3 K on the mean.

    Valid from -20 to 50 °C and from 5% to 99% relative humidity; humidity is held within, and the
    result is never above the dry bulb.

    Source: Stull 2011, doi:10.1175/JAMC-D-11-0143.1, eq. 1.
    """
    humid = np.clip(humidity_fraction, 0.05, 0.99) * 100.0
    wet = (
        dry_bulb_c * np.arctan(0.151977 * np.sqrt(humid + 8.313659))
        + np.arctan(dry_bulb_c + humid)
        - np.arctan(humid - 1.676331)
        + 0.00391838 * humid**1.5 * np.arctan(0.023101 * humid)
        - 4.686035
    )
    return np.minimum(wet, dry_bulb_c)


def read_weather(source: WeatherSource, location: Location, grid: TimeGrid, site_path: Path) -> Weather:
    """Weather of `source` at `location`, on `grid`. `site_path` is the site file, which names files beside it.

    A typical year is laid on any year by month, day and hour of the site's standard time. A measured
    file counts as it is stamped, and has to cover the grid. Raises `InputError`.
    """
    path = _path(source, site_path)
    sky = _sky(source, path, location.latitude_deg, location.longitude_deg)
    at_s = seconds_of(grid.index())
    if source.typical_year:
        at_s = second_of_year_s(at_s + standard_offset_s(location))
    else:
        _check_covered(sky.table, grid)
    return _laid_on(sky, at_s, YEAR_S if source.typical_year else None, location, grid)


def standard_offset_s(location: Location) -> float:
    """Offset of the site's standard time from UTC: the smaller one of January and July."""
    offsets = [datetime(2001, month, 1, tzinfo=location.zone).utcoffset() for month in (1, 7)]
    return min(offset.total_seconds() for offset in offsets if offset is not None)


def clear_sky(weather: Weather) -> Weather:
    """The same weather under a sky without clouds: what the sun could give at most.

    Source: Ineichen & Perez 2002, doi:10.1016/S0038-092X(02)00045-2, as `pvlib.clearsky.ineichen`,
    with one Linke turbidity for the whole year.
    """
    sun = weather.sun
    zenith_deg = np.minimum(sun.zenith_deg, LOWEST_SUN_DEG)
    airmass = pvlib.atmosphere.get_relative_airmass(zenith_deg)
    airmass = pvlib.atmosphere.get_absolute_airmass(airmass, weather.pressure_kpa * 1000.0)
    clear = pvlib.clearsky.ineichen(
        zenith_deg, airmass, LINKE_TURBIDITY, altitude=weather.altitude_m, dni_extra=sun.extra_w_m2
    )
    series = {key: np.where(sun.cos_zenith > 0.0, clear[key], 0.0) for key in ("ghi", "dni", "dhi")}
    return replace(weather, ghi_w_m2=series["ghi"], dni_w_m2=series["dni"], dhi_w_m2=series["dhi"])


def clear_sky_on(grid: TimeGrid, location: Location) -> Weather:
    """Clear-sky weather anywhere and at any time, for which no file is needed: 20 °C, calm, standard pressure.

    Source of the pressure: the standard atmosphere, as `pvlib.atmosphere.alt2pres`.
    """
    none, mild_c = np.zeros(grid.steps), np.full(grid.steps, CLEAR_SKY_DRY_BULB_C)
    weather = Weather(
        grid=grid,
        latitude_deg=location.latitude_deg,
        longitude_deg=location.longitude_deg,
        altitude_m=location.altitude_m,
        time_zone=location.time_zone,
        ghi_w_m2=none,
        dni_w_m2=none,
        dhi_w_m2=none,
        dry_bulb_c=mild_c,
        wet_bulb_c=wet_bulb_c(mild_c, np.full(grid.steps, CLEAR_SKY_HUMIDITY_FRACTION)),
        wind_m_s=none,
        pressure_kpa=np.full(grid.steps, pvlib.atmosphere.alt2pres(location.altitude_m) / 1000.0),
    )
    return clear_sky(weather)


def _path(source: WeatherSource, site_path: Path) -> Path:
    if source.format == "greensboro":
        return Path()
    if source.file is None:
        found, expected = "nothing", f"the path of a file in the format {source.format}"
        raise InputError(Problem(file=str(site_path), line=None, path="weather.file", found=found, expected=expected))
    return site_path.parent / source.file


@lru_cache(maxsize=4)
def _sky(source: WeatherSource, path: Path, latitude_deg: float, longitude_deg: float) -> Sky:
    table = _table(source.format, path)
    if source.typical_year:
        table = typical(table if source.year is None else year_of(table, source.year))
    else:
        check_measured(table)
    latitude_deg = latitude_deg if table.latitude_deg is None else table.latitude_deg
    longitude_deg = longitude_deg if table.longitude_deg is None else table.longitude_deg
    inside_s = (np.arange(SAMPLES) + 0.5) / SAMPLES * table.step_s
    instants = (table.starts_s[:, None] + inside_s).ravel()
    sun = sun_at(pd.DatetimeIndex(instants.astype("datetime64[s]"), tz="UTC"), latitude_deg, longitude_deg)
    cos = sun.cos_zenith.reshape(-1, SAMPLES)
    extra_w_m2 = sun.extra_w_m2.reshape(-1, SAMPLES).mean(axis=1)
    return Sky(
        table=table,
        clearness=_seen(table.columns["ghi_w_m2"], extra_w_m2 * cos.mean(axis=1), cos),
        beam=_seen(table.columns["dni_w_m2"], extra_w_m2 * (cos > 0.0).mean(axis=1), cos),
    )


_table = lru_cache(maxsize=2)(read_table)
"""Years of one file are read one after the other."""


def _seen(measured_w_m2: FloatArray, possible_w_m2: FloatArray, cos: FloatArray) -> FloatArray:
    """Measured over possible light in daytime rows, and the nearest days' sky joined over the night."""
    day = np.flatnonzero(cos.mean(axis=1) > LOWEST_COS)
    if len(day) == 0:
        return np.zeros(len(cos))
    share = np.clip(measured_w_m2[day] / possible_w_m2[day], 0.0, MAX_CLEARNESS)
    return np.interp(np.arange(len(cos)), day, share)


def _check_covered(table: Table, grid: TimeGrid) -> None:
    first_s, last_s = float(table.starts_s[0]), float(table.starts_s[-1]) + table.step_s
    if first_s <= grid.start.timestamp() and grid.end.timestamp() <= last_s:
        return
    found = f"{stamp(first_s)} to {stamp(last_s)} UTC"
    expected = f"rows from {stamp(grid.start.timestamp())} to {stamp(grid.end.timestamp())} UTC (or typical_year: true)"
    raise InputError(Problem(file=table.file, line=None, path="time", found=found, expected=expected))


def _laid_on(sky: Sky, at_s: FloatArray, period_s: float | None, location: Location, grid: TimeGrid) -> Weather:
    table = sky.table
    starts_s = table.of_year_s() if period_s else table.starts_s
    lit_s, observed_s = starts_s + table.step_s / 2, starts_s + table.observed_after_s

    def observed(name: str) -> FloatArray:
        return np.interp(at_s, observed_s, table.columns[name], period=period_s)

    sun = sun_over(grid, location.latitude_deg, location.longitude_deg)
    cos = sun.cos_zenith
    ghi_w_m2 = np.interp(at_s, lit_s, sky.clearness, period=period_s) * sun.extra_w_m2 * cos
    dni_w_m2 = np.where(cos > 0.0, np.interp(at_s, lit_s, sky.beam, period=period_s) * sun.extra_w_m2, 0.0)
    direct_w_m2 = np.minimum(dni_w_m2 * cos, ghi_w_m2)
    dry_bulb_c = observed("dry_bulb_c")
    return Weather(
        grid=grid,
        latitude_deg=location.latitude_deg,
        longitude_deg=location.longitude_deg,
        altitude_m=location.altitude_m,
        time_zone=location.time_zone,
        ghi_w_m2=ghi_w_m2,
        dni_w_m2=np.divide(direct_w_m2, cos, out=np.zeros_like(cos), where=cos > 0.0),
        dhi_w_m2=ghi_w_m2 - direct_w_m2,
        dry_bulb_c=dry_bulb_c,
        wet_bulb_c=wet_bulb_c(dry_bulb_c, observed("relative_humidity_fraction")),
        wind_m_s=np.maximum(observed("wind_m_s"), 0.0),
        pressure_kpa=observed("pressure_kpa"),
    )
