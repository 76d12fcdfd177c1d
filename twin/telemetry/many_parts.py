"""One figure of a hall from many machines: what is relied on when some of them are silent. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from twin.points import Quality, Reading

NAMED = 3
"""How many of the silent are named; of the others only the number is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one machine contributes."""

    name: str
    value: float | None = None
    """The newest that was ever heard."""
    age_s: float = 0.0
    reason: str = ""
    """Why there is no value now."""


def total(parts: Sequence[Part], now: datetime, *, max_age_s: float, max_missing_fraction: float) -> Reading | str:
    """The sum over all parts, as old as the oldest that it relies on; in words why there is none.

    A silent machine goes on drawing power: it counts with what it said last, and with the mean of the others if it
    never spoke. The sum is then suspect, and bad where more than `max_missing_fraction` of the parts are silent.
    """
    silent = {part.name: why for part in parts if (why := _silence(part, max_age_s))}
    heard = [(part.value, part.age_s) for part in parts if part.value is not None and part.name not in silent]
    if not heard:
        return named(silent) if silent else "nothing is there that could be summed"
    mean = sum(value for value, _ in heard) / len(heard)
    remembered = (mean if part.value is None else part.value for part in parts if part.name in silent)
    reading = Reading(
        value=sum(value for value, _ in heard) + sum(remembered),
        at=now - timedelta(seconds=max(age_s for _, age_s in heard)),
    )
    if not silent:
        return reading
    bad = len(silent) > max_missing_fraction * len(parts)
    reason = f"{len(silent)} of {len(parts)} silent, counted as last heard: {named(silent)}"
    return Reading(value=reading.value, at=reading.at, quality=Quality.BAD if bad else Quality.SUSPECT, reason=reason)


def mean(parts: Sequence[Part], now: datetime, *, max_age_s: float) -> Reading | None:
    """The mean of those that are heard; None where nobody is."""
    heard = [part for part in parts if not _silence(part, max_age_s)]
    values = [part.value for part in heard if part.value is not None]
    if not values:
        return None
    age_s = max(part.age_s for part in heard)
    return Reading(value=sum(values) / len(values), at=now - timedelta(seconds=age_s))


def named(silent: dict[str, str]) -> str:
    """Who is silent, and why: those with the same reason together, the first by name."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in silent.items():
        by_reason.setdefault(reason, []).append(name)
    return "; ".join(f"{_some(names)}: {reason}" for reason, names in list(by_reason.items())[:NAMED]) + (
        f"; and for {len(by_reason) - NAMED} other reasons" if len(by_reason) > NAMED else ""
    )


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _silence(part: Part, max_age_s: float) -> str:
    if part.reason or part.value is None:
        return part.reason or "nothing heard yet"
    return f"heard more than {max_age_s:g} s ago" if part.age_s > max_age_s else ""
