"""Do not set a new peak in the meter's demand interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt

from controllers.base import RULES, Needs, Proposal
from controllers.rules.limits import held
from controllers.situation import Situation
from twin.devices.base import STRICT, Group
from twin.numeric import first, larger
from twin.units import SECONDS_PER_HOUR


@RULES.add("demand_peak")
@dataclass(frozen=True, slots=True, kw_only=True)
class DemandPeak:
    """Keeps the average of each demand interval at the target, or at the month's peak where that is higher already.

    What the running interval has used so far counts: a short burst is made up for within the interval
    and does not trip anything, and what was saved may be used.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    groups: ClassVar[tuple[Group, ...]] = (Group.STORAGE, Group.COMPUTE)
    needs: ClassVar[Needs] = "grid"
    example: ClassVar[Mapping[str, Any]] = {"rule": "demand_peak", "priority": 80, "target_kw": 900}

    rule: Literal["demand_peak"] = "demand_peak"
    priority: Annotated[int, Ge(0)]
    target_kw: Annotated[float, Gt(0)]
    """Interval average that is worth defending from the first day of the month."""

    def propose(self, group: Group, situation: Situation) -> Sequence[Proposal]:
        demand = situation.grid.demand
        ceiling_kw = larger(demand.billed_peak_kw, self.target_kw)
        remaining_s = max((demand.end - situation.now).total_seconds(), situation.period_s)
        used_kw_s = demand.energy_kwh * SECONDS_PER_HOUR
        allowance_kw = (ceiling_kw * demand.length_s - used_kw_s) / remaining_s
        reason = (
            f"{first(allowance_kw):,.0f} kW for the next {remaining_s / 60:.0f} min end the interval "
            f"on {first(ceiling_kw):,.0f} kW"
        )
        return held(self.rule, self.priority, group, situation, allowance_kw, reason)
