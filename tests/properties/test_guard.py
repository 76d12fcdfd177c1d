"""The guard is never beaten: whatever is asked of whatever fleet, what comes out is possible and within limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from controllers.fleet import Fleet
from controllers.guard import Guarded, guard
from tests.controllers.small_site import GROUPS, NUMBERS, QUIET, fleet, lost, metered, scenarios, state, without
from twin.devices.base import Account, Group
from twin.flexibility import Modes, Store
from twin.numeric import Num
from twin.points import Quality
from twin.state import SiteState

EPSILON_KW = 1e-5
MARGIN_FRACTION = 0.02
EXACT = settings(deadline=None, max_examples=150)

SETPOINTS = st.one_of(
    st.floats(-1500, 1500), st.sampled_from([0.0, 1e-9, 239.9, 1e12, -1e12, math.inf, -math.inf, math.nan])
)
ASKED = st.fixed_dictionaries(dict.fromkeys(GROUPS, SETPOINTS))
SOME = st.sets(st.sampled_from(sorted(GROUPS)), min_size=1)
LIMITS = st.tuples(st.floats(300, 6000), st.floats(0, 3000))
"""Contracted import and allowed export: together never less than an engine's lowest load."""


def guarded(small_fleet: Fleet, site: SiteState, asked: Mapping[str, Any], period_s: float = 1.0) -> Guarded:
    return guard(small_fleet, site, asked, margin_fraction=MARGIN_FRACTION, period_s=period_s)


def limited(site: SiteState, limits: tuple[float, float]) -> SiteState:
    assert site.grid is not None
    return replace(site, grid=replace(site.grid, contracted_import_kw=limits[0], export_limit_kw=limits[1]))


def reach(site: SiteState, name: str, period_s: float) -> tuple[Any, Any]:
    """Least and most power into an asset for a whole period."""
    what = site.assets[name].flexibility
    if isinstance(what, Store):
        low = np.maximum(what.min_p_kw, -what.stored_kwh * 3600 / period_s)
        return low, np.maximum(low, np.minimum(what.max_p_kw, what.room_kwh * 3600 / period_s))
    if isinstance(what, Modes):
        return -what.max_generation_kw * what.running, 0.0
    assert what is not None
    return what.min_p_kw, what.max_p_kw


def follows(site: SiteState, name: str, value: Any, period_s: float) -> Any:
    """Power into an asset under a setpoint."""
    generating = GROUPS[name] in (Group.RENEWABLES, Group.GENSETS)
    return np.clip(-value if generating else value, *reach(site, name, period_s))


def expected_import_kw(site: SiteState, setpoints: Mapping[str, Any], period_s: float) -> Any:
    """At the connection point, with the cooling that follows every kilowatt more of the halls."""
    assert site.grid is not None
    it_kw = sum(asset.p_kw for asset in site.assets.values() if asset.account is Account.IT)
    per_kw = np.minimum(site.assets["cooling"].p_kw, it_kw) / np.where(it_kw == 0.0, math.inf, it_kw)
    expected_kw = site.grid.import_kw
    for name, value in setpoints.items():
        change_kw = follows(site, name, value, period_s) - site.assets[name].p_kw
        following_kw = np.maximum(change_kw, 0.0) * per_kw if GROUPS[name] is Group.COMPUTE else 0.0
        expected_kw = expected_kw + change_kw + following_kw
    return expected_kw


def possible(site: SiteState, name: str, value: Num, period_s: float) -> bool:
    """Whether an asset can be told this."""
    what = site.assets[name].flexibility
    if isinstance(what, Modes):
        return bool(value == 0.0 or what.min_generation_kw <= value <= what.max_generation_kw)
    low, high = reach(site, name, period_s) if isinstance(what, Store) else (0.0, 1500.0)
    return bool(low - EPSILON_KW <= value <= high + EPSILON_KW)


def has_given(site: SiteState, name: str, value: Num, period_s: float, *, to_import: bool) -> bool:
    """Whether an asset can do nothing more against too much import (or export)."""
    if not to_import and GROUPS[name] is Group.COMPUTE:
        return True
    low, high = reach(site, name, period_s)
    return bool(abs(follows(site, name, value, period_s) - (low if to_import else high)) < EPSILON_KW)


