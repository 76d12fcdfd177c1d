"""Disturbances that are a function of time and seed alone: the same for every step size and every start."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from twin.numeric import FloatArray

MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
GOLDEN = 0x9E3779B97F4A7C15
MASK = 0xFFFFFFFFFFFFFFFF
Seed = int | Sequence[int]
"""Of one scenario, or of several at once."""


def seconds_of(index: pd.DatetimeIndex) -> FloatArray:
    """Seconds since the epoch of each instant."""
    return (index.as_unit("us").asi8 / 1e6).astype(np.float64)


def smooth_noise(index: pd.DatetimeIndex, *, seed: Seed, name: str, period_s: float) -> FloatArray:
    """Noise within -1 and 1, of mean 0, that wanders over `period_s`: ``(steps,)``, or ``(seeds, steps)`` of several.

    Value noise: an independent uniform number at every multiple of `period_s` since the epoch,
    joined by the smoothstep polynomial. `name` makes the noise of two devices independent.
    """
    position = seconds_of(index) / period_s
    knot = np.floor(position)
    along = position - knot
    weight = along * along * (3.0 - 2.0 * along)
    first = knot.min()
    place = (knot - first).astype(np.intp)
    at_knots = _uniform(first + np.arange(place.max() + 2.0), _streams(seed, name))
    before, after = at_knots[..., place], at_knots[..., place + 1]
    noise: FloatArray = before + (after - before) * weight
    return noise


def local_weather_noise(index: pd.DatetimeIndex, *, seed: Seed, name: str, period_s: float) -> FloatArray:
    """What clouds and gusts add to the weather of a file at one place; seed 0 is the file as it stands."""
    noise = smooth_noise(index, seed=seed, name=name, period_s=period_s)
    return noise * float(seed != 0) if isinstance(seed, int) else noise * (np.array(seed) != 0)[:, None]


def _streams(seed: Seed, name: str) -> npt.NDArray[np.uint64]:
    """What tells the numbers of one seed and one name from those of all others; one row for each seed."""
    if isinstance(seed, int):
        return np.uint64((seed * GOLDEN + zlib.crc32(name.encode())) & MASK)  # type: ignore[return-value]
    return np.array([_streams(each, name) for each in seed])[:, None]


def _uniform(knot: FloatArray, stream: npt.NDArray[np.uint64]) -> FloatArray:
    """An independent number within -1 and 1 for each knot, by the SplitMix64 finaliser (Steele et al. 2014)."""
    bits: npt.NDArray[np.uint64] = knot.astype(np.int64).view(np.uint64) * np.uint64(GOLDEN) + stream
    for shift, factor in zip((30, 27), MIX, strict=True):
        bits = (bits ^ (bits >> np.uint64(shift))) * factor
    bits = bits ^ (bits >> np.uint64(31))
    return (bits >> np.uint64(11)).astype(np.float64) / 2.0**52 - 1.0
