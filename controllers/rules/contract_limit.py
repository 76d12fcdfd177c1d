"""Never import more than the contract allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from controllers.base import RULES, Needs, Proposal
from controllers.rules.limits import MINUTES_PER_HOUR, held
from controllers.situation import ROUNDING_KW, Situation, margin_ratio
from twin.devices.base import STRICT, Group
from twin.lazy_words import LazyWords
from twin.numeric import Num, any_true, first, larger

START_SHARE = 0.5
"""Engines start once the import would use up this share of the margin: noise starts none."""
STOP_FRACTION = 0.05
"""Engines stop once the import would stay this far below the limit without them, of the contract."""


@RULES.add("contract_limit")
@dataclass(frozen=True, slots=True, kw_only=True)
class ContractLimit:
    """Keeps the import below the contract: batteries give down to their reserve, then halls are slowed, then the
    reserve is used, then engines start.

    An engine that was started goes on, at its lowest load if need be, until slowed halls alone would
    keep the import `STOP_FRACTION` below the limit: whether one runs is all the memory that this takes.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    groups: ClassVar[tuple[Group, ...]] = (Group.STORAGE, Group.COMPUTE, Group.GENSETS)
    wishes: ClassVar[tuple[Group, ...]] = ()
    needs: ClassVar[Needs] = "grid"
    example: ClassVar[Mapping[str, Any]] = {"rule": "contract_limit", "priority": 100, "margin_fraction": 0.05}

    rule: Literal["contract_limit"] = "contract_limit"
    priority: Annotated[int, Ge(0)]
    margin_fraction: Annotated[float, Ge(0), Le(0.5)] = 0.05
    """How far below the contract it stays; twice as far while the grid meter is lost."""
    support_priority: Annotated[int, Ge(0)] = 60
    """Priority with which batteries give so that halls need not be slowed. The reserve of a rule above it stays."""
    bridge_minutes: Annotated[float, Gt(0)] = 5.0
    """Engines start when the batteries could go on giving what is asked of them for this long only."""

    def __post_init__(self) -> None:
        if self.support_priority >= self.priority:
            raise ValueError(f"support_priority below priority, which is {self.priority}")

    def propose(self, group: Group, situation: Situation) -> Sequence[Proposal]:
        grid = situation.grid
        limit_kw: Num = grid.contracted_import_kw * (1.0 - self.margin_fraction * margin_ratio(grid))
        if group is Group.GENSETS:
            return self._run_engines(situation, limit_kw)
        reason = LazyWords(lambda: _why_held(first(limit_kw), first(grid.contracted_import_kw)))
        if group is Group.COMPUTE:
            return (held(self.rule, self.priority, group, situation, limit_kw, reason),)
        # What slower halls can save is not asked of the batteries' last reserve, nor is what engines give already.
        must_kw = limit_kw - situation.import_without(group, halls_slowed=True) + situation.engines_kw
        must = Proposal(rule=self.rule, priority=self.priority, group=group, max_kw=must_kw, reason=reason)
        return (must, held(self.rule, self.support_priority, group, situation, limit_kw, reason))

    def _run_engines(self, situation: Situation, limit_kw: Num) -> Sequence[Proposal]:
        """What slowed halls, and batteries that last, cannot give; and what runs already, until that is over."""
        engines, contract_kw = situation.groups[Group.GENSETS], situation.grid.contracted_import_kw
        over_kw = situation.import_without(Group.GENSETS) - limit_kw
        needed_kw = over_kw + self._not_for_long_kw(situation) - _halls_give_kw(situation)
        missing_kw = larger(over_kw, needed_kw)
        start = missing_kw > larger(START_SHARE * (contract_kw - limit_kw), ROUNDING_KW)
        go_on = (engines.running > 0.0) & (needed_kw > -STOP_FRACTION * contract_kw)
        if not any_true(start | go_on):
            return ()
        return (
            Proposal(
                rule=self.rule,
                priority=self.priority,
                group=Group.GENSETS,
                min_kw=larger(missing_kw, engines.lightest_kw),
                when=start | go_on,
                reason=_why_engines(first(missing_kw), first(limit_kw)),
            ),
        )

    def _not_for_long_kw(self, situation: Situation) -> Num:
        """What the batteries are to give, but not for as long as engines need to take over safely."""
        stores = situation.groups.get(Group.STORAGE)
        if stores is None:
            return 0.0
        given_kw = 0.0 - situation.expected_kw[Group.STORAGE]
        return larger(given_kw - stores.stored_kwh * (MINUTES_PER_HOUR / self.bridge_minutes), 0.0)


def _halls_give_kw(situation: Situation) -> Num:
    """What the halls could still be slowed by."""
    halls = situation.groups.get(Group.COMPUTE)
    if halls is None:
        return 0.0
    slowed_kw = situation.contribution_kw(Group.COMPUTE, halls.min_p_kw)
    return situation.expected_kw[Group.COMPUTE] - slowed_kw


def _why_held(limit_kw: float, contracted_kw: float) -> str:
    return f"import stays below {limit_kw:,.0f} kW, {contracted_kw:,.0f} kW is contracted"


def _why_engines(missing_kw: float, limit_kw: float) -> str:
    if missing_kw > 0.0:
        return (
            f"{missing_kw:,.0f} kW are missing, beside batteries and slowed halls, to import below {limit_kw:,.0f} kW"
        )
    return f"engines run on until slowed halls alone keep the import well below {limit_kw:,.0f} kW"
