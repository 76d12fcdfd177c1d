"""Resolving is total and fair: one setpoint whatever is proposed, and the higher priority is never outvoted.
Splitting it over a group's members loses nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.allocate import LET_GO, allocate
from controllers.base import NO_CEILING, NO_FLOOR, Proposal
from controllers.resolve import NOBODY, resolve
from controllers.situation import GroupState, Situation, look
from tests.controllers.small_site import (
    LIGHTEST_KW,
    NUMBERS,
    QUIET,
    RATED_KW,
    STANDBY_KW,
    fleet,
    scenarios,
    state,
)
from twin.devices.base import Group
from twin.numeric import Num

EXACT = settings(deadline=None, max_examples=150)
EPSILON_KW = 1e-6
KW = st.floats(-3000, 3000)


@st.composite
def proposals(draw: st.DrawFn) -> list[Proposal]:
    """Of rules with different priorities, by falling priority; some bound, some wish, some do both."""
    priorities = draw(st.lists(st.integers(0, 100), unique=True, max_size=6))
    return [
        Proposal(
            rule=f"rule_{priority}",
            priority=priority,
            group=Group.STORAGE,
            wish_kw=draw(st.none() | KW),
            min_kw=draw(st.just(NO_FLOOR) | KW),
            max_kw=draw(st.just(NO_CEILING) | KW),
            when=draw(st.booleans()),
            reason=f"reason {priority}",
        )
        for priority in sorted(priorities, reverse=True)
    ]


def group_state(numbers: Mapping[str, Num], group: Group, period_s: float = 1.0) -> tuple[GroupState, Situation]:
    situation = look(fleet(), state(numbers), None, period_s)
    return situation.groups[group], situation


def bounds_met(heard: Sequence[Proposal], low: Num, high: Num) -> tuple[Num, Num]:
    """What is left of a range once each has narrowed it in turn, in plain words of the module's docstring."""
    for item in heard:
        if item.when:
            high_then = min(max(item.max_kw, low), high)
            low = min(max(item.min_kw, low), high_then)
            high = high_then
    return low, high


@EXACT
@given(numbers=NUMBERS, heard=proposals(), order=st.randoms(use_true_random=False))
def test_it_is_total_within_range_and_independent_of_order(
    numbers: Mapping[str, float], heard: list[Proposal], order: object
) -> None:
    members, _ = group_state(numbers, Group.STORAGE)
    done = resolve(members, heard)
    assert math.isfinite(done.value_kw)
    assert members.lowest_kw <= done.value_kw <= members.highest_kw
    shuffled = list(heard)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert resolve(members, shuffled) == done
    assert list(done.proposals) == heard


@EXACT
@given(numbers=NUMBERS, heard=proposals())
def test_no_rule_takes_the_bounds_of_a_higher_one_further_than_it_must(
    numbers: Mapping[str, float], heard: list[Proposal]
) -> None:
    members, _ = group_state(numbers, Group.STORAGE)
    value = resolve(members, heard).value_kw
    for count in range(len(heard) + 1):
        low, high = bounds_met(heard[:count], members.lowest_kw, members.highest_kw)
        assert low <= value <= high


@EXACT
@given(numbers=NUMBERS, heard=proposals())
def test_the_rule_and_reason_shown_are_those_that_decided(numbers: Mapping[str, float], heard: list[Proposal]) -> None:
    members, _ = group_state(numbers, Group.STORAGE)
    done = resolve(members, heard)
    wished_by = next((item for item in heard if item.when and item.wish_kw is not None), None)
    wish = wished_by.wish_kw if wished_by is not None and wished_by.wish_kw is not None else members.free_kw
    side = 0 if done.value_kw > wish else 1  # pushed up by a lower bound, or held down by an upper one
    ranges = [bounds_met(heard[:count], members.lowest_kw, members.highest_kw) for count in range(len(heard) + 1)]
    narrowed = [k for k in range(len(heard)) if ranges[k][side] != ranges[k + 1][side]]
    decider = heard[narrowed[-1]] if done.value_kw != wish and narrowed else wished_by
    assert done.rule == (decider.rule if decider else NOBODY)
    if decider:
        assert (decider.when, done.reason) == (True, decider.reason)


@EXACT
@given(numbers=NUMBERS, heard=proposals())
def test_the_highest_wish_is_met_as_far_as_all_bounds_go(numbers: Mapping[str, float], heard: list[Proposal]) -> None:
    members, _ = group_state(numbers, Group.STORAGE)
    wishes = [item.wish_kw for item in heard if item.when and item.wish_kw is not None]
    wish = wishes[0] if wishes else members.free_kw
    low, high = bounds_met(heard, members.lowest_kw, members.highest_kw)
    assert resolve(members, heard).value_kw == min(max(wish, low), high)


@dataclass(frozen=True, slots=True)
class Heard:
    """Proposals of one scenario, with the numbers of its state."""

    numbers: Mapping[str, float]
    wish_kw: float
    min_kw: float
    max_kw: float
    when: bool


HEARD = st.builds(Heard, numbers=NUMBERS, wish_kw=KW, min_kw=KW, max_kw=KW, when=st.booleans())


