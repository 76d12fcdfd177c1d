"""Liquid to the chips: cold plates on what is hot, and air for the rest of the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Lt

from twin.cooling.air import Air
from twin.cooling.cdu import Cdu
from twin.cooling.hall import Thermal
from twin.cooling.stream import Stream
from twin.devices.base import STRICT
from twin.numeric import Num

PLATE_THERMAL = Thermal(
    rack_kj_per_k_per_kw=4.2,
    row_kj_per_k_per_kw=4.2,
    hall_kj_per_k_per_kw=8.3,
    rack_above_row_k=5.0,
    row_above_hall_k=2.6,
    hall_above_supply_k=10.0,
)
"""4 L of water for each kW (16.7 kJ/K): 1 L in plates and hoses, 1 L in manifolds, 2 L in pipes. Metal is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdPlate:
    """Most heat leaves by the coolant; memory, drives and power supplies still give theirs to the room.

    The residual air is cooled as in any hall of air (`air`), by the same plant or by a colder one of its own: a warm
    loop cannot hold 25 °C at a server's inlet.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    inlet_c: float = 40.0
    """Coolant to the plates. ASHRAE TC 9.9 classes W17, W27, W32, W40 and W45 are facility water."""
    max_inlet_c: float = 45.0
    """Warmest coolant that the plates may get."""
    residual_air_fraction: Annotated[float, Ge(0), Lt(1)] = 0.15
    """Of the equipment's heat: 10 to 25% in practice."""
    server_fan_fraction: Annotated[float, Ge(0), Lt(1)] = 0.018
    """Fans inside servers: a fifth of those of an air-cooled server."""
    cdu: Cdu = field(default_factory=Cdu)
    air: Air = field(default_factory=lambda: Air(server_fan_fraction=0.0))
    """Air handlers for the residual heat; they are sized for that."""
    thermal: Thermal = field(default=PLATE_THERMAL)

    @property
    def hall_electric_fraction(self) -> float:
        """Pumps, and the fans of the residual air."""
        share = self.residual_air_fraction
        return (1.0 - share) * self.cdu.rated_pump_fraction + share * self.air.hall_electric_fraction

    def streams(
        self, heat_kw: Num, *, rated_heat_kw: Num, inlet_c: Num, dry_bulb_c: Num, wet_bulb_c: Num
    ) -> tuple[Stream, ...]:
        share = self.residual_air_fraction
        liquid = self.cdu.stream((1.0 - share) * heat_kw, (1.0 - share) * rated_heat_kw, inlet_c, self.max_inlet_c)
        if share == 0.0:
            return (liquid,)
        residual = self.air.streams(
            share * heat_kw,
            rated_heat_kw=share * rated_heat_kw,
            inlet_c=self.air.inlet_c,
            dry_bulb_c=dry_bulb_c,
            wet_bulb_c=wet_bulb_c,
        )
        return (liquid, *residual)
