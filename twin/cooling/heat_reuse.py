"""Heat given to a consumer instead of the outdoor air, and how that is reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge

from twin.cooling.plant_duty import SMALLEST_RISE_K
from twin.cooling.rejection import HeatRejection, Rejection
from twin.devices.base import STRICT
from twin.numeric import Num, clip, larger, ratio, smaller, where


def energy_reuse_factor(reused_kwh: Num, total_kwh: Num) -> Num:
    """ERF: ``reused / total``, energy of the whole data centre; 0 to 1.

    Source: ISO/IEC 30134-6.
    """
    return reused_kwh / total_kwh


def energy_reuse_effectiveness(it_kwh: Num, total_kwh: Num, reused_kwh: Num) -> Num:
    """ERE: ``(total - reused) / IT``, which is ``PUE · (1 - ERF)``; may be below 1.

    Source: The Green Grid, white paper 29 (2010).
    """
    return (total_kwh - reused_kwh) / it_kwh


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatConsumer:
    """District heating, a greenhouse, a pool: takes heat from the water that returns from a hall, through a plate heat
    exchanger and without a heat pump."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    demand_kw: Annotated[float, Ge(0)]
    wanted_c: float
    """To which its water is warmed."""
    back_c: float
    """At which its water comes back."""
    approach_k: Annotated[float, Ge(0)] = 3.0
    """Hall water above its water, at either end."""

    def __post_init__(self) -> None:
        if not self.back_c < self.wanted_c:
            raise ValueError(f"back_c below wanted_c, not {self.back_c:g} and {self.wanted_c:g}")

    def takes_kw(self, heat_kw: Num, return_c: Num, supply_c: Num) -> Num:
        """Heat that it takes of what a hall gives: none where the hall's water is not warm enough for it.

        What returns can be cooled to `approach_k` above the consumer's own return, and need not be cooled below the
        hall's supply.
        """
        rise_k = larger(return_c - supply_c, SMALLEST_RISE_K)
        share = clip((return_c - larger(self.back_c + self.approach_k, supply_c)) / rise_k, 0.0, 1.0)
        warm = return_c >= self.wanted_c + self.approach_k
        return where(warm, smaller(larger(heat_kw, 0.0) * share, self.demand_kw), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReusedFirst:
    """A consumer before a plant, which rejects what is left. Pumps of the consumer are the consumer's."""

    consumer: HeatConsumer
    plant: HeatRejection

    def rejects(self, heat_kw: Num, return_c: Num, supply_c: Num, dry_bulb_c: Num, wet_bulb_c: Num) -> Rejection:
        reused_kw = self.consumer.takes_kw(heat_kw, return_c, supply_c)
        left_kw = larger(heat_kw, 0.0) - reused_kw
        cooled_k = (return_c - supply_c) * ratio(reused_kw, heat_kw)
        rest = self.plant.rejects(left_kw, return_c - cooled_k, supply_c, dry_bulb_c, wet_bulb_c)
        return Rejection(
            taken_kw=reused_kw + rest.taken_kw,
            supply_c=rest.supply_c,
            electric_kw=rest.electric_kw,
            water_l_per_h=rest.water_l_per_h,
            clamped=rest.clamped,
        )
