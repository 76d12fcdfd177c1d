"""From what the rules propose to one setpoint per group, by nested bounds.

In the order of priority each rule narrows the range that the rules above it have left, and where
its bounds do not fit into that range they give way to its nearest end. Then the wish of the highest
priority that has one is met as far as the range goes: bounds are stronger than wishes, whoever made
them. The result is total, and names who decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controllers.base import Proposal
from controllers.situation import GroupState
from twin.devices.base import Group
from twin.numeric import Flag, Num, clip, count_true, first, where

NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What one group is to do, who decided it, and who else was heard."""

    group: Group
    value_kw: Num
    """In the group's own setpoint."""
    rule: str
    """Whose wish or bound it is; `nobody` where no rule asks for anything."""
    reason: str
    proposals: Sequence[Proposal] = ()
    """All that were made, by falling priority."""


def resolve(members: GroupState, ranked: Sequence[Proposal]) -> Resolution:
    """One setpoint for one group, from its proposals by falling priority."""
    low, high = members.lowest_kw, members.highest_kw
    floor_by: Proposal | None = None
    ceiling_by: Proposal | None = None
    for item in ranked:
        narrow_low, narrow_high = clip(item.min_kw, low, high), clip(item.max_kw, low, high)
        narrow_low = where(item.when, narrow_low, low)
        narrow_high = where(item.when, narrow_high, high)
        # A rule whose own bounds cross means its upper one: what is safe for the connection.
        narrow_low = where(narrow_low > narrow_high, narrow_high, narrow_low)
        floor_by = item if first(narrow_low) > first(low) else floor_by
        ceiling_by = item if first(narrow_high) < first(high) else ceiling_by
        low, high = narrow_low, narrow_high
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


def wanted(members: GroupState, ranked: Sequence[Proposal]) -> tuple[Num, Proposal | None]:
    """The wish of the highest priority, in every scenario; free where nobody wishes."""
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
