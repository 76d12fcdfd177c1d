"""Performance curves of chillers: their form, and a few published sets.

Shipped are the DOE-2 centrifugal chiller and four machines of PNNL's Copper library. The warmest water that any of the
369 sets of that library is fitted to is 15.56 °C: none is for the 18 to 32 °C of warm-water halls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from twin.devices.base import STRICT

ZERO_C_K = 273.15
CURVE_TERMS = {3, 4, 10}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChillerCurves:
    """One set of curves in EnergyPlus' form; see `twin.cooling.chiller` for the equations.

    Coefficients are SI, in EnergyPlus' order: biquadratic 1, x, x², y, y², xy with x the chilled water leaving and y
    the temperature at the condenser, both °C; of the load 1, p, p² (and p³) with p the part load, or the bicubic 1,
    x, x², y, y², xy, x³, y³, x²y, xy² with x the condenser water leaving and y the part load.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    reference_cop: float | None = None
    """At full load and the reference temperatures; None where it was not published with the curves."""
    reference_chilled_c: float
    reference_condenser_c: float
    capacity_factor: tuple[float, ...]
    """CAPFT: capacity, of reference, by the two temperatures."""
    input_factor: tuple[float, ...]
    """EIRFT: electric input per heat, of reference, by the two temperatures."""
    load_factor: tuple[float, ...]
    """EIRFPLR: electric input, of full load, by the part load."""
    min_chilled_c: float
    max_chilled_c: float
    min_condenser_c: float
    max_condenser_c: float
    min_load_fraction: float = 0.2
    """Lowest part load without cycling or hot-gas bypass."""
    condenser: Literal["water", "air"] = "water"
    leaving_condenser: bool = False
    """Whether y is the water that leaves the condenser, not what enters it."""

    def __post_init__(self) -> None:
        if {len(self.capacity_factor), len(self.input_factor)} != {6} or len(self.load_factor) not in CURVE_TERMS:
            raise ValueError("six coefficients by temperature, and three, four or ten by load")
        if (len(self.load_factor) == 10) != self.leaving_condenser:
            raise ValueError("a bicubic by load with leaving_condenser, and only with it")
        if not self.min_chilled_c < self.max_chilled_c or not self.min_condenser_c < self.max_condenser_c:
            raise ValueError("each limit of temperature below its upper one")
        if not 0.0 < self.min_load_fraction <= 1.0:
            raise ValueError(f"min_load_fraction above 0 and at most 1, not {self.min_load_fraction:g}")
        if self.reference_cop is not None:
            check_reference_cop(self, self.reference_cop)

    @property
    def form(self) -> str:
        """EnergyPlus' name of it."""
        return "ReformulatedEIR" if self.leaving_condenser else "EIR"


def carnot_cop(chilled_c: float, condenser_c: float) -> float:
    """Highest COP that the second law allows between the two, infinite without a lift: ``T_cold / (T_hot - T_cold)``.

    With the water leaving the evaporator and what enters the condenser: the refrigerant is colder than the one and
    warmer than the other, so that a real chiller stays well below.
    """
    lift_k = condenser_c - chilled_c
    return (chilled_c + ZERO_C_K) / lift_k if lift_k > 0.0 else float("inf")


def check_reference_cop(curves: ChillerCurves, reference_cop: float) -> None:
    """Raise unless the COP at the reference point is possible."""
    limit = carnot_cop(curves.reference_chilled_c, curves.reference_condenser_c)
    if not 0.0 < reference_cop < limit:
        at = f"{curves.reference_chilled_c:g} and {curves.reference_condenser_c:g} °C"
        raise ValueError(f"reference_cop above 0 and below Carnot's {limit:.1f} at {at}, not {reference_cop:g}")


DOE2_CENTRIFUGAL = ChillerCurves(
    reference_cop=5.5,
    reference_chilled_c=6.67,
    reference_condenser_c=29.4,
    capacity_factor=(0.257896, 0.0389016, -2.1708e-4, 0.0468684, -9.4284e-4, -3.4344e-4),
    input_factor=(0.933884, -0.058212, 0.00450036, 0.00243, 4.86e-4, -0.001215),
    load_factor=(0.222903, 0.313387, 0.463710),
    min_chilled_c=5.0,
    max_chilled_c=10.0,
    min_condenser_c=24.0,
    max_condenser_c=35.0,
)
"""DOE-2 centrifugal chiller, COP 5.50, from EnergyPlus' `Chillers` data set."""

