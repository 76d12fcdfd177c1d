from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.device_rig import weather
from twin.devices.base import Step
from twin.devices.spans import Span
from twin.devices.ups import Eco, Reserve, Ups, UpsState
from twin.native import Machine
from twin.number_tree import numbers
from twin.numeric import Num
from twin.tape import Tape

DOUBLE = Ups(
    bus="hall",
    serves=("hall",),
    rated_kw=1000.0,
    no_load_losses_kw=12.0,
    proportional_losses_fraction=0.018,
    square_losses_fraction=0.016,
)
LOSS = (Span(start=datetime(2025, 7, 2, 6, tzinfo=UTC), end=datetime(2025, 7, 2, 6, 15, tzinfo=UTC)),)
RESERVE = Reserve(capacity_kwh=100.0, recharge_kw=50.0, charge_efficiency=0.9, discharge_efficiency=0.95)
HELD = replace(DOUBLE, reserve=RESERVE, input_lost=LOSS)
ECO = replace(HELD, eco=Eco(no_load_losses_kw=3.0, proportional_losses_fraction=0.009, transfer_s=0.004, return_s=60.0))
FULL = HELD.initial()


def stepped(ups: Ups, state: UpsState, load_kw: Num, step_s: float, *, lost: Num = 0.0) -> Step[UpsState]:
    served = (Step(state=None, p_kw=load_kw), Step(state=None, p_kw=0.0))
    return ups.step(state, 0.0, {"lost_fraction": lost}, served, step_s)


def test_while_its_input_is_lost_the_bus_is_left_with_nothing() -> None:
    done = stepped(HELD, FULL, 600.0, 60.0, lost=1.0)
    assert done.p_kw == pytest.approx(-600.0)
    assert done.q_kvar == pytest.approx(0.0)
    assert done.amounts["unbacked_kwh"] == 0.0
    assert done.state.stored_kwh == pytest.approx(100 - 10 / 0.95)
    assert done.points["autonomy_minutes"] == pytest.approx(done.state.stored_kwh * 0.95 / 600 * 60)


def test_it_carries_the_load_for_exactly_the_minutes_that_it_shows() -> None:
    minutes = float(stepped(HELD, FULL, 500.0, 1.0).points["autonomy_minutes"])
    assert minutes == pytest.approx(100 * 0.95 / 500 * 60)
    carried = stepped(HELD, FULL, 500.0, minutes * 60, lost=1.0)
    assert carried.p_kw == pytest.approx(-500.0)
    assert carried.state.stored_kwh == pytest.approx(0.0, abs=1e-9)
    dark = stepped(HELD, carried.state, 500.0, 60.0, lost=1.0)
    assert dark.p_kw == pytest.approx(0.0)
    assert dark.amounts["unbacked_kwh"] == pytest.approx(500 / 60)


def test_afterwards_it_recharges_and_is_full_again() -> None:
    empty = UpsState(stored_kwh=0.0)
    charging = stepped(HELD, empty, 500.0, 3600.0)
    losses_kw = stepped(DOUBLE, UpsState(), 500.0, 3600.0).p_kw
    assert charging.p_kw == pytest.approx(losses_kw + 50.0)
    assert charging.points["soc"] == pytest.approx(0.45)
    full = stepped(HELD, empty, 500.0, 86400.0)
    assert full.points["soc"] == pytest.approx(1.0)
    assert (full.p_kw - losses_kw) * 24 == pytest.approx(100 / 0.9)
    assert stepped(HELD, full.state, 500.0, 60.0).p_kw == pytest.approx(losses_kw)


def test_eco_mode_loses_little_until_its_input_is_lost_and_feels_that_once() -> None:
    eco = stepped(ECO, FULL, 600.0, 60.0)
    assert eco.p_kw == pytest.approx(3 + 0.009 * 600)
    lost = stepped(ECO, eco.state, 600.0, 60.0, lost=1.0)
    assert lost.amounts["unbacked_kwh"] == pytest.approx(600 * 0.004 / 3600)
    assert stepped(ECO, lost.state, 600.0, 60.0, lost=1.0).amounts["unbacked_kwh"] == pytest.approx(0.0, abs=1e-12)
    back = stepped(replace(ECO, reserve=replace(RESERVE, recharge_kw=1e-6)), lost.state, 600.0, 120.0)
    double_kw = stepped(DOUBLE, UpsState(), 600.0, 60.0).p_kw
    assert back.p_kw == pytest.approx((double_kw + 3 + 0.009 * 600) / 2, rel=1e-6), "a minute of each"


