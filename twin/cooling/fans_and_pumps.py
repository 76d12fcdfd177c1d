"""Power of pumps and fans on variable-speed drives, from the head that they work against."""

from __future__ import annotations

from twin.cooling.water import FAN_EXPONENT, affinity_kw
from twin.numeric import Num

STATIC_HEAD_FRACTION = 0.15
"""Of the head at rated flow: the pressure that a loop's control holds at its far end."""


def head_fraction(flow_fraction: Num, static_head_fraction: float = STATIC_HEAD_FRACTION) -> Num:
    """Head of a system, of that at rated flow: ``s + (1 - s) · Q²``, static and friction."""
    return static_head_fraction + (1.0 - static_head_fraction) * flow_fraction * flow_fraction


def pump_kw(rated_kw: float, flow_fraction: Num, static_head_fraction: float = STATIC_HEAD_FRACTION) -> Num:
    """Power of a pump on a variable-speed drive: flow times head, at constant efficiency.

    ``P = P_rated · Q · (s + (1 - s) · Q²)``. At rated flow it follows ``Q^(3 - 2s)``: the exponent of 2.5 to 2.8 that
    is met in practice is a static head of 10 to 25%. At low flow it goes down to 1, where a fixed exponent would say
    too little. Valid for 20 to 110% of rated flow; below, efficiency falls, too.

    Source: affinity laws with a system curve, e.g. ASHRAE Handbook, HVAC Systems and Equipment, Centrifugal Pumps.
    """
    return rated_kw * flow_fraction * head_fraction(flow_fraction, static_head_fraction)


def fan_kw(rated_kw: float, flow_fraction: Num) -> Num:
    """Power of a fan on a variable-speed drive that blows into the open: the cube of its flow."""
    return affinity_kw(rated_kw, flow_fraction, FAN_EXPONENT)
