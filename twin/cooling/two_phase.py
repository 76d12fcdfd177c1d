"""Two-phase immersion: a fluid boils on the chips and condenses on a coil of water above them, without a pump."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt

from twin.cooling.hall import Thermal
from twin.cooling.heat_exchanger import FILM_EXPONENT, counterflow_effectiveness, counterflow_ntu
from twin.cooling.stream import Stream
from twin.devices.base import STRICT
from twin.numeric import Num, clip, larger

Fluid = Literal["novec_649", "fc_3284", "novec_7100"]
BOILING_C: Mapping[Fluid, float] = {"novec_649": 49.0, "fc_3284": 50.0, "novec_7100": 61.0}
"""Boiling points at 101.3 kPa, from the product information sheets of 3M, which ended their production in 2025."""
BATH_THERMAL = Thermal(
    rack_kj_per_k_per_kw=10.0,
    row_kj_per_k_per_kw=3.0,
    hall_kj_per_k_per_kw=6.0,
    rack_above_row_k=2.0,
    row_above_hall_k=5.0,
    hall_above_supply_k=8.0,
)
"""Some 4 L of fluid of 1.75 kJ/(L·K) for each kW, and the metal in it; 1.4 L of water in coil and pipes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoPhase:
    """The bath is as warm as its fluid boils, so the coil's water may be the warmer the less heat there is.

    The condenser is an exchanger whose hot side has one temperature (effectiveness ``1 - exp(-NTU)``). At altitude a
    fluid boils colder, which is left out.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    fluid: Fluid = "novec_649"
    bath_margin_k: Annotated[float, Ge(0)] = 3.0
    """How far the bath may get above the boiling point before vapour is lost."""
    server_fan_fraction: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Servers have none."""
    facility_rise_k: Annotated[float, Gt(0)] = 8.0
    """Warming of the coil's water at rated heat and flow."""
    approach_k: Annotated[float, Gt(0)] = 5.0
    """Vapour above the water that leaves the coil, at rated heat."""
    filter_fraction: Annotated[float, Ge(0), Lt(1)] = 0.001
    """Pumps of the fluid's filter and dryer, of rated heat; always on."""
    min_flow_fraction: Annotated[float, Gt(0), Le(1)] = 0.3
    """Lowest flow of water, of rated."""
    thermal: Thermal = field(default=BATH_THERMAL)

    @property
    def inlet_c(self) -> float:
        """The boiling point, whatever the plant does."""
        return BOILING_C[self.fluid]

    @property
    def max_inlet_c(self) -> float:
        """Warmest bath."""
        return self.inlet_c + self.bath_margin_k

    @property
    def hall_electric_fraction(self) -> float:
        """The filter's pumps."""
        return self.filter_fraction

    @property
    def rated_ntu_ratio(self) -> float:
        """Transfer units of the condenser at rated flow."""
        return counterflow_ntu(self.facility_rise_k / (self.facility_rise_k + self.approach_k), 0.0)

    def streams(
        self, heat_kw: Num, *, rated_heat_kw: Num, inlet_c: Num, dry_bulb_c: Num, wet_bulb_c: Num
    ) -> tuple[Stream, ...]:
        filter_kw = self.filter_fraction * rated_heat_kw
        total_kw, flow = heat_kw + filter_kw, clip(heat_kw / rated_heat_kw, self.min_flow_fraction, 1.0)
        effectiveness = counterflow_effectiveness(self.rated_ntu_ratio * flow**-FILM_EXPONENT, 0.0)
        flow_kw_per_k = rated_heat_kw / self.facility_rise_k * flow
        return (
            Stream(
                heat_kw=total_kw,
                rated_heat_kw=rated_heat_kw,
                supply_c=inlet_c - total_kw / flow_kw_per_k / effectiveness,
                flow_kw_per_k=flow_kw_per_k,
                margin_k=larger(self.max_inlet_c - inlet_c, 0.0),
                electric_kw=filter_kw,
            ),
        )
