"""Single-phase immersion: servers without fans in tanks of oil, which is pumped through an exchanger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Lt

from twin.cooling.cdu import Cdu
from twin.cooling.hall import Thermal
from twin.cooling.stream import Stream
from twin.devices.base import STRICT
from twin.numeric import Num

OIL_KJ_PER_L_K = 1.75
"""Volumetric heat of a hydrocarbon oil near 40 °C: 0.82 kg/L and 2.13 kJ/(kg·K), as of gas-to-liquid immersion oils."""
TANK_THERMAL = Thermal(
    rack_kj_per_k_per_kw=20.0,
    row_kj_per_k_per_kw=3.0,
    hall_kj_per_k_per_kw=6.0,
    rack_above_row_k=8.0,
    row_above_hall_k=7.0,
    hall_above_supply_k=8.0,
)
"""Some 8 L of oil for each kW, and the metal in it; 1.4 L of water in the pipes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Immersion:
    """Oil takes all heat; the tank's unit (`tank`) is a coolant distribution unit with oil on its hot side.

    Oil carries less than half the heat of water, so more of it flows, at less pressure, and its exchanger needs a
    larger approach. Measured with one server in mineral oil: cooling at 3% of the server's power (Eiland and others
    2017, J. Electronic Packaging 139, 041005).
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    inlet_c: float = 40.0
    """Oil to the servers."""
    max_inlet_c: float = 50.0
    """Warmest oil that the servers may get."""
    server_fan_fraction: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Servers have none."""
    tank: Cdu = field(
        default_factory=lambda: Cdu(
            rise_k=10.0,
            coolant_kj_per_l_k=OIL_KJ_PER_L_K,
            facility_rise_k=8.0,
            approach_k=5.0,
            pressure_kpa=80.0,
            pump_efficiency=0.5,
        )
    )
    thermal: Thermal = field(default=TANK_THERMAL)

    @property
    def hall_electric_fraction(self) -> float:
        """The oil's pumps."""
        return self.tank.rated_pump_fraction

    def streams(
        self, heat_kw: Num, *, rated_heat_kw: Num, inlet_c: Num, dry_bulb_c: Num, wet_bulb_c: Num
    ) -> tuple[Stream, ...]:
        return (self.tank.stream(heat_kw, rated_heat_kw, inlet_c, self.max_inlet_c),)
