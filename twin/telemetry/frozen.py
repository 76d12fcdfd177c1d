"""A meter that repeats itself with fresh stamps while what it measures has moved. Pure.

That a value does not change says nothing: many do not. What gives a frozen meter away is what others say in the
meantime: the difference between its value and theirs moves as far as the truth does.
"""

from __future__ import annotations

from dataclasses import dataclass

REPEATS = 3
"""So often a value has to come again, bit for bit, before it may be called frozen."""
LEARNED = 10
"""Over so many readings the usual difference is averaged."""
SIGMAS = 5.0
"""A difference beyond this is not noise."""

Residuals = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What is known of one meter: its newest value, and how it compares with what others say it should be."""

    value: float
    repeated_count: int = 0
    """How often the value has come again, bit for bit."""
    mean: float
    """Its usual difference from the others: calibration, losses. Not learned from repetitions once it is known,
    nor from differences that are no noise."""
    learned_count: int = 1
    newest: Residuals
    """The last `REPEATS` differences."""


def watched(before: Watched | None, measured: float, expected: float, sigma: float) -> Watched:
    """What is known of a meter after one more reading; `expected` is what others say, in the unit of `measured`.

    `sigma` is the standard deviation of their difference, noise of the meter and of what is expected together.
    From a difference that is not noise nothing is learned.
    """
    residual = expected - measured
    if before is None:
        return Watched(value=measured, mean=residual, newest=(residual,))
    repeats, surprise = measured == before.value, residual - before.mean
    count, mean = before.learned_count, before.mean
    if (not repeats or count < LEARNED) and abs(surprise) <= SIGMAS * sigma:
        count = min(count + 1, LEARNED)
        mean += surprise / count
    return Watched(
        value=measured,
        repeated_count=before.repeated_count + 1 if repeats else 0,
        mean=mean,
        learned_count=count,
        newest=(*before.newest[1 - REPEATS :], residual),
    )


def deviation(meter: Watched) -> float:
    """How far the others say that its value has moved: the median of the newest differences against the usual one."""
    return sorted(meter.newest)[len(meter.newest) // 2] - meter.mean


def is_frozen(meter: Watched, sigma: float) -> bool:
    """Whether it repeats itself although the others say that its value moved by more than `SIGMAS` × `sigma`.

    A repetition is noticed within `REPEATS` readings after the movement; one wild difference accuses nobody. With
    noise alone a meter that is fixed for good is accused about once in 10¹⁰ readings: what is compared has a
    standard deviation of 0.74 `sigma` (median of three, 0.67; mean of ten, 0.32).
    """
    moved = min(abs(deviation(meter)), abs(meter.newest[-1] - meter.mean))
    return meter.repeated_count >= REPEATS and moved > SIGMAS * sigma
