"""Arithmetic that works for one scenario (a float) and for many (an array), with one formula.

Every number in physics, rules, resolver and guard is a `Num`: a float, or an array of shape
``(scenarios,)``. Builtins are used on floats because NumPy's overhead per call would dominate
a single scenario by a factor of five.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Num = float | FloatArray
Flag = bool | BoolArray

UNBOUNDED = float("inf")
"""A bound that does not bind. It only ever stands in a bound, never in a value."""


def smaller(a: Num, b: Num) -> Num:
    """Elementwise minimum."""
    if type(a) is float and type(b) is float:  # the hot path, at half the cost of the general test
        return a if a < b else b
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.minimum(a, b)
    return a if a < b else b


def larger(a: Num, b: Num) -> Num:
    """Elementwise maximum."""
    if type(a) is float and type(b) is float:
        return a if a > b else b
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.maximum(a, b)
    return a if a > b else b


def clip(value: Num, low: Num, high: Num) -> Num:
    """`value` within ``[low, high]``; where the two bounds cross, `low` wins."""
    if type(value) is float and type(low) is float and type(high) is float:
        return low if value < low or high < low else high if value > high else value
    if isinstance(value, np.ndarray) or isinstance(low, np.ndarray) or isinstance(high, np.ndarray):
        return np.maximum(np.minimum(value, high), low)
    capped = value if value < high else high
    return capped if capped > low else low


def where(condition: Flag, yes: Num, no: Num) -> Num:
    """`yes` where `condition` holds, `no` elsewhere; both are already computed."""
    if type(condition) is bool:
        return yes if condition else no
    return np.where(condition, yes, no) if isinstance(condition, np.ndarray) else yes if condition else no


def ratio(numerator: Num, denominator: Num, otherwise: Num = 0.0) -> Num:
    """``numerator / denominator``, and `otherwise` where the denominator is 0."""
    if isinstance(numerator, np.ndarray) or isinstance(denominator, np.ndarray):
        safe = np.where(np.equal(denominator, 0.0), 1.0, denominator)
        return np.where(np.equal(denominator, 0.0), otherwise, numerator / safe)
    return numerator / denominator if denominator else otherwise


def any_true(flag: Flag) -> bool:
    """Whether `flag` holds in at least one scenario."""
    return flag if type(flag) is bool else bool(np.any(flag))


def count_true(flag: Flag) -> Num:
    """1.0 where `flag` holds, per scenario."""
    return flag.astype(np.float64) if isinstance(flag, np.ndarray) else float(flag)


def largest_magnitude(value: Num) -> float:
    """Largest absolute value over the scenarios."""
    return float(np.abs(value).max()) if isinstance(value, np.ndarray) else abs(float(value))


def first(value: Num) -> float:
    """The value of the first scenario, for people and logs."""
    if type(value) is float:
        return value
    return float(value.flat[0]) if isinstance(value, np.ndarray) else float(value)
