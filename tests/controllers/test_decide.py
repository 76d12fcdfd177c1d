"""A whole decision on the campus, the ladder of degradation, and a few hours on the simulated plant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from agents.assemble import LoadedSite, control_agent, load
from agents.simulation import simulate
from controllers.decide import decide
from controllers.fallback import Rung, rung_of, safe_decision, why
from controllers.fleet import fleet_of
from controllers.guard import guard
from controllers.situation import look
from tests.controllers.small_site import GROUPS, QUIET, drawn, fleet, lost, metered, scenarios, state, without
from twin.devices.base import Group
from twin.numeric import first
from twin.points import Command, Quality, Receipt, Snapshot
from twin.simulator import SimulatedPlant, simulated_plant
from twin.state import SiteState
from twin.timegrid import TimeGrid
from twin.weather import read_weather

FLEET_OF_CAMPUS = {
    "solar": (Group.RENEWABLES, "limit_kw"),
    "turbine": (Group.RENEWABLES, "limit_kw"),
    "battery": (Group.STORAGE, "p_kw"),
    "hall_a": (Group.COMPUTE, "limit_kw"),
    "hall_b": (Group.COMPUTE, "limit_kw"),
    "genset_1": (Group.GENSETS, "generation_kw"),
    "genset_2": (Group.GENSETS, "generation_kw"),
}
AFTERNOON = datetime(2025, 7, 16, 18, tzinfo=UTC)
SITES = Path(__file__).parents[2] / "site_configs"


@cache
def loaded(name: str) -> LoadedSite:
    return load(SITES / f"{name}.yaml")


# --- decide ---------------------------------------------------------------------------------------------------------


def test_the_order_of_the_site_file_decides_nothing() -> None:
    rules, rng = loaded("campus").rules, np.random.default_rng(3)
    for _ in range(30):
        situation = look(fleet(), state(drawn(rng)), None, 1.0)
        forth, back = decide(rules, situation), decide(tuple(reversed(rules)), situation)
        assert forth == back


def test_the_rules_of_the_campus_decide_alike_on_floats_and_on_arrays() -> None:
    rules, rng = loaded("campus").rules, np.random.default_rng(5)
    several = [drawn(rng) for _ in range(40)]
    many = decide(rules, look(fleet(), state(scenarios(several)), None, 300.0))
    for column, numbers in enumerate(several):
        for name, value in decide(rules, look(fleet(), state(numbers), None, 300.0)).setpoints.items():
            assert np.broadcast_to(many.setpoints[name], len(several))[column] == pytest.approx(first(value), abs=1e-6)


def test_what_the_rules_decide_leaves_the_guard_nothing_to_do() -> None:
    """Otherwise the reasons on the screen would be those of rules that did not decide."""
    rules, rng, quiet = loaded("campus").rules, np.random.default_rng(11), 0
    for _ in range(100):
        site = state(drawn(rng))
        asked = decide(rules, look(fleet(), site, None, 1.0)).setpoints
        quiet += not guard(fleet(), site, asked, margin_fraction=0.02, period_s=1.0).clips
    assert quiet >= 80


def test_groups_are_decided_in_order_and_every_asset_that_is_seen_gets_a_setpoint() -> None:
    decision = decide(loaded("campus").rules, look(fleet(), without(state(), "hall"), None, 1.0))
    assert [item.group for item in decision.resolutions] == list(Group)
    assert set(decision.setpoints) == set(GROUPS) - {"hall"}
    gone = decide(loaded("campus").rules, look(fleet(), without(state(), "hall", "hall_b"), None, 1.0))
    assert Group.COMPUTE not in {item.group for item in gone.resolutions}


def test_the_fleet_of_the_campus_is_what_can_be_steered() -> None:
    members = {member.name: (member.group, member.setpoint) for member in fleet_of(loaded("campus").site).members}
    assert members == FLEET_OF_CAMPUS
    assert "battery" not in {member.name for member in fleet_of(loaded("island").site).members}


# --- fallback -------------------------------------------------------------------------------------------------------


def island() -> SiteState:
    return state(QUIET, former="battery")


LADDER: Mapping[str, tuple[SiteState, Rung, str]] = {
    "all is seen": (state(), Rung.FULL, ""),
    "an asset is lost": (lost(state(), "hall"), Rung.PARTIAL, "hall: no answer"),
    "the grid meter is lost": (metered(state(), Quality.SUSPECT), Rung.INFERRED, "the grid meter is lost"),
    "both are lost": (metered(lost(state(), "hall"), Quality.BAD), Rung.BLIND, "the grid meter is lost"),
    "island: all is seen": (island(), Rung.FULL, ""),
    "island: an asset is lost": (lost(island(), "sun"), Rung.PARTIAL, "sun: no answer"),
    "island: the battery is lost": (lost(island(), "battery"), Rung.BLIND, "battery: no answer"),
}


@pytest.mark.parametrize(("site", "rung", "reason"), LADDER.values(), ids=LADDER.keys())
def test_each_rung_is_known_by_what_is_missing(site: SiteState, rung: Rung, reason: str) -> None:
    assert rung_of(site) is rung
    assert why(site, rung) == reason


class HalfDeaf:
    """The simulated plant, with devices from which nothing is heard at present."""

    def __init__(self, plant: SimulatedPlant) -> None:
        self._plant, self.silent = plant, frozenset[str]()

    def read(self, now: datetime) -> Snapshot:
        heard = self._plant.read(now)
        readings = {point: item for point, item in heard.readings.items() if point.split(".")[0] not in self.silent}
        return replace(heard, readings=readings, lost=dict.fromkeys(self.silent, "no answer"))

    def apply(self, commands: Sequence[Command], now: datetime) -> tuple[Receipt, ...]:
        return self._plant.apply(commands, now)

    def close(self) -> None:
        self._plant.close()


def test_each_rung_is_left_by_itself_in_the_first_cycle_that_sees_more() -> None:
    campus, grid = loaded("campus"), TimeGrid(start=AFTERNOON, step_s=300.0, steps=1)
    path = SITES / "campus.yaml"
    plant = HalfDeaf(simulated_plant(campus.site, read_weather(campus.site.weather, campus.site.location, grid, path)))
    agent = control_agent(campus.site, plant, campus.policy("rules"), period_s=1.0)
    down = [frozenset[str](), frozenset({"hall_a"}), frozenset({"grid"}), frozenset({"grid", "hall_a"})]
    seen = []
    for second, silent in enumerate([*down, *reversed(down)]):
        plant.silent = silent
        cycle = agent.cycle(AFTERNOON + timedelta(seconds=second))
        seen.append(cycle.rung)
        assert {command.device for command in cycle.commands} == set(FLEET_OF_CAMPUS) - silent
        rules = {item.rule for item in cycle.decision.resolutions}
        assert (rules == {"fallback"}) is (cycle.rung is Rung.BLIND)
    assert seen == [*Rung, *reversed(Rung)]


def test_blind_every_asset_that_hears_goes_to_its_safe_setpoint() -> None:
    site = metered(lost(without(state(), "battery"), "hall"), Quality.BAD)
    decision = safe_decision(fleet(), look(fleet(), site, None, 1.0), "nothing is seen")
    safe = {member.name: member.safe_setpoint for member in fleet().members if member.name != "hall"}
    assert decision.setpoints == safe
    assert {item.rule for item in decision.resolutions} == {"fallback"}
    assert all("blind: nothing is seen" in item.reason for item in decision.resolutions)
    assert guard(fleet(), site, decision.setpoints, margin_fraction=0.02, period_s=1.0).setpoints == safe


# --- on the simulated plant -----------------------------------------------------------------------------------------


def run(name: str, start: datetime, hours: float, policies: Sequence[str]) -> list[float]:
    """Highest import of each policy over a few hours."""
    site, path = loaded(name), SITES / f"{name}.yaml"
    grid = TimeGrid(start=start, step_s=300.0, steps=round(hours * 12))
    return [first(simulate(site.site, path, grid, site.policy(policy)).books.peak_import_kw) for policy in policies]


def test_rules_keep_the_import_below_the_contract_where_idle_exceeds_it() -> None:
    site = loaded("campus").site
    contracted_kw = site.devices[str(site.grid)].contracted_import_kw  # type: ignore[attr-defined]
    idle_kw, rules_kw = run("campus", AFTERNOON, 5.0, ("idle", "rules"))
    assert rules_kw <= contracted_kw < idle_kw
