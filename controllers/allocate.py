"""Splits a group's setpoint over its members.

Every group is a few tiers of capacity, filled one after the other, and each tier in proportion to
what its members can take: halls first get what no budget takes away, then what they want, then what
they could use; batteries share by power; sun and wind by what they have; engines by rated power, as
few of them as will do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controllers.situation import GroupState, Situation, bounds
from twin.devices.base import Group
from twin.flexibility import Modes
from twin.numeric import Num, clip, larger, ratio, smaller, where

Tier = Sequence[Num]
"""What each member can take, in the order of the members."""


def fill(amount: Num, tiers: Sequence[Tier]) -> list[Num]:
    """`amount` spread over tiers of non-negative capacities, the first tier first; what fits nowhere is left out."""
    shares: list[Num] = [0.0] * len(tiers[0])
    for tier in tiers:
        total: Num = 0.0
        for capacity in tier:
            total = total + capacity
        part = clip(ratio(amount, total), 0.0, 1.0)
        shares = [share + part * capacity for share, capacity in zip(shares, tier, strict=True)]
        amount = larger(amount - total, 0.0)
    return shares


def allocate(members: GroupState, value_kw: Num, situation: Situation) -> Mapping[str, Num]:
    """Asset → its setpoint."""
    names = [member.name for member in members.members]
    rated = [member.rated_kw for member in members.members]
    assets = situation.state.assets
    ranges = [bounds(assets[name].flexibility, situation.period_s) for name in names]
    if members.group is Group.STORAGE:
        shares = _over_stores(value_kw, ranges)
    elif members.group is Group.GENSETS:
        shares = _over_engines(value_kw, [assets[name].flexibility for name in names])
    elif members.group is Group.COMPUTE:
        shares = fill(value_kw, _tiers(ranges, rated))
    else:
        shares = fill(value_kw, _tiers([(0.0, 0.0 - low) for low, _ in ranges], rated))
    return dict(zip(names, shares, strict=True))


def _tiers(ranges: Sequence[tuple[Num, Num]], rated: Sequence[float]) -> Sequence[Tier]:
    """What must be given, what is wanted beyond that, and what could be taken at most."""
    return (
        [low for low, _ in ranges],
        [high - low for low, high in ranges],
        [larger(most - high, 0.0) for (_, high), most in zip(ranges, rated, strict=True)],
    )


def _over_stores(value_kw: Num, ranges: Sequence[tuple[Num, Num]]) -> list[Num]:
    charge = fill(larger(value_kw, 0.0), [[larger(high, 0.0) for _, high in ranges]])
    discharge = fill(larger(0.0 - value_kw, 0.0), [[larger(0.0 - low, 0.0) for low, _ in ranges]])
    return [taken - given for taken, given in zip(charge, discharge, strict=True)]


def _over_engines(value_kw: Num, engines: Sequence[object]) -> list[Num]:
    """One engine after the other, each at least at its lowest stable load."""
    shares: list[Num] = []
    for engine in engines:
        if not isinstance(engine, Modes):
            raise TypeError(f"an engine has modes, not {engine!r}")
        given = smaller(value_kw, engine.max_generation_kw)
        given = where(given > 0.0, larger(given, engine.min_generation_kw), 0.0)
        shares.append(given)
        value_kw = larger(value_kw - given, 0.0)
    return shares
