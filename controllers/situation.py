"""What a rule looks at: the site's state with its groups added up, the forecast, and what is decided already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controllers.fleet import Fleet, Steerable, sign
from twin.devices.base import Account, Group
from twin.flexibility import Flexibility, Modes, Store
from twin.forecast import Forecast
from twin.numeric import UNBOUNDED, Num, clip, larger, ratio, smaller, where
from twin.points import Quality
from twin.quick import quick
from twin.state import AssetState, GridState, SiteState
from twin.units import SECONDS_PER_HOUR

FOLLOWING = frozenset({Account.COOLING, Account.UPS_LOSSES})
"""What rises and falls with the power of the halls."""
SUPPLYING = frozenset({Account.PV, Account.WIND, Account.GENSET, Account.BATTERY, Account.GRID})
INFERRED_MARGIN_RATIO = 2.0
ROUNDING_KW = 1e-6
"""Less than this is nothing: what sums of powers may be off by."""


def margin_ratio(grid: GridState) -> float:
    """How much wider margins are: twice as wide where the import is inferred and not metered."""
    return 1.0 if grid.quality is Quality.GOOD else INFERRED_MARGIN_RATIO


def felt_kw(p_kw: Num, present_kw: Num, overhead_ratio: Num) -> Num:
    """What a power of halls amounts to at the connection point.

    More of it is counted with the cooling that will follow; for less of it no such credit is taken,
    since cooling follows late.
    """
    return p_kw + larger(p_kw - present_kw, 0.0) * (overhead_ratio - 1.0)


def power_for(felt: Num, present_kw: Num, overhead_ratio: Num) -> Num:
    """The power of halls that amounts to `felt` kilowatts: the inverse of `felt_kw`."""
    return smaller(felt, present_kw) + larger(felt - present_kw, 0.0) / overhead_ratio


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState:
    """A group's reliable members as one asset. Powers are positive into it."""

    group: Group
    members: tuple[Steerable, ...]
    """Those that can be seen."""
    ranges_kw: tuple[tuple[Num, Num], ...]
    """Least and most power into each member."""
    p_kw: Num
    """At present."""
    min_p_kw: Num
    max_p_kw: Num
    lowest_kw: Num
    """Lowest setpoint that makes a difference."""
    highest_kw: Num
    """Highest setpoint that it takes."""
    free_kw: float
    """The setpoint with which nothing is steered."""
    stored_kwh: Num = 0.0
    room_kwh: Num = 0.0
    capacity_kwh: float = 0.0
    soc: Num = 0.0
    """Of all stores as one."""
    running: Num = 0.0
    """Number of engines that run."""
    lightest_kw: Num = 0.0
    """Least generation with which one of the engines that run goes on; 0 where none runs."""

    def power(self, setpoint_kw: Num) -> Num:
        """Power into the group under a setpoint."""
        return clip(sign(self.group) * setpoint_kw, self.min_p_kw, self.max_p_kw)

    @property
    def free_p_kw(self) -> Num:
        """Power into the group when nothing is steered."""
        return self.power(self.free_kw)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One cycle's view, the same for every rule."""

    state: SiteState
    forecast: Forecast | None
    period_s: float
    """Time until the next decision."""
    groups: Mapping[Group, GroupState]
    """Those that have a member that can be seen."""
    decided: Mapping[Group, Num]
    """Group → setpoint decided in this cycle so far."""
    expected_kw: Mapping[Group, Num]
    """Group → what it will amount to at the connection point: as decided, or by wishes alone before its turn."""
    base_kw: Num
    """What the connection point (or the grid-forming asset) delivers, less what all groups take at present."""
    overhead_ratio: Num
    """Power at the connection point for each kilowatt more of GPU power: cooling and UPS follow it."""

    @property
    def now(self) -> datetime:
        return self.state.now

    @property
    def grid(self) -> GridState:
        """The connection point, for rules that need one."""
        if self.state.grid is None:
            raise ValueError("this site has no grid connection")
        return self.state.grid

    @property
    def load_kw(self) -> Num:
        """What all consumers take at present: everything but sources and stores."""
        total: Num = 0.0
        for asset in self.state.assets.values():
            if asset.account not in SUPPLYING:
                total = total + asset.p_kw
        return total

    @property
    def engines_kw(self) -> Num:
        """What engines deliver at present. `import_without` leaves it out, since they are decided last: who
        holds an import down must not rely on their going on, and who discharges must not export on top of them."""
        engines = self.groups.get(Group.GENSETS)
        return 0.0 if engines is None else larger(0.0 - engines.p_kw, 0.0)

    def import_without(self, group: Group, *, halls_slowed: bool = False) -> Num:
        """Import to expect if `group` took nothing: decided groups as decided, the others as they wish.

        With `halls_slowed`, halls that are not decided yet count with what no budget takes away.
        """
        total = self.base_kw
        for other, expected_kw in self.expected_kw.items():
            if other is not group:
                total = total + expected_kw
        if halls_slowed and Group.COMPUTE in self.groups and Group.COMPUTE not in self.decided:
            slowed_kw = self.contribution_kw(Group.COMPUTE, self.groups[Group.COMPUTE].min_p_kw)
            total = total + (slowed_kw - self.expected_kw[Group.COMPUTE])
        return total

    def contribution_kw(self, group: Group, p_kw: Num) -> Num:
        """What a group's power amounts to at the connection point."""
        return felt_kw(p_kw, self.groups[group].p_kw, self.overhead_ratio) if group is Group.COMPUTE else p_kw

    def setpoint_for(self, group: Group, contribution_kw: Num) -> Num:
        """The setpoint with which a group amounts to `contribution_kw` at the connection point."""
        if group is Group.COMPUTE:
            return power_for(contribution_kw, self.groups[group].p_kw, self.overhead_ratio)
        return sign(group) * contribution_kw


