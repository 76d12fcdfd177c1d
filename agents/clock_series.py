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

METER_INPUTS = 9
"""Elapsed time, and two passages."""


def clock_series(site: Site, grid: TimeGrid) -> FloatArray:
    """One row a step, in the order of `agents.recorded_inputs.clock_inputs`; zeros for a site without a grid."""
    if site.grid is None:
        return np.zeros((grid.steps, METER_INPUTS))
    connection, zone = cast(GridConnection, site.devices[site.grid]), site.location.zone
    tariff, carbon = connection.tariff, connection.carbon
    start_s = grid.start.timestamp() + np.arange(grid.steps, dtype=np.float64) * grid.step_s
    metered_s, booked_s = tariff.demand_interval_s, max(tariff.demand_interval_s, grid.step_s)
    until = passages(start_s - grid.step_s, grid.step_s, metered_s, zone)
    during = passages(start_s, grid.step_s, booked_s, zone)
    months = _billing_months(start_s, grid.step_s, during[2] > 0.0, zone)
    terms = tariff.terms_series(start_s, start_s - start_s % booked_s, months, zone)
    emission = [carbon.emission_series(start_s)] if carbon is not None else []
    return np.column_stack([terms, *emission, start_s % metered_s, *until, *during])


def _billing_months(
    since_s: FloatArray, step_s: float, rolled: npt.NDArray[np.bool_], zone: ZoneInfo
) -> npt.NDArray[np.int64]:
    """Month of the interval in which each step begins: that of the instant at which it was opened."""
    months = np.asarray(_opened(since_s, step_s, rolled, zone).month, dtype=np.int64)
    return months[np.cumsum(rolled) - rolled]


def _opened(since_s: FloatArray, step_s: float, rolled: npt.NDArray[np.bool_], zone: ZoneInfo) -> pd.DatetimeIndex:
    """Local instants: the first, and the end of each step with which another interval is opened."""
    return _local(np.concatenate([since_s[:1], since_s[rolled] + step_s]), zone)


def _local(instants_s: FloatArray, zone: ZoneInfo) -> pd.DatetimeIndex:
    return pd.DatetimeIndex((instants_s * 1e6).astype("datetime64[us]"), tz="UTC").tz_convert(zone)


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
    local = _opened(since_s, step_s, rolled, zone)
    ended = np.zeros(len(since_s))
    ended[rolled] = np.diff(local.year * 12 + local.month) != 0
    return ended
