"""The border between halls and plants: heat that is asked to go, and what a plant did with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from twin.numeric import Num
from twin.quick import quick


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """What a plant did with heat given to it (rates; means over the step)."""

    taken_kw: Num
    """Of the heat asked for; the rest stays in the hall."""
    supply_c: Num
    """Reached, of the water to the hall: what was asked for, or warmer where the plant is at its limit."""
    electric_kw: Num
    """Compressors, pumps and fans together."""
    water_l_per_h: Num
    """Make-up: evaporation, drift and blow-down."""
    clamped: Num = 0.0
    """1.0 where a curve was used at its limit, because it was asked for more than it was fitted to."""


class HeatRejection(Protocol):
    """A plant that takes heat out of facility water."""

    def rejects(self, heat_kw: Num, return_c: Num, supply_c: Num, dry_bulb_c: Num, wet_bulb_c: Num) -> Rejection:
        """Take `heat_kw` from water that returns at `return_c`, and send it back at `supply_c` if possible.

        Pure and without memory. Heat below 0 is taken as 0. `dry_bulb_c` and `wet_bulb_c` are of the outdoor air.
        """
        ...
