"""Series of prices and emission factors: gaps, clocks, units, and rows that cannot be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from twin.errors import InputError
from twin.series_table import read_series
from twin.time_series import ReadSeries, SeriesFile

START = datetime(2025, 3, 29, tzinfo=UTC)


def told(**changed: Any) -> SeriesFile:
    return SeriesFile(**{"file": "x.csv", "column": "price", "unit": "per_mwh", **changed})


def hours(count: int, start: datetime = START) -> list[str]:
    return [(start + timedelta(hours=number)).isoformat() for number in range(count)]


def read(folder: Path, stamps: list[str], values: list[object], **changed: Any) -> ReadSeries:
    rows = [f"{stamp},{value}" for stamp, value in zip(stamps, values, strict=True)]
    (folder / "x.csv").write_text("\n".join(["time,price", *rows]) + "\n", encoding="utf-8")
    return read_series(told(**changed), folder)


def test_a_price_per_mwh_holds_for_its_hour(tmp_path: Path) -> None:
    series = read(tmp_path, hours(48), [*range(48)])
    assert (series.step_s, series.filled_steps) == (3600.0, 0)
    assert series.at((START + timedelta(hours=5)).timestamp()) == pytest.approx(0.005)
    assert series.at((START + timedelta(hours=5, minutes=59)).timestamp()) == pytest.approx(0.005)


def test_a_stamp_may_be_the_end_of_its_hour(tmp_path: Path) -> None:
    series = read(tmp_path, hours(48), [*range(48)], stamp="end", unit="per_kwh")
    assert series.at(START.timestamp() - 1.0) == 0.0
    assert series.at(START.timestamp()) == 1.0


def test_gaps_take_the_same_hour_of_the_nearest_day_and_are_counted(tmp_path: Path) -> None:
    values: list[object] = [*range(240)]
    values[30] = ""
    stamps = hours(240)
    del stamps[100], values[100]
    series = read(tmp_path, stamps, values, unit="per_kwh")
    assert series.filled_steps == 2
    assert (series.values[30], series.values[100]) == (6.0, 76.0)
    assert len(series.values) == 240
    first_day = read(tmp_path, hours(48), ["", *range(1, 48)], unit="per_kwh")
    assert first_day.values[0] == 24.0, "of the day after, for there is none before"


def test_too_many_gaps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.csv: price: found 8 of 48 values missing, expected at most 5%"):
        read(tmp_path, hours(48), [*range(40), *[""] * 8])


def test_local_stamps_of_the_hour_that_comes_twice_or_never_are_gaps(tmp_path: Path) -> None:
    """A year of clock hours 0 to 23 as exchanges publish them: the days of clock change have 24 rows, too."""
    clock = pd.date_range("2025-01-01", "2025-12-31 23:00", freq="h")
    series = read(tmp_path, [str(at) for at in clock], [1.0] * len(clock), time_zone="Europe/Berlin")
    assert series.begin_s == datetime(2024, 12, 31, 23, tzinfo=UTC).timestamp()
    assert (len(series.values), series.filled_steps) == (8760, 2), "both 02:00 of October; 02:00 of March never was"


def test_parquet_with_instants_is_read(tmp_path: Path) -> None:
    frame = pd.DataFrame({"at": pd.to_datetime(pd.Series([*hours(48), None])), "g": [*np.arange(48.0), 5.0]})
    frame.to_parquet(tmp_path / "x.parquet")
    series = read_series(told(file="x.parquet", column="g", unit="g_per_kwh", time_column="at"), tmp_path)
    assert series.values.tolist() == list(range(48))


def test_beyond_its_end_a_series_goes_on_by_whole_weeks(tmp_path: Path) -> None:
    series = read(tmp_path, hours(24 * 17), [*range(24 * 17)], unit="per_kwh", outside="repeat")
    end = START + timedelta(days=17)
    assert series.at(end.timestamp()) == 24 * 3.0, "seventeen days on, and fourteen back: the same weekday"
    assert series.at((START - timedelta(hours=1)).timestamp()) == 24 * 14 - 1.0
    short = read(tmp_path, hours(10), [*range(10)], unit="per_kwh")
    assert short.at((START + timedelta(days=9)).timestamp()) == 9.0


@pytest.mark.parametrize(
    ("stamps", "values", "line", "column", "found"),
    [
        ([*hours(2), "2025-03-29T02:00"], [1, 2, 3], 4, "time", "'2025-03-29T02:00'"),
        ([*hours(2), "noon"], [1, 2, 3], 4, "time", "'noon'"),
        ([*hours(3), hours(3)[1]], [1, 2, 3, 4], 5, "time", "2025-03-29 01:00:00+00:00 twice, in line 3 too"),
        ([*hours(5), "2025-03-29T04:30Z"], [1] * 6, 7, "time", "2025-03-29 04:30:00+00:00, which is between two steps"),
        (hours(3), [1, "dear", 3], 3, "price", "'dear'"),
        (hours(3), [1, 2, -999999], 4, "price", "'-999999'"),
    ],
)
def test_a_row_that_cannot_be_is_told_with_its_line(
    tmp_path: Path, stamps: list[str], values: list[object], line: int, column: str, found: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, stamps, values)
    problem = caught.value.problems[0]
    assert (problem.line, problem.path, problem.found) == (line, column, found)


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: found No such file or directory, expected a readable file"):
        read_series(told(file="none.csv"), tmp_path)
    (tmp_path / "bad.parquet").write_text("no", encoding="utf-8")
    with pytest.raises(InputError, match="expected a CSV or Parquet file"):
        read_series(told(file="bad.parquet"), tmp_path)
    (tmp_path / "x.csv").write_text("time,prize\n1,2\n", encoding="utf-8")
    with pytest.raises(InputError, match="found time, prize, expected a column price too"):
        read_series(told(), tmp_path)


def test_what_was_not_read_has_no_values() -> None:
    with pytest.raises(LookupError, match=r"x\.csv has not been read"):
        told().at(0.0)
