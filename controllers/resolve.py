"""From what the rules propose to one setpoint per group, by nested bounds.

In the order of priority each rule narrows the range that the rules above it have left, and where
its bounds do not fit into that range they give way to its nearest end. Then the wish of the highest
priority that has one is met as far as the range goes: bounds are stronger than wishes, whoever made
them. The result is total, does not depend on the order in which proposals come, and names who
decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from controllers.base import NO_CEILING, NO_FLOOR, Proposal
from controllers.situation import GroupState
from twin.devices.base import Group
from twin.lazy_words import Words
from twin.numeric import Flag, Num, clip, count_true, first, where
from twin.quick import quick

NOBODY = "nobody"


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What one group is to do, who decided it, and who else was heard."""

    group: Group
    value_kw: Num
    """In the group's own setpoint."""
    rule: str
    """Whose wish or bound it is; `nobody` where no rule asks for anything."""
    reason: Words
    proposals: Sequence[Proposal] = ()
    """All that were made, by falling priority."""


def rank(proposals: Iterable[Proposal]) -> Sequence[Proposal]:
    """By falling priority; rules of one priority by name, so that the order of the site file never decides."""
    return sorted(proposals, key=lambda item: (-item.priority, item.rule))


def resolve(members: GroupState, proposals: Iterable[Proposal]) -> Resolution:
    """One setpoint for one group, from everything that is proposed for it."""
    ranked = rank(proposals)
    low, high = members.lowest_kw, members.highest_kw
    floor_by: Proposal | None = None
    ceiling_by: Proposal | None = None
    for item in ranked:
        # The upper bound first: a rule whose own bounds cross means that one, which is safe for the connection.
        if item.max_kw is not NO_CEILING:
            narrow = where(item.when, clip(item.max_kw, low, high), high)
            ceiling_by = item if first(narrow) < first(high) else ceiling_by
            high = narrow
        if item.min_kw is not NO_FLOOR:
            narrow = where(item.when, clip(item.min_kw, low, high), low)
            floor_by = item if first(narrow) > first(low) else floor_by
            low = narrow
    wish, wished_by = wanted(members, ranked)
    value = clip(wish, low, high)
    decider = wished_by
    if first(value) > first(wish):
        decider = floor_by or wished_by
    elif first(value) < first(wish):
        decider = ceiling_by or wished_by
    return Resolution(
        group=members.group,
        value_kw=value,
        rule=decider.rule if decider else NOBODY,
        reason=decider.reason if decider else "no rule asks for anything",
        proposals=tuple(ranked),
    )


def wanted(members: GroupState, ranked: Iterable[Proposal]) -> tuple[Num, Proposal | None]:
    """Of proposals by falling priority the first wish, in every scenario; free where nobody wishes."""
    wish: Num = members.free_kw
    by: Proposal | None = None
    unclaimed: Flag = True
    for item in ranked:
        if item.wish_kw is None:
            continue
        taken = unclaimed & item.when
        wish, unclaimed = where(taken, item.wish_kw, wish), unclaimed ^ taken
        by = item if by is None and first(count_true(taken)) else by
    return wish, by
