"""Splits a group's setpoint over its members.

Every group is a few tiers of capacity, filled one after the other, and each tier in proportion to
what its members can take: halls first get what no budget takes away, then what they want, then what
they could use; batteries share by power; sun and wind by what they have. Engines are as few as will do,
those that run already first, and share by power above their lowest stable loads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controllers.situation import ROUNDING_KW, GroupState, Situation
from twin.devices.base import Group
from twin.flexibility import Modes
from twin.numeric import Flag, Num, any_true, clip, larger, ratio, where

LET_GO = 0.9
"""An engine that runs is stopped only when those before it can do without it below this part of their power."""

LIMITED = (Group.RENEWABLES, Group.COMPUTE)
"""Groups whose setpoint is a limit: with the highest one, every member has its own rated power."""
Tier = Sequence[Num]
"""What each member can take, in the order of the members."""


def fill(amount: Num, tiers: Sequence[Tier]) -> list[Num]:
    """`amount` spread over tiers of non-negative capacities, the first tier first; what fits nowhere is left out."""
    shares: list[Num] = [0.0] * len(tiers[0])
    for tier in tiers:
        if not any_true(amount > 0.0):
            break
        total = add(tier)
        part = ratio(clip(amount, 0.0, total), total)
        shares = [share + part * capacity for share, capacity in zip(shares, tier, strict=True)]
        amount = larger(amount - total, 0.0)
    return shares


def add(values: Sequence[Num]) -> Num:
    """Their sum, per scenario."""
    total: Num = 0.0
    for value in values:
        total = total + value
    return total


def allocate(members: GroupState, value_kw: Num, situation: Situation) -> Mapping[str, Num]:
    """Asset → its setpoint."""
    names = [member.name for member in members.members]
    rated = [member.rated_kw for member in members.members]
    assets, ranges = situation.state.assets, members.ranges_kw
    held_back = value_kw < members.highest_kw if members.group in LIMITED else True
    if not any_true(held_back):
        shares: Sequence[Num] = rated
    elif members.group is Group.STORAGE:
        shares = _over_stores(value_kw, ranges)
    elif members.group is Group.GENSETS:
        shares = _over_engines(
            value_kw, [what for name in names if isinstance(what := assets[name].flexibility, Modes)]
        )
    elif members.group is Group.COMPUTE:
        shares = fill(value_kw, _tiers(ranges, rated))
    else:
        shares = fill(value_kw, _tiers([(0.0, 0.0 - low) for low, _ in ranges], rated))
    return {name: where(held_back, share, most) for name, share, most in zip(names, shares, rated, strict=True)}


def _tiers(ranges: Sequence[tuple[Num, Num]], rated: Sequence[float]) -> Sequence[Tier]:
    """What must be given, what is wanted beyond that, and what could be taken at most."""
    return (
        [low for low, _ in ranges],
        [high - low for low, high in ranges],
        [larger(most - high, 0.0) for (_, high), most in zip(ranges, rated, strict=True)],
    )


def _over_stores(value_kw: Num, ranges: Sequence[tuple[Num, Num]]) -> list[Num]:
    """From rest towards what each can take or give; one that is empty cannot rest at 0, but takes its standby."""
    rest = [clip(0.0, low, high) for low, high in ranges]
    more_kw = value_kw - add(rest)
    charge = fill(larger(more_kw, 0.0), [[high - at for (_, high), at in zip(ranges, rest, strict=True)]])
    discharge = fill(larger(0.0 - more_kw, 0.0), [[at - low for (low, _), at in zip(ranges, rest, strict=True)]])
    return [at + taken - given for at, taken, given in zip(rest, charge, discharge, strict=True)]


def _over_engines(value_kw: Num, engines: Sequence[Modes]) -> list[Num]:
    """As few engines as will do, each at least at its lowest stable load: together more, where that is more."""
    if not any_true(value_kw > ROUNDING_KW):
        return [0.0] * len(engines)
    called = [_called(value_kw, position, engines) for position in range(len(engines))]
    low = [where(on, engine.min_generation_kw, 0.0) for on, engine in zip(called, engines, strict=True)]
    high = [where(on, engine.max_generation_kw, 0.0) for on, engine in zip(called, engines, strict=True)]
    above = [most - least for most, least in zip(high, low, strict=True)]
    return fill(larger(value_kw, add(low)), [low, above])


def _called(value_kw: Num, position: int, engines: Sequence[Modes]) -> Flag:
    """Whether the engine at `position` is needed beside those that come before it."""
    engine = engines[position]
    before_kw: Num = 0.0
    for place, other in enumerate(engines):
        first = other.running >= engine.running if place < position else other.running > engine.running
        before_kw = before_kw + where(first & _able(other), other.max_generation_kw, 0.0)
    needed = value_kw > before_kw * where(engine.running > 0.0, LET_GO, 1.0) + ROUNDING_KW
    return needed & _able(engine)


def _able(engine: Modes) -> Flag:
    """Whether it can run at all."""
    return (engine.max_generation_kw > 0.0) & (engine.max_generation_kw >= engine.min_generation_kw)
