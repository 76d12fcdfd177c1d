"""Put off GPU work while energy is dear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from controllers.base import RULES, Needs, Proposal
from controllers.situation import Situation
from twin.devices.base import STRICT, Group
from twin.numeric import any_true, first, larger


@RULES.add("gpu_shift")
@dataclass(frozen=True, slots=True, kw_only=True)
class GpuShift:
    """Slows the halls while the energy price is high; what they put off is done when it has fallen.

    Which work is slowed, and how far, is the tiers' affair: the halls meet a budget by slowing the most
    flexible class first, and none below its tier. The budget is a part of rated power and not of what
    the halls want, since work that waits is wanted too: what was put off would raise the budget at once.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    groups: ClassVar[tuple[Group, ...]] = (Group.COMPUTE,)
    wishes: ClassVar[tuple[Group, ...]] = (Group.COMPUTE,)
    needs: ClassVar[Needs] = "grid"
    example: ClassVar[Mapping[str, Any]] = {
        "rule": "gpu_shift",
        "priority": 50,
        "above_per_kwh": 0.13,
        "floor_fraction": 0.7,
    }

    rule: Literal["gpu_shift"] = "gpu_shift"
    priority: Annotated[int, Ge(0)]
    above_per_kwh: float
    """Price of imported energy from which on work is put off."""
    floor_fraction: Annotated[float, Ge(0), Le(1)] = 0.7
    """Power budget while work is put off, of the halls' rated power; never below what no budget takes away."""

    def propose(self, group: Group, situation: Situation) -> Sequence[Proposal]:
        price_per_kwh = situation.grid.price_per_kwh
        dear = price_per_kwh >= self.above_per_kwh
        if not any_true(dear):
            return ()
        halls = situation.groups[group]
        budget_kw = larger(halls.highest_kw * self.floor_fraction, halls.lowest_kw)
        reason = (
            f"energy costs {first(price_per_kwh):.3f} per kWh, work is put off from {self.above_per_kwh:.3f}; "
            f"{first(halls.max_p_kw):,.0f} kW are wanted"
        )
        return (
            Proposal(rule=self.rule, priority=self.priority, group=group, wish_kw=budget_kw, when=dear, reason=reason),
        )
