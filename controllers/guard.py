"""The guard: the last look at every setpoint, independent of whoever decided it.

It knows nothing of rules, forecasts or plans. From the state alone it works out what the setpoints
will do, and clips what would leave the safe envelope: first the stores give, then the halls down to
what no budget takes away. Whatever it changes, it says why. It never loosens a setpoint beyond what
was asked, but to keep the connection within its limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from controllers.fleet import Fleet, Steerable, sign
from controllers.situation import bounds, margin_ratio
from twin.devices.base import Group
from twin.flexibility import Modes
from twin.numeric import Flag, Num, any_true, clip, first, larger, where
from twin.points import Quality
from twin.state import GridState, SiteState

ROUNDING_KW = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One setpoint that was changed, and why."""

    device: str
    asked_kw: Num
    allowed_kw: Num
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """What may be sent."""

    setpoints: Mapping[str, Num]
    clips: tuple[Clip, ...] = ()
    over_import_kw: Num = 0.0
    """Import beyond the limit that nothing at hand can take away."""
    over_export_kw: Num = 0.0


@dataclass(slots=True)
class _Draft:
    """Setpoints on their way through the guard, with the power that each leads to."""

    period_s: float
    setpoints: dict[str, Num] = field(default_factory=dict)
    p_kw: dict[str, Num] = field(default_factory=dict)
    clips: list[Clip] = field(default_factory=list)

    def change(self, member: Steerable, value: Num, reason: str) -> None:
        """Take another setpoint, if it is another one."""
        asked = self.setpoints[member.name]
        if any_true(larger(value - asked, asked - value) > ROUNDING_KW):
            self.replace(member, value, reason)

    def replace(self, member: Steerable, value: Num, reason: str) -> None:
        """Take another setpoint, and say why."""
        asked = self.setpoints[member.name]
        self.clips.append(Clip(device=member.name, asked_kw=asked, allowed_kw=value, reason=reason))
        self.setpoints[member.name] = value


def guard(
    fleet: Fleet, state: SiteState, setpoints: Mapping[str, Num], *, margin_fraction: float, period_s: float
) -> Guarded:
    """Pure. `margin_fraction` is how far below the contracted import, and the export limit, the site is kept."""
    draft = _Draft(period_s=period_s)
    for member in fleet.members:
        if member.name in setpoints:
            _admit(draft, member, setpoints[member.name], state)
        elif member.name not in state.lost:
            _hold_safe(draft, member, state)
    if state.grid is None or state.grid.quality is Quality.BAD:
        return Guarded(setpoints=draft.setpoints, clips=tuple(draft.clips))
    over_import_kw, over_export_kw = _within_connection(draft, fleet, state, state.grid, margin_fraction)
    return Guarded(
        setpoints=draft.setpoints,
        clips=tuple(draft.clips),
        over_import_kw=over_import_kw,
        over_export_kw=over_export_kw,
    )


def _hold_safe(draft: _Draft, member: Steerable, state: SiteState) -> None:
    """An asset that answers, but whose values cannot be relied on."""
    draft.setpoints[member.name] = member.safe_setpoint
    reason = f"not to be relied on ({state.assets[member.name].reason}): safe setpoint"
    draft.replace(member, member.safe_setpoint, reason)


def _admit(draft: _Draft, member: Steerable, asked: Num, state: SiteState) -> None:
    """A number, within what the asset can do."""
    draft.setpoints[member.name] = asked
    finite = np.isfinite(asked)
    if not np.all(finite):
        asked = where(finite, asked, member.safe_setpoint)
        draft.replace(member, asked, "not a number: safe setpoint")
    what = state.assets[member.name].flexibility
    low, high = bounds(what, draft.period_s)
    value = clip(asked, low, high) if member.group is Group.STORAGE else clip(asked, 0.0, member.rated_kw)
    if isinstance(what, Modes):
        value = where(value > 0.0, larger(value, what.min_generation_kw), 0.0)
    draft.change(member, value, f"it can do {words(member, low, high)}")
    draft.p_kw[member.name] = clip(sign(member.group) * value, low, high)


def words(member: Steerable, low: Num, high: Num) -> str:
    """What an asset can do, for people."""
    if member.group is Group.STORAGE:
        return f"{first(low):,.0f} to {first(high):,.0f} kW"
    return f"0 to {member.rated_kw:,.0f} kW"


def _within_connection(
    draft: _Draft, fleet: Fleet, state: SiteState, grid: GridState, margin_fraction: float
) -> tuple[Num, Num]:
    """Keep the expected power at the connection point within its limits; what is left over beyond them."""
    margin = margin_fraction * margin_ratio(grid)
    expected_kw = grid.import_kw
    for name, p_kw in draft.p_kw.items():
        expected_kw = expected_kw + p_kw - state.assets[name].p_kw
    most_kw, least_kw = grid.contracted_import_kw * (1.0 - margin), -grid.export_limit_kw * (1.0 - margin)
    over_import_kw = larger(expected_kw - most_kw, 0.0)
    if any_true(over_import_kw > 0.0):
        reason = f"import of {first(expected_kw):,.0f} kW expected, {most_kw:,.0f} kW is the most"
        over_import_kw = _lower(draft, _members(fleet, Group.STORAGE, Group.COMPUTE), state, over_import_kw, reason)
    over_export_kw = larger(least_kw - expected_kw, 0.0)
    if any_true(over_export_kw > 0.0):
        reason = f"export of {-first(expected_kw):,.0f} kW expected, {-least_kw:,.0f} kW is the most"
        over_export_kw = _raise(draft, _members(fleet, Group.STORAGE, Group.RENEWABLES), state, over_export_kw, reason)
    return over_import_kw, over_export_kw


def _members(fleet: Fleet, *groups: Group) -> Iterable[Steerable]:
    return (member for group in groups for member in fleet.groups.get(group, ()))


def _lower(draft: _Draft, members: Iterable[Steerable], state: SiteState, excess_kw: Num, reason: str) -> Num:
    """Take `excess_kw` from the members' power, one after the other; returns what nobody could give."""
    for member in members:
        if member.name in draft.p_kw:
            low, _ = bounds(state.assets[member.name].flexibility, draft.period_s)
            cut_kw = clip(excess_kw, 0.0, larger(draft.p_kw[member.name] - low, 0.0))
            excess_kw = excess_kw - cut_kw
            _move(draft, member, 0.0 - cut_kw, cut_kw > 0.0, reason)
    return excess_kw


def _raise(draft: _Draft, members: Iterable[Steerable], state: SiteState, excess_kw: Num, reason: str) -> Num:
    """Let the members take `excess_kw` more, one after the other; returns what nobody could take."""
    for member in members:
        if member.name in draft.p_kw:
            _, high = bounds(state.assets[member.name].flexibility, draft.period_s)
            more_kw = clip(excess_kw, 0.0, larger(high - draft.p_kw[member.name], 0.0))
            excess_kw = excess_kw - more_kw
            _move(draft, member, more_kw, more_kw > 0.0, reason)
    return excess_kw


def _move(draft: _Draft, member: Steerable, change_kw: Num, moved: Flag, reason: str) -> None:
    p_kw: Any = draft.p_kw[member.name] + change_kw
    draft.p_kw[member.name] = p_kw
    draft.change(member, where(moved, sign(member.group) * p_kw, draft.setpoints[member.name]), reason)
