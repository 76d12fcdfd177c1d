"""What a hall asks of the plant that cools it, whatever the technology in the hall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from twin.cooling.hall import Thermal
from twin.numeric import Num, smaller
from twin.quick import quick


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Heat on its way out of a hall, in one loop of water."""

    heat_kw: Num
    """For the plant: that of the equipment, and of the fans and pumps that move it, less `outdoor_kw`."""
    rated_heat_kw: Num
    """Of the equipment behind this loop."""
    supply_c: Num
    """Water that the hall needs to hold its inlet temperature; warmer is enough at part load."""
    flow_kw_per_k: Num
    """Of that water, as the heat that it carries for each K."""
    margin_k: Num
    """How much warmer the water may be before the inlet temperature is at its limit."""
    electric_kw: Num
    """Fans and pumps of the hall, and what server fans take beyond their power at the reference inlet."""
    outdoor_kw: Num = 0.0
    """Heat that outdoor air carries off directly."""

    @property
    def return_c(self) -> Num:
        """Water that goes back, where the plant supplies what is needed."""
        return self.supply_c + self.heat_kw / self.flow_kw_per_k


def joined(streams: Sequence[Stream]) -> Stream:
    """Several streams as one loop of water, as cold as the coldest of them needs it."""
    first, *others = streams
    for other in others:
        first = Stream(
            heat_kw=first.heat_kw + other.heat_kw,
            rated_heat_kw=first.rated_heat_kw + other.rated_heat_kw,
            supply_c=smaller(first.supply_c, other.supply_c),
            flow_kw_per_k=first.flow_kw_per_k + other.flow_kw_per_k,
            margin_k=smaller(first.margin_k, other.margin_k),
            electric_kw=first.electric_kw + other.electric_kw,
            outdoor_kw=first.outdoor_kw + other.outdoor_kw,
        )
    return first


class Technology(Protocol):
    """How heat gets from the chips into water. Every implementation is a frozen dataclass of its parameters."""

    @property
    def inlet_c(self) -> float:
        """Air, liquid or bath that meets the equipment, where the site file names no other."""
        ...

    @property
    def max_inlet_c(self) -> float:
        """The limit of that; time above it is counted."""
        ...

    @property
    def server_fan_fraction(self) -> float:
        """Fans inside servers, of their power at the reference inlet: what PUE hides."""
        ...

    @property
    def thermal(self) -> Thermal:
        """Heat capacities, rack to row to hall."""
        ...

    @property
    def hall_electric_fraction(self) -> float:
        """Most that `Stream.electric_kw` of all streams may be, of rated heat."""
        ...

    def streams(
        self, heat_kw: Num, *, rated_heat_kw: Num, inlet_c: Num, dry_bulb_c: Num, wet_bulb_c: Num
    ) -> tuple[Stream, ...]:
        """One stream, or one of liquid and one of the air beside it."""
        ...