def steered(state: SiteState, member: Steerable) -> bool:
    """Whether enough is known of an asset to steer it."""
    asset = state.assets.get(member.name)
    return asset is not None and asset.reliable and asset.flexibility is not None


def look(fleet: Fleet, state: SiteState, forecast: Forecast | None, period_s: float) -> Situation:
    """The situation at the beginning of a decision."""
    groups: dict[Group, GroupState] = {}
    for group, members in fleet.groups.items():
        seen = tuple(member for member in members if steered(state, member))
        if seen:
            groups[group] = add_up(group, seen, state.assets, period_s)
    delivered_kw = state.grid.import_kw if state.grid is not None else _left_over_kw(state)
    for item in groups.values():
        delivered_kw = delivered_kw - item.p_kw
    return Situation(
        state=state,
        forecast=forecast,
        period_s=period_s,
        groups=groups,
        decided={},
        expected_kw={group: members.free_p_kw for group, members in groups.items()},
        base_kw=delivered_kw,
        overhead_ratio=overhead_ratio(state),
    )


def _left_over_kw(state: SiteState) -> Num:
    """What the grid-forming asset delivers."""
    return 0.0 - state.assets[state.grid_forming].p_kw if state.grid_forming else 0.0


def overhead_ratio(state: SiteState) -> Num:
    """Halls with their cooling and UPS, per kilowatt of the halls: a mean, which is more than the next one takes.

    A hall that cannot be seen counts with its last value, as its cooling does.
    """
    halls_kw: Num = 0.0
    beside_kw: Num = 0.0
    for asset in state.assets.values():
        if asset.account is Account.IT:
            halls_kw = halls_kw + asset.p_kw
        elif asset.account in FOLLOWING:
            beside_kw = beside_kw + asset.p_kw
    return 1.0 + ratio(clip(beside_kw, 0.0, larger(halls_kw, 0.0)), halls_kw)


def add_up(
    group: Group, members: tuple[Steerable, ...], assets: Mapping[str, AssetState], period_s: float
) -> GroupState:
    """The members of one group as one asset."""
    p_kw: Num = 0.0
    low: Num = 0.0
    high: Num = 0.0
    rated_kw = free_kw = 0.0
    whats: list[Flexibility | None] = []
    ranges_kw: list[tuple[Num, Num]] = []
    for member in members:
        asset = assets[member.name]
        whats.append(asset.flexibility)
        min_p_kw, max_p_kw = bounds(asset.flexibility, period_s)
        ranges_kw.append((min_p_kw, max_p_kw))
        p_kw, low, high = p_kw + asset.p_kw, low + min_p_kw, high + max_p_kw
        rated_kw, free_kw = rated_kw + member.rated_kw, free_kw + member.free_setpoint
    stored = _stored([what for what in whats if isinstance(what, Store)])
    running, lightest_kw = _on([what for what in whats if isinstance(what, Modes)])
    return GroupState(
        group=group,
        members=members,
        ranges_kw=tuple(ranges_kw),
        p_kw=p_kw,
        min_p_kw=low,
        max_p_kw=high,
        lowest_kw=low if sign(group) > 0 else 0.0,
        highest_kw=high if group is Group.STORAGE else 0.0 - low if group is Group.GENSETS else rated_kw,
        free_kw=free_kw,
        running=running,
        lightest_kw=lightest_kw,
        **stored,
    )


def _stored(stores: Sequence[Store]) -> dict[str, Any]:
    """The contents of several stores as those of one."""
    if not stores:
        return {}
    content_kwh: Num = 0.0
    stored_kwh: Num = 0.0
    room_kwh: Num = 0.0
    capacity_kwh = 0.0
    for store in stores:
        stored_kwh, room_kwh = stored_kwh + store.stored_kwh, room_kwh + store.room_kwh
        content_kwh = content_kwh + store.soc * store.capacity_kwh
        capacity_kwh += store.capacity_kwh
    soc = ratio(content_kwh, capacity_kwh)
    return {"stored_kwh": stored_kwh, "room_kwh": room_kwh, "capacity_kwh": capacity_kwh, "soc": soc}


def _on(engines: Sequence[Modes]) -> tuple[Num, Num]:
    """How many engines run, and the lowest stable load of the smallest of them."""
    running: Num = 0.0
    lightest_kw: Num = UNBOUNDED
    for engine in engines:
        runs = engine.running > 0.0
        running = running + where(runs, 1.0, 0.0)
        lightest_kw = where(runs, smaller(lightest_kw, engine.min_generation_kw), lightest_kw)
    return running, where(running > 0.0, lightest_kw, 0.0)


def bounds(what: Flexibility | None, period_s: float) -> tuple[Num, Num]:
    """Least and most power into an asset that it can hold for `period_s`."""
    if what is None:
        return 0.0, 0.0
    if isinstance(what, Modes):
        return 0.0 - what.max_generation_kw, 0.0
    if isinstance(what, Store):
        per_h = SECONDS_PER_HOUR / period_s
        low = larger(what.min_p_kw, 0.0 - what.stored_kwh * per_h)
        return low, larger(low, smaller(what.max_p_kw, what.room_kwh * per_h))
    return what.min_p_kw, what.max_p_kw
