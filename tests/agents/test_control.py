"""The cycle as a whole, on a simulated clock: what it sends, what it does when it sees less, and what it tells."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agents.alarms import AlarmLog, alarms
from agents.control import ControlAgent, Cycle
from controllers.fallback import Rung
from tests.agents.plant_with_faults import CAMPUS, STEP_S, PlantWithFaults, campus
from twin.errors import RecordError
from twin.site import load_site

SITE = load_site(CAMPUS)


def turn(plant: PlantWithFaults, agent: ControlAgent) -> Cycle:
    cycle = agent.cycle(plant.now)
    plant.advance(STEP_S)
    return cycle


def commands(cycle: Cycle) -> dict[str, float]:
    return {command.device: float(command.value) for command in cycle.commands}


def test_every_command_expires_and_says_why() -> None:
    cycle = turn(*campus())
    assert set(commands(cycle)) == {name for name, device in SITE.devices.items() if device.setpoint is not None}
    for command in cycle.commands:
        assert timedelta(seconds=STEP_S) < command.valid_until - cycle.now <= timedelta(seconds=3 * STEP_S)
        assert command.reason


def test_a_command_carries_the_reason_of_the_rule_that_decided() -> None:
    cycle = turn(*campus())
    decided = {item.group.value: item for item in cycle.decision.resolutions}
    battery = next(command for command in cycle.commands if command.device == "battery")
    assert battery.reason == f"{decided['storage'].rule}: {decided['storage'].reason}"


def test_the_same_cycles_give_the_same_commands() -> None:
    runs = [[commands(turn(plant, agent)) for _ in range(12)] for plant, agent in (campus(), campus())]
    assert runs[0] == runs[1]


def test_what_is_lost_is_not_commanded_and_all_else_goes_on() -> None:
    plant, agent = campus()
    assert turn(plant, agent).rung is Rung.FULL
    plant.silent = frozenset({"battery"})
    cycle = turn(plant, agent)
    assert cycle.rung is Rung.PARTIAL
    assert "battery" not in commands(cycle)
    assert {"hall_a", "hall_b", "solar"} <= commands(cycle).keys()
    plant.silent = frozenset()
    assert turn(plant, agent).rung is Rung.FULL


def test_blind_means_safe_for_whoever_still_hears() -> None:
    plant, agent = campus()
    turn(plant, agent)
    plant.silent = frozenset({"grid", "turbine"})
    cycle = turn(plant, agent)
    assert cycle.rung is Rung.BLIND
    assert commands(cycle) == {
        name: device.safe_setpoint
        for name, device in SITE.devices.items()
        if device.setpoint is not None and name != "turbine"
    }


def test_without_rules_nothing_is_commanded() -> None:
    cycle = turn(*campus("idle"))
    assert cycle.commands == ()
    assert cycle.receipts == ()
    assert cycle.state.assets["battery"].reliable


def test_a_full_disk_is_an_alarm_and_control_goes_on() -> None:
    full = [True]

    def record(_cycle: Cycle) -> None:
        if full[0]:
            raise RecordError("history.sqlite: the disk is full")

    plant, agent = campus(record=record)
    assert not alarms(turn(plant, agent))
    cycle = turn(plant, agent)
    assert "the disk is full" in alarms(cycle)["record"]
    assert cycle.commands
    full[0] = False
    turn(plant, agent)
    assert "record" not in alarms(turn(plant, agent))


@pytest.mark.parametrize(
    ("silent", "refusing", "kind", "words"),
    [
        ({"battery"}, set[str](), "lost battery", "battery: unplugged"),
        (set[str](), {"hall_a"}, "rejected hall_a.limit_kw", "hall_a.limit_kw rejected: not now"),
        ({"grid"}, set[str](), "inferred", "margins are doubled"),
        ({"grid", "solar"}, set[str](), "blind", "safe setpoint"),
    ],
)
def test_an_alarm_is_told_once_and_once_more_when_it_is_over(
    silent: set[str], refusing: set[str], kind: str, words: str
) -> None:
    plant, agent = campus()
    told = AlarmLog()
    assert list(told.changes(turn(plant, agent))) == [], "quiet when all is well"
    plant.silent, plant.refusing = frozenset(silent), frozenset(refusing)
    cycle = turn(plant, agent)
    assert words in alarms(cycle)[kind]
    assert any(words in line for line in told.changes(cycle))
    assert list(told.changes(turn(plant, agent))) == []
    plant.silent = plant.refusing = frozenset()
    over = list(told.changes(turn(plant, agent)))
    assert over
    assert all(line.startswith("over: ") for line in over)
