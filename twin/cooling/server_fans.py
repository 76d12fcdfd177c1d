"""Fans inside servers: how much more air, and power, warmer air needs."""

from __future__ import annotations

from twin.cooling.water import FAN_EXPONENT
from twin.numeric import Num, clip

REFERENCE_INLET_C = 25.0
"""Up to here fans turn as their load asks; above, they hold the temperature of components."""
COMPONENT_C = 85.0
"""What the fans hold: the case of a processor."""
WARMEST_INLET_C = 45.0
"""Highest inlet of any air class (A4)."""
FILM_EXPONENT = 0.8
"""Heat transfer of a turbulent film grows with its flow to this power (Dittus and Boelter)."""


def server_air_ratio(inlet_c: Num) -> Num:
    """Air that servers draw, over what they draw up to 25 °C.

    A component at 85 °C gives its heat to air at `inlet_c` through a film that grows with flow^0.8, so
    ``flow = ((85 - 25) / (85 - inlet))^(1/0.8)``. Held at 1 below 25 °C and at the value of 45 °C above.

    Source: Dittus-Boelter in Incropera and DeWitt, chapter 8; where the rise begins, and its size (twice the fan
    power near 35 °C), as in ASHRAE TC 9.9, 2011 Thermal Guidelines for Data Processing Environments, appendix.
    """
    warm_c = clip(inlet_c, REFERENCE_INLET_C, WARMEST_INLET_C)
    ratio: Num = ((COMPONENT_C - REFERENCE_INLET_C) / (COMPONENT_C - warm_c)) ** (1.0 / FILM_EXPONENT)
    return ratio


def server_fan_ratio(inlet_c: Num) -> Num:
    """Power of server fans over that up to 25 °C: the cube of `server_air_ratio`."""
    power: Num = server_air_ratio(inlet_c) ** FAN_EXPONENT
    return power
