"""Plants simple enough to know their answer beforehand, in the place of a site file's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twin.cooling.hall_cooling import HallCooling, HallState
from twin.cooling.rejection import Rejection
from twin.cooling.technologies import HallTechnology
from twin.devices.base import Step
from twin.numeric import Num, larger, ratio, smaller

RATED_KW = 1000.0
KW_PER_KW = 0.1
"""Electric power of a plain plant for each kW of heat that it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainPlant:
    """Takes up to its capacity at any temperature, and no heat from colder water than the air's."""

    capacity_kw: float = 1e9
    effectiveness: float = 1.0
    """Of the difference between water and dry bulb; 1: as if the air were as cold as need be."""

    @property
    def chosen(self) -> PlainPlant:
        return self

    @property
    def rated_kw(self) -> float:
        return self.capacity_kw * KW_PER_KW

    def rejects(self, heat_kw: Num, return_c: Num, supply_c: Num, dry_bulb_c: Num, wet_bulb_c: Num) -> Rejection:
        heat_kw = larger(heat_kw, 0.0)
        taken_kw = smaller(heat_kw, self.capacity_kw)
        flow_kw_per_k = ratio(heat_kw, return_c - supply_c)
        if self.effectiveness < 1.0:
            most_kw = larger(self.effectiveness * flow_kw_per_k * (return_c - dry_bulb_c), 0.0)
            taken_kw = smaller(taken_kw, most_kw)
        return Rejection(
            taken_kw=taken_kw,
            supply_c=return_c - ratio(taken_kw, flow_kw_per_k),
            electric_kw=KW_PER_KW * taken_kw,
            water_l_per_h=1.5 * taken_kw,
        )


def hall(technology: HallTechnology, plant: PlainPlant, **others: Any) -> HallCooling:
    return HallCooling(
        bus="cooling",
        serves=("hall",),
        rated_heat_kw=RATED_KW,
        technology=technology,
        plant=plant,  # type: ignore[arg-type]
        **others,
    )


def stepped(
    cooling: HallCooling, state: HallState, heat_kw: Num, step_s: float, dry_bulb_c: Num = 20.0
) -> Step[HallState]:
    served: Sequence[Step[Any]] = (Step(state=None, p_kw=heat_kw, heat_kw=heat_kw),)
    return cooling.step(state, 0.0, {"dry_bulb_c": dry_bulb_c, "wet_bulb_c": dry_bulb_c - 5.0}, served, step_s)
