"""Points from registers: what has to be read for them, and what they come to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

from twin.telemetry.map_codec import Words, decode, encode, encode_missing
from twin.telemetry.map_schema import Field, Formula, Operand, Point, ScaleFactor

Place = tuple[int | None, str, int]
"""Unit id (None: the link's), table, address."""
Heard = Callable[[Field], Words | None]
"""The words that were read for a field."""
DEEPEST_EXPONENT = 10


def place_of(field: Field) -> Place:
    """Where a field stands."""
    return field.unit_id, field.table, field.address


def fields_of(point: Point | Operand) -> Iterator[Field]:
    """The registers that a point is computed from, in their order; of a register, itself."""
    if isinstance(point, Formula):
        for part in point.operands:
            yield from fields_of(part)
    else:
        yield point


def value_of(point: Point | Operand, heard: Heard) -> float | None:
    """What a point comes to; None where one of its registers has no value, or what comes out is no number."""
    if isinstance(point, Formula):
        return _computed(point, heard)
    words, exponent = heard(point), _exponent(point.scale_factor, heard)
    return None if words is None or exponent is None else decode(point, words, exponent)


def _exponent(factor: ScaleFactor | None, heard: Heard) -> float | None:
    if factor is None:
        return 0.0
    words = heard(factor.field)
    power = None if words is None else decode(factor.field, words)
    return power if power is not None and abs(power) <= DEEPEST_EXPONENT else None


def _computed(formula: Formula, heard: Heard) -> float | None:
    parts = [value_of(part, heard) for part in formula.operands]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or (formula.operation == "ratio" and known[1] == 0.0):
        return None
    value = _combined(formula.operation, known) * formula.scale + formula.offset
    if not math.isfinite(value):
        return None
    return -value if getattr(formula, "into_device", None) == "negative" else value


def _combined(operation: str, parts: list[float]) -> float:
    if operation == "sum":
        return sum(parts)
    if operation == "product":
        return math.prod(parts)
    if operation == "magnitude":
        return abs(parts[0])
    return parts[0] - parts[1] if operation == "difference" else parts[0] / parts[1]


def words_for(
    points: Mapping[str, Point], values: Mapping[str, float], exponents: Mapping[Place, int]
) -> dict[Place, tuple[int, ...]]:
    """Words that a device would hold to show `values`: one of the many answers where a point is computed.

    For emulation. Points without a value show what their map has for it. Bits of one register are joined.
    """
    held: dict[Place, tuple[int, ...]] = {}
    for name, point in points.items():
        for field, value in _shares(point, values.get(name)):
            exponent = exponents[place_of(field.scale_factor.field)] if field.scale_factor else 0
            words = encode_missing(field) if value is None else encode(field, value, exponent)
            if words is not None:
                held[place_of(field)] = _joined(field, held.get(place_of(field)), words)
    return held


def _joined(field: Field, before: Words | None, words: tuple[int, ...]) -> tuple[int, ...]:
    shares = field.type in ("bit", "bitfield", "int8_high", "int8_low", "uint8_high", "uint8_low")
    if not shares or before is None or len(before) != len(words):
        return words
    return tuple(old | new for old, new in zip(before, words, strict=True))


def scale_factors(points: Iterable[Point]) -> dict[Place, int]:
    """Place of each scale factor → the smallest exponent with which all who share it can show their `max`."""
    exponents: dict[Place, int] = {}
    for point in points:
        for field in fields_of(point):
            if field.scale_factor is not None:
                place = place_of(field.scale_factor.field)
                needed = _needed_exponent(field, max(abs(point.min), abs(point.max)))
                exponents[place] = max(needed, exponents.get(place, -DEEPEST_EXPONENT))
    return exponents


def _needed_exponent(field: Field, reach: float) -> int:
    largest = field.raw_range[1]
    exponent = math.ceil(math.log10(max(reach / abs(field.scale), 1e-9) / largest))
    return min(max(exponent, -DEEPEST_EXPONENT), DEEPEST_EXPONENT)


def _shares(point: Point | Operand, value: float | None) -> Iterator[tuple[Field, float | None]]:
    """Each register of a point with what it shows, so that the point comes to `value`."""
    if not isinstance(point, Formula):
        yield point, value
        return
    parts = point.operands
    if value is None:
        result = None
    else:
        shown = -value if getattr(point, "into_device", None) == "negative" else value
        result = (shown - point.offset) / point.scale
    for part, share in zip(parts, _split(point.operation, len(parts), result), strict=True):
        yield from _shares(part, share)


def _split(operation: str, count: int, result: float | None) -> list[float | None]:
    if result is None:
        return [None] * count
    if operation == "difference":
        return [max(result, 0.0), max(-result, 0.0)]
    rest = 0.0 if operation == "sum" else 1.0
    return [result, *[rest] * (count - 1)]
