"""Wet cooling tower: how warm the condenser water is, and how hard the fans work for it."""

from __future__ import annotations

from twin.numeric import Num, clip, larger

MIN_FAN_FRACTION = 0.1


def condenser_water_c(wet_bulb_c: Num, approach_k: float, min_c: float) -> Num:
    """Water leaving the tower: wet bulb plus approach, and not below what the chiller can use."""
    return larger(wet_bulb_c + approach_k, min_c)


def tower_fan_fraction(load_fraction: Num, water_c: Num, wet_bulb_c: Num, approach_k: float) -> Num:
    """Air flow relative to rated that holds `water_c`.

    A tower's rejection grows about in proportion to its air flow and to the distance between water and
    wet bulb (Merkel's driving enthalpy, made linear), so ``flow = load · approach / (water - wet bulb)``.
    Valid near the design point; off it good for the trend, and within the drive's range of 10% to 100%.
    """
    return clip(load_fraction * approach_k / larger(water_c - wet_bulb_c, 0.1), MIN_FAN_FRACTION, 1.0)
