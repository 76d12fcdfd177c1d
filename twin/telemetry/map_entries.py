"""Every field of registers in a map, with the place in the file where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from twin.telemetry.map_schema import Field, Formula, Modes, Operand, Point, RegisterMap, Setpoint, Steering, Writes
from twin.yaml_file import Key

Keys = tuple[Key, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One field of registers."""

    keys: Keys
    kind: str
    """`point`, `operand`, `factor` (a scale factor), `setpoint`, `read_back`, `timer`, `write` or `text`."""
    field: Field
    name: str | None = None
    """The point or setpoint whose unit it has; None for what has its own."""


def entries(parsed: RegisterMap) -> Iterator[Entry]:
    """All fields of a map, in the file's order."""
    for section, points in (("points", parsed.points), ("details", parsed.details)):
        for name, point in points.items():
            yield from _of_point((section, name), name, point)
    for name, item in parsed.texts.items():
        yield Entry(keys=("texts", name), kind="text", field=item)
    if parsed.setpoint is not None:
        yield from _of_steering(parsed.setpoint)


def formulas(parsed: RegisterMap) -> Iterator[tuple[Keys, Formula]]:
    """All formulas of a map; those inside one are not looked at while it has not exactly one operation."""
    for name, point in parsed.points.items():
        yield from _formulas(("points", name), point)


def _formulas(keys: Keys, item: Point | Operand) -> Iterator[tuple[Keys, Formula]]:
    if not isinstance(item, Formula):
        return
    yield keys, item
    if len(item.operations) == 1:
        for inner, part in _parts(keys, item):
            yield from _formulas(inner, part)


def _parts(keys: Keys, formula: Formula) -> Iterator[tuple[Keys, Operand]]:
    at = (*keys, formula.operation)
    if formula.operation == "magnitude":
        yield at, formula.operands[0]
    else:
        yield from (((*at, index), part) for index, part in enumerate(formula.operands))


def _of_point(keys: Keys, name: str | None, item: Point | Operand) -> Iterator[Entry]:
    if isinstance(item, Formula):
        for inner, part in _parts(keys, item):
            yield from _of_point(inner, None, part)
        return
    yield Entry(keys=keys, kind="operand" if name is None else "point", field=item, name=name)
    yield from _factor(keys, item)


def _factor(keys: Keys, item: Field) -> Iterator[Entry]:
    if item.scale_factor is not None:
        yield Entry(keys=(*keys, "scale_factor"), kind="factor", field=item.scale_factor.field)


def _of_steering(steering: Steering) -> Iterator[Entry]:
    at = ("setpoint",)
    if isinstance(steering, Setpoint):
        yield Entry(keys=at, kind="setpoint", field=steering, name=steering.name)
        yield from _factor(at, steering)
        if steering.read_back is not None:
            yield Entry(keys=(*at, "read_back"), kind="read_back", field=steering.read_back, name=steering.name)
    if steering.timeout_s is not None:
        yield Entry(keys=(*at, "timeout_s"), kind="timer", field=steering.timeout_s, name="timeout_s")
    for section, writes in write_sections(steering):
        for index, write in enumerate(writes):
            name = steering.name if write.value == "setpoint" else None
            yield Entry(keys=(*at, section, index), kind="write", field=write, name=name)


def write_sections(steering: Steering) -> Sequence[tuple[str, Writes]]:
    """The sequences of writes that belong to a setpoint, by their keys."""
    own = ("above_zero", "at_zero", "below_zero") if isinstance(steering, Modes) else ("before", "after")
    return [(section, getattr(steering, section)) for section in (*own, "release")]
