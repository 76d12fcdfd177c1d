"""A battery's losses, limits, temperature and strings, told in full."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from twin.devices.base import Step
from twin.devices.battery import Battery, BatteryState
from twin.devices.battery_course import Taper, fading_course
from twin.devices.battery_thermal import Thermal, lagged_h
from twin.native import Machine
from twin.number_tree import numbers
from twin.numeric import Num
from twin.tape import Tape

AIR_C = 22.0
LOSSY = Battery(
    bus="main",
    rated_kw=1000.0,
    capacity_kwh=2000.0,
    charge_efficiency=0.96,
    discharge_efficiency=0.95,
    no_load_losses_kw=6.0,
    square_losses_fraction=0.03,
    standby_kw=4.0,
)
THERMAL = Thermal(heat_capacity_kwh_per_k=3.4, conductance_kw_per_k=5.0, max_air_c=30.0)
FULL = replace(
    LOSSY,
    thermal=THERMAL,
    taper=Taper(charge_above_soc=0.75, discharge_below_soc=0.2),
    string_count=4,
    available_string_count=3,
    soh=0.9,
)
HALF_TAPER = replace(FULL, taper=Taper(charge_above_soc=0.8))
TOLD = {"losses": LOSSY, "thermal": replace(LOSSY, thermal=THERMAL), "all": FULL, "one taper": HALF_TAPER}
every_battery = pytest.mark.parametrize("name", TOLD)
tried = settings(max_examples=60, deadline=None, derandomize=True)
socs = st.floats(0.0, 1.0) | st.sampled_from([0.1, 0.2, 0.75, 0.8, 0.95])
setpoints = st.floats(-1200.0, 1200.0) | st.sampled_from([0.0, 4.0, 10.0, 750.0, -750.0, 1000.0, -1000.0])
lengths_h = st.sampled_from([1 / 3600, 1 / 60, 0.25, 1.0, 4.0, 24.0])
airs_c = st.sampled_from([-5.0, 4.0, AIR_C, 30.0])


def stepped(
    battery: Battery, soc: float, p_kw: float, hours: float, *, cell_c: float = 20.0, air_c: float = AIR_C
) -> Step[BatteryState]:
    return battery.step(BatteryState(soc=soc, cell_c=cell_c), p_kw, {"air_c": air_c}, (), hours * 3600.0)


@every_battery
@tried
@given(soc=socs, p_kw=setpoints, hours=lengths_h, air_c=airs_c)
def test_what_enters_is_kept_or_lost(name: str, soc: float, p_kw: float, hours: float, air_c: float) -> None:
    battery = TOLD[name]
    done = stepped(battery, soc, p_kw, hours, air_c=air_c)
    capacity_kwh = battery.flexibility({"soc": soc}).capacity_kwh
    kept_kwh = (done.state.soc - soc) * capacity_kwh
    entered_kwh = done.p_kw * hours
    assert entered_kwh == pytest.approx(kept_kwh + done.amounts["battery_losses_kwh"], rel=1e-9, abs=1e-9)
    assert done.amounts["battery_losses_kwh"] >= battery.standby_kw * hours * (1 - 1e-12)


@every_battery
@tried
@given(soc=socs, p_kw=setpoints, hours=lengths_h, air_c=airs_c, part=st.floats(0.05, 0.95))
def test_a_step_in_two_parts_is_one_step(
    name: str, soc: float, p_kw: float, hours: float, air_c: float, part: float
) -> None:
    battery = TOLD[name]
    whole = stepped(battery, soc, p_kw, hours, cell_c=31.0, air_c=air_c)
    first = stepped(battery, soc, p_kw, hours * part, cell_c=31.0, air_c=air_c)
    second = stepped(
        battery, float(first.state.soc), p_kw, hours * (1 - part), cell_c=float(first.state.cell_c), air_c=air_c
    )
    assert second.state.soc == pytest.approx(whole.state.soc, rel=1e-9)
    assert second.state.cell_c == pytest.approx(whole.state.cell_c, rel=1e-9)
    assert first.p_kw * part + second.p_kw * (1 - part) == pytest.approx(whole.p_kw, rel=1e-9, abs=1e-9)
    both_kwh = first.amounts["battery_losses_kwh"] + second.amounts["battery_losses_kwh"]
    assert both_kwh == pytest.approx(whole.amounts["battery_losses_kwh"], rel=1e-9)


@every_battery
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_more_power_loses_more(name: str, sign: float) -> None:
    lost = [stepped(TOLD[name], 0.5, sign * p_kw, 1 / 60).amounts["battery_losses_kwh"] for p_kw in range(50, 751, 50)]
    assert all(later > earlier for earlier, later in pairwise(lost))


def test_efficiency_falls_at_part_load_and_at_full_load() -> None:
    def efficiency(p_kw: float) -> float:
        charged = stepped(replace(LOSSY, standby_kw=0.0), 0.5, p_kw, 0.01)
        return float((charged.state.soc - 0.5) * 2000 / (p_kw * 0.01))

    assert efficiency(50.0) < efficiency(400.0)
    assert efficiency(1000.0) < efficiency(400.0) < LOSSY.charge_efficiency


@pytest.mark.parametrize(("soc", "p_kw"), [(0.6, 700.0), (0.93, 100.0), (0.4, -740.0), (0.15, -200.0)])
def test_taper_and_temperature_are_those_of_the_differential_equations(soc: float, p_kw: float) -> None:
    """By numerical integration of the same laws, written down a second time."""
    hours, capacity_kwh = 0.7, 2000 * 0.9 * 0.75
    square, no_load_kw, fixed_kw = 0.03 / 750.0, 4.5, 8.5
    rated = {
        True: np.roots([square, 1 / 0.96, fixed_kw - 750.0]).max(),
        False: np.roots([square, -0.95, 750.0 + fixed_kw]).min(),
    }

    def cells_kw(now: float) -> float:
        wide, left = (0.2, 0.95 - now) if p_kw > 0 else (0.1, now - 0.1)
        limit = rated[p_kw > 0] * (0.05 + 0.95 * left / wide)
        wanted = (
            np.roots([square, 1 / 0.96, fixed_kw - p_kw]).max()
            if p_kw > 0
            else np.roots([square, -0.95, -p_kw + fixed_kw]).min()
        )
        return float(min(wanted, limit)) if left > 0 else 0.0

    def rates(_: float, y: Any) -> list[float]:
        u = cells_kw(y[0])
        losses = (no_load_kw + (1 / 0.96 - 1 if p_kw > 0 else 0.05) * u + square * u * u) if u else 0.0
        return [(u if p_kw > 0 else -u) / capacity_kwh, (losses - 5.0 * (y[1] - AIR_C)) / 3.4, losses]

    found = solve_ivp(rates, (0.0, hours), [soc, 25.0, 0.0], rtol=1e-9, atol=1e-9, max_step=0.002).y[:, -1]
    done = stepped(FULL, soc, p_kw, hours, cell_c=25.0)
    assert done.state.soc == pytest.approx(found[0], rel=1e-6)
    assert done.state.cell_c == pytest.approx(found[1], rel=1e-5)
    assert done.amounts["battery_losses_kwh"] - 4.0 * hours == pytest.approx(found[2], rel=1e-5)


@pytest.mark.parametrize("soc", [0.12, 0.5, 0.75, 0.8, 0.9499])
@pytest.mark.parametrize("bound", ["max_p_kw", "min_p_kw"])
def test_with_a_taper_it_takes_and_gives_in_all_what_it_says(soc: float, bound: str) -> None:
    """The bound is that of the moment, and falls; following it to the end moves what was said, then nothing."""
    store = FULL.flexibility({"soc": soc})
    bound_kw, content_kwh = getattr(store, bound), store.room_kwh if bound == "max_p_kw" else store.stored_kwh
    assert stepped(FULL, soc, bound_kw, 1e-6).p_kw == pytest.approx(bound_kw, rel=1e-4)
    asked_kw, end_soc = float(np.sign(bound_kw)) * 750.0, 0.95 if bound_kw > 0 else 0.1

    def short_of_the_end(hours: float) -> float:
        return float(stepped(FULL, soc, asked_kw, hours).state.soc - end_soc + np.sign(bound_kw) * 1e-9)

    lasts_h = brentq(short_of_the_end, 1e-9, 50.0)
    done = stepped(FULL, soc, asked_kw, lasts_h)
    assert done.p_kw * lasts_h == pytest.approx(np.sign(bound_kw) * content_kwh, rel=1e-4, abs=1e-4)
    end = FULL.flexibility({"soc": stepped(FULL, soc, asked_kw, 50.0).state.soc})
    assert (end.room_kwh if bound_kw > 0 else end.stored_kwh) == pytest.approx(0.0, abs=1e-6)


def test_near_full_power_fades_as_an_exponential_and_ends() -> None:
    taper = replace(LOSSY, taper=Taper(charge_above_soc=0.75))
    socs_in_time = [stepped(taper, 0.75, 1000.0, 0.1 * n).state.soc for n in range(1, 30)]
    gained = np.diff(np.array(socs_in_time, dtype=float))
    assert np.all(gained[:-1] >= gained[1:])
    assert gained[1] / gained[0] == pytest.approx(gained[2] / gained[1], rel=1e-6)
    assert socs_in_time[-1] == pytest.approx(0.95, abs=1e-12)


def test_a_wish_below_the_end_of_the_taper_is_steady_to_the_end() -> None:
    course = fading_course(40.0, 10.0, 1.0, rate_per_h=2.0, end_kw=50.0)
    assert (course.kw, course.fading_h, course.energy_kwh) == (40.0, 0.0, 10.0)


def test_a_lag_as_slow_as_its_input_has_its_own_formula() -> None:
    for apart in (0.0, 1e-7, 0.9e-5, 1.1e-5):
        hours = np.linspace(0.0, 5.0, 7)
        near = np.array([lagged_h(0.5 + apart * 0.5, 2.0, float(each)) for each in hours])
        assert near == pytest.approx(hours * np.exp(-hours / 2.0), rel=2e-5, abs=1e-12)


def test_cold_air_takes_charging_away_and_hot_air_what_the_cells_do_not_endure() -> None:
    battery = replace(LOSSY, thermal=replace(THERMAL, conductance_kw_per_k=3))
    charged = [stepped(battery, 0.5, 1000.0, 0.1, air_c=air_c).p_kw for air_c in (-5.0, 0.0, 5.0, 10.0, 20.0)]
    assert charged[:2] == [4.0, 4.0]
    assert charged[2] == pytest.approx(500.0, rel=0.05)
    assert charged[3:] == pytest.approx([1000.0, 1000.0])
    assert stepped(battery, 0.5, -1000.0, 0.1, air_c=-5.0).p_kw == pytest.approx(-1000.0)
    hot = stepped(battery, 0.9, -1000.0, 0.5, cell_c=44.9, air_c=30.0)
    assert -1000.0 < hot.p_kw < -300.0
    assert hot.state.cell_c < 45.0
    endured = stepped(battery, 0.9, -1000.0, 0.5, cell_c=45.0, air_c=30.0).state.cell_c
    assert endured == pytest.approx(45.0, abs=1e-9), "the warmest they may get is where they stay"


@pytest.mark.parametrize("air_c", [-5.0, 5.0, 22.0, 30.0])
def test_limits_by_temperature_are_shown_and_true(air_c: float) -> None:
    battery = replace(LOSSY, thermal=replace(THERMAL, conductance_kw_per_k=3))
    shown = stepped(battery, 0.5, 0.0, 0.01, air_c=air_c).points
    assert battery.instruments == ("soc", "cell_c", "charge_limit_kw", "discharge_limit_kw")
    store = battery.flexibility(shown)
    for bound_kw, content_kwh in ((store.min_p_kw, store.stored_kwh), (store.max_p_kw, store.room_kwh)):
        if content_kwh == 0.0:
            assert (bound_kw, air_c) == (4.0, -5.0)
            continue
        done = stepped(battery, 0.5, float(bound_kw), abs(float(content_kwh) / float(bound_kw)), air_c=air_c)
        assert done.p_kw == pytest.approx(bound_kw, rel=1e-9)
        after = battery.flexibility(done.points)
        assert min(after.stored_kwh, after.room_kwh) == pytest.approx(0.0, abs=1e-6)


def test_cells_go_towards_their_air_with_their_time_constant() -> None:
    battery = replace(LOSSY, thermal=THERMAL)
    assert stepped(battery, 0.5, 0.0, THERMAL.lag_h, cell_c=32.0).state.cell_c == pytest.approx(AIR_C + 10 / np.e)
    warm = [stepped(battery, 0.5, p_kw, 0.5).state.cell_c for p_kw in (0.0, 250.0, 500.0, 1000.0)]
    assert all(later > earlier for earlier, later in pairwise(warm))


def test_half_of_its_strings_are_half_a_battery() -> None:
    half = replace(LOSSY, string_count=4, available_string_count=2)
    small = replace(LOSSY, rated_kw=500, capacity_kwh=1000, no_load_losses_kw=3)
    for p_kw in (-1000.0, -200.0, 3.0, 450.0, 1000.0):
        assert stepped(half, 0.5, p_kw, 0.5).p_kw == pytest.approx(stepped(small, 0.5, p_kw, 0.5).p_kw)
    assert half.flexibility({"soc": 0.5}) == small.flexibility({"soc": 0.5})


@every_battery
def test_as_machine_code_and_over_scenarios_it_does_what_it_does(name: str) -> None:
    battery, rng = TOLD[name], np.random.default_rng(5)
    given = np.array([[rng.uniform(0.05, 1.0), rng.uniform(-1100, 1100), rng.uniform(-5, 30)] for _ in range(40)])

    def outcome(soc: Any, p_kw: Any, air_c: Any) -> list[Num]:
        done = battery.step(BatteryState(soc=soc, cell_c=25.0), p_kw, {"air_c": air_c}, (), 900.0)
        return numbers((done, battery.flexibility(done.points)))

    wanted = np.array([outcome(*row) for row in given.tolist()])
    together = np.array([np.broadcast_to(each, 40) for each in outcome(*given.T)]).T
    np.testing.assert_allclose(together, wanted, rtol=1e-12, atol=1e-9)
    tape = Tape()
    machine = Machine(tape, outcome(tape.input(), tape.input(), tape.input()), 40)
    machine.table[machine.inputs.slice] = given.T
    machine.run()
    np.testing.assert_allclose(machine.table[machine.outputs.slice].T, wanted, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("key", ["rated_kw", "capacity_kwh", "charge_efficiency", "square_losses_fraction", "soh"])
def test_a_parameter_may_differ_from_scenario_to_scenario_and_be_a_symbol(key: str) -> None:
    values = [getattr(FULL, key), 0.97 * getattr(FULL, key)]

    def outcome(battery: Battery, soc: Any, p_kw: Any) -> list[Any]:
        done = battery.step(BatteryState(soc=soc, cell_c=20.0), p_kw, {"air_c": AIR_C}, (), 900.0)
        return [done.p_kw, done.state.soc, done.state.cell_c, battery.flexibility({"soc": soc}).room_kwh]

    many = copy(FULL)
    object.__setattr__(many, key, np.array(values))
    together = outcome(many, np.array([0.8, 0.8]), np.array([700.0, 700.0]))
    for place, value in enumerate(values):
        alone = outcome(replace(FULL, **{key: value}), 0.8, 700.0)
        assert [np.broadcast_to(each, 2)[place] for each in together] == pytest.approx(alone, rel=1e-12)
    tape = Tape()
    object.__setattr__(many, key, tape.input())
    assert outcome(many, tape.input(), tape.input()), "no branch depends on it"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"max_c_rate_per_h": 0.4}, "max_c_rate_per_h of 0.5"),
        ({"square_losses_fraction": 0.24}, "square_losses_fraction with which"),
        ({"no_load_losses_kw": 996.0}, "standby_kw and no_load_losses_kw together"),
        ({"available_string_count": 2}, "available_string_count up to string_count, not 2 of 1"),
        ({"taper": Taper(charge_above_soc=0.97)}, "taper.charge_above_soc between min_soc and max_soc, not 0.97"),
        ({"taper": Taper(discharge_below_soc=0.05)}, "taper.discharge_below_soc between"),
        ({"thermal": replace(THERMAL, conductance_kw_per_k=0.1)}, "thermal.conductance_kw_per_k with which"),
    ],
)
def test_an_impossible_battery_is_refused_by_its_key(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replace(LOSSY, **change)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"min_air_c": 31.0}, "min_air_c up to max_air_c, not 31 and 30"),
        ({"min_charge_c": 10.0}, "min_charge_c below full_charge_c, not 10 and 10"),
        ({"max_cell_c": 30.0}, "max_air_c below max_cell_c, not 30 and 30"),
    ],
)
def test_impossible_temperatures_are_refused_by_their_key(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replace(THERMAL, **change)
