"""The guard: the last look at every setpoint, independent of whoever decided it.

It knows nothing of rules, forecasts or plans. From the state alone it works out what the setpoints
will do, and changes what would leave the safe envelope. Against too much import curtailed sun and
wind come back, stores give, halls are slowed down to what no budget takes away, and engines that run
give more; against too much export stores take, engines give less, and sun and wind are curtailed. On
a site without a grid the same keeps the grid-forming store within what it can do. It starts no engine.

Whatever it changes, it says why. It never loosens a setpoint beyond what was asked, but to keep the
connection within its limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controllers.fleet import Fleet, Steerable, sign
from controllers.situation import ROUNDING_KW, bounds, felt_kw, margin_ratio, overhead_ratio, power_for, steered
from twin.devices.base import Group
from twin.flexibility import Modes, Store
from twin.numeric import Num, all_true, any_true, clip, finite, first, larger, where
from twin.points import Quality
from twin.quick import quick
from twin.state import SiteState

AGAINST_IMPORT = (Group.RENEWABLES, Group.STORAGE, Group.COMPUTE, Group.GENSETS)
AGAINST_EXPORT = (Group.STORAGE, Group.GENSETS, Group.RENEWABLES)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One setpoint that was changed, and why."""

    device: str
    asked_kw: Num
    allowed_kw: Num
    reason: str


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """What may be sent."""

    setpoints: Mapping[str, Num]
    """For every asset that hears, and no other."""
    clips: tuple[Clip, ...] = ()
    over_import_kw: Num = 0.0
    """Import beyond the limit that nothing at hand can take away."""
    over_export_kw: Num = 0.0


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class _Connection:
    """What flows in through the connection point, or out of the grid-forming store, and what may."""

    import_kw: Num
    most_kw: Num
    least_kw: Num
    words: str


@dataclass(slots=True)
class _Part:
    """One asset on its way through the guard: the power that its setpoint leads to, and what it could be."""

    member: Steerable
    p_kw: Num
    low_kw: Num
    high_kw: Num
    present_kw: Num
    overhead_ratio: Num
    gap_kw: Num = 0.0
    """An engine gives at least this, or nothing."""

    @property
    def felt_kw(self) -> Num:
        """What it amounts to at the connection point."""
        return felt_kw(self.p_kw, self.present_kw, self.overhead_ratio)

    def shift(self, change_kw: Num) -> Num:
        """Change what it amounts to by `change_kw`, as far as it can; returns by how much it did."""
        before_kw = self.felt_kw
        target_kw = power_for(before_kw + change_kw, self.present_kw, self.overhead_ratio)
        p_kw: Any = clip(target_kw, self.low_kw, self.high_kw)
        if any_true(self.gap_kw > 0.0):
            between = (p_kw < 0.0) & (p_kw > 0.0 - self.gap_kw)
            p_kw = where(between, where(change_kw < 0.0, 0.0 - self.gap_kw, 0.0), p_kw)
        self.p_kw = where(change_kw != 0.0, p_kw, self.p_kw)
        return self.felt_kw - before_kw


@dataclass(slots=True)
class _Draft:
    """Setpoints on their way through the guard."""

    setpoints: dict[str, Num] = field(default_factory=dict)
    parts: dict[str, _Part] = field(default_factory=dict)
    clips: list[Clip] = field(default_factory=list)

    def change(self, device: str, value: Num, reason: str) -> None:
        """Take another setpoint; only for rounding nothing is said."""
        asked, self.setpoints[device] = self.setpoints[device], value
        if any_true(larger(value - asked, asked - value) > ROUNDING_KW):
            self.replace(device, asked, value, reason)

    def replace(self, device: str, asked: Num, value: Num, reason: str) -> None:
        """Take another setpoint, and say why."""
        self.clips.append(Clip(device=device, asked_kw=asked, allowed_kw=value, reason=reason))
        self.setpoints[device] = value


def guard(
    fleet: Fleet, state: SiteState, setpoints: Mapping[str, Num], *, margin_fraction: float, period_s: float
) -> Guarded:
    """Pure. `margin_fraction` is how far below the contracted import, and the export limit, the site is kept."""
    draft, overhead = _Draft(), overhead_ratio(state)
    for member in fleet.members:
        if member.name in state.lost:
            continue
        if not steered(state, member):
            _hold_safe(draft, member, setpoints.get(member.name), state)
        else:
            ratio = overhead if member.group is Group.COMPUTE else 1.0
            _admit(draft, member, setpoints.get(member.name), state, period_s, ratio)
    connection = _connection(state, margin_fraction, period_s)
    over_import_kw, over_export_kw = _within(draft, connection) if connection else (0.0, 0.0)
    return Guarded(
        setpoints=draft.setpoints,
        clips=tuple(draft.clips),
        over_import_kw=over_import_kw,
        over_export_kw=over_export_kw,
    )


def _hold_safe(draft: _Draft, member: Steerable, asked: Num | None, state: SiteState) -> None:
    """An asset that answers, but whose values cannot be relied on."""
    asset = state.assets.get(member.name)
    reason = f"not to be relied on ({asset.reason if asset else 'never heard'}): safe setpoint"
    if asked is None:
        draft.replace(member.name, member.safe_setpoint, member.safe_setpoint, reason)
        return
    draft.setpoints[member.name] = asked
    if not all_true(finite(asked)):
        draft.replace(member.name, asked, member.safe_setpoint, reason)
    draft.change(member.name, member.safe_setpoint, reason)


