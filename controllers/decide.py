"""Every rule proposes for every group, in the order of the groups; what is resolved is split over the assets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from controllers.allocate import allocate
from controllers.base import Proposal, Rule
from controllers.resolve import Resolution, resolve, wanted
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
    situation = replace(situation, decided=decided, wished=_wished(rules, situation))
    for group, members in situation.groups.items():
        resolution = resolve(members, _heard(rules, group, situation))
        decided[group] = resolution.value_kw
        setpoints.update(allocate(members, resolution.value_kw, situation))
        resolutions.append(resolution)
    return Decision(resolutions=tuple(resolutions), setpoints=setpoints)


def _heard(rules: Sequence[Rule], group: Group, situation: Situation) -> Sequence[Proposal]:
    """Every proposal for a group, by falling priority."""
    heard = chain.from_iterable(rule.propose(group, situation) for rule in rules if group in rule.groups)
    return sorted(heard, key=lambda item: -item.priority)


def _wished(rules: Sequence[Rule], situation: Situation) -> Mapping[Group, Num]:
    """What the halls would do by wishes alone: batteries are decided before them, and must know."""
    members = situation.groups.get(Group.COMPUTE)
    if members is None:
        return {}
    return {Group.COMPUTE: wanted(members, _heard(rules, Group.COMPUTE, situation))[0]}
