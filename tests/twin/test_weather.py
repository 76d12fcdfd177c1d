from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pvlib
import pytest

from tests.contracts.device_rig import GREENSBORO
from tests.twin.weather_files import edited, hourly, write_csv, write_epw
from twin.errors import InputError
from twin.timegrid import TimeGrid
from twin.weather import Weather, read_weather
from twin.weather_source import WeatherSource

PVLIB_DATA = Path(pvlib.__file__).parent / "data"
MEASURED = WeatherSource(format="csv", file="weather.csv", typical_year=False)
SERIES = ("ghi_w_m2", "dni_w_m2", "dhi_w_m2", "dry_bulb_c", "wet_bulb_c", "wind_m_s", "pressure_kpa")


def year(number: int, step_s: float = 3600.0, days: int = 365) -> TimeGrid:
    return TimeGrid(start=datetime(number, 1, 1, 5, tzinfo=UTC), step_s=step_s, steps=round(days * 86400 / step_s))


def typical(grid: TimeGrid) -> Weather:
    return read_weather(WeatherSource(), GREENSBORO, grid, Path())


def measured(folder: Path, hours: int = 24, step_s: float = 3600.0) -> Weather:
    grid = TimeGrid(start=datetime(2021, 3, 14, 5, tzinfo=UTC), step_s=step_s, steps=round(hours * 3600 / step_s))
    return read_weather(MEASURED, GREENSBORO, grid, folder / "site.yaml")


def station() -> pd.DataFrame:
    frame, _ = pvlib.iotools.read_tmy3(PVLIB_DATA / "723170TYA.CSV", map_variables=True)
    return pd.DataFrame(frame)


def test_the_typical_year_keeps_the_energy_and_the_means_of_the_station() -> None:
    weather, rows = typical(year(2025)), station()
    assert weather.ghi_w_m2.sum() == pytest.approx(rows["ghi"].sum(), rel=0.005)
    assert weather.dhi_w_m2.sum() == pytest.approx(rows["dhi"].sum(), rel=0.05)
    assert weather.dry_bulb_c.mean() == pytest.approx(rows["temp_air"].mean(), abs=0.05)
    assert weather.wind_m_s.mean() == pytest.approx(rows["wind_speed"].mean(), rel=0.01)
    assert weather.pressure_kpa.mean() == pytest.approx(rows["pressure"].mean() / 10, rel=0.001)


def test_an_hour_of_the_station_is_the_same_hour_of_any_year() -> None:
    """Noon of the fifth of July: the row that ends at 12:00 standard time is the interval 11:00 to 12:00."""
    rows = station()
    stamps = pd.DatetimeIndex(rows.index)
    wanted = rows[(stamps.month == 7) & (stamps.day == 5) & (stamps.hour == 12)].iloc[0]
    for number in (2023, 2024, 2025):
        grid = TimeGrid(start=datetime(number, 7, 5, 16, tzinfo=UTC), step_s=3600.0, steps=1)
        assert typical(grid).ghi_w_m2[0] == pytest.approx(wanted["ghi"], rel=0.05)


@pytest.mark.parametrize("step_s", [60.0, 300.0, 900.0, 1800.0])
def test_a_finer_step_keeps_energy_and_leaves_no_light_after_sunset(step_s: float) -> None:
    coarse, fine = typical(year(2025, days=60)), typical(year(2025, step_s, days=60))
    hours = step_s / 3600.0
    assert fine.ghi_w_m2.sum() * hours == pytest.approx(coarse.ghi_w_m2.sum(), rel=0.005)
    assert fine.dry_bulb_c.mean() == pytest.approx(coarse.dry_bulb_c.mean(), abs=0.01)
    night = fine.sun.zenith_deg > 90.0
    assert (fine.ghi_w_m2[night] == 0.0).all()
    assert (fine.dni_w_m2[night] == 0.0).all()
    closed = fine.dni_w_m2 * fine.sun.cos_zenith + fine.dhi_w_m2
    np.testing.assert_allclose(closed, fine.ghi_w_m2, atol=1e-9)


