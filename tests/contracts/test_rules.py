"""What every rule has to keep, whatever it is for. A new file in `controllers/rules/` is covered by being there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

import controllers.rules
from controllers.base import RULES, Needs, Proposal, Rule
from controllers.decide import Decision, decide
from controllers.rules.parse import parse_rules, rules_adapter
from controllers.situation import Situation, look
from tests.controllers.small_site import GROUPS, NUMBERS, drawn, fleet, lost, metered, scenarios, state, without
from twin.devices.base import Group
from twin.errors import InputError
from twin.numeric import any_true, first
from twin.points import Quality
from twin.registry import load
from twin.site import Site, load_site
from twin.state import SiteState
from twin.yaml_file import read_yaml

load(controllers.rules)
SITES = Path(__file__).parents[2] / "site_configs"
FLEET = fleet()
each_rule = pytest.mark.parametrize("name", sorted(RULES))


@pytest.fixture(scope="module")
def sites() -> Mapping[str, Site]:
    return {"grid": load_site(SITES / "campus.yaml"), "island": load_site(SITES / "island.yaml")}


def read(path: Path, site: Site, *rules: Mapping[str, Any]) -> Sequence[Rule]:
    """Rules as `site` would have them in its file, each key on a line of its own."""
    with path.open("w", encoding="utf-8") as file:
        YAML().dump({"rules": [dict(rule) for rule in rules]}, file)
    return parse_rules(replace(site, rules=rules), read_yaml(path))


def line_of(path: Path, text: str, occurrence: int = 1) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [number for number, line in enumerate(lines, start=1) if text in line][occurrence - 1]


def home(name: str) -> str:
    """The kind of site on which a rule has a meaning."""
    return "island" if RULES[name].needs == "island" else "grid"


def example(name: str) -> Rule:
    rule: Rule = rules_adapter().validate_python([dict(RULES[name].example)])[0]
    return rule


def site_for(name: str, numbers: Mapping[str, Any]) -> tuple[Any, SiteState]:
    """A fleet and a state of the kind that the rule needs."""
    if home(name) == "grid":
        return FLEET, state(numbers)
    return fleet(*(other for other in GROUPS if other != "battery")), state(numbers, former="battery")


@dataclass(frozen=True, slots=True)
class Probe:
    """Wishes something below every rule, so that its bounds show; so far below that no rule is outvoted."""

    groups: ClassVar[tuple[Group, ...]] = tuple(Group)
    wishes: ClassVar[tuple[Group, ...]] = tuple(Group)
    needs: ClassVar[Needs] = "anything"
    example: ClassVar[Mapping[str, Any]] = {}
    wish_kw: float
    rule: str = "probe"
    priority: int = -1

    def propose(self, group: Group, situation: Situation) -> Sequence[Proposal]:
        return (
            Proposal(rule=self.rule, priority=self.priority, group=group, wish_kw=self.wish_kw, reason="to see bounds"),
        )


def decisions(rule: Rule, name: str, numbers: Mapping[str, Any], period_s: float) -> list[Decision]:
    """What comes of the rule alone, and against wishes for as little and as much as can be."""
    small_fleet, site = site_for(name, numbers)
    situation = look(small_fleet, site, None, period_s)
    return [decide(rules, situation) for rules in ((rule,), (rule, Probe(-1e6)), (rule, Probe(1e6)))]


@each_rule
def test_its_example_is_what_a_site_file_may_say(name: str, sites: Mapping[str, Site], tmp_path: Path) -> None:
    (rule,) = read(tmp_path / "site.yaml", sites[home(name)], RULES[name].example)
    assert rule.rule == name
    assert rule.priority == RULES[name].example["priority"]
    assert rule.groups


@each_rule
def test_an_unknown_key_is_refused_with_its_line(name: str, sites: Mapping[str, Site], tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    with pytest.raises(InputError) as caught:
        read(path, sites[home(name)], dict(RULES[name].example) | {"colour_kw": 7})
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (str(path), line_of(path, "colour_kw"))
    assert problem.path == "rules.0.colour_kw"
    assert (problem.found, "documented keys" in problem.expected) == ("an unknown key", True)


@each_rule
def test_a_priority_of_two_rules_is_refused_with_both_lines(
    name: str, sites: Mapping[str, Site], tmp_path: Path
) -> None:
    path = tmp_path / "site.yaml"
    with pytest.raises(InputError) as caught:
        read(path, sites[home(name)], RULES[name].example, RULES[name].example)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (str(path), line_of(path, "priority:", 2))
    assert f"{name} (line {line_of(path, 'priority:')}) has already" in problem.found
    assert "of its own" in problem.expected


@each_rule
def test_it_is_refused_where_it_has_no_meaning(name: str, sites: Mapping[str, Site], tmp_path: Path) -> None:
    path, needs = tmp_path / "site.yaml", RULES[name].needs
    if needs == "anything":
        assert read(path, sites["grid"], RULES[name].example)
        assert read(path, sites["island"], RULES[name].example)
        return
    with pytest.raises(InputError) as caught:
        read(path, sites["island" if needs == "grid" else "grid"], RULES[name].example)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (str(path), line_of(path, "rule: "))
    assert problem.path == "rules.0.rule"
    assert problem.found == f"{name} on a site {'without' if needs == 'grid' else 'with'} a grid connection"
    assert name not in problem.expected
    assert "battery_reserve" in problem.expected


@each_rule
@settings(deadline=None, max_examples=12)
@given(numbers=NUMBERS, period_s=st.sampled_from([1.0, 300.0]))
def test_it_proposes_for_its_groups_only_and_gives_a_reason(
    name: str, numbers: Mapping[str, float], period_s: float
) -> None:
    rule = example(name)
    for resolution in decisions(rule, name, numbers, period_s)[0].resolutions:
        assert resolution.group in rule.groups or not resolution.proposals
        for item in resolution.proposals:
            assert (item.rule, item.group) == (name, resolution.group)
            assert str(item.reason).strip()
            assert not any(np.isnan(value) for value in (item.wish_kw, item.min_kw, item.max_kw) if value is not None)


@each_rule
@settings(deadline=None, max_examples=12)
@given(several=st.lists(NUMBERS, min_size=1, max_size=3), period_s=st.sampled_from([1.0, 300.0]))
def test_scenarios_in_an_array_equal_scenarios_one_by_one(
    name: str, several: Sequence[Mapping[str, float]], period_s: float
) -> None:
    rule = example(name)
    together = decisions(rule, name, scenarios(several), period_s)
    for column, numbers in enumerate(several):
        for many, one in zip(together, decisions(rule, name, numbers, period_s), strict=True):
            assert list(many.setpoints) == list(one.setpoints)
            for asset, value in one.setpoints.items():
                shown = np.broadcast_to(many.setpoints[asset], len(several))[column]
                assert shown == pytest.approx(first(value), abs=1e-6, rel=1e-9), asset


@each_rule
@settings(deadline=None, max_examples=12)
@given(
    numbers=NUMBERS,
    gone=st.sets(st.sampled_from([*GROUPS, "cooling", "office"])),
    unknown=st.sets(st.sampled_from([*GROUPS, "cooling", "office"])),
    silent=st.sets(st.sampled_from(sorted(GROUPS))),
    quality=st.sampled_from([Quality.GOOD, Quality.SUSPECT]),
)
def test_missing_data_never_raises(
    name: str, numbers: Mapping[str, float], gone: set[str], unknown: set[str], silent: set[str], quality: Quality
) -> None:
    small_fleet, site = site_for(name, numbers)
    site = lost(without(without(site, *gone), *unknown, known=False), *silent)
    if site.grid is not None:
        site = metered(site, quality)
    decision = decide((example(name),), look(small_fleet, site, None, 1.0))
    missing = gone | unknown | silent
    assert set(decision.setpoints) == {member.name for member in small_fleet.members} - missing
    assert all(np.isfinite(value) for value in decision.setpoints.values())


@each_rule
def test_it_has_something_to_say_somewhere(name: str) -> None:
    """Otherwise nothing of the above is worth anything."""
    rng = np.random.default_rng(7)
    heard = [decisions(example(name), name, drawn(rng), 1.0) for _ in range(60)]
    assert any(resolution.proposals for many in heard for resolution in many[0].resolutions)
    decided = [resolution for many in heard for one in many for resolution in one.resolutions]
    assert any(resolution.rule == name for resolution in decided)
    assert {
        item.group for one in decided for item in one.proposals if item.rule == name and any_true(item.when)
    } == set(RULES[name].groups), "a group that it never speaks about"
