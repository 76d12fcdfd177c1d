"""Weather files as people have them: NREL TMY3, EnergyPlus EPW, or a plain CSV. Wrong rows are named by line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pvlib

from twin.errors import InputError, Problem
from twin.numeric import FloatArray

YEAR_S = 365 * 86400.0
LIMITS: Mapping[str, tuple[float, float]] = {
    "ghi_w_m2": (-20.0, 1800.0),
    "dni_w_m2": (-20.0, 1500.0),
    "dhi_w_m2": (-20.0, 1200.0),
    "dry_bulb_c": (-90.0, 65.0),
    "relative_humidity_fraction": (0.0, 1.1),
    "wind_m_s": (0.0, 90.0),
    "pressure_kpa": (40.0, 110.0),
}
"""Column → what can be true on Earth. The codes for missing values of TMY3 and EPW all lie outside."""
MOST_PROBLEMS = 10
OFFSET = re.compile(r"(?:Z|[+-]\d\d:?\d\d)\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Evenly spaced rows of one weather file."""

    file: str
    first_line: int
    """Line of the first row."""
    starts_s: FloatArray
    """Beginning of each row's interval, seconds since the epoch, UTC."""
    offset_s: float
    """Of the station's standard time from UTC."""
    observed_after_s: float
    """From the beginning of the interval to the instant of temperature, humidity, wind and pressure."""
    columns: Mapping[str, FloatArray]
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    """None: the file does not say."""

    @property
    def step_s(self) -> float:
        return float(np.median(np.diff(self.starts_s[:1000])))

    def of_year_s(self) -> FloatArray:
        """Seconds since the first of January, station's standard time, in a year without a leap day."""
        return second_of_year_s(self.starts_s + self.offset_s)

    def at(self, row: int) -> str:
        """The stamp of a row as a person reads it, in the station's standard time."""
        return stamp(self.starts_s[row] + self.offset_s)


def stamp(seconds: float) -> str:
    """Seconds since the epoch as date and time."""
    return str(pd.Timestamp(seconds, unit="s"))


def second_of_year_s(local_s: FloatArray) -> FloatArray:
    """Seconds since the first of January; the 29th of February counts as the 28th."""
    instants = local_s.astype("datetime64[s]")
    years = instants.astype("datetime64[Y]")
    days = (instants.astype("datetime64[D]") - years.astype("datetime64[D]")).astype(np.int64)
    year = years.astype(np.int64) + 1970
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    days = np.where(leap & (days >= 59), days - 1, days)
    return np.asarray(days * 86400.0 + local_s % 86400.0)


