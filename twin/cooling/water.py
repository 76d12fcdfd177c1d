"""Water lost to evaporation, and the power of fans by the affinity laws."""

from __future__ import annotations

from dataclasses import dataclass

from twin.numeric import Num, larger
from twin.quick import quick
from twin.units import SECONDS_PER_HOUR

EVAPORATION_L_PER_KWH = 1.48
"""Latent heat of water near 30 °C: 2,430 kJ/kg."""
WATER_KJ_PER_KG_K = 4.186
"""Specific heat of water, 20 to 50 °C."""


def evaporated_l(heat_kwh: Num, latent_fraction: float = 0.85, concentration_ratio: float = 4.0) -> Num:
    """Make-up water for heat given to the air, evaporation and blow-down together, from a fixed latent share.

    ``heat · latent · 1.48 · C / (C - 1)`` with C cycles of concentration; 1.68 L/kWh by default. A sensible part of 15%
    is typical of the year as a whole: in winter cold air carries a third or more, on hot dry days less than nothing.
    `twin.cooling.tower.latent_fraction` tells it from the weather.
    """
    blow_down = concentration_ratio / (concentration_ratio - 1.0)
    return heat_kwh * (latent_fraction * EVAPORATION_L_PER_KWH * blow_down)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class WaterUse:
    """Where the make-up water of a wet tower goes."""

    evaporated_l_per_h: Num
    drift_l_per_h: Num
    """Droplets carried out by the air."""
    blow_down_l_per_h: Num
    """Drained, to keep salts in bounds."""

    @property
    def make_up_l_per_h(self) -> Num:
        """All three together."""
        return self.evaporated_l_per_h + self.drift_l_per_h + self.blow_down_l_per_h


def water_use(latent_kw: Num, circulation_kg_s: Num, *, concentration_ratio: float, drift_fraction: float) -> WaterUse:
    """Evaporation, drift and blow-down of a wet tower.

    Salt leaves with drift and blow-down alone: ``make-up = C · (drift + blow-down)``, hence ``blow-down = evaporation /
    (C - 1) - drift``, and not below 0. So drift adds to the make-up only where it carries out more salt than blow-down
    would have to.

    Parameters
    ----------
    latent_kw
        Heat given to the air by evaporation.
    circulation_kg_s, drift_fraction
        Water over the fill, and how much of it leaves as droplets: 0.00001 to 0.00005 with today's eliminators.
    concentration_ratio
        C, cycles of concentration: 3 to 7.

    Source: ASHRAE Handbook, HVAC Systems and Equipment, Cooling Towers, Water Treatment.
    """
    evaporated = latent_kw * EVAPORATION_L_PER_KWH
    drift = circulation_kg_s * (drift_fraction * SECONDS_PER_HOUR)
    blow_down = larger(evaporated / (concentration_ratio - 1.0) - drift, 0.0)
    return WaterUse(evaporated_l_per_h=evaporated, drift_l_per_h=drift, blow_down_l_per_h=blow_down)


PUMP_EXPONENT = 2.7
"""3 by the affinity laws; static head lowers it to 2.5 to 2.8. See `twin.cooling.fans_and_pumps.pump_kw`."""
FAN_EXPONENT = 3.0


def affinity_kw(rated_kw: float, flow_fraction: Num, exponent: float) -> Num:
    """Power of a pump or fan on a variable-speed drive: ``rated · flow^exponent``."""
    power: Num = rated_kw * flow_fraction**exponent
    return power