def test_leap_day_repeats_the_day_before_and_no_other_day_moves() -> None:
    leap, plain = typical(year(2024, days=366)), typical(year(2025))
    days = leap.dry_bulb_c.reshape(-1, 24)
    np.testing.assert_allclose(np.delete(days, 59, axis=0)[:58].ravel(), plain.dry_bulb_c[: 58 * 24])
    np.testing.assert_allclose(np.delete(days, 59, axis=0)[60:].ravel(), plain.dry_bulb_c[60 * 24 :])
    np.testing.assert_allclose(days[59][2:-2], days[58][2:-2])


def test_a_run_may_pass_from_one_year_into_the_next() -> None:
    across = TimeGrid(start=datetime(2024, 12, 31, 20, tzinfo=UTC), step_s=900.0, steps=96)
    temperature = typical(across).dry_bulb_c
    assert np.abs(np.diff(temperature)).max() < 3.0
    assert np.isfinite(temperature).all()


def test_wet_bulb_never_exceeds_dry_bulb() -> None:
    weather = typical(year(2025))
    assert (weather.wet_bulb_c <= weather.dry_bulb_c).all()


def test_another_tmy3_station_is_read_as_well() -> None:
    source = WeatherSource(format="tmy3", file=str(PVLIB_DATA / "703165TY.csv"))
    sand_point = read_weather(source, GREENSBORO, year(2025), Path("site.yaml"))
    assert 2.0 < sand_point.dry_bulb_c.mean() < 7.0, "the Aleutians"


def test_epw_hours_end_at_their_stamp_in_standard_time(tmp_path: Path) -> None:
    write_epw(tmp_path / "weather.epw", range(48))
    source = WeatherSource(format="epw", file="weather.epw", typical_year=False)
    grid = TimeGrid(start=datetime(2021, 1, 1, 6, tzinfo=UTC), step_s=3600.0, steps=40)
    weather = read_weather(source, GREENSBORO, grid, tmp_path / "site.yaml")
    # The row of hour 2 was observed at 02:00 standard time, which is 07:00 UTC: the end of the first interval.
    np.testing.assert_allclose(weather.dry_bulb_c, np.arange(40) + 0.5)
    assert weather.pressure_kpa[0] == pytest.approx(98.0)


def test_a_measured_csv_counts_as_it_is_stamped(tmp_path: Path) -> None:
    write_csv(tmp_path / "weather.csv", hourly("2021-03-14T00:00:00-05:00", 30), dry_bulb_c=7.5, wind_m_s=3.0)
    weather = measured(tmp_path, step_s=900.0)
    np.testing.assert_allclose(weather.dry_bulb_c, 7.5)
    np.testing.assert_allclose(weather.wind_m_s, 3.0)


def problem_of(folder: Path, hours: int = 24) -> str:
    with pytest.raises(InputError) as caught:
        measured(folder, hours)
    return str(caught.value)


def test_a_gap_names_its_line(tmp_path: Path) -> None:
    edited(write_csv(tmp_path / "weather.csv", hourly("2021-03-14T00:00:00-05:00", 30)), 12, None)
    told = problem_of(tmp_path)
    assert f"{tmp_path / 'weather.csv'}:12:" in told
    assert "a gap" in told


def test_a_row_that_comes_twice_names_its_line(tmp_path: Path) -> None:
    stamps = hourly("2021-03-14T00:00:00-05:00", 30)
    write_csv(tmp_path / "weather.csv", [*stamps[:5], stamps[4], *stamps[5:]])
    assert "weather.csv:7: time: found" in problem_of(tmp_path)
    assert "a row twice" in problem_of(tmp_path)


def test_local_stamps_without_offset_are_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "weather.csv", [stamp[:19] for stamp in hourly("2021-03-14T00:00:00-05:00", 30)])
    told = problem_of(tmp_path)
    assert "weather.csv:2: time: found '2021-03-14T00:00:00'" in told
    assert "with its offset" in told


