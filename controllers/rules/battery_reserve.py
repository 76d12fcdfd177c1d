"""Keep enough energy in the batteries to carry the site for a while."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt

from controllers.base import RULES, Needs, Proposal
from controllers.rules.limits import MINUTES_PER_HOUR
from controllers.situation import Situation
from twin.devices.base import STRICT, Group
from twin.lazy_words import LazyWords
from twin.numeric import any_true, first, larger, ratio
from twin.units import SECONDS_PER_HOUR

TAPER_S = 300.0
"""What lies above the reserve is given over at least this long, so that discharging ends softly."""


@RULES.add("battery_reserve")
@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryReserve:
    """Stops discharging where what is left carries the present load for `hold_up_minutes` only, and refills below."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    groups: ClassVar[tuple[Group, ...]] = (Group.STORAGE,)
    wishes: ClassVar[tuple[Group, ...]] = (Group.STORAGE,)
    needs: ClassVar[Needs] = "anything"
    example: ClassVar[Mapping[str, Any]] = {"rule": "battery_reserve", "priority": 90, "hold_up_minutes": 15}

    rule: Literal["battery_reserve"] = "battery_reserve"
    priority: Annotated[int, Ge(0)]
    hold_up_minutes: Annotated[float, Ge(0)] = 15.0
    """Time for which the batteries could carry the load of this moment."""
    refill_h: Annotated[float, Gt(0)] = 2.0
    """Time over which a reserve that was used is filled again."""

    def propose(self, group: Group, situation: Situation) -> Sequence[Proposal]:
        stores = situation.groups[group]
        load_kw = situation.load_kw
        above_kwh = stores.stored_kwh - load_kw * (self.hold_up_minutes / MINUTES_PER_HOUR)
        reason = LazyWords(lambda: self._why(first(stores.stored_kwh), first(load_kw)))
        most_kw = larger(above_kwh, 0.0) * (SECONDS_PER_HOUR / max(TAPER_S, situation.period_s))
        kept = Proposal(rule=self.rule, priority=self.priority, group=group, min_kw=0.0 - most_kw, reason=reason)
        short = above_kwh < 0.0
        if not any_true(short):
            return (kept,)
        refill_kw = (0.0 - above_kwh) / self.refill_h
        return (
            kept,
            Proposal(rule=self.rule, priority=self.priority, group=group, wish_kw=refill_kw, when=short, reason=reason),
        )

    def _why(self, stored_kwh: float, load_kw: float) -> str:
        held_minutes = MINUTES_PER_HOUR * first(ratio(stored_kwh, load_kw))
        return (
            f"the batteries carry the present load for {held_minutes:.0f} min, {self.hold_up_minutes:.0f} min are kept"
        )
