"""What the balance of all meters finds out, and what it leaves alone."""

import random
from collections.abc import Mapping
from datetime import timedelta

import pytest

from tests.twin.telemetry.telemetry_rig import NOON, TinyDevice, TinySite
from twin.points import Quality, Reading
from twin.site import Site
from twin.telemetry.config import Telemetry
from twin.telemetry.plausibility import DOUBT_CYCLES, RELEARN_CYCLES, BalanceCheck

RATED_KW = {"grid": 2000.0, "hall": 1000.0, "battery": 500.0, "office": 300.0, "genset": 800.0}
AT_REST = {"genset": 0.0}


def site(grid: str | None = "grid") -> Site:
    devices = {name: TinyDevice(rated_kw) for name, rated_kw in RATED_KW.items()}
    return TinySite(telemetry=Telemetry(), devices=devices, grid=grid)  # type: ignore[return-value]


class Run:
    """A site in motion, whose meters are noisy; what `lies` says is shown instead."""

    def __init__(self) -> None:
        self.check, self.noise, self.now = BalanceCheck(site()), random.Random(3), NOON
        self.truth = {"hall": 700.0, "battery": -200.0, "office": 150.0, "genset": 0.0}
        self.shown: dict[str, float] = {}

    def cycle(self, lies: Mapping[str, float] | None = None, late: str | None = None) -> dict[str, Reading]:
        self.now += timedelta(seconds=1)
        grid_kw = 1.01 * sum(self.truth.values())
        self.shown = {
            name: power_kw if name in AT_REST else power_kw + self.noise.gauss(0, 0.002 * RATED_KW[name])
            for name, power_kw in {"grid": grid_kw, **self.truth}.items()
        } | dict(lies or {})
        readings = {f"{name}.p_kw": Reading(value=value, at=self.now) for name, value in self.shown.items()}
        if late is not None:
            readings[f"{late}.p_kw"] = Reading(value=0.0, at=self.now - timedelta(seconds=5))
        return self.check.judged(readings, self.now)

    def settle(self, cycles: int = 12) -> None:
        for _ in range(cycles):
            assert not self.cycle()


@pytest.mark.parametrize("name", ["grid", "hall", "battery"])
@pytest.mark.parametrize("by_kw", [-300.0, 300.0])
def test_a_frozen_meter_is_bad_within_ten_cycles_of_a_movement_and_the_others_are_not(name: str, by_kw: float) -> None:
    run = Run()
    run.settle()
    frozen = {name: run.shown[name]}
    for _ in range(20):
        assert not run.cycle(frozen), "nothing has moved yet"
    run.truth["hall" if name == "grid" else name] += by_kw
    verdicts = [run.cycle(frozen) for _ in range(10)]
    found = next(index for index, marked in enumerate(verdicts) if marked.get(f"{name}.p_kw"))
    last = verdicts[-1]
    assert found < 10
    assert last.keys() == {f"{name}.p_kw"}
    assert last[f"{name}.p_kw"].quality is Quality.BAD
    assert last[f"{name}.p_kw"].reason.startswith("frozen: the same")
    assert not run.cycle(), "it is believed as soon as it moves again"


def test_a_device_at_rest_is_not_blamed_for_another_that_froze() -> None:
    run = Run()
    run.settle()
    frozen = {"battery": run.shown["battery"]}
    run.truth["battery"] += 400.0
    assert [run.cycle(frozen) for _ in range(10)][-1].keys() == {"battery.p_kw"}


def test_a_device_whose_meter_stays_at_zero_while_it_runs_is_marked() -> None:
    run = Run()
    run.settle()
    run.truth["genset"] = -600.0
    last = [run.cycle({"genset": 0.0}) for _ in range(10)][-1]
    # Either it runs, or the connection's meter is wrong: nobody can tell, and neither is thrown away.
    assert {name: reading.quality for name, reading in last.items()} == dict.fromkeys(
        ("genset.p_kw", "grid.p_kw"), Quality.SUSPECT
    )
    assert last["genset.p_kw"].reason.startswith("frozen")


@pytest.mark.parametrize(("name", "lie_kw"), [("grid", 1800.0), ("hall", 188.0), ("battery", 312.0)])
def test_one_garbled_value_is_doubted_at_once_and_the_last_one_stands_in(name: str, lie_kw: float) -> None:
    run = Run()
    run.settle()
    before_kw = run.shown[name]
    marked = run.cycle({name: lie_kw})
    assert marked.keys() == {f"{name}.p_kw"}
    reading = marked[f"{name}.p_kw"]
    assert (reading.value, reading.quality) == (before_kw, Quality.SUSPECT)
    assert "substituted" in reading.reason
    assert reading.at < run.now, "it does not pretend to be fresh"
    for _ in range(10):
        assert not run.cycle()


def test_a_true_jump_of_a_device_is_believed_at_once() -> None:
    run = Run()
    run.settle()
    for change_kw in (300.0, -450.0, 200.0):
        run.truth["hall"] += change_kw
        assert not run.cycle()


def test_a_load_that_nobody_meters_is_believed_after_three_cycles_and_stays_marked() -> None:
    run = Run()
    run.settle()
    grid_kw = 1.01 * sum(run.truth.values()) + 900.0
    verdicts = [run.cycle({"grid": grid_kw + step})["grid.p_kw"] for step in range(DOUBT_CYCLES + 2)]
    assert [float(reading.value) > 1000.0 for reading in verdicts] == [False] * DOUBT_CYCLES + [True] * 2
    assert {reading.quality for reading in verdicts} == {Quality.SUSPECT}
    marked = [run.cycle({"grid": grid_kw + step}) for step in range(RELEARN_CYCLES)]
    assert marked[0]
    assert not marked[-1], "after a minute the new state is the usual one"


def test_readings_of_different_instants_are_not_added_up() -> None:
    run = Run()
    run.settle()
    run.truth["hall"] += 500.0
    assert not run.cycle(late="hall")
    assert not run.cycle()


def test_without_a_connection_there_is_no_balance() -> None:
    reading = Reading(value=1.0, at=NOON)
    assert not BalanceCheck(site(None)).judged({f"{name}.p_kw": reading for name in RATED_KW}, NOON)
