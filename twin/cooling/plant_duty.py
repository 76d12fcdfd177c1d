"""What a plant did, part by part; a `Rejection` is the sum of it that halls see."""

from __future__ import annotations

from dataclasses import dataclass, fields

from twin.cooling.rejection import Rejection
from twin.numeric import Num, larger, where
from twin.quick import quick

SMALLEST_RISE_K = 0.1
"""Of the water in a hall: with less, no pump could carry the heat."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class PlantDuty:
    """Rates of one plant. Heat is conserved: ``to_air_kw = taken_kw + compressor_kw + pump_kw``; fans warm air
    alone."""

    taken_kw: Num
    supply_c: Num
    compressor_kw: Num = 0.0
    pump_kw: Num
    """All of it ends as heat in the water."""
    fan_kw: Num
    to_air_kw: Num
    """Heat given to the outdoor air, sensible and latent."""
    evaporated_l_per_h: Num = 0.0
    water_l_per_h: Num = 0.0
    """Make-up."""
    clamped: Num = 0.0

    @property
    def electric_kw(self) -> Num:
        """Compressors, pumps and fans."""
        return self.compressor_kw + self.pump_kw + self.fan_kw

    @property
    def rejection(self) -> Rejection:
        """As halls see it."""
        return Rejection(
            taken_kw=self.taken_kw,
            supply_c=self.supply_c,
            electric_kw=self.electric_kw,
            water_l_per_h=self.water_l_per_h,
            clamped=self.clamped,
        )


PARTS = tuple(part.name for part in fields(PlantDuty))


def better(one: PlantDuty, other: PlantDuty) -> PlantDuty:
    """Whichever takes more heat; of two that take the same, whichever needs less power."""
    same = (one.taken_kw >= other.taken_kw) & (one.electric_kw <= other.electric_kw)
    wins = (one.taken_kw > other.taken_kw) | same
    return PlantDuty(**{name: where(wins, getattr(one, name), getattr(other, name)) for name in PARTS})


def during(one: PlantDuty, other: PlantDuty, fraction: Num) -> PlantDuty:
    """`one` for a fraction of the time, then `other`: the mean of all rates."""
    return PlantDuty(
        **{name: fraction * getattr(one, name) + (1.0 - fraction) * getattr(other, name) for name in PARTS}
    )


def flow_fraction(heat_kw: Num, rise_k: Num, *, rated_heat_kw: float, rated_rise_k: float) -> Num:
    """Water flow, of rated, that carries a heat with a rise."""
    return heat_kw / rated_heat_kw * rated_rise_k / larger(rise_k, SMALLEST_RISE_K)


def check_positive(**parameters: float) -> None:
    """Raise unless each of them is above 0."""
    for name, value in parameters.items():
        if not value > 0.0:
            raise ValueError(f"{name} above 0, not {value:g}")
