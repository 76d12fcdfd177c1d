"""What a plant does for one loop of a hall: at once, when it may run warmer, and when there is more to take."""

from __future__ import annotations

from dataclasses import dataclass

from twin.cooling.rejection import HeatRejection, Rejection
from twin.cooling.stream import Stream
from twin.numeric import Num, clip, larger, ratio, where
from twin.quick import quick

TRIAL_K = 0.5
"""By how much warmer water the plant is tried, to see what that is worth."""
LEAST_GAIN = 1e-3
"""Of the heat asked for, for each K: a plant that gains less by warmer water is at the end of its strength."""
ROUNDING = 1e-9
"""Of the heat asked for: less than this is not short."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """One plant and one loop of water, at the present load and weather."""

    held: Rejection
    """While the hall is neither warming nor being cooled down again."""
    idle: Rejection
    """Without heat."""
    more: Rejection
    """While heat that was left in the hall is fetched back, besides the present load."""
    warmer_k: Num
    """How far the loop runs above what the hall asks for, within its margin."""
    short_kw: Num
    """Heat that stays in the hall even so."""


def duty(plant: HeatRejection, stream: Stream, extra_kw: Num | None, dry_bulb_c: Num, wet_bulb_c: Num) -> Duty:
    """Let a plant work for a loop of water. Without `extra_kw` it is not asked to fetch back what stayed in the hall.

    Where it cannot give the water that is asked for, the loop warms until it takes all heat again, or the margin of
    the hall is used up: within some minutes, so that here it is done at once. Coolers that are short of temperature
    difference take more in proportion to it, which is found by trying `TRIAL_K`; a plant that gains nothing by it (a
    chiller at full capacity, a plant that has failed) stays where it is, and the heat stays in the hall.
    """
    heat_kw, supply_c, return_c = stream.heat_kw, stream.supply_c, stream.return_c
    asked = plant.rejects(heat_kw, return_c, supply_c, dry_bulb_c, wet_bulb_c)
    tried = plant.rejects(heat_kw, return_c + TRIAL_K, supply_c + TRIAL_K, dry_bulb_c, wet_bulb_c)
    gain_kw, lacking_kw = (tried.taken_kw - asked.taken_kw) / TRIAL_K, heat_kw - asked.taken_kw
    needed_k = clip(ratio(lacking_kw, gain_kw), 0.0, stream.margin_k)
    warmer_k = where(gain_kw > LEAST_GAIN * heat_kw, needed_k, 0.0)
    held = plant.rejects(heat_kw, return_c + warmer_k, supply_c + warmer_k, dry_bulb_c, wet_bulb_c)
    more = held
    if extra_kw is not None:
        more_return_c = return_c + warmer_k + extra_kw / stream.flow_kw_per_k
        more = plant.rejects(heat_kw + extra_kw, more_return_c, supply_c + warmer_k, dry_bulb_c, wet_bulb_c)
    short_kw = heat_kw - held.taken_kw
    return Duty(
        held=held,
        idle=plant.rejects(0.0, return_c, supply_c, dry_bulb_c, wet_bulb_c),
        more=more,
        warmer_k=warmer_k,
        short_kw=where(short_kw > ROUNDING * heat_kw, larger(short_kw, 0.0), 0.0),
    )
