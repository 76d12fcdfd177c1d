"""A year of dry and wet bulb at seven places, from measured, reanalysed and typical-year files that differ in form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from measured_data import measured

from twin.numeric import FloatArray
from twin.weather import wet_bulb_c

HOURS_PER_DAY = 24
ARID_K = 2.5
"""Dew point below the lowest temperature of the night, in dry places: 2 to 3 K by FAO-56 (Allen and others 1998)."""
MONTH_DAYS = 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Climate:
    """Hourly, over one year or two."""

    name: str
    dry_bulb_c: FloatArray
    wet_bulb_c: FloatArray
    humidity: str
    """Where humidity comes from."""


def saturation_kpa(at_c: FloatArray) -> FloatArray:
    """Over water. Source: Alduchov and Eskridge 1996, doi:10.1175/1520-0450(1996)035<0601:IMFAOS>2.0.CO;2."""
    pressure: FloatArray = 0.61094 * np.exp(17.625 * at_c / (at_c + 243.04))
    return pressure


def from_humidity(name: str, dry_c: FloatArray, humidity_fraction: FloatArray, told: str) -> Climate:
    return Climate(name=name, dry_bulb_c=dry_c, wet_bulb_c=wet_bulb_c(dry_c, humidity_fraction), humidity=told)


def from_dew_point(name: str, dry_c: FloatArray, dew_c: FloatArray, told: str) -> Climate:
    return from_humidity(name, dry_c, np.minimum(saturation_kpa(dew_c) / saturation_kpa(dry_c), 1.0), told)


def station_year(name: str, file: str) -> Climate:
    table = pd.read_parquet(measured(f"weather/{file}"))
    humidity = table["relative_humidity"].to_numpy(float) / 100.0
    return from_humidity(name, table["temp_air"].to_numpy(float), humidity, "measured")


def reanalysis(name: str, file: str) -> Climate:
    table = pd.read_parquet(measured(f"weather/{file}"))
    humidity = table["relative_humidity_2m"].to_numpy(float) / 100.0
    return from_humidity(name, table["temperature_2m"].to_numpy(float), humidity, "ERA5")


def panhandle(name: str, file: str) -> Climate:
    table = pd.read_parquet(measured(f"weather/{file}"))
    humidity = table["nsrdb_Relative Humidity"].to_numpy(float) / 100.0
    return from_humidity(name, table["nsrdb_Temperature"].to_numpy(float), humidity, "NSRDB")


def permian(name: str, file: str) -> Climate:
    table = pd.read_parquet(measured(f"weather/{file}"))
    dew_c = table["nsrdb_Dew Point"].to_numpy(float)
    return from_dew_point(name, table["nsrdb_Temperature"].to_numpy(float), dew_c, "NSRDB dew point")


def golden(name: str, file: str) -> Climate:
    """Humidity was not kept: the dew point is taken below the nights' lowest temperature, as FAO-56 advises.

    Of the mean over a month, since the hot nights of a dry spell are not humid; and of the night itself where that is
    colder, since air holds no more.
    """
    dry_c = pd.read_csv(measured(f"weather/{file}"))["Tdry"].to_numpy(float)
    lowest_c = pd.Series(dry_c.reshape(-1, HOURS_PER_DAY).min(axis=1))
    usual_c = lowest_c.rolling(MONTH_DAYS, center=True, min_periods=1).mean()
    dew_c = np.minimum(usual_c, lowest_c).to_numpy(float).repeat(HOURS_PER_DAY) - ARID_K
    return from_dew_point(name, dry_c, dew_c, "assumed: 2.5 K below the nights' lowest")


CLIMATES: Mapping[str, Callable[[], Climate]] = {
    name: partial(read, name, file)
    for name, read, file in (
        ("Golden CO", golden, "golden_co_nrel_measured_2021_2022_hourly.csv.gz"),
        ("San Jose CA, typical", station_year, "san_jose_ca_tmyx2007_2021_epw.parquet"),
        ("San Jose CA, 2021-22", reanalysis, "san_jose_ca_openmeteo_era5_2021_2022.parquet"),
        ("Frankfurt DE, 2021-22", reanalysis, "frankfurt_de_openmeteo_era5_2021_2022.parquet"),
        ("Dallas TX, typical", station_year, "dallas_tx_tmyx2007_2021_epw.parquet"),
        ("Austin TX, 2018", station_year, "austin_tx_camp_mabry_amy2018_epw.parquet"),
        ("Panhandle TX, 2012", panhandle, "tx_panhandle_35.20N_101.95W_2012_nsrdb4_wtk2_hourly.parquet"),
        ("Permian TX, 2013", permian, "tx_permian_30.66N_101.71W_2013_nsrdb3_wtk_hourly.parquet"),
    )
}
