"""On a site without a grid: start engines before the battery runs low, and shed work when nothing else helps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from controllers.base import RULES, Needs, Proposal
from controllers.situation import Situation
from twin.devices.base import STRICT, Group
from twin.flexibility import Store
from twin.numeric import any_true, first, larger, smaller, where


@RULES.add("island_reserve")
@dataclass(frozen=True, slots=True, kw_only=True)
class IslandReserve:
    """Runs the engines between two states of charge of the grid-forming battery, and slows the halls below the lower
    one to what sun, wind and engines can give."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    groups: ClassVar[tuple[Group, ...]] = (Group.COMPUTE, Group.GENSETS)
    wishes: ClassVar[tuple[Group, ...]] = (Group.GENSETS,)
    needs: ClassVar[Needs] = "island"
    example: ClassVar[Mapping[str, Any]] = {
        "rule": "island_reserve",
        "priority": 90,
        "start_below_soc": 0.35,
        "stop_above_soc": 0.7,
    }

    rule: Literal["island_reserve"] = "island_reserve"
    priority: Annotated[int, Ge(0)]
    start_below_soc: Annotated[float, Ge(0), Le(1)]
    stop_above_soc: Annotated[float, Ge(0), Le(1)]
    """Engines that run go on until here."""

    def __post_init__(self) -> None:
        if self.start_below_soc >= self.stop_above_soc:
            raise ValueError(
                f"start_below_soc below stop_above_soc, not {self.start_below_soc:g} and {self.stop_above_soc:g}"
            )

    def propose(self, group: Group, situation: Situation) -> Sequence[Proposal]:
        former = situation.state.assets[str(situation.state.grid_forming)].flexibility
        if not isinstance(former, Store):
            return ()
        return self._start(situation, former) if group is Group.GENSETS else self._slow(situation, former)

    def _start(self, situation: Situation, former: Store) -> Sequence[Proposal]:
        engines = situation.groups[Group.GENSETS]
        run = (former.soc < self.start_below_soc) | ((engines.running > 0.0) & (former.soc < self.stop_above_soc))
        most_kw = larger(situation.import_without(Group.GENSETS) + former.max_p_kw, 0.0)
        wish_kw = where(run, smaller(most_kw, engines.highest_kw), 0.0)
        reason = f"the battery is at {first(former.soc):.0%}; engines run from {self.start_below_soc:.0%} to "
        return (replace(self._proposal(Group.GENSETS, reason + f"{self.stop_above_soc:.0%}"), wish_kw=wish_kw),)

    def _slow(self, situation: Situation, former: Store) -> Sequence[Proposal]:
        low = former.soc < self.start_below_soc
        if not any_true(low):
            return ()
        engines = situation.groups.get(Group.GENSETS)
        supply_kw = engines.highest_kw if engines else 0.0
        most_kw = situation.setpoint_for(Group.COMPUTE, supply_kw - situation.import_without(Group.COMPUTE))
        reason = f"the battery is at {first(former.soc):.0%}, and engines can give {first(supply_kw):,.0f} kW"
        return (replace(self._proposal(Group.COMPUTE, reason), max_kw=most_kw, when=low),)

    def _proposal(self, group: Group, reason: str) -> Proposal:
        return Proposal(rule=self.rule, priority=self.priority, group=group, reason=reason)