def read_table(format_name: str, path: Path) -> Table:
    """Read a file of one of the formats of `WeatherSource`; every wrong value and row is an `InputError`."""
    try:
        table = READERS[format_name](path)
    except OSError as error:
        raise InputError(_problem(path, None, str(error.strerror), "a readable weather file")) from None
    except (ValueError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise InputError(_problem(path, None, str(error), f"a file in the format {format_name}")) from None
    problems = list(_impossible(table))
    if problems:
        raise InputError(*problems[:MOST_PROBLEMS])
    return table


def check_measured(table: Table) -> None:
    """Each row one step after the one above."""
    _check_even(table, np.diff(table.starts_s))


def typical(table: Table) -> Table:
    """The rows of one year in the order of the calendar, without a leap day; `InputError` if it is not one year."""
    _check_even(table, np.diff(_without_leap_day(table).of_year_s()) % YEAR_S)
    table = _without_leap_day(table)
    wanted = round(YEAR_S / table.step_s)
    if len(table.starts_s) != wanted:
        found, expected = f"{len(table.starts_s)} rows", f"{wanted} rows, one year (or typical_year: false)"
        raise InputError(_problem(table.file, None, found, expected))
    order = np.argsort(table.of_year_s(), kind="stable")
    return replace(
        table, starts_s=table.starts_s[order], columns={name: value[order] for name, value in table.columns.items()}
    )


def year_of(table: Table, year: int) -> Table:
    """The rows of one calendar year, station's standard time; `InputError` if there are none."""
    years = (table.starts_s + table.offset_s).astype("datetime64[s]").astype("datetime64[Y]").astype(np.int64) + 1970
    chosen = np.flatnonzero(years == year)
    if len(chosen) == 0:
        raise InputError(_problem(table.file, None, f"rows of {years[0]} to {years[-1]}", f"rows of {year}", "time"))
    columns = {name: value[chosen] for name, value in table.columns.items()}
    first_line = table.first_line + int(chosen[0])
    return replace(table, starts_s=table.starts_s[chosen], columns=columns, first_line=first_line)


def _without_leap_day(table: Table) -> Table:
    dates = (table.starts_s + table.offset_s).astype("datetime64[s]").astype("datetime64[D]")
    month_day = (dates - dates.astype("datetime64[M]")).astype(np.int64)
    kept = ~((dates.astype("datetime64[M]").astype(np.int64) % 12 == 1) & (month_day == 28))
    columns = {name: value[kept] for name, value in table.columns.items()}
    return table if kept.all() else replace(table, starts_s=table.starts_s[kept], columns=columns)


def _check_even(table: Table, distances_s: FloatArray) -> None:
    wrong = np.flatnonzero(np.abs(distances_s - table.step_s) > 0.5)
    if len(wrong) == 0:
        return
    row = int(wrong[0]) + 1
    found = f"{table.at(row)} after {table.at(row - 1)} ({_kind(float(table.starts_s[row] - table.starts_s[row - 1]))})"
    expected = f"each row {table.step_s:g} s after the one above, in standard time without daylight saving"
    raise InputError(_problem(table.file, table.first_line + row, found, expected, "time"))


def _kind(distance_s: float) -> str:
    if distance_s == 0:
        return "a row twice"
    return "a gap" if distance_s > 0 else "out of order"


def _impossible(table: Table) -> Iterator[Problem]:
    for name, values in table.columns.items():
        low, high = LIMITS[name]
        for row in np.flatnonzero(~((values >= low) & (values <= high))):
            expected = f"a number from {low:g} to {high:g}"
            yield _problem(table.file, table.first_line + int(row), f"{values[row]:g}", expected, name)


def _problem(file: Path | str, line: int | None, found: str, expected: str, path: str = "") -> Problem:
    return Problem(file=str(file), line=line, path=path, found=found, expected=expected)


def _seconds(stamps: Any) -> FloatArray:
    index = pd.DatetimeIndex(stamps).tz_convert("UTC")
    return np.asarray(index.as_unit("s").asi8, dtype=np.float64)


def _station(path: Path, first_line: int, frame: pd.DataFrame, meta: Mapping[str, Any], **columns: Any) -> Table:
    values = {
        name: pd.to_numeric(frame[key], errors="coerce").to_numpy(float) * by for name, (key, by) in columns.items()
    }
    return Table(
        file=str(path),
        first_line=first_line,
        starts_s=_seconds(frame.index),
        offset_s=meta["TZ"] * 3600.0,
        observed_after_s=3600.0,
        columns=values,
        latitude_deg=meta["latitude"],
        longitude_deg=meta["longitude"],
    )


def _read_tmy3(path: Path) -> Table:
    frame, meta = pvlib.iotools.read_tmy3(path, map_variables=True)
    starts = pd.DatetimeIndex(frame.index) - pd.Timedelta(hours=1)
    # pvlib moves 24:00 of the 28th of February of a leap year to the 1st of March; TMY3 has no 29th.
    leap_day = (starts.month == 2) & (starts.day == 29)
    frame.index = starts.where(~leap_day, starts - pd.Timedelta(days=1))
    return _station(
        path,
        3,
        frame,
        meta,
        ghi_w_m2=("ghi", 1.0),
        dni_w_m2=("dni", 1.0),
        dhi_w_m2=("dhi", 1.0),
        dry_bulb_c=("temp_air", 1.0),
        relative_humidity_fraction=("relative_humidity", 0.01),
        wind_m_s=("wind_speed", 1.0),
        pressure_kpa=("pressure", 0.1),
    )


def _read_epw(path: Path) -> Table:
    frame, meta = pvlib.iotools.read_epw(path)
    return _station(
        path,
        9,
        frame,
        meta,
        ghi_w_m2=("ghi", 1.0),
        dni_w_m2=("dni", 1.0),
        dhi_w_m2=("dhi", 1.0),
        dry_bulb_c=("temp_air", 1.0),
        relative_humidity_fraction=("relative_humidity", 0.01),
        wind_m_s=("wind_speed", 1.0),
        pressure_kpa=("atmospheric_pressure", 0.001),
    )


def _read_greensboro(path: Path) -> Table:  # noqa: ARG001
    return _read_tmy3(Path(pvlib.__file__).parent / "data" / "723170TYA.CSV")


def _read_csv(path: Path) -> Table:
    frame = pd.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False)
    missing = [name for name in ("time", *LIMITS) if name not in frame.columns]
    if missing:
        raise InputError(_problem(path, 1, ", ".join(frame.columns), f"the columns {', '.join(missing)} too"))
    if len(frame) < 2:
        raise InputError(_problem(path, 1, f"{len(frame)} rows", "at least 2 rows"))
    stamps, columns = _stamps(path, frame["time"]), _numbers(path, frame)
    starts_s = _seconds(stamps)
    step_s = float(np.median(np.diff(starts_s)))
    offset = pd.Timestamp(frame["time"].iloc[0]).utcoffset()
    return Table(
        file=str(path),
        first_line=2,
        starts_s=starts_s,
        offset_s=offset.total_seconds() if offset else 0.0,
        observed_after_s=step_s / 2,
        columns=columns,
    )


def _stamps(path: Path, texts: pd.Series[str]) -> pd.DatetimeIndex:
    naive = ~texts.str.contains(OFFSET)
    parsed = pd.to_datetime(texts.where(~naive, None), format="ISO8601", utc=True, errors="coerce")
    wrong = np.flatnonzero(parsed.isna())
    if len(wrong):
        raise InputError(*(_problem(path, int(row) + 2, repr(texts.iloc[row]), TIME, "time") for row in wrong[:3]))
    return pd.DatetimeIndex(parsed)


TIME = "an instant with its offset, such as 2021-03-14T02:00:00-05:00: local time alone skips and repeats an hour"


def _numbers(path: Path, frame: pd.DataFrame) -> dict[str, FloatArray]:
    columns, problems = dict[str, FloatArray](), list[Problem]()
    for name in LIMITS:
        columns[name] = pd.to_numeric(frame[name], errors="coerce").to_numpy(float)
        wrong = np.flatnonzero(~np.isfinite(columns[name]))
        problems += [_problem(path, int(row) + 2, repr(frame[name].iloc[row]), "a number", name) for row in wrong]
    if problems:
        raise InputError(*problems[:MOST_PROBLEMS])
    return columns


READERS = {"greensboro": _read_greensboro, "tmy3": _read_tmy3, "epw": _read_epw, "csv": _read_csv}