def test_the_clock_change_of_a_logger_in_local_time_is_found(tmp_path: Path) -> None:
    """Stamps that kept one offset while the wall clock jumped: an hour is missing at 02:00."""
    stamps = hourly("2021-03-14T00:00:00-05:00", 30)
    write_csv(tmp_path / "weather.csv", [*stamps[:2], *stamps[3:]])
    told = problem_of(tmp_path)
    assert "weather.csv:4: time: found 2021-03-14 03:00:00 after 2021-03-14 01:00:00 (a gap)" in told
    assert "without daylight saving" in told


def test_offsets_that_follow_daylight_saving_are_no_jump(tmp_path: Path) -> None:
    local = pd.date_range("2021-03-14", periods=30, freq="h", tz="America/New_York")
    write_csv(tmp_path / "weather.csv", [stamp.isoformat() for stamp in local], dry_bulb_c=3.0)
    np.testing.assert_allclose(measured(tmp_path).dry_bulb_c, 3.0)


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [("dry_bulb_c", "", "''"), ("dry_bulb_c", "-9999", "-9999"), ("ghi_w_m2", "n/a", "'n/a'"), ("wind_m_s", "nan", "")],
)
def test_a_value_that_cannot_be_true_names_line_and_column(tmp_path: Path, column: str, value: str, told: str) -> None:
    path = write_csv(tmp_path / "weather.csv", hourly("2021-03-14T00:00:00-05:00", 30))
    head, row = (path.read_text().splitlines()[number].split(",") for number in (0, 5))
    row[head.index(column)] = value
    edited(path, 6, ",".join(row))
    found = problem_of(tmp_path)
    assert f"weather.csv:6: {column}: found {told}" in found


def test_a_missing_column_and_a_missing_file_are_told(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "weather.csv", hourly("2021-03-14T00:00:00-05:00", 30))
    path.write_text(path.read_text().replace("wind_m_s", "wind"))
    assert "the columns wind_m_s too" in problem_of(tmp_path)
    path.unlink()
    assert "weather.csv: found No such file or directory" in problem_of(tmp_path)


def test_a_measured_file_has_to_cover_the_run(tmp_path: Path) -> None:
    write_csv(tmp_path / "weather.csv", hourly("2021-03-14T00:00:00-05:00", 24))
    measured(tmp_path, 24)
    assert "typical_year: true" in problem_of(tmp_path, 25)


def test_part_of_a_year_is_no_typical_year(tmp_path: Path) -> None:
    write_csv(tmp_path / "weather.csv", hourly("2021-01-01T00:00:00-05:00", 8000))
    source = WeatherSource(format="csv", file="weather.csv")
    with pytest.raises(InputError, match="8000 rows, expected 8760 rows, one year"):
        read_weather(source, GREENSBORO, year(2025), tmp_path / "site.yaml")


def test_a_format_without_a_file_asks_for_one() -> None:
    with pytest.raises(InputError, match=r"weather\.file: found nothing"):
        read_weather(WeatherSource(format="epw"), GREENSBORO, year(2025), Path("site.yaml"))


def test_weather_does_not_depend_on_where_a_run_begins() -> None:
    whole = typical(TimeGrid(start=datetime(2025, 7, 1, tzinfo=UTC), step_s=300.0, steps=576))
    later = typical(TimeGrid(start=whole.grid.start + timedelta(days=1), step_s=300.0, steps=288))
    for name in SERIES:
        np.testing.assert_allclose(getattr(later, name), getattr(whole, name)[288:], atol=1e-9)


def test_one_year_of_a_file_is_asked_for_and_another_is_told(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "years.csv", hourly("2021-01-01T00:00:00-05:00", 2 * 8760))
    grid = TimeGrid(start=datetime(2030, 7, 1, tzinfo=UTC), step_s=3600.0, steps=24)
    weather = read_weather(WeatherSource(format="csv", file=path.name, year=2022), GREENSBORO, grid, path)
    assert weather.dry_bulb_c == pytest.approx(12.0)
    with pytest.raises(InputError, match="rows of 2021 to 2022"):
        read_weather(WeatherSource(format="csv", file=path.name, year=2023), GREENSBORO, grid, path)
