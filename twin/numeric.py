"""Arithmetic that works for one scenario (a float) and for many (an array), with one formula.

Every number in physics, rules, resolver and guard is a `Num`: a float, or an array of shape
``(scenarios,)``. Builtins are used on floats because NumPy's overhead per call would dominate
a single scenario by a factor of five. While a cycle is recorded to become machine code, a number is a
`twin.tape.Symbol`; types do not say so, since nobody but these functions has to know.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from twin import tape
from twin.tape import symbolic

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
    if symbolic(a, b):
        return _recorded("min", a, b)
    return a if a < b else b


def larger(a: Num, b: Num) -> Num:
    """Elementwise maximum."""
    if type(a) is float and type(b) is float:
        return a if a > b else b
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.maximum(a, b)
    if symbolic(a, b):
        return _recorded("max", a, b)
    return a if a > b else b


def clip(value: Num, low: Num, high: Num) -> Num:
    """`value` within ``[low, high]``; where the two bounds cross, `low` wins."""
    if type(value) is float and type(low) is float and type(high) is float:
        return low if value < low or high < low else high if value > high else value
    if isinstance(value, np.ndarray) or isinstance(low, np.ndarray) or isinstance(high, np.ndarray):
        return np.maximum(np.minimum(value, high), low)
    if symbolic(value, low, high):
        return larger(smaller(value, high), low)
    capped = value if value < high else high
    return capped if capped > low else low


def where(condition: Flag, yes: Num, no: Num) -> Num:
    """`yes` where `condition` holds, `no` elsewhere; both are already computed."""
    if type(condition) is bool:
        return yes if condition else no
    return np.where(condition, yes, no) if isinstance(condition, np.ndarray) else _plain_where(condition, yes, no)


def ratio(numerator: Num, denominator: Num, otherwise: Num = 0.0) -> Num:
    """``numerator / denominator``, and `otherwise` where the denominator is 0."""
    if isinstance(numerator, np.ndarray) or isinstance(denominator, np.ndarray):
        safe = np.where(np.equal(denominator, 0.0), 1.0, denominator)
        return np.where(np.equal(denominator, 0.0), otherwise, numerator / safe)
    if symbolic(denominator):
        return where(denominator == 0.0, otherwise, numerator / denominator)
    return numerator / denominator if denominator else otherwise


def sqrt(value: Num) -> Num:
    """The square root of a number that is 0 or more: correctly rounded, and one instruction where a power is a call."""
    if type(value) is float:
        return math.sqrt(value)
    return _recorded("sqrt", value) if symbolic(value) else np.sqrt(value)


def exp(value: Num) -> Num:
    """The exponential."""
    if type(value) is float:
        return math.exp(value)
    return _recorded("exp", value) if symbolic(value) else np.exp(value)


def log(value: Num) -> Num:
    """The natural logarithm of a number above 0."""
    if type(value) is float:
        return math.log(value)
    return _recorded("log", value) if symbolic(value) else np.log(value)


def any_true(flag: Flag) -> bool:
    """Whether `flag` holds in at least one scenario; of what is recorded: whether it may."""
    if type(flag) is bool:
        return flag
    return bool(flag.any()) if isinstance(flag, np.ndarray) else symbolic(flag) or bool(flag)


def all_true(flag: Flag) -> bool:
    """Whether `flag` holds in every scenario; of what is recorded: whether it must."""
    if type(flag) is bool:
        return flag
    return not symbolic(flag) and bool(np.all(flag))


def finite(value: Num) -> Flag:
    """Whether a number is one: neither nan nor infinite."""
    if type(value) is float:
        return math.isfinite(value)
    return _recorded_flag("finite", value) if symbolic(value) else np.isfinite(value)


def count_true(flag: Flag) -> Num:
    """1.0 where `flag` holds, per scenario."""
    if isinstance(flag, np.ndarray):
        return flag.astype(np.float64)
    return where(flag, 1.0, 0.0) if symbolic(flag) else float(flag)


def _plain_where(condition: Flag, yes: Num, no: Num) -> Num:
    chosen: Num = tape.where(condition, yes, no)
    return chosen


def _recorded(op: str, *operands: Num) -> Num:
    noted: Num = tape.apply(op, *operands)
    return noted


def _recorded_flag(op: str, operand: Num) -> Flag:
    noted: Flag = tape.apply(op, operand)
    return noted


def magnitude(value: Num) -> Num:
    """Its absolute value."""
    return np.abs(value) if isinstance(value, np.ndarray) else abs(value)


def largest_magnitude(value: Num) -> float:
    """Largest absolute value over the scenarios."""
    return float(np.max(magnitude(value)))


def first(value: Num) -> float:
    """The value of the first scenario, for people and logs."""
    if type(value) is float:
        return value
    return float(value.flat[0]) if isinstance(value, np.ndarray) else float(value)
