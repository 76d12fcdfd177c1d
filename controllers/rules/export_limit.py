"""Never export more than the connection allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from controllers.base import NO_CEILING, NO_FLOOR, RULES, Needs, Proposal
from controllers.situation import Situation, margin_ratio
from twin.devices.base import STRICT, Group
from twin.lazy_words import LazyWords, Words
from twin.numeric import Num, first


@RULES.add("export_limit")
@dataclass(frozen=True, slots=True, kw_only=True)
class ExportLimit:
    """Keeps the export below its limit: batteries take what they can, sun and wind are curtailed for the rest."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    groups: ClassVar[tuple[Group, ...]] = (Group.RENEWABLES, Group.STORAGE)
    wishes: ClassVar[tuple[Group, ...]] = ()
    needs: ClassVar[Needs] = "grid"
    example: ClassVar[Mapping[str, Any]] = {"rule": "export_limit", "priority": 95, "margin_fraction": 0.05}

    rule: Literal["export_limit"] = "export_limit"
    priority: Annotated[int, Ge(0)]
    margin_fraction: Annotated[float, Ge(0), Le(0.5)] = 0.05
    """How far below the limit it stays; twice as far while the grid meter is lost."""

    def propose(self, group: Group, situation: Situation) -> Sequence[Proposal]:
        grid = situation.grid
        limit_kw = grid.export_limit_kw * (1.0 - self.margin_fraction * margin_ratio(grid))
        reason = LazyWords(
            lambda: f"export stays below {first(limit_kw):,.0f} kW, {first(grid.export_limit_kw):,.0f} kW is allowed"
        )
        room_kw = limit_kw + situation.import_without(group) - situation.engines_kw
        if group is Group.STORAGE:
            return (self._proposal(group, reason, 0.0 - room_kw, NO_CEILING),)
        stores = situation.groups.get(Group.STORAGE)
        if stores is not None:
            room_kw = room_kw + stores.max_p_kw - stores.free_p_kw
        return (self._proposal(group, reason, NO_FLOOR, room_kw),)

    def _proposal(self, group: Group, reason: Words, min_kw: Num, max_kw: Num) -> Proposal:
        return Proposal(
            rule=self.rule, priority=self.priority, group=group, min_kw=min_kw, max_kw=max_kw, reason=reason
        )


def _why(limit_kw: float, allowed_kw: float) -> str:
    return f"export stays below {limit_kw:,.0f} kW, {allowed_kw:,.0f} kW is allowed"
