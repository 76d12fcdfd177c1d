"""Buy energy while it is cheap, and use it while it is dear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from controllers.base import RULES, Needs, Proposal
from controllers.situation import Situation
from twin.devices.base import STRICT, Group
from twin.numeric import Flag, Num, any_true, first, larger, smaller
from twin.units import SECONDS_PER_HOUR


@RULES.add("price")
@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Charges at low prices as far as no sun and wind will need the room, and discharges into the site at high ones."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    groups: ClassVar[tuple[Group, ...]] = (Group.STORAGE,)
    wishes: ClassVar[tuple[Group, ...]] = (Group.STORAGE,)
    needs: ClassVar[Needs] = "grid"
    example: ClassVar[Mapping[str, Any]] = {
        "rule": "price",
        "priority": 30,
        "charge_below_per_kwh": 0.06,
        "discharge_above_per_kwh": 0.13,
        "target_soc": 0.9,
    }

    rule: Literal["price"] = "price"
    priority: Annotated[int, Ge(0)]
    charge_below_per_kwh: float
    discharge_above_per_kwh: float
    target_soc: Annotated[float, Gt(0), Le(1)] = 0.9
    """Where buying energy ends."""
    look_ahead_h: Annotated[float, Gt(0), Le(72)] = 12.0
    """How far ahead sun and wind are expected to need room in the batteries."""

    def __post_init__(self) -> None:
        if self.charge_below_per_kwh >= self.discharge_above_per_kwh:
            raise ValueError(f"charge_below_per_kwh below discharge_above_per_kwh, {self.discharge_above_per_kwh:g}")

    def propose(self, group: Group, situation: Situation) -> Sequence[Proposal]:
        price_per_kwh = situation.grid.price_per_kwh
        cheap = price_per_kwh <= self.charge_below_per_kwh
        dear = price_per_kwh >= self.discharge_above_per_kwh
        found: list[Proposal] = []
        if any_true(cheap):
            found.append(self._buy(group, situation, cheap))
        if any_true(dear):
            found.append(self._use(group, situation, dear))
        return found

    def _buy(self, group: Group, situation: Situation, cheap: Flag) -> Proposal:
        stores = situation.groups[group]
        to_target_kwh = larger(self.target_soc - stores.soc, 0.0) * stores.capacity_kwh
        # A forecast is looked at only where it makes a difference.
        forecast, matters = situation.forecast, cheap & (to_target_kwh > 0.0)
        surplus_kwh = forecast.surplus_kwh(situation.now, self.look_ahead_h, matters) if forecast is not None else 0.0
        wanted_kwh = smaller(to_target_kwh, larger(stores.room_kwh - surplus_kwh, 0.0))
        # Rest is 0, whatever an empty store's least power may be.
        wish_kw = larger(smaller(stores.max_p_kw, wanted_kwh * (SECONDS_PER_HOUR / situation.period_s)), 0.0)
        reason = f"energy costs only {first(situation.grid.price_per_kwh):.3f} per kWh"
        if first(wanted_kwh) < first(to_target_kwh):
            reason += f"; {first(surplus_kwh):,.0f} kWh of room are kept for sun and wind"
        elif first(to_target_kwh) <= 0.0:
            reason += f", but the batteries are charged to {first(stores.soc):.0%} already"
        return self._proposal(group, wish_kw, cheap, reason)

    def _use(self, group: Group, situation: Situation, dear: Flag) -> Proposal:
        wish_kw = 0.0 - larger(situation.import_without(group) - situation.engines_kw, 0.0)
        reason = f"energy costs {first(situation.grid.price_per_kwh):.3f} per kWh, and the site takes its own first"
        return self._proposal(group, wish_kw, dear, reason)

    def _proposal(self, group: Group, wish_kw: Num, when: Flag, reason: str) -> Proposal:
        return Proposal(rule=self.rule, priority=self.priority, group=group, wish_kw=wish_kw, when=when, reason=reason)