@EXACT
@given(
    numbers=NUMBERS, asked=ASKED, present=SOME, limits=LIMITS, period_s=st.sampled_from([1.0, 300.0]),
    quality=st.sampled_from([Quality.GOOD, Quality.SUSPECT]),
)  # fmt: skip
def test_it_is_never_beaten(
    numbers: Mapping[str, float],
    asked: Mapping[str, float],
    present: set[str],
    limits: tuple[float, float],
    period_s: float,
    quality: Quality,
) -> None:
    small_fleet, site = fleet(*present), metered(limited(state(numbers), limits), quality)
    done = guarded(small_fleet, site, asked, period_s)

    assert set(done.setpoints) == present
    for name, value in done.setpoints.items():
        assert possible(site, name, value, period_s), (name, value)

    margin = MARGIN_FRACTION * (1.0 if quality is Quality.GOOD else 2.0)
    expected_kw = expected_import_kw(site, done.setpoints, period_s)
    over_import_kw = max(expected_kw - limits[0] * (1.0 - margin), 0.0)
    over_export_kw = max(-limits[1] * (1.0 - margin) - expected_kw, 0.0)
    assert done.over_import_kw == pytest.approx(over_import_kw, abs=EPSILON_KW)
    assert done.over_export_kw == pytest.approx(over_export_kw, abs=EPSILON_KW)
    if over_import_kw > EPSILON_KW:
        assert all(has_given(site, name, value, period_s, to_import=True) for name, value in done.setpoints.items())
    if over_export_kw > EPSILON_KW:
        assert all(has_given(site, name, value, period_s, to_import=False) for name, value in done.setpoints.items())

    clipped = {clip.device for clip in done.clips}
    assert all(clip.reason.strip() for clip in done.clips)
    # The difference to nan is not small.
    changed = {name for name, value in done.setpoints.items() if not np.abs(value - asked[name]) < EPSILON_KW}
    assert changed <= clipped

    again = guarded(small_fleet, site, done.setpoints, period_s)
    assert again.clips == ()
    assert again.setpoints == done.setpoints


@EXACT
@given(numbers=NUMBERS, asked=ASKED, period_s=st.sampled_from([1.0, 300.0]))
def test_what_is_possible_and_within_limits_passes_untouched(
    numbers: Mapping[str, float], asked: Mapping[str, float], period_s: float
) -> None:
    site = limited(state(numbers), (1e6, 1e6))
    assume(all(math.isfinite(value) for value in asked.values()))
    within = {name: admissible(site, name, value, period_s) for name, value in asked.items()}
    done = guarded(fleet(), site, within, period_s)
    assert done.setpoints == pytest.approx(within, abs=1e-9)  # the ends of a range are worked out twice
    assert done.clips == ()
    assert (done.over_import_kw, done.over_export_kw) == (0.0, 0.0)


def admissible(site: SiteState, name: str, value: float, period_s: float) -> float:
    what = site.assets[name].flexibility
    if isinstance(what, Store):
        return float(np.clip(value, *reach(site, name, period_s)))
    if isinstance(what, Modes):
        return 0.0 if value < what.min_generation_kw else float(min(value, what.max_generation_kw))
    rated_kw = next(member.rated_kw for member in fleet().members if member.name == name)
    return float(np.clip(value, 0.0, rated_kw))


@settings(deadline=None, max_examples=60)
@given(several=st.lists(st.tuples(NUMBERS, ASKED), min_size=1, max_size=4), limits=LIMITS)
def test_scenarios_in_an_array_equal_scenarios_one_by_one(
    several: list[tuple[Mapping[str, float], Mapping[str, float]]], limits: tuple[float, float]
) -> None:
    together = limited(state(scenarios([numbers for numbers, _ in several])), limits)
    many = guarded(fleet(), together, scenarios([asked for _, asked in several]), 300.0)
    for column, (numbers, asked) in enumerate(several):
        one = guarded(fleet(), limited(state(numbers), limits), asked, 300.0)
        for name, value in one.setpoints.items():
            shown = np.broadcast_to(many.setpoints[name], len(several))[column]
            assert shown == pytest.approx(value, abs=EPSILON_KW), name
        assert {clip.device for clip in one.clips} <= {clip.device for clip in many.clips}
        for over in ("over_import_kw", "over_export_kw"):
            shown = np.broadcast_to(getattr(many, over), len(several))[column]
            assert shown == pytest.approx(getattr(one, over), abs=EPSILON_KW)


