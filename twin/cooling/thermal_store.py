"""Chilled water stored in a stratified tank. A component of a plant: it holds heat, not electricity.

It is no device with a power setpoint of its own: emptying it gives no power back, it only spares the chillers theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Gt, Le

from twin.cooling.plant_duty import check_positive
from twin.cooling.water import WATER_KJ_PER_KG_K
from twin.devices.base import STRICT
from twin.numeric import Num, clip, magnitude, ratio, smaller, where
from twin.quick import quick
from twin.units import SECONDS_PER_HOUR


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class TankStep:
    """What a tank did during a step."""

    stored_kwh: Num
    """At the end."""
    charge_kw: Num
    """Mean; negative where cold was taken out."""
    busy_fraction: Num
    """Part of the step until it was full, or empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChilledWaterTank:
    """Two zones, cold below and warm above, and a thin layer between them that moves with the flow.

    Water of supply temperature is pushed in below and the same amount leaves above, or the other way round: the content
    is linear in time until the layer reaches an end, which is solved exactly. Part of the volume is lost to the layer
    (figure of merit, 0.85 to 0.95 in tanks with diffusers); conduction, 1 to 2% a day, is neglected.

    Source: ASHRAE Handbook, HVAC Applications, Thermal Storage (naturally stratified tanks).
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    volume_l: Annotated[float, Gt(0)]
    rise_k: Annotated[float, Gt(0)] = 6.0
    """Warm zone above cold zone."""
    usable_fraction: Annotated[float, Gt(0), Le(1)] = 0.9
    max_kw: Annotated[float, Gt(0)]
    """Of heat, in and out: what the diffusers let pass without stirring."""

    def __post_init__(self) -> None:
        check_positive(volume_l=self.volume_l, rise_k=self.rise_k, max_kw=self.max_kw)

    @property
    def capacity_kwh(self) -> float:
        """Heat that it takes up between full of cold and full of warm water, at 1 kg/l."""
        return self.volume_l * self.usable_fraction * WATER_KJ_PER_KG_K * self.rise_k / SECONDS_PER_HOUR

    def step(self, stored_kwh: Num, charge_kw: Num, step_s: float) -> TankStep:
        """Charge (negative: discharge) at a constant rate, until full, or empty, or the end of the step."""
        rate_kw, hours = clip(charge_kw, -self.max_kw, self.max_kw), step_s / SECONDS_PER_HOUR
        left_kwh = where(rate_kw > 0.0, self.capacity_kwh - stored_kwh, stored_kwh)
        busy = smaller(ratio(left_kwh, magnitude(rate_kw) * hours), 1.0)
        return TankStep(
            stored_kwh=clip(stored_kwh + rate_kw * busy * hours, 0.0, self.capacity_kwh),
            charge_kw=rate_kw * busy,
            busy_fraction=busy,
        )
