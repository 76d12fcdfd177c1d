"""Disturbances that are a function of time and seed alone: the same for every step size and every start."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt
import pandas as pd

from twin.numeric import FloatArray

MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
GOLDEN = 0x9E3779B97F4A7C15
MASK = 0xFFFFFFFFFFFFFFFF


def seconds_of(index: pd.DatetimeIndex) -> FloatArray:
    """Seconds since the epoch of each instant."""
    return (index.as_unit("us").asi8 / 1e6).astype(np.float64)


def smooth_noise(index: pd.DatetimeIndex, *, seed: int, name: str, period_s: float) -> FloatArray:
    """Noise within -1 and 1, of mean 0, that wanders over `period_s`.

    Value noise: an independent uniform number at every multiple of `period_s` since the epoch,
    joined by the smoothstep polynomial. `name` makes the noise of two devices independent.
    """
    position = seconds_of(index) / period_s
    knot = np.floor(position)
    along = position - knot
    weight = along * along * (3.0 - 2.0 * along)
    stream = (seed * GOLDEN + zlib.crc32(name.encode())) & MASK
    before, after = _uniform(knot, stream), _uniform(knot + 1.0, stream)
    return before + (after - before) * weight


def _uniform(knot: FloatArray, stream: int) -> FloatArray:
    """An independent number within -1 and 1 for each knot, by the SplitMix64 finaliser (Steele et al. 2014)."""
    bits: npt.NDArray[np.uint64] = knot.astype(np.int64).view(np.uint64) * np.uint64(GOLDEN) + np.uint64(stream)
    for shift, factor in zip((30, 27), MIX, strict=True):
        bits = (bits ^ (bits >> np.uint64(shift))) * factor
    bits = bits ^ (bits >> np.uint64(31))
    return (bits >> np.uint64(11)).astype(np.float64) / 2.0**52 - 1.0
