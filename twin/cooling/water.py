"""Water lost to evaporation, and the power of pumps and fans."""

from __future__ import annotations

from twin.numeric import Num

EVAPORATION_L_PER_KWH = 1.48
"""Latent heat of water near 30 °C: 2,430 kJ/kg."""


def evaporated_l(heat_kwh: Num, latent_fraction: float = 0.85, concentration_ratio: float = 4.0) -> Num:
    """Make-up water for heat given to the air, evaporation and blow-down together.

    ``heat · latent · 1.48 · C / (C - 1)`` with C cycles of concentration; 1.68 L/kWh by default.
    The sensible part of 15% is typical of summer days and smaller than that in winter.
    """
    blow_down = concentration_ratio / (concentration_ratio - 1.0)
    return heat_kwh * (latent_fraction * EVAPORATION_L_PER_KWH * blow_down)


PUMP_EXPONENT = 2.7
"""3 by the affinity laws; static head lowers it to 2.5 to 2.8."""
FAN_EXPONENT = 3.0


def affinity_kw(rated_kw: float, flow_fraction: Num, exponent: float) -> Num:
    """Power of a pump or fan on a variable-speed drive: ``rated · flow^exponent``."""
    power: Num = rated_kw * flow_fraction**exponent
    return power
