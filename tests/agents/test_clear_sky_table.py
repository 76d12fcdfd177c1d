"""The clear sky of each solar device, cut from months that are computed once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from agents import clear_sky_table
from agents.clear_sky_table import ClearSkyTable
from tests.agents.forecasting_site import CAMPUS, MIDNIGHT
from twin.timegrid import TimeGrid
from twin.weather import clear_sky_on

STEP_S = 900.0


def direct(grid: TimeGrid) -> object:
    return CAMPUS.devices["solar"].drive(clear_sky_on(grid, CAMPUS.location), 0)["available_kw"]


@pytest.mark.parametrize("days", [0, 5, 13, 31])
def test_it_gives_what_the_device_would_say_itself(days: int) -> None:
    grid = TimeGrid(start=MIDNIGHT + timedelta(days=days), step_s=STEP_S, steps=288)
    assert ClearSkyTable(CAMPUS, STEP_S)(grid)[0, :, 0] == pytest.approx(direct(grid), abs=1e-9)


def test_grids_across_two_chunks_are_joined() -> None:
    rows = round(clear_sky_table.CHUNK_DAYS * 86400 / STEP_S)
    seam = datetime.fromtimestamp(629 * rows * STEP_S, UTC)
    grid = TimeGrid(start=seam - timedelta(hours=30), step_s=STEP_S, steps=240)
    assert ClearSkyTable(CAMPUS, STEP_S)(grid)[0, :, 0] == pytest.approx(direct(grid), abs=1e-9)


def test_the_sun_is_up_by_day_and_down_by_night() -> None:
    kw = ClearSkyTable(CAMPUS, STEP_S)(TimeGrid(start=MIDNIGHT, step_s=STEP_S, steps=96))[0, :, 0]
    assert kw[:20].max() == 0.0
    assert 1500.0 < kw.max() <= 2600.0
    assert 40 < int(np.argmax(kw)) < 60


def test_memory_stays_bounded_over_the_years() -> None:
    table = ClearSkyTable(CAMPUS, STEP_S)
    for month in range(8):
        table(TimeGrid(start=MIDNIGHT + timedelta(days=32 * month), step_s=STEP_S, steps=1))
    assert len(table._chunks) == clear_sky_table.CHUNKS_KEPT


def test_a_site_without_sun_has_no_rows() -> None:
    dark = replace(CAMPUS, devices={"office": CAMPUS.devices["office"]})
    table = ClearSkyTable(dark, STEP_S)
    assert table.devices == ()
    assert table(TimeGrid(start=MIDNIGHT, step_s=STEP_S, steps=4)).shape == (0, 4, 1)


def test_scenarios_with_other_solar_fields_have_skies_of_their_own() -> None:
    grid = TimeGrid(start=MIDNIGHT, step_s=STEP_S, steps=96)
    parameters = {"solar.rated_dc_kw": np.array([3000.0, 1500.0, 3000.0]), "battery.capacity_kwh": np.ones(3)}
    table = ClearSkyTable(CAMPUS, STEP_S, parameters)
    assert table.scenarios == 3
    sky_kw, plain_kw = table(grid)[0], ClearSkyTable(CAMPUS, STEP_S)(grid)[0, :, 0]
    assert sky_kw[:, 0] == pytest.approx(plain_kw)
    assert sky_kw[:, 2] == pytest.approx(plain_kw)
    half = replace(CAMPUS, devices={"solar": replace(CAMPUS.devices["solar"], rated_dc_kw=1500.0)})  # type: ignore[type-var]
    assert sky_kw[:, 1] == pytest.approx(ClearSkyTable(half, STEP_S)(grid)[0, :, 0])
