"""Properties of the photovoltaic plant, whatever the weather."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.contracts.device_rig import weather
from twin.devices.pv import Pv, PvState
from twin.devices.pv_modules import Soiling, age_factor, modules_kw, soiling_loss_fraction
from twin.timegrid import TimeGrid
from twin.weather import Weather

FULL: dict[str, Any] = {
    **Pv.example,
    "noise_fraction": 0.0,
    "incidence_loss_factor": 0.05,
    "low_light_loss_fraction": 0.01,
    "mounting": "insulated",
    "soiling": {"cleaned": ["04-01"]},
    "commissioned": date(2015, 7, 1),
    "degradation_fraction_per_year": 0.005,
}
plants = st.fixed_dictionaries(
    {
        "tilt_deg": st.floats(0.0, 90.0),
        "azimuth_deg": st.floats(0.0, 359.0),
        "rated_dc_kw": st.floats(100.0, 3000.0),
        "incidence_loss_factor": st.sampled_from([0.0, 0.05]),
        "low_light_loss_fraction": st.floats(0.0, 0.03),
    }
)
light = st.just(0.0) | st.floats(1e-3, 1.2)
"""As a multiple of that of a July day."""
tried = settings(max_examples=25, deadline=None, derandomize=True)


def plant(**changes: Any) -> Pv:
    """As read from a person's file."""
    built: Pv = TypeAdapter(Pv).validate_python({**FULL, **changes})
    return built


BASE = plant()


def brighter(by: float) -> Weather:
    """The weather of the rig with all its light multiplied."""
    at = weather()
    return replace(at, ghi_w_m2=at.ghi_w_m2 * by, dni_w_m2=at.dni_w_m2 * by, dhi_w_m2=at.dhi_w_m2 * by)


@tried
@given(changes=plants, by=light)
def test_power_is_never_above_the_inverters_nor_below_nothing(changes: dict[str, Any], by: float) -> None:
    available_kw = replace(BASE, **changes).drive(brighter(by), 0)["available_kw"]
    assert available_kw.min() >= 0.0
    assert available_kw.max() <= BASE.rated_kw


@tried
@given(changes=plants, by=light, more=st.floats(1.0, 1.25))
def test_more_light_never_gives_less_power(changes: dict[str, Any], by: float, more: float) -> None:
    """The cells grow warmer too, which takes back a part only."""
    device = replace(BASE, **changes)
    less_kw, more_kw = (device.drive(brighter(each), 0)["available_kw"] for each in (by, by * more))
    assert (more_kw - less_kw >= -1e-9 * device.rated_kw).all()


def test_at_night_it_gives_nothing_and_draws_what_its_inverters_need() -> None:
    device = plant(night_kw=2.0)
    available_kw = device.drive(weather(), 0)["available_kw"]
    night = weather().sun.zenith_deg >= 90.0
    assert night.any()
    assert (available_kw[night] == 0.0).all()
    done = device.step(PvState(), device.rated_kw, {"available_kw": 0.0}, (), 900.0)
    assert done.p_kw == 2.0
    noon = device.step(PvState(), 0.0, {"available_kw": 500.0}, (), 900.0)
    assert noon.p_kw == 0.0, "curtailed by day, the modules feed the inverters"


@tried
@given(available_kw=st.floats(0.0, 1000.0), limit_kw=st.floats(0.0, 1000.0))
def test_it_keeps_to_its_limit_and_gives_all_below(available_kw: float, limit_kw: float) -> None:
    done = replace(BASE, night_kw=0.0).step(PvState(), limit_kw, {"available_kw": available_kw}, (), 60.0)
    assert -done.p_kw == min(available_kw, limit_kw)


def test_dirt_falls_off_on_the_day_of_washing_and_stops_at_its_limit() -> None:
    soiling = Soiling(loss_fraction_per_day=0.01, max_loss_fraction=0.05, cleaned=("03-15",))
    days = pd.DatetimeIndex(["2024-03-14", "2024-03-15", "2024-03-17", "2025-03-14"], tz="UTC")
    np.testing.assert_allclose(soiling_loss_fraction(days, soiling), [0.05, 0.0, 0.02, 0.05])


def test_half_a_percent_a_year_leaves_seven_eighths_after_25_years() -> None:
    index = pd.DatetimeIndex(["1999-01-01", "2000-01-01", "2025-01-01", "2240-01-01"], tz="UTC")
    np.testing.assert_allclose(age_factor(index, date(2000, 1, 1), 0.005), [1.0, 1.0, 0.875, 0.0], atol=1e-4)


def test_modules_give_rated_power_at_standard_conditions_and_less_when_hot() -> None:
    """Insulated cells are ``0.9 · (1 - 0.1) / 15`` K warmer for each W/m² (PVsyst): 54 K, or 10.8 K."""
    grid = TimeGrid(start=datetime(2025, 6, 21, tzinfo=UTC), step_s=60.0, steps=2)
    at = replace(weather(), grid=grid, wind_m_s=np.zeros(2), dry_bulb_c=np.array([-29.0, -29.0]))
    light = np.array([1000.0, 200.0])
    full_kw, dim_kw = modules_kw(
        light,
        at,
        rated_dc_kw=100.0,
        power_drop_fraction_per_k=0.004,
        low_light_loss_fraction=0.01,
        mounting="insulated",
    )
    assert full_kw == pytest.approx(100.0, abs=0.01), "cells at 25 °C"
    assert dim_kw == pytest.approx(20.0 * (1.0 + 0.004 * 43.2) - 1.0, rel=1e-6), "1% of rated power is missing"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tilt_deg": 91.0}, "less than or equal to 90"),
        ({"incidence_loss_factor": 0.5}, "less than or equal to 0.2"),
        ({"night_kw": 1001.0}, "night_kw of rated_kw at most, not 1001 and 1000"),
        ({"commissioned": None}, "commissioned beside degradation_fraction_per_year"),
        ({"soiling": {"cleaned": []}}, "cleaned with one day of the year at least"),
        ({"soiling": {"cleaned": ["02-30"]}}, "month-day such as '03-15', not '02-30'"),
        ({"mounting": "floating"}, "'freestanding', 'semi_integrated' or 'insulated'"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        plant(**changes)


def test_an_impossible_tilt_is_refused_in_code_too() -> None:
    with pytest.raises(ValueError, match="tilt_deg from 0"):
        Pv(bus="roof", rated_dc_kw=1.0, rated_kw=1.0, tilt_deg=120.0)
