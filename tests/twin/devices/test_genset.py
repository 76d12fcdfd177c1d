from __future__ import annotations

import pytest

from twin.devices.base import Step
from twin.devices.genset import Genset, GensetState

GENSET = Genset(
    bus="main", rated_kw=1000, min_load_fraction=0.3, start_s=15, fuel_no_load_l_per_h=20, fuel_slope_l_per_kwh=0.25
)
RUNNING = GensetState(until_ready_s=0.0)


def stepped(state: GensetState, generation_kw: float, step_s: float) -> Step[GensetState]:
    return GENSET.step(state, generation_kw, {}, (), step_s)


def test_it_gives_nothing_until_it_has_started() -> None:
    early = stepped(GENSET.initial(), 800.0, 10.0)
    assert (early.p_kw, early.points["running"], early.state.until_ready_s) == (0.0, 0.0, 5.0)
    late = stepped(early.state, 800.0, 10.0)
    assert late.p_kw == pytest.approx(-400.0), "half of the step at 800 kW"
    assert late.points["running"] == 1.0


@pytest.mark.parametrize(("asked_kw", "given_kw"), [(1.0, 300.0), (299.0, 300.0), (640.0, 640.0), (1500.0, 1000.0)])
def test_it_runs_between_its_lowest_stable_load_and_its_rating(asked_kw: float, given_kw: float) -> None:
    assert stepped(RUNNING, asked_kw, 60.0).p_kw == pytest.approx(-given_kw)


@pytest.mark.parametrize("asked_kw", [0.0, -500.0])
def test_without_a_call_it_stops_at_once_and_has_to_start_again(asked_kw: float) -> None:
    stopped = stepped(RUNNING, asked_kw, 60.0)
    assert (stopped.p_kw, stopped.state.until_ready_s, stopped.points["running"]) == (0.0, 15.0, 0.0)
    assert stopped.amounts["fuel_l"] == 0.0


def test_fuel_by_the_willans_line() -> None:
    done = stepped(RUNNING, 600.0, 1800.0)
    assert done.amounts["fuel_l"] == pytest.approx(0.5 * 20 + 0.25 * 300)
    assert done.state.running_h == pytest.approx(0.5)
    again = stepped(done.state, 600.0, 1800.0)
    assert again.points["fuel_l"] == pytest.approx(2 * 85.0)