def test_without_cells_told_nothing_is_shown_of_them() -> None:
    assert DOUBLE.instruments == ("load_kw",)
    assert ECO.instruments == ("load_kw", "soc", "autonomy_minutes")
    done = stepped(DOUBLE, UpsState(), 600.0, 60.0)
    assert (set(done.points), dict(done.amounts)) == ({"load_kw"}, {})
    assert DOUBLE.drive(weather(), 0) == {}
    lost = HELD.drive(weather(), 0)["lost_fraction"]
    assert weather().index[lost == 1.0].tolist() == [weather().index[0].replace(hour=6)]


situations = {
    "load_kw": st.floats(0.0, 1000.0) | st.just(0.0),
    "stored_kwh": st.floats(0.0, 100.0) | st.sampled_from([0.0, 100.0]),
    "until_eco_s": st.sampled_from([0.0, 20.0, 60.0]),
    "lost": st.sampled_from([0.0, 1.0]),
    "step_s": st.floats(1.0, 7200.0),
}


@pytest.mark.parametrize("ups", [HELD, ECO], ids=["double", "eco"])
@settings(max_examples=80, deadline=None, derandomize=True)
@given(part=st.floats(0.05, 0.95), **situations)
def test_energy_is_kept_and_a_step_in_two_parts_is_one_step(
    ups: Ups, load_kw: float, stored_kwh: float, until_eco_s: float, lost: float, step_s: float, part: float
) -> None:
    state = UpsState(stored_kwh=stored_kwh, until_eco_s=until_eco_s)
    whole = stepped(ups, state, load_kw, step_s, lost=lost)
    hours = step_s / 3600
    kept_kwh = whole.state.stored_kwh - stored_kwh
    assert whole.p_kw * hours == pytest.approx(kept_kwh + whole.heat_kw * hours, rel=1e-9, abs=1e-9)
    assert whole.heat_kw >= 0.0
    first = stepped(ups, state, load_kw, step_s * part, lost=lost)
    second = stepped(ups, first.state, load_kw, step_s * (1 - part), lost=lost)
    assert first.p_kw * part + second.p_kw * (1 - part) == pytest.approx(whole.p_kw, rel=1e-9, abs=1e-8)
    assert second.state.stored_kwh == pytest.approx(whole.state.stored_kwh, rel=1e-9, abs=1e-8)
    both_kwh = first.amounts["unbacked_kwh"] + second.amounts["unbacked_kwh"]
    assert both_kwh == pytest.approx(whole.amounts["unbacked_kwh"], rel=1e-9, abs=1e-8)


def test_as_machine_code_it_does_what_it_does() -> None:
    rng = np.random.default_rng(4)
    rows = [
        [float(stored), float(until), float(load), float(lost)]
        for stored in (0.0, 3.0, 100.0)
        for until in (0.0, 30.0)
        for load, lost in zip(rng.uniform(0, 1000, 6), (0, 1) * 3, strict=True)
    ]

    def outcome(row: Sequence[Any]) -> list[Num]:
        state = UpsState(stored_kwh=row[0], until_eco_s=row[1])
        return numbers(stepped(ECO, state, row[2], 60.0, lost=row[3]))

    tape = Tape()
    machine = Machine(tape, outcome([tape.input() for _ in range(4)]), len(rows))
    machine.table[machine.inputs.slice] = np.array(rows).T
    machine.run()
    wanted = np.array([outcome(row) for row in rows])
    np.testing.assert_allclose(machine.table[machine.outputs.slice].T, wanted, rtol=1e-12, atol=1e-9)
    assert len(fields(UpsState)) == 2, "each of them is tried"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"input_lost": LOSS}, "reserve beside input_lost"),
        ({"reserve": replace(RESERVE, recharge_kw=990.0)}, "reserve.recharge_kw up to what rated_kw leaves, not 990"),
        ({"eco": Eco(no_load_losses_kw=13.0, proportional_losses_fraction=0.009)}, "eco.no_load_losses_kw up to"),
        ({"square_losses_fraction": 1.0}, "no_load_losses_kw, proportional_losses_fraction and square_losses_fraction"),
    ],
)
def test_an_impossible_supply_is_refused_by_its_key(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replace(DOUBLE, **change)
