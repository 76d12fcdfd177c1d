from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tests.contracts.device_rig import weather
from twin.devices.base import Step
from twin.devices.engine_start import Starting
from twin.devices.genset import Genset, GensetState
from twin.devices.spans import Span
from twin.native import Machine
from twin.number_tree import numbers
from twin.numeric import Num
from twin.tape import Tape

GENSET = Genset(
    bus="main",
    rated_kw=1000.0,
    min_load_fraction=0.3,
    start_s=15.0,
    fuel_no_load_l_per_h=20.0,
    fuel_slope_l_per_kwh=0.25,
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


WORKING = replace(
    GENSET,
    starting=Starting(success_fraction=0.6, retry_s=30.0, max_attempts_count=3),
    ramp_kw_per_s=20.0,
    cooldown_s=120.0,
    service_interval_h=250.0,
    since_service_h=249.0,
    out_of_service=(Span(start=datetime(2025, 7, 2, 6, tzinfo=UTC), end=datetime(2025, 7, 2, 9, tzinfo=UTC)),),
)
SOUND = {"failed_count": 0.0, "available_fraction": 1.0}


def worked(state: GensetState, generation_kw: float, step_s: float, **drive: float) -> Step[GensetState]:
    return WORKING.step(state, generation_kw, {**SOUND, **drive}, (), step_s)


def test_power_rises_from_the_lowest_load_in_a_straight_line() -> None:
    first = worked(RUNNING, 900.0, 15.0)
    assert first.p_kw == pytest.approx(-(300 + 600) / 2), "300 kW to 600 kW at 20 kW/s"
    assert first.state.generation_kw == pytest.approx(600.0)
    second = worked(first.state, 900.0, 30.0)
    assert second.p_kw == pytest.approx(-(0.5 * 750 + 0.5 * 900))
    down = worked(second.state, 400.0, 10.0)
    assert down.p_kw == pytest.approx(-800.0)
    assert down.state.generation_kw == pytest.approx(700.0)


@pytest.mark.parametrize(("failed", "ready_s"), [(0.0, 15.0), (1.0, 45.0), (2.0, 75.0)])
def test_each_failed_attempt_delays_it(failed: float, ready_s: float) -> None:
    before = worked(WORKING.initial(), 500.0, ready_s - 1.0, failed_count=failed)
    assert (before.p_kw, before.points["running"]) == (0.0, 0.0)
    ready = worked(before.state, 500.0, 1.0, failed_count=3.0)
    assert ready.points["running"] == 1.0, "the luck of the call is that of its first step"
    assert worked(ready.state, 300.0, 1.0).p_kw == pytest.approx(-300.0)


def test_after_too_many_attempts_it_is_given_up_until_the_call_is_taken_back() -> None:
    locked = worked(WORKING.initial(), 500.0, 60.0, failed_count=3.0)
    day = worked(locked.state, 500.0, 86400.0, failed_count=0.0)
    assert (day.p_kw, day.amounts["fuel_l"]) == (0.0, 0.0)
    released = worked(day.state, 0.0, 1.0)
    again = worked(released.state, 500.0, 15.0)
    assert again.points["running"] == 1.0


def test_it_idles_to_cool_down_and_is_ready_meanwhile() -> None:
    running = worked(RUNNING, 500.0, 60.0)
    cooling = worked(running.state, 0.0, 60.0)
    assert (cooling.p_kw, cooling.points["running"]) == (0.0, 0.0)
    assert cooling.amounts["fuel_l"] == pytest.approx(20 / 60)
    assert worked(cooling.state, 300.0, 1.0, failed_count=3.0).p_kw == pytest.approx(-300.0)
    stopped = worked(cooling.state, 0.0, 3600.0)
    assert stopped.amounts["fuel_l"] == pytest.approx(20 / 60), "one more minute"
    assert stopped.state.until_ready_s == 15.0


def test_hours_count_towards_the_next_service() -> None:
    done = worked(RUNNING, 500.0, 1800.0)
    assert done.points["hours_to_service_h"] == pytest.approx(0.5)
    assert worked(done.state, 500.0, 7200.0).points["hours_to_service_h"] == 0.0


def test_out_of_service_it_cannot_be_called_and_says_so() -> None:
    assert WORKING.instruments == ("running", "available_fraction")
    assert GENSET.instruments == ("running",)
    out = worked(RUNNING, 500.0, 60.0, available_fraction=0.0)
    assert (out.p_kw, out.points["running"]) == (0.0, 0.0)
    assert WORKING.flexibility(out.points).max_generation_kw == 0.0
    assert WORKING.flexibility(worked(RUNNING, 500.0, 60.0).points).max_generation_kw == 1000.0
    available = WORKING.drive(weather(), 0)["available_fraction"]
    held_hours = [int(hour) for hour in np.unique(weather().index[available == 0.0].hour)]
    assert held_hours == [6, 7, 8]


def test_it_starts_as_often_as_told_by_luck_of_its_own() -> None:
    index = pd.date_range("2025-01-01", periods=60_000, freq="1min", tz="UTC")
    starting = Starting(success_fraction=0.6)
    failed = starting.failures(index, 1, "main")
    assert [np.mean(failed == n) for n in range(3)] == pytest.approx([0.6, 0.24, 0.096], abs=0.01)
    assert np.mean(failed == 3) == pytest.approx(0.4**3, abs=0.01), "as many as are made"
    other = Starting(success_fraction=0.6, stream="second").failures(index, 1, "main")
    assert abs(np.corrcoef(failed, other)[0, 1]) < 0.02
    assert starting.failures(index, 2, "main").tolist() != failed.tolist()
    every_15_s = starting.failures(pd.date_range("2025-01-01", periods=400, freq="15s", tz="UTC"), 1, "main")
    assert every_15_s.tolist() == np.repeat(failed[:100], 4).tolist(), "the same for every length of step"
    assert starting.failures(index[:5], (1, 2), "main").shape == (2, 5)
    assert not Starting(success_fraction=1.0).failures(index, 1, "main").any()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    calls=st.lists(st.tuples(st.sampled_from([0.0, 200.0, 500.0, 1200.0]), st.floats(1.0, 200.0)), max_size=4),
    asked_kw=st.sampled_from([0.0, 350.0, 900.0]),
    failed=st.sampled_from([0.0, 1.0, 3.0]),
    step_s=st.floats(1.0, 400.0),
    part=st.floats(0.05, 0.95),
)
def test_a_step_in_two_parts_is_one_step_whatever_it_is_doing(
    calls: list[tuple[float, float]], asked_kw: float, failed: float, step_s: float, part: float
) -> None:
    state = WORKING.initial()
    for generation_kw, length_s in calls:
        state = worked(state, generation_kw, length_s, failed_count=failed).state
    whole = worked(state, asked_kw, step_s, failed_count=failed)
    first = worked(state, asked_kw, step_s * part, failed_count=failed)
    second = worked(first.state, asked_kw, step_s * (1 - part), failed_count=failed)
    mean_kw = first.p_kw * part + second.p_kw * (1 - part)
    assert mean_kw == pytest.approx(whole.p_kw, rel=1e-9, abs=1e-9)
    assert first.amounts["fuel_l"] + second.amounts["fuel_l"] == pytest.approx(whole.amounts["fuel_l"], rel=1e-9)
    for item in fields(whole.state):
        assert getattr(second.state, item.name) == pytest.approx(getattr(whole.state, item.name), rel=1e-9, abs=1e-6)


