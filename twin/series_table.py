"""Series of prices and emission factors as people have them: CSV or Parquet. Wrong rows are named by line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from twin.errors import InputError, Problem
from twin.numeric import FloatArray
from twin.time_series import PER_MWH, ReadSeries, SeriesFile

LARGEST = 1e5
"""No price per MWh and no factor in g/kWh is larger; codes for missing values are."""
MOST_FILLED = 0.05
"""A file of which a larger part is missing is refused."""
MOST_PROBLEMS = 10
DAY_S = 86400.0
TIME = "an instant with its offset such as 2021-03-14T02:00:00-05:00, or a key time_zone for stamps of the local clock"


def read_series(told: SeriesFile, folder: Path) -> ReadSeries:
    """Read the file that a person named; every wrong value and row is an `InputError`.

    Rows must be evenly spaced, in any order, each stamp once. Rows without a stamp or a value, and rows that are not
    there, are gaps: each takes the value of the same hour of the nearest day that has one, the day before first.
    """
    path = folder / told.file
    frame = _frame(path, told)
    stamps, values = _stamps(path, told, frame[told.time_column]), _numbers(path, told, frame[told.column])
    known = ~np.isnan(stamps)
    stamps, values, lines = stamps[known], values[known], np.flatnonzero(known) + 2
    order = np.argsort(stamps, kind="stable")
    stamps, values, lines = stamps[order], values[order], lines[order]
    problems = list(_uneven(path, told, stamps, lines))
    if problems:
        raise InputError(*problems[:MOST_PROBLEMS])
    step_s = _step_s(stamps)
    return _filled(path, told, stamps - (step_s if told.stamp == "end" else 0.0), values, step_s)


def _frame(path: Path, told: SeriesFile) -> pd.DataFrame:
    try:
        parquet = path.suffix == ".parquet"
        frame = pd.read_parquet(path) if parquet else pd.read_csv(path, dtype=str, skip_blank_lines=False)
    except OSError as error:
        raise InputError(problem(path, None, str(error.strerror or error), "a readable file")) from None
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(problem(path, None, str(error)[:80], "a CSV or Parquet file")) from None
    missing = [name for name in (told.time_column, told.column) if name not in frame.columns]
    if missing:
        raise InputError(problem(path, 1, ", ".join(map(str, frame.columns)), f"a column {', '.join(missing)} too"))
    if len(frame) < 2:
        raise InputError(problem(path, 1, f"{len(frame)} rows", "at least 2 rows"))
    return frame


def _stamps(path: Path, told: SeriesFile, column: pd.Series) -> FloatArray:
    """Seconds since the epoch, nan where a row has none or one that the local clock does not have once."""
    absent = column.isna()
    if not isinstance(column.dtype, pd.DatetimeTZDtype):
        column = _parsed(path, told, column, absent)
    seconds = (column - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
    return np.asarray(seconds, dtype=np.float64)


def _parsed(path: Path, told: SeriesFile, column: pd.Series, absent: pd.Series) -> pd.Series:
    if told.time_zone is not None:
        naive = pd.to_datetime(column, errors="coerce", format="ISO8601" if column.dtype == object else None)
        _complain(path, told, column, naive.isna() & ~absent)
        if naive.dt.tz is None:
            naive = naive.dt.tz_localize(ZoneInfo(told.time_zone), ambiguous="NaT", nonexistent="NaT")
        return naive.dt.tz_convert("UTC")
    texts = column.astype(str)
    offset = texts.str.contains(r"(?:Z|[+-]\d\d:?\d\d)\s*$")
    instants = pd.to_datetime(texts.where(offset, None), format="ISO8601", utc=True, errors="coerce")
    _complain(path, told, column, instants.isna() & ~absent)
    return instants


def _complain(path: Path, told: SeriesFile, column: pd.Series, wrong: pd.Series) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        places = ((int(row) + 2, repr(column.iloc[row])) for row in rows[:3])
        raise InputError(*(problem(path, line, found, TIME, told.time_column) for line, found in places))


def _numbers(path: Path, told: SeriesFile, column: pd.Series) -> FloatArray:
    """Values, nan where a row has none."""
    values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    wrong = np.flatnonzero((np.isnan(values) & ~column.isna().to_numpy()) | (np.abs(values) > LARGEST))
    if len(wrong):
        expected = f"a number from {-LARGEST:g} to {LARGEST:g}, or nothing"
        places = ((int(row) + 2, repr(column.iloc[row])) for row in wrong[:MOST_PROBLEMS])
        raise InputError(*(problem(path, line, found, expected, told.column) for line, found in places))
    return values * PER_MWH if told.unit == "per_mwh" else values


def _step_s(stamps: FloatArray) -> float:
    return float(np.median(np.diff(stamps)))


def _uneven(path: Path, told: SeriesFile, stamps: FloatArray, lines: npt.NDArray[np.int64]) -> Iterator[Problem]:
    if len(stamps) < 2:
        yield problem(path, None, f"{len(stamps)} rows with a stamp", "at least 2 of them", told.time_column)
        return
    step_s, distances_s = _step_s(stamps), np.diff(stamps)
    for row in np.flatnonzero((distances_s <= 0.0) | (np.abs(stamps[1:] - stamps[0]) % (step_s or 1.0) > 0.5)):
        stamp = pd.Timestamp(stamps[row + 1], unit="s", tz="UTC")
        twice = distances_s[row] <= 0.0
        found = f"{stamp} twice, in line {lines[row]} too" if twice else f"{stamp}, which is between two steps"
        yield problem(path, int(lines[row + 1]), found, f"one row for every {step_s:g} s", told.time_column)


def _filled(path: Path, told: SeriesFile, begins: FloatArray, values: FloatArray, step_s: float) -> ReadSeries:
    places = np.rint((begins - begins[0]) / step_s).astype(np.int64)
    whole = np.full(places[-1] + 1, np.nan)
    whole[places] = values
    missing = np.flatnonzero(np.isnan(whole))
    if len(missing) > MOST_FILLED * len(whole):
        share = f"{len(missing)} of {len(whole)} values missing"
        raise InputError(problem(path, None, share, f"at most {MOST_FILLED:.0%}", told.column))
    day = max(round(DAY_S / step_s), 1)
    filled = whole.copy()
    for place in missing:
        filled[place] = next(_near(whole, int(place), day))
    return ReadSeries(
        **{item.name: getattr(told, item.name) for item in fields(SeriesFile)},
        begin_s=float(begins[0]),
        step_s=step_s,
        values=filled,
        filled_steps=len(missing),
    )


def _near(whole: FloatArray, place: int, day: int) -> Iterator[float]:
    """Known values at the same hour of other days, the nearest first; at last the mean."""
    for days in range(1, len(whole) // day + 1):
        for other in (place - days * day, place + days * day):
            if 0 <= other < len(whole) and not np.isnan(whole[other]):
                yield float(whole[other])
    yield float(np.nanmean(whole))


def problem(path: Path, line: int | None, found: str, expected: str, column: str = "") -> Problem:
    """Something wrong in a file."""
    return Problem(file=str(path), line=line, path=column, found=found, expected=expected)
