"""One power limit of a hall, shared out over its nodes. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_W = 1.0
"""No node is told 0 W: some controllers take it for "no limit"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The limits that a node takes."""

    lowest_w: float
    highest_w: float


def split(total_w: float, spans: Sequence[Span]) -> list[float]:
    """Whole watts for each node, together `total_w` as far as the spans allow.

    In proportion to the highest limit of each, so that machines of different size are slowed alike; what falls below
    the lowest limit of a node is lifted to it, at the cost of the others. Less than all lowest limits together, and
    more than all highest, cannot be shared out: then it is the lowest or the highest of each.
    """
    low = [max(LEAST_W, float(math.ceil(min(span.lowest_w, span.highest_w)))) for span in spans]
    high = [max(floor, span.highest_w) for floor, span in zip(low, spans, strict=True)]
    shares = [float(math.floor(share)) for share in _in_proportion(total_w, low, high)]
    return _rest_given(total_w, shares, high)


def _in_proportion(total_w: float, low: Sequence[float], high: Sequence[float]) -> list[float]:
    lifted: set[int] = set()
    while len(lifted) < len(low):
        free = [index for index in range(len(low)) if index not in lifted]
        left_w = total_w - sum(low[index] for index in lifted)
        factor = min(1.0, left_w / sum(high[index] for index in free))
        below = [index for index in free if factor * high[index] < low[index]]
        if not below:
            return [low[index] if index in lifted else factor * high[index] for index in range(len(low))]
        lifted.update(below)
    return list(low)


def _rest_given(total_w: float, shares: Sequence[float], high: Sequence[float]) -> list[float]:
    """The watts that rounding down left over, one to each node that may have more."""
    given, left_w = list(shares), total_w - sum(shares)
    for index, share in enumerate(shares):
        if left_w >= 1.0 and share + 1.0 <= high[index]:
            given[index] += 1.0
            left_w -= 1.0
    return given
