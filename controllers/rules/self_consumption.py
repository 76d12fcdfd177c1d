"""Keep one's own sun and wind on site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge

from controllers.base import RULES, Needs, Proposal
from controllers.situation import Situation
from twin.devices.base import STRICT, Group
from twin.numeric import any_true, first


@RULES.add("self_consumption")
@dataclass(frozen=True, slots=True, kw_only=True)
class SelfConsumption:
    """Stores what would be exported, and gives it back where energy is worth at least `discharge_above_per_kwh`."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    groups: ClassVar[tuple[Group, ...]] = (Group.STORAGE,)
    wishes: ClassVar[tuple[Group, ...]] = (Group.STORAGE,)
    needs: ClassVar[Needs] = "grid"
    example: ClassVar[Mapping[str, Any]] = {"rule": "self_consumption", "priority": 40}

    rule: Literal["self_consumption"] = "self_consumption"
    priority: Annotated[int, Ge(0)]
    discharge_above_per_kwh: float = 0.0
    """Price of imported energy from which on the batteries cover what the site lacks; 0: always."""

    def propose(self, group: Group, situation: Situation) -> Sequence[Proposal]:
        import_kw = situation.import_without(group) - situation.engines_kw
        price_per_kwh = situation.grid.price_per_kwh
        when = (import_kw < 0.0) | (price_per_kwh >= self.discharge_above_per_kwh)
        if not any_true(when):
            return ()
        surplus_kw = 0.0 - import_kw
        shown_kw = first(surplus_kw)
        reason = (
            f"{shown_kw:,.0f} kW would be exported"
            if shown_kw > 0
            else f"the site lacks {-shown_kw:,.0f} kW while energy costs {first(price_per_kwh):.3f} per kWh"
        )
        return (
            Proposal(rule=self.rule, priority=self.priority, group=group, wish_kw=surplus_kw, when=when, reason=reason),
        )
