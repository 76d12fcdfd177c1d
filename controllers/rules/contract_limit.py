"""Never import more than the contract allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from controllers.base import RULES, Needs, Proposal
from controllers.rules.limits import held
from controllers.situation import Situation, margin_ratio
from twin.devices.base import STRICT, Group
from twin.numeric import Num, first


@RULES.add("contract_limit")
@dataclass(frozen=True, slots=True, kw_only=True)
class ContractLimit:
    """Keeps the import below the contract: batteries give down to their reserve, then halls are slowed, then the
    reserve is used, then engines start."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    groups: ClassVar[tuple[Group, ...]] = (Group.STORAGE, Group.COMPUTE, Group.GENSETS)
    needs: ClassVar[Needs] = "grid"
    example: ClassVar[Mapping[str, Any]] = {"rule": "contract_limit", "priority": 100, "margin_fraction": 0.05}

    rule: Literal["contract_limit"] = "contract_limit"
    priority: Annotated[int, Ge(0)]
    margin_fraction: Annotated[float, Ge(0), Le(0.5)] = 0.05
    """How far below the contract it stays; twice as far while the grid meter is lost."""

    support_priority: Annotated[int, Ge(0)] = 60
    """Priority with which batteries give so that halls need not be slowed. The reserve of a rule above it stays."""

    def propose(self, group: Group, situation: Situation) -> Sequence[Proposal]:
        grid = situation.grid
        limit_kw: Num = grid.contracted_import_kw * (1.0 - self.margin_fraction * margin_ratio(grid))
        reason = f"import stays below {first(limit_kw):,.0f} kW, {grid.contracted_import_kw:,.0f} kW is contracted"
        if group is not Group.STORAGE:
            return held(self.rule, self.priority, group, situation, limit_kw, reason)
        # What slower halls can save is not asked of the batteries' last reserve, only of what is above it.
        must_kw = limit_kw - situation.import_without(group, halls_slowed=True)
        must = Proposal(rule=self.rule, priority=self.priority, group=group, max_kw=must_kw, reason=reason)
        return (must, *held(self.rule, self.support_priority, group, situation, limit_kw, reason))