@settings(deadline=None, max_examples=60)
@given(
    numbers=NUMBERS, asked=ASKED, gone=st.sets(st.sampled_from(sorted(GROUPS))),
    unknown=st.sets(st.sampled_from(sorted(GROUPS))), silent=st.sets(st.sampled_from(sorted(GROUPS))),
    decided=st.sets(st.sampled_from(sorted(GROUPS))), quality=st.sampled_from(list(Quality)),
)  # fmt: skip
def test_what_cannot_be_relied_on_is_held_safe_and_what_is_lost_is_not_spoken_to(
    numbers: Mapping[str, float],
    asked: Mapping[str, float],
    gone: set[str],
    unknown: set[str],
    silent: set[str],
    decided: set[str],
    quality: Quality,
) -> None:
    site = metered(lost(without(without(state(numbers), *gone), *unknown, known=False), *silent), quality)
    done = guarded(fleet(), site, {name: asked[name] for name in decided})
    assert set(done.setpoints) == set(GROUPS) - silent
    clips = {clip.device: clip for clip in done.clips}
    for member in fleet().members:
        if member.name in (gone | unknown) - silent:
            assert done.setpoints[member.name] == member.safe_setpoint
            if member.name not in decided or not abs(asked[member.name] - member.safe_setpoint) < EPSILON_KW:
                assert "no answer" in clips[member.name].reason
    assert all(math.isfinite(value) for value in done.setpoints.values())
    assert all(clip.reason.strip() for clip in done.clips)


@EXACT
@given(numbers=NUMBERS, asked=ASKED, period_s=st.sampled_from([1.0, 300.0]))
def test_on_an_island_what_is_left_over_stays_within_what_the_grid_forming_battery_can_do(
    numbers: Mapping[str, float], asked: Mapping[str, float], period_s: float
) -> None:
    site = state(numbers, former="battery")
    others = fleet(*(name for name in GROUPS if name != "battery"))
    done = guarded(others, site, asked, period_s)
    assert "battery" not in done.setpoints
    low, high = reach(site, "battery", period_s)
    connected = limited(state(numbers), (1e9, 1e9))
    assert connected.grid is not None
    from_battery_kw = expected_import_kw(
        replace(site, grid=replace(connected.grid, import_kw=-site.assets["battery"].p_kw)), done.setpoints, period_s
    )
    assert from_battery_kw - done.over_import_kw <= -low + EPSILON_KW
    assert from_battery_kw + done.over_export_kw >= -high - EPSILON_KW


def test_a_compliant_site_is_left_alone() -> None:
    free = {member.name: member.free_setpoint for member in fleet().members}
    assert guarded(fleet(), state(QUIET), free) == Guarded(setpoints=free)


def test_an_engine_gives_its_lowest_load_or_nothing_and_one_that_stands_is_not_counted() -> None:
    site = state(dict(QUIET) | {"engine_running": 1.0, "engine_kw": 300.0, "office_kw": 100.0})
    exporting = limited(site, (6000.0, 0.0))
    assert exporting.grid is not None
    exporting = replace(exporting, grid=replace(exporting.grid, import_kw=-100.0))
    assert guarded(fleet("engine"), exporting, {"engine": 300.0}).setpoints == {"engine": 0.0}
    importing = limited(site, (1300.0, 0.0))  # 1,340 kW, less 2%: 66 kW too much
    assert guarded(fleet("engine"), importing, {"engine": 0.0}).setpoints["engine"] == pytest.approx(366.0)
    standing = limited(state(QUIET), (1600.0, 0.0))
    done = guarded(fleet("engine", "hall"), standing, {"engine": 800.0, "hall": 1200.0})
    assert done.setpoints == pytest.approx({"engine": 800.0, "hall": 900.0 - (1640.0 - 1568.0)})
