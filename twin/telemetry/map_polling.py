"""What has to be read for the points of a map, how often, and what is not to be believed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from twin.telemetry.map_codec import Words, raw_number
from twin.telemetry.map_formula import Place, fields_of, place_of, value_of
from twin.telemetry.map_schema import Field, Formula, Point, RegisterMap
from twin.telemetry.register_map import Block, blocks

Value = float | str
"""A number, or in plain words why there is none."""
NO_VALUE = "the device says that it has no value"


@dataclass(frozen=True, slots=True, kw_only=True)
class PollGroup:
    """Points that are read together."""

    period_s: float
    """0: in every cycle."""
    points: Mapping[str, Point]
    blocks: tuple[Block, ...]


def poll_groups(registers: RegisterMap) -> tuple[PollGroup, ...]:
    """The groups of a map, that of every cycle first."""
    periods = {None: 0.0} | {name: group.period_s for name, group in registers.groups.items()}
    members = {name: {key: point for key, point in registers.points.items() if point.group == name} for name in periods}
    return tuple(
        PollGroup(period_s=periods[name], points=points, blocks=blocks(_needed(points), registers.max_registers))
        for name, points in members.items()
        if points
    )


def _needed(points: Mapping[str, Point]) -> dict[str, Field]:
    """Every field that is read for `points`, each place once."""
    fields = {place_of(field): field for point in points.values() for field in _with_factors(point)}
    return {str(place): field for place, field in fields.items()}


def _with_factors(point: Point) -> Iterator[Field]:
    for field in fields_of(point):
        yield field
        if field.scale_factor is not None:
            yield field.scale_factor.field


def point_value(point: Point, heard: Mapping[Place, Words], refused: Mapping[Place, str]) -> Value:
    """What a point comes to, from the words of each place; or why it has no value."""
    if refused:
        reasons = [refused[place] for field in _with_factors(point) if (place := place_of(field)) in refused]
        if reasons:
            return reasons[0]
    value = value_of(point, lambda field: heard.get(place_of(field)))
    return _why_none(point, heard) if value is None else value


def _why_none(point: Point, heard: Mapping[Place, Words]) -> str:
    if isinstance(point, Formula) or point.enumeration is None:
        return NO_VALUE
    words = heard.get(place_of(point))
    raw = None if words is None else raw_number(point, words)
    return NO_VALUE if raw is None else f"the code {raw:g} is none of its {len(point.enumeration)}"


def too_quick(point: Point, value: float, before: tuple[float, float] | None, now_s: float) -> str | None:
    """Why `value` is not believed after what was heard `before`, a value and its instant; None where it is.

    The next value is held against this one, so that a true jump is believed a read later.
    """
    if point.max_rate_per_s is None or before is None:
        return None
    change, within_s = abs(value - before[0]), max(now_s - before[1], 0.0)
    if change <= point.max_rate_per_s * within_s:
        return None
    return f"jumped by {change:g} within {within_s:.3g} s, {point.max_rate_per_s:g} per second is the most"
