"""Every rule proposes for every group, in the order of the groups; what is resolved is split over the assets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from controllers.allocate import allocate
from controllers.base import Proposal, Rule
from controllers.resolve import Resolution, rank, resolve, wanted
from controllers.situation import Situation
from twin.devices.base import Group
from twin.numeric import Num


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the rules would have the site do, before the guard has looked at it."""

    resolutions: Sequence[Resolution] = ()
    """In the order of decision."""
    setpoints: Mapping[str, Num]
    """Asset → setpoint, for every asset that can be seen."""


def decide(rules: Sequence[Rule], situation: Situation) -> Decision:
    """Pure: the same rules and situation give the same decision, in whatever order the rules are listed."""
    resolutions: list[Resolution] = []
    decided: dict[Group, Num] = {}
    setpoints: dict[str, Num] = {}
    expected_kw = _wished_kw(rules, situation)
    situation = replace(situation, decided=decided, expected_kw=expected_kw)
    for group, members in situation.groups.items():
        resolution = resolve(members, _heard(rules, group, situation))
        decided[group] = resolution.value_kw
        expected_kw[group] = situation.contribution_kw(group, members.power(resolution.value_kw))
        setpoints.update(allocate(members, resolution.value_kw, situation))
        resolutions.append(resolution)
    return Decision(resolutions=tuple(resolutions), setpoints=setpoints)


def _heard(rules: Sequence[Rule], group: Group, situation: Situation) -> Iterable[Proposal]:
    """Every proposal for a group."""
    return chain.from_iterable(rule.propose(group, situation) for rule in rules if group in rule.groups)


def _wished_kw(rules: Sequence[Rule], situation: Situation) -> dict[Group, Num]:
    """What every group would amount to by wishes alone. Batteries are decided before the halls, and must know
    what the halls would do; all others are free until their turn comes."""
    wished_kw = dict(situation.expected_kw)
    halls = situation.groups.get(Group.COMPUTE)
    if halls is not None:
        wishing = [rule for rule in rules if Group.COMPUTE in rule.wishes]
        wish, _ = wanted(halls, rank(_heard(wishing, Group.COMPUTE, situation)))
        wished_kw[Group.COMPUTE] = situation.contribution_kw(Group.COMPUTE, halls.power(wish))
    return wished_kw
