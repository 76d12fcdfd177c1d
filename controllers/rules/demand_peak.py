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
from twin.lazy_words import LazyWords
from twin.numeric import Num, clip, first, larger, smaller, where
from twin.units import SECONDS_PER_HOUR

SOON_S = 20.0
"""Time in which what was saved may be used; what was overdrawn is made up for over the rest of the interval."""
LENT_FRACTION = 0.005
"""What may be overdrawn, of all that the rest of the interval may import: a burst's worth early on, nothing late."""


@RULES.add("demand_peak")
@dataclass(frozen=True, slots=True, kw_only=True)
class DemandPeak:
    """Keeps the average of each demand interval at the target, or at the month's peak where that is higher already.

    What the running interval has used so far counts: what was saved may be used at once, and a short
    burst is made up for within the interval and trips nothing.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    groups: ClassVar[tuple[Group, ...]] = (Group.STORAGE, Group.COMPUTE)
    wishes: ClassVar[tuple[Group, ...]] = ()
    needs: ClassVar[Needs] = "grid"
    example: ClassVar[Mapping[str, Any]] = {"rule": "demand_peak", "priority": 80, "target_kw": 900}

    rule: Literal["demand_peak"] = "demand_peak"
    priority: Annotated[int, Ge(0)]
    target_kw: Annotated[float, Gt(0)]
    """Interval average that is worth defending from the first day of the month."""

    def propose(self, group: Group, situation: Situation) -> Sequence[Proposal]:
        demand = situation.grid.demand
        ceiling_kw = larger(demand.billed_peak_kw, self.target_kw)
        allowance_kw, remaining_s = self._allowance(situation, ceiling_kw)
        reason = LazyWords(
            lambda: (
                f"at most {first(allowance_kw):,.0f} kW now, so that the interval, with "
                f"{first(remaining_s) / 60:.0f} min to go, ends on {first(ceiling_kw):,.0f} kW"
            )
        )
        return (held(self.rule, self.priority, group, situation, allowance_kw, reason),)

    def _allowance(self, situation: Situation, ceiling_kw: Num) -> tuple[Num, Num]:
        """Import that may be had now, and the time left in the interval."""
        demand, period_s = situation.grid.demand, situation.period_s
        elapsed_s = clip(demand.elapsed_s(situation.now), 0.0, demand.length_s)
        remaining_s = larger(demand.length_s - elapsed_s, period_s)
        soon_s = larger(smaller(SOON_S, remaining_s), period_s)
        saved_kw_s = ceiling_kw * elapsed_s - demand.energy_kwh * SECONDS_PER_HOUR
        lent_kw_s = LENT_FRACTION * ceiling_kw * larger(remaining_s - soon_s, 0.0)
        balance_kw_s = saved_kw_s + lent_kw_s
        more_kw = where(balance_kw_s > 0.0, balance_kw_s / soon_s, balance_kw_s / remaining_s)
        # Export does not count against import, so that less than none is never asked for.
        return larger(ceiling_kw + more_kw, 0.0), remaining_s