def _admit(
    draft: _Draft, member: Steerable, asked: Num | None, state: SiteState, period_s: float, overhead: Num
) -> None:
    """A number, within what the asset can do."""
    name, asset = member.name, state.assets[member.name]
    what = asset.flexibility
    if asked is None:
        asked = member.safe_setpoint
        draft.replace(name, asked, asked, "nobody decided on it: safe setpoint")
    elif not all_true(finite(asked)):
        safe = where(finite(asked), asked, member.safe_setpoint)
        draft.replace(name, asked, safe, "not a finite number: safe setpoint")
        asked = safe
    draft.setpoints[name] = asked
    low, high = bounds(what, period_s)
    gap_kw: Num = 0.0
    if isinstance(what, Modes):
        value = on_or_off(asked, what)
        # One that does not run yet gives nothing before it does.
        low, gap_kw = where(what.running > 0.0, low, 0.0), what.min_generation_kw
    else:
        value = clip(asked, low, high) if isinstance(what, Store) else clip(asked, 0.0, member.rated_kw)
    if value is not asked:
        draft.change(name, value, f"it can do {words(member, low, high)}")
    draft.parts[name] = _Part(
        member=member,
        p_kw=clip(sign(member.group) * value, low, high),
        low_kw=low,
        high_kw=high,
        present_kw=asset.p_kw,
        overhead_ratio=overhead,
        gap_kw=gap_kw,
    )


def on_or_off(asked_kw: Num, engine: Modes) -> Num:
    """What an engine makes of a setpoint: nothing, or at least its lowest stable load."""
    value = clip(asked_kw, 0.0, engine.max_generation_kw)
    on = (value > ROUNDING_KW) & (engine.max_generation_kw >= engine.min_generation_kw)
    return where(on, larger(value, engine.min_generation_kw), 0.0)


def words(member: Steerable, low: Num, high: Num) -> str:
    """What an asset can do, for people."""
    if member.group is Group.STORAGE:
        return f"{first(low):,.0f} to {first(high):,.0f} kW"
    return f"0 to {first(member.rated_kw):,.0f} kW"


def _connection(state: SiteState, margin_fraction: float, period_s: float) -> _Connection | None:
    """Limits of the connection point or of the grid-forming store; None where it cannot be seen."""
    grid = state.grid
    if grid is not None:
        if grid.quality is Quality.BAD:
            return None
        margin = margin_fraction * margin_ratio(grid)
        return _Connection(
            import_kw=grid.import_kw,
            most_kw=grid.contracted_import_kw * (1.0 - margin),
            least_kw=-grid.export_limit_kw * (1.0 - margin),
            words="the grid",
        )
    former = state.assets.get(state.grid_forming or "")
    if former is None or not former.reliable or not isinstance(former.flexibility, Store):
        return None
    low, high = bounds(former.flexibility, period_s)
    return _Connection(
        import_kw=0.0 - former.p_kw, most_kw=0.0 - low, least_kw=0.0 - high, words=str(state.grid_forming)
    )


def _within(draft: _Draft, connection: _Connection) -> tuple[Num, Num]:
    """Keep the expected power at the connection point within its limits; what is left over beyond them."""
    most_kw, least_kw, words = connection.most_kw, connection.least_kw, connection.words
    expected_kw = _expected_kw(draft, connection)
    if any_true(expected_kw - most_kw > ROUNDING_KW):
        reason = f"{first(expected_kw):,.0f} kW expected from {words}, {first(most_kw):,.0f} kW is the most"
        _shift(draft, AGAINST_IMPORT, -1.0, larger(expected_kw - most_kw, 0.0), reason)
        expected_kw = _expected_kw(draft, connection)
    if any_true(least_kw - expected_kw > ROUNDING_KW):
        reason = (
            f"{0.0 - first(expected_kw):,.0f} kW expected into {words}, {0.0 - first(least_kw):,.0f} kW is the most"
        )
        _shift(draft, AGAINST_EXPORT, 1.0, larger(least_kw - expected_kw, 0.0), reason)
        expected_kw = _expected_kw(draft, connection)
    return larger(expected_kw - most_kw, 0.0), larger(least_kw - expected_kw, 0.0)


def _expected_kw(draft: _Draft, connection: _Connection) -> Num:
    """What will flow in once every setpoint is followed; what is not steered stays as it is."""
    expected_kw = connection.import_kw
    for part in draft.parts.values():
        expected_kw = expected_kw + (part.felt_kw - part.present_kw)
    return expected_kw


def _shift(draft: _Draft, groups: Iterable[Group], direction: float, excess_kw: Num, reason: str) -> None:
    """Let the members of the groups take up `excess_kw`, one after the other."""
    for part in (part for group in groups for part in draft.parts.values() if part.member.group is group):
        asked_p_kw = part.p_kw
        wanted_kw = where(excess_kw > ROUNDING_KW, excess_kw, 0.0)
        excess_kw = larger(excess_kw - direction * part.shift(direction * wanted_kw), 0.0)
        # Only where its power changed: a limit that does not bind stays as it was asked.
        moved = larger(part.p_kw - asked_p_kw, asked_p_kw - part.p_kw) > ROUNDING_KW
        name, p_kw = part.member.name, part.p_kw
        draft.change(name, where(moved, sign(part.member.group) * p_kw, draft.setpoints[name]), reason)
