"""What a rule looks at: the site's state with its groups added up, the forecast, and what is decided already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from controllers.fleet import Fleet, Steerable, sign
from twin.devices.base import Account, Group
from twin.flexibility import Flexibility, Modes, Store
from twin.forecast import Forecast
from twin.numeric import Num, clip, larger, ratio, smaller
from twin.points import Quality
from twin.state import AssetState, GridState, SiteState
from twin.units import SECONDS_PER_HOUR

FOLLOWING = frozenset({Account.COOLING, Account.UPS_LOSSES})
"""What rises and falls with the power of the halls."""
SUPPLYING = frozenset({Account.PV, Account.WIND, Account.GENSET, Account.BATTERY, Account.GRID})
INFERRED_MARGIN_RATIO = 2.0


def margin_ratio(grid: GridState) -> float:
    """How much wider margins are: twice as wide where the import is inferred and not metered."""
    return 1.0 if grid.quality is Quality.GOOD else INFERRED_MARGIN_RATIO


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState:
    """A group's reliable members as one asset. Powers are positive into it."""

    group: Group
    members: tuple[Steerable, ...]
    """Those that can be seen."""
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

    def power(self, setpoint_kw: Num) -> Num:
        """Power into the group under a setpoint."""
        return clip(sign(self.group) * setpoint_kw, self.min_p_kw, self.max_p_kw)

    @property
    def free_p_kw(self) -> Num:
        """Power into the group when nothing is steered."""
        return self.power(self.free_kw)


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
    wished: Mapping[Group, Num]
    """Group → setpoint that it would have by wishes alone, for groups whose turn has not come."""
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

    def import_without(self, group: Group, *, halls_slowed: bool = False) -> Num:
        """Import to expect if `group` took nothing: decided groups as decided, the others as they wish.

        With `halls_slowed`, halls that are not decided yet count with what no budget takes away.
        """
        total = self.base_kw
        for other, members in self.groups.items():
            if other is not group:
                as_wished = self.wished.get(other, members.free_kw)
                if halls_slowed and other is Group.COMPUTE:
                    as_wished = members.lowest_kw
                setpoint_kw = self.decided.get(other, as_wished)
                total = total + self.contribution_kw(other, members.power(setpoint_kw))
        return total

    def contribution_kw(self, group: Group, p_kw: Num) -> Num:
        """What a group's power amounts to at the connection point.

        More GPU power is counted with the cooling that will follow; for less of it no such credit is
        taken, since cooling follows late.
        """
        if group is not Group.COMPUTE:
            return p_kw
        more_kw = larger(p_kw - self.groups[group].p_kw, 0.0)
        return p_kw + more_kw * (self.overhead_ratio - 1.0)

    def setpoint_for(self, group: Group, contribution_kw: Num) -> Num:
        """The setpoint with which a group amounts to `contribution_kw` at the connection point."""
        if group is Group.COMPUTE:
            present_kw = self.groups[group].p_kw
            more_kw = larger(contribution_kw - present_kw, 0.0)
            contribution_kw = smaller(contribution_kw, present_kw) + more_kw / self.overhead_ratio
        return sign(group) * contribution_kw


def look(fleet: Fleet, state: SiteState, forecast: Forecast | None, period_s: float) -> Situation:
    """The situation at the beginning of a decision."""
    groups: dict[Group, GroupState] = {}
    for group, members in fleet.groups.items():
        seen = tuple(member for member in members if state.assets[member.name].flexibility is not None)
        seen = tuple(member for member in seen if state.assets[member.name].quality is not Quality.BAD)
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
        wished={},
        base_kw=delivered_kw,
        overhead_ratio=_overhead_ratio(state, groups.get(Group.COMPUTE)),
    )


def _left_over_kw(state: SiteState) -> Num:
    """What the grid-forming asset delivers."""
    return 0.0 - state.assets[state.grid_forming].p_kw if state.grid_forming else 0.0


def _overhead_ratio(state: SiteState, compute: GroupState | None) -> Num:
    """Halls with their cooling and UPS, per kilowatt of the halls: a mean, which is more than the next one takes."""
    if compute is None:
        return 1.0
    beside_kw: Num = 0.0
    for asset in state.assets.values():
        if asset.account in FOLLOWING:
            beside_kw = beside_kw + asset.p_kw
    return 1.0 + clip(ratio(beside_kw, compute.p_kw), 0.0, 1.0)


def add_up(
    group: Group, members: tuple[Steerable, ...], assets: Mapping[str, AssetState], period_s: float
) -> GroupState:
    """The members of one group as one asset."""
    p_kw: Num = 0.0
    low: Num = 0.0
    high: Num = 0.0
    stored_kwh: Num = 0.0
    room_kwh: Num = 0.0
    running: Num = 0.0
    content_kwh: Num = 0.0
    capacity_kwh = rated_kw = free_kw = 0.0
    for member in members:
        asset = assets[member.name]
        what = asset.flexibility
        min_p_kw, max_p_kw = bounds(what, period_s)
        p_kw, low, high = p_kw + asset.p_kw, low + min_p_kw, high + max_p_kw
        rated_kw, free_kw = rated_kw + member.rated_kw, free_kw + member.free_setpoint
        if isinstance(what, Store):
            stored_kwh, room_kwh = stored_kwh + what.stored_kwh, room_kwh + what.room_kwh
            content_kwh = content_kwh + what.soc * what.capacity_kwh
            capacity_kwh += what.capacity_kwh
        elif isinstance(what, Modes):
            running = running + what.running
    return GroupState(
        group=group,
        members=members,
        p_kw=p_kw,
        min_p_kw=low,
        max_p_kw=high,
        lowest_kw=low if sign(group) > 0 else 0.0,
        highest_kw=high if group is Group.STORAGE else rated_kw,
        free_kw=free_kw,
        stored_kwh=stored_kwh,
        room_kwh=room_kwh,
        capacity_kwh=capacity_kwh,
        soc=content_kwh / capacity_kwh if capacity_kwh else 0.0,
        running=running,
    )


def bounds(what: Flexibility | None, period_s: float) -> tuple[Num, Num]:
    """Least and most power into an asset that it can hold for `period_s`."""
    if what is None:
        return 0.0, 0.0
    if isinstance(what, Modes):
        return 0.0 - what.max_generation_kw, 0.0
    if isinstance(what, Store):
        per_h = SECONDS_PER_HOUR / period_s
        return larger(what.min_p_kw, 0.0 - what.stored_kwh * per_h), smaller(what.max_p_kw, what.room_kwh * per_h)
    return what.min_p_kw, what.max_p_kw