def two_rules(wish_kw: Num, min_kw: Num, max_kw: Num, when: bool | np.ndarray) -> list[Proposal]:
    common = Proposal(rule="high", priority=2, group=Group.STORAGE, max_kw=max_kw, when=when, reason="high")
    low = replace(common, rule="low", priority=1, min_kw=min_kw, max_kw=NO_CEILING, wish_kw=wish_kw, when=True)
    return [common, low, replace(low, rule="lower", priority=0, when=when, wish_kw=0.0 - wish_kw)]


@settings(deadline=None, max_examples=60)
@given(several=st.lists(HEARD, min_size=1, max_size=4))
def test_scenarios_in_an_array_equal_scenarios_one_by_one(several: list[Heard]) -> None:
    members, _ = group_state(scenarios([one.numbers for one in several]), Group.STORAGE)
    columns = {name: np.array([getattr(one, name) for one in several]) for name in ("wish_kw", "min_kw", "max_kw")}
    many = resolve(members, two_rules(**columns, when=np.array([one.when for one in several])))
    for column, one in enumerate(several):
        alone = resolve(
            group_state(one.numbers, Group.STORAGE)[0], two_rules(one.wish_kw, one.min_kw, one.max_kw, one.when)
        )
        assert np.broadcast_to(many.value_kw, len(several))[column] == pytest.approx(alone.value_kw, abs=EPSILON_KW)
        if column == 0:  # words are those of the first scenario
            assert (many.rule, many.reason) == (alone.rule, alone.reason)


@EXACT
@given(
    numbers=NUMBERS, group=st.sampled_from(list(Group)), share=st.floats(0, 1), period_s=st.sampled_from([1.0, 300.0])
)
def test_the_shares_of_a_group_sum_to_its_setpoint_within_what_each_can_do(
    numbers: Mapping[str, float], group: Group, share: float, period_s: float
) -> None:
    members, situation = group_state(numbers, group, period_s)
    value_kw = members.lowest_kw + share * (members.highest_kw - members.lowest_kw)
    shares = allocate(members, value_kw, situation)
    assert list(shares) == [member.name for member in members.members]
    for (name, given_kw), (low, high) in zip(shares.items(), members.ranges_kw, strict=True):
        if group is Group.GENSETS:
            assert given_kw == 0.0 or LIGHTEST_KW - EPSILON_KW <= given_kw <= RATED_KW[name] + EPSILON_KW
        elif group is Group.RENEWABLES:
            assert -EPSILON_KW <= given_kw <= RATED_KW[name] + EPSILON_KW
        else:
            most_kw = RATED_KW[name] if group is Group.COMPUTE else high
            assert low - EPSILON_KW <= given_kw <= max(most_kw, low) + EPSILON_KW
    if group is Group.GENSETS and value_kw > EPSILON_KW:
        value_kw = max(value_kw, 2 * LIGHTEST_KW if two_go_on(numbers, value_kw) else LIGHTEST_KW)
    assert sum(shares.values()) == pytest.approx(value_kw, abs=1e-5)


def two_go_on(numbers: Mapping[str, Num], value_kw: Num) -> bool:
    """Whether both engines go on, since one alone would be loaded almost fully."""
    both = numbers["engine_running"] and numbers["engine_b_running"]
    return bool(both and value_kw > LET_GO * RATED_KW["engine"])


@settings(deadline=None, max_examples=60)
@given(
    several=st.lists(st.tuples(NUMBERS, st.floats(0, 1)), min_size=1, max_size=4), group=st.sampled_from(list(Group))
)
def test_shares_of_scenarios_in_an_array_equal_those_one_by_one(
    several: list[tuple[Mapping[str, float], float]], group: Group
) -> None:
    def value(members: GroupState, share: Num) -> Num:
        return members.lowest_kw + share * (members.highest_kw - members.lowest_kw)

    members, situation = group_state(scenarios([numbers for numbers, _ in several]), group)
    many = allocate(members, value(members, np.array([share for _, share in several])), situation)
    for column, (numbers, share) in enumerate(several):
        members, situation = group_state(numbers, group)
        for name, given_kw in allocate(members, value(members, share), situation).items():
            assert np.broadcast_to(many[name], len(several))[column] == pytest.approx(given_kw, abs=EPSILON_KW)


@given(numbers=NUMBERS, value_kw=st.floats(1, 790))
def test_an_engine_that_runs_is_preferred_and_no_second_one_starts_for_what_one_can_do(
    numbers: Mapping[str, float], value_kw: float
) -> None:
    one_runs = dict(numbers) | {"engine_running": 0.0, "engine_b_running": 1.0}
    members, situation = group_state(one_runs, Group.GENSETS)
    assert allocate(members, value_kw, situation) == pytest.approx(
        {"engine": 0.0, "engine_b": max(value_kw, LIGHTEST_KW)}
    )


def test_an_empty_battery_takes_its_standby_and_the_other_gives_the_rest() -> None:
    empty = {"battery_soc": 0.09}
    members, situation = group_state(dict(QUIET) | empty, Group.STORAGE)
    assert allocate(members, -300.0, situation) == {"battery": STANDBY_KW, "battery_b": -300.0 - STANDBY_KW}
