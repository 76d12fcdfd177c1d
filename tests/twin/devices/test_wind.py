"""Properties of the wind turbine: its curve, its limit, and what a storm does to it."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.contracts.device_rig import weather
from twin.devices.power_curve import PowerCurve, _library, power_curve_of
from twin.devices.wind import STORM_MEMORY_H, Wind, WindState
from twin.numeric import FloatArray
from twin.weather import part_of

CURVES: list[Any] = [None, "MM82/2050", "MM92/2050", {"wind_m_s": [3, 8, 12, 20], "power_kw": [0, 900, 2000, 1900]}]
tried = settings(max_examples=40, deadline=None, derandomize=True)
winds = st.lists(st.floats(0.0, 40.0), min_size=1, max_size=30)


def turbine(**changes: Any) -> Wind:
    built: Wind = TypeAdapter(Wind).validate_python({**Wind.example, "noise_fraction": 0.0, **changes})
    return built


BASE = turbine()


@cache
def turbine_with(number: int) -> Wind:
    return turbine(power_curve=CURVES[number])


def available_kw(device: Wind, *hub_m_s: float, step_s: float = 600.0) -> FloatArray:
    return device.available_kw(np.array(hub_m_s), np.full(len(hub_m_s), 1.225), step_s)


@pytest.mark.parametrize("number", range(len(CURVES)))
@tried
@given(hub_m_s=winds, density=st.floats(0.9, 1.4), wake=st.floats(0.0, 0.5))
def test_power_is_never_above_rated_nor_below_nothing(
    number: int, hub_m_s: list[float], density: float, wake: float
) -> None:
    device = replace(turbine_with(number), wake_loss_fraction=wake, restart_m_s=22.0)
    kw = device.available_kw(np.array(hub_m_s), np.full(len(hub_m_s), density), 600.0)
    assert kw.min() >= 0.0
    assert kw.max() <= device.rated_kw * device.availability_factor * (1 + 1e-12)


@pytest.mark.parametrize("curve", CURVES[:3])
def test_more_wind_never_gives_less_power_before_it_cuts_out(curve: Any) -> None:
    kw = available_kw(turbine(power_curve=curve), *np.linspace(0.0, 24.99, 500))
    assert (np.diff(kw) >= -1e-9).all()
    assert kw[0] == 0.0
    assert kw[-1] == pytest.approx(2000.0 * 0.97)


def test_a_wake_takes_its_share_of_power_below_rated_wind_and_nothing_above() -> None:
    shape = {"cut_in_m_s": 0.001, "rated_m_s": 12.0}
    free_kw, waked_kw = (available_kw(turbine(**shape, wake_loss_fraction=loss), 8.0, 18.0) for loss in (0.0, 0.1))
    np.testing.assert_allclose(waked_kw / free_kw, [0.9, 1.0], rtol=1e-9)


def test_a_hill_and_a_power_law_raise_the_wind() -> None:
    mast_m_s = np.array([4.0])
    assert turbine(speed_up_factor=1.1).hub_m_s(mast_m_s)[0] == pytest.approx(1.1 * turbine().hub_m_s(mast_m_s)[0])
    assert turbine(shear_exponent=0.2).hub_m_s(mast_m_s)[0] == pytest.approx(4.0 * 9.5**0.2)


def test_after_a_storm_it_starts_again_only_below_its_restart_wind() -> None:
    storm = (24.0, 25.0, 24.0, 22.0, 21.9, 24.0, 26.0, 24.0)
    up = [bool(kw > 0.0) for kw in available_kw(turbine(restart_m_s=22.0), *storm)]
    assert up == [True, False, False, False, True, True, False, False]
    at_once = [bool(kw > 0.0) for kw in available_kw(turbine(), *storm)]
    assert at_once == [True, False, True, True, True, True, False, True]


def test_a_storm_that_neither_passes_nor_dies_down_is_over_after_twelve_hours() -> None:
    hours = available_kw(turbine(restart_m_s=20.0), 25.0, *([22.0] * 14), step_s=3600.0)
    assert [bool(kw > 0.0) for kw in hours] == [False] * 13 + [True] * 2


@tried
@given(seed=st.integers(0, 10**6), cut=st.integers(1, 190))
def test_a_run_in_pieces_that_look_back_equals_the_whole(seed: int, cut: int) -> None:
    """As `twin.drives` does it."""
    at = weather()
    gusty = replace(at, wind_m_s=np.random.default_rng(seed).uniform(11.0, 17.0, at.grid.steps))
    device = replace(BASE, restart_m_s=19.0)
    whole_kw = device.drive(gusty, 0)["available_kw"]
    before = min(math.ceil(device.looks_back_h * 3600.0 / at.grid.step_s) + 1, cut)
    part_kw = device.drive(part_of(gusty, cut - before, before + at.grid.steps - cut), 0)["available_kw"]
    assert 0.0 in whole_kw
    np.testing.assert_allclose(part_kw[before:], whole_kw[cut:], rtol=1e-12)


def test_it_looks_back_only_where_storms_are_remembered() -> None:
    assert (turbine().looks_back_h, turbine(restart_m_s=20.0).looks_back_h) == (0.0, STORM_MEMORY_H)


def test_seeds_at_once_equal_seeds_one_by_one_through_a_storm() -> None:
    at = weather()
    gusty = replace(at, wind_m_s=np.linspace(10.0, 18.0, at.grid.steps))
    device = turbine(restart_m_s=19.0, noise_fraction=0.3)
    many = device.drive(gusty, (0, 3))["available_kw"]
    np.testing.assert_allclose(many, [device.drive(gusty, seed)["available_kw"] for seed in (0, 3)], rtol=1e-12)


@tried
@given(offered_kw=st.floats(0.0, 2000.0), limit_kw=st.floats(0.0, 2000.0))
def test_it_keeps_to_its_limit_and_gives_all_below(offered_kw: float, limit_kw: float) -> None:
    done = BASE.step(WindState(), limit_kw, {"available_kw": offered_kw}, (), 60.0)
    assert -done.p_kw == min(offered_kw, limit_kw)


def test_every_curve_of_the_library_but_one_can_be_named() -> None:
    """S104/3400 falls before it reaches its largest power: a slip of the library, and refused like anyone's."""
    names = list(pd.Index(_library().index))
    refused = []
    for name in names:
        try:
            power_curve_of(name)
        except ValueError:
            refused.append(name)
    assert refused == ["S104/3400"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"power_curve": "MM92"}, r"not 'MM92' \(did you mean MM92/2050\?\)"),
        ({"power_curve": {"wind_m_s": [3, 8, 8], "power_kw": [0, 1, 2]}}, "wind_m_s that rises from point to point"),
        ({"power_curve": {"wind_m_s": [3, 8, 9], "power_kw": [0, 2, 3, 3]}}, "the same number of points"),
        ({"power_curve": {"wind_m_s": [3, 8, 9], "power_kw": [0, -1, 3]}}, "greater than or equal to 0"),
        ({"power_curve": {"wind_m_s": [3, 8, 9, 10], "power_kw": [0, 5, 3, 9]}}, "does not fall before its largest"),
        ({"power_curve": {"wind_m_s": [3, 8], "power_kw": [0, 0]}}, "above 0 at one point"),
        ({"power_curve": "MM82/2050", "cut_out_m_s": 14}, "cut_out_m_s above the wind .*, not 14 and 15"),
        ({"cut_out_m_s": 11}, "cut_in_m_s < rated_m_s < cut_out_m_s"),
        ({"restart_m_s": 26}, "restart_m_s of cut_out_m_s at most, not 26 and 25"),
        ({"shear_exponent": 2.0}, "less than or equal to 0.6"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        turbine(**changes)


def test_negative_points_are_refused_in_code_too() -> None:
    with pytest.raises(ValueError, match="of 0 at least"):
        PowerCurve(wind_m_s=(3.0, 8.0), power_kw=(-1.0, 5.0))
