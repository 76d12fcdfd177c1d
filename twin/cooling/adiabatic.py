"""Wetted pads before an air coil: they cool the air towards its wet bulb, and use water."""

from __future__ import annotations

from twin.cooling.water import EVAPORATION_L_PER_KWH
from twin.numeric import Num, larger


def pad_air_c(dry_bulb_c: Num, wet_bulb_c: Num, effectiveness: float) -> Num:
    """Air behind wetted pads: ``dry bulb - effectiveness · (dry bulb - wet bulb)``.

    Source: ASHRAE Handbook, HVAC Systems and Equipment, Evaporative Air-Cooling Equipment (direct
    evaporative effectiveness; 0.7 to 0.9 for rigid media).
    """
    return dry_bulb_c - effectiveness * larger(dry_bulb_c - wet_bulb_c, 0.0)


def pad_water_l_per_h(air_kw_per_k: Num, cooling_k: Num, bleed_fraction: float) -> Num:
    """Water to the pads: what evaporates to cool the air, and a bleed against salts.

    ``air · cooling · 1.48 · (1 + bleed)`` with the heat capacity flow of the air. Adiabatic: what the air loses in
    sensible heat is the latent heat that it gains. A bleed of 1/(C - 1) of what evaporates keeps C cycles of
    concentration.
    """
    return air_kw_per_k * cooling_k * (EVAPORATION_L_PER_KWH * (1.0 + bleed_fraction))