# The following four are sets of the library of Copper (Pacific Northwest National Laboratory), commit 10ac67f:
# Copyright (c) 2022, Pacific Northwest National Laboratory, BSD 2-Clause License, without any warranty.
CENTRIFUGAL_VSD = ChillerCurves(
    reference_cop=6.04,
    reference_chilled_c=6.67,
    reference_condenser_c=29.44,
    capacity_factor=(1.042261, 0.002644821, -0.001468026, 0.01366256, -0.000830233, 0.001573579),
    input_factor=(1.02634, -0.01612819, -0.001092591, -0.01784393, 0.000796184, -9.59e-05),
    load_factor=(0.118888, 0.6723542, 0.2068754),
    min_chilled_c=4.44,
    max_chilled_c=10.0,
    min_condenser_c=12.78,
    max_condenser_c=32.22,
)
"""Water-cooled centrifugal chiller on a variable-speed drive, 400 tons (1,407 kW): Copper's set 53."""
AIR_SCREW_VSD = ChillerCurves(
    reference_cop=3.422,
    reference_chilled_c=6.67,
    reference_condenser_c=35.0,
    capacity_factor=(1.0415742542, 0.0402638792, 5.037729457e-4, -0.0049700553, -5.278921e-5, -4.098040391e-4),
    input_factor=(0.4860263638, -0.0077266235, 1.390719981e-4, 0.0089579029, 3.376238924e-4, -5.686710648e-4),
    load_factor=(0.0777568292, 0.402123818, 0.5131813857),
    min_chilled_c=4.4,
    max_chilled_c=10.0,
    min_condenser_c=-1.1,
    max_condenser_c=51.7,
    condenser="air",
)
"""Air-cooled screw chiller on a variable-speed drive, 176 tons (620 kW), condenser fans included: Copper's set 167."""
AIR_SCROLL = ChillerCurves(
    reference_cop=3.042,
    reference_chilled_c=6.67,
    reference_condenser_c=35.0,
    capacity_factor=(1.0529321531, 0.03174939997, 0.0013208486, -0.0017638016, -1.0654875086e-4, -5.1649959868e-4),
    input_factor=(0.4562452745, -0.0090953273, 3.228421438e-4, 0.0096180163, 3.507225377e-4, -6.395767685e-4),
    load_factor=(0.0244170748, 0.8155748493, 0.1603716394),
    min_chilled_c=4.4,
    max_chilled_c=10.0,
    min_condenser_c=-1.1,
    max_condenser_c=51.7,
    min_load_fraction=0.21,
    condenser="air",
)
"""Air-cooled scroll chiller, 134 tons (472 kW), condenser fans included: Copper's set 185."""
AIR_SCROLL_WARM = ChillerCurves(
    reference_cop=2.8,
    reference_chilled_c=6.67,
    reference_condenser_c=35.0,
    capacity_factor=(0.931329802, 0.058664458, -0.0006154, -0.001805646, -0.000104703, -0.000425716),
    input_factor=(0.943362786, -0.015864839, 0.001281516, -0.017361047, 0.000735463, -0.000827365),
    load_factor=(0.0, 1.0, 0.0),
    min_chilled_c=4.44,
    max_chilled_c=15.56,
    min_condenser_c=29.44,
    max_condenser_c=48.89,
    min_load_fraction=0.15,
    condenser="air",
)
"""Air-cooled scroll chiller, 448 tons (1,575 kW), for chilled water to 15.56 °C: Copper's set 273. Air below 29.44 °C
is outside its curves."""

ChillerName = Literal["doe2_centrifugal", "centrifugal_vsd", "air_screw_vsd", "air_scroll", "air_scroll_warm"]
CHILLERS: Mapping[ChillerName, ChillerCurves] = {
    "doe2_centrifugal": DOE2_CENTRIFUGAL,
    "centrifugal_vsd": CENTRIFUGAL_VSD,
    "air_screw_vsd": AIR_SCREW_VSD,
    "air_scroll": AIR_SCROLL,
    "air_scroll_warm": AIR_SCROLL_WARM,
}
"""The sets that a site file may name."""