def test_as_machine_code_it_does_what_it_does() -> None:
    rng = np.random.default_rng(2)
    states = [worked(WORKING.initial(), 500.0, float(length_s)).state for length_s in rng.uniform(1, 90, 20)]
    rows = [
        [float(getattr(state, item.name)) for item in fields(state)] + [asked, failed, available]
        for state in states
        for asked, failed, available in ((0.0, 0.0, 1.0), (700.0, 1.0, 1.0), (700.0, 3.0, 0.0))
    ]

    def outcome(row: Sequence[Any]) -> list[Num]:
        names = [item.name for item in fields(GensetState)]
        state = GensetState(**dict(zip(names, row, strict=False)))
        drive = {"failed_count": row[-2], "available_fraction": row[-1]}
        return numbers(WORKING.step(state, row[-3], drive, (), 60.0))

    tape = Tape()
    machine = Machine(tape, outcome([tape.input() for _ in rows[0]]), len(rows))
    machine.table[machine.inputs.slice] = np.array(rows).T
    machine.run()
    wanted = np.array([outcome(row) for row in rows])
    np.testing.assert_allclose(machine.table[machine.outputs.slice].T, wanted, rtol=1e-12, atol=1e-9)


def test_impossible_engines_are_refused_by_their_key() -> None:
    with pytest.raises(ValueError, match="since_service_h up to service_interval_h, not 300 and 250"):
        replace(GENSET, since_service_h=300.0, service_interval_h=250.0)
    noon = datetime(2025, 7, 2, 12, tzinfo=UTC)
    with pytest.raises(ValueError, match="start before end"):
        Span(start=noon, end=noon)
    engine = dict(Genset.example)
    for key, value in (("min_load_fraction", 1.2), ("ramp_kw_per_s", 0), ("starting", {"success_fraction": 0})):
        with pytest.raises(ValidationError, match=key):
            TypeAdapter(Genset).validate_python({**engine, key: value})
