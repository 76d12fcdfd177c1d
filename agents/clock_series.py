"""What tariff and meters' clocks say of every step of a run, at once: the inputs of a recorded step's calendar."""

from __future__ import annotations

from typing import cast
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from twin.devices.grid_connection import GridConnection
from twin.numeric import FloatArray
from twin.site import Site
from twin.timegrid import TimeGrid

CLOCK_INPUTS = 10


def clock_series(site: Site, grid: TimeGrid) -> FloatArray:
    """``(steps, 10)`` in the order of `agents.recorded_inputs.clock_inputs`; zeros for a site without a grid."""
    if site.grid is None:
        return np.zeros((grid.steps, CLOCK_INPUTS))
    tariff, zone = cast(GridConnection, site.devices[site.grid]).tariff, site.location.zone
    start_s = grid.start.timestamp() + np.arange(grid.steps, dtype=np.float64) * grid.step_s
    metered_s = tariff.demand_interval_s
    until = passages(start_s - grid.step_s, grid.step_s, metered_s, zone)
    during = passages(start_s, grid.step_s, max(metered_s, grid.step_s), zone)
    return np.column_stack([tariff.price_series(grid, zone), start_s % metered_s, *until, *during])


def passages(since_s: FloatArray, step_s: float, length_s: float, zone: ZoneInfo) -> tuple[FloatArray, ...]:
    """`old_s`, `new_s`, `rolled` and `month_ended` of `DemandInterval.passage`, for steps that follow each other."""
    now_s = since_s + step_s
    before, after = np.floor(since_s / length_s), np.floor(now_s / length_s)
    rolled = before != after
    old_s = np.where(rolled, np.minimum(now_s, (before + 1.0) * length_s) - since_s, step_s)
    new_s = np.where(rolled, now_s - np.maximum(after * length_s, since_s), 0.0)
    return old_s, new_s, rolled.astype(np.float64), _month_ended(since_s, step_s, rolled, zone)


def _month_ended(since_s: FloatArray, step_s: float, rolled: npt.NDArray[np.bool_], zone: ZoneInfo) -> FloatArray:
    """1 where the interval that opens is in another month than the one before it."""
    opened = np.flatnonzero(rolled)
    instants = np.concatenate([since_s[:1], since_s[opened] + step_s])
    local = pd.DatetimeIndex((instants * 1e6).astype("datetime64[us]"), tz="UTC").tz_convert(zone)
    ended = np.zeros(len(since_s))
    ended[opened] = np.diff(local.year * 12 + local.month) != 0
    return ended
