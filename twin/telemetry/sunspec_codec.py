"""Between the registers of a SunSpec model and its values, both ways.

A value is `raw · 10^exponent`, the exponent being a literal or another point of the device. What the device
does not implement is absent, with the reason; nothing that stands in registers makes `decode` raise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from twin.telemetry.sunspec_model import (
    ENDLESS,
    HEADER_REGISTERS,
    Model,
    Place,
    Point,
    Repeats,
    counters,
    filling_size,
    layout,
    repeating_groups,
    stated_count,
)
from twin.telemetry.sunspec_types import (
    PAD,
    TEXTS,
    WHOLE,
    Absent,
    Registers,
    Scalar,
    SunSpecError,
    Words,
    read_raw,
    write_missing,
    write_raw,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What one model of a device holds."""

    model: Model = field(repr=False)
    address: int
    """Of the model's id in the device."""
    values: Mapping[str, Scalar]
    """By path; enumerations and bitfields as numbers, see `named`."""
    absent: Mapping[str, str]
    """Path → why there is no value."""
    problems: tuple[str, ...]
    """What does not fit between the model and the device's registers."""
    places: Mapping[str, Place] = field(repr=False)
    words: Registers

    def number(self, path: str) -> float | None:
        """The value of a numeric point; None where it is absent or unknown."""
        value = self.values.get(path)
        return None if value is None or isinstance(value, str) else value


def decode(model: Model, address: int, words: Words) -> Contents:
    """The values in `words`, which begin with the model's id."""
    places = layout(model, len(words), lambda name: raw_count(model, words, name))
    values: dict[str, Scalar] = {}
    absent: dict[str, str] = {}
    for place in value_places(places):
        value = _value(place, places, words)
        if isinstance(value, Absent):
            absent[place.path] = value.reason
        else:
            values[place.path] = value
    return Contents(
        model=model,
        address=address,
        values=values,
        absent=absent,
        problems=tuple(_misfits(model, address, words)),
        places=places,
        words=tuple(words),
    )


def value_places(places: Mapping[str, Place]) -> Iterator[Place]:
    """The places that hold values: all but the header and padding."""
    return (place for place in places.values() if place.start >= HEADER_REGISTERS and place.point.kind != PAD)


def raw_count(model: Model, words: Words, name: str) -> int:
    """What the point `name` of the model's own group says about repetitions; 0 where it says nothing."""
    start = 0
    for point in model.group.points:
        if point.name == name and start + point.register_count <= len(words):
            raw = read_raw(point.kind, words[start : start + point.register_count])
            return raw if isinstance(raw, int) else 0
        start += point.register_count
    return 0


def _value(place: Place, places: Mapping[str, Place], words: Words) -> Scalar | Absent:
    if place.stop > len(words):
        return Absent(f"beyond the {len(words) - HEADER_REGISTERS} registers that the device gives the model")
    raw = read_raw(place.point.kind, words[place.start : place.stop])
    if place.exponent is None or isinstance(raw, Absent | str):
        return raw
    exponent = _exponent(place, lambda path: _value(places[path], places, words) if path in places else None)
    return exponent if isinstance(exponent, Absent) else scaled(raw, exponent)


def _exponent(place: Place, value_of: Callable[[str], Scalar | Absent | None]) -> int | Absent:
    """The power of ten of a scaled point: a literal, or what another point holds."""
    if isinstance(place.exponent, int):
        return place.exponent
    exponent = value_of(str(place.exponent))
    if isinstance(exponent, int):
        return exponent
    reason = exponent.reason if isinstance(exponent, Absent) else "it has no value"
    return Absent(f"without its scale factor {place.point.scale}: {reason}")


def scaled(raw: float, exponent: int) -> float:
    """`raw · 10^exponent`; a whole number stays one where it can, and a fraction is the nearest there is."""
    step: int = 10 ** abs(exponent)
    return raw * step if exponent >= 0 else raw / step


def unscaled(value: float, exponent: int) -> int:
    """The raw number nearest to `value`, exact for 64 bits too. Raises `SunSpecError` for what is no number."""
    if not math.isfinite(value):
        raise SunSpecError(f"{value!r} is no finite number")
    return round(Fraction(value) / Fraction(10) ** exponent)


def _misfits(model: Model, address: int, words: Words) -> Iterator[str]:
    """Where the length that a device states and the model's own disagree, with address and both numbers."""
    stated = len(words) - HEADER_REGISTERS
    what = f"model {model.id} at {address} is {stated} registers long"
    counts = _counts(model, words)
    own = stated_count(model, lambda name: counts[name])
    if own is not None and own - HEADER_REGISTERS != stated and not _old_common(model, stated):
        by = "" if model.is_fixed else f" with {', '.join(f'{name} {count}' for name, count in counts.items())}"
        yield f"{what}, {own - HEADER_REGISTERS} expected{by}"
    each = filling_size(model)
    if each and (stated < model.fixed_count or (stated - model.fixed_count) % each):
        yield f"{what}, {model.fixed_count} and a multiple of {each} expected"


def _counts(model: Model, words: Words) -> Mapping[str, int]:
    return {name: raw_count(model, words, name) for name in counters(model)}


def _old_common(model: Model, stated: int) -> bool:
    """Model 1 was 65 registers long before it was padded to 66, and devices of both kinds are about."""
    return model.id == 1 and stated == 65


def encode(model: Model, values: Mapping[str, Scalar]) -> Registers:
    """The registers, with id and length, of a device that holds `values`; what is not given is not implemented.

    Groups repeat as often as their points in `values` need; the points that count them follow by themselves
    unless they are given. Raises `SunSpecError` for an unknown point and for a value that does not fit.
    """
    completed = {**_implied_counts(model, values), **values}
    total = _registers_for(model, completed)
    places = layout(model, total, lambda name: _stated(completed, name))
    unknown = sorted(set(values) - {place.path for place in value_places(places)})
    if unknown:
        raise SunSpecError(f"model {model.id} has no point {', '.join(unknown)}")
    words: list[int] = [model.id, total - HEADER_REGISTERS]
    for place in list(places.values())[HEADER_REGISTERS:]:
        words += place_words(place, completed.get(place.path), completed)
    return tuple(words)


def place_words(place: Place, value: Scalar | None, values: Mapping[str, Scalar]) -> Registers:
    """The registers of one point that holds `value`, scaled as `values` say; None is not implemented.

    Numbers are rounded to the step of the scale, half to even. Raises `SunSpecError` when the point cannot hold it.
    """
    point = place.point
    if value is None:
        return write_missing(point.kind, point.register_count)
    try:
        return write_raw(point.kind, point.register_count, _raw(place, value, values))
    except SunSpecError as error:
        raise SunSpecError(f"{place.path}: {error}") from None


def _raw(place: Place, value: Scalar, values: Mapping[str, Scalar]) -> Scalar:
    point = place.point
    if isinstance(value, str):
        return value if point.kind in TEXTS else _symbol(point, value)
    if point.kind not in WHOLE:
        return value
    exponent: int | Absent = 0
    if place.exponent is not None:
        exponent = _exponent(place, values.get)
    if isinstance(exponent, Absent):
        raise SunSpecError(f"cannot be written {exponent.reason}")
    raw, whole = unscaled(value, exponent), WHOLE[point.kind]
    low, high = scaled(whole.low, exponent), scaled(whole.high, exponent)
    if not (whole.low <= raw <= whole.high or low <= value <= high):
        raise SunSpecError(f"{value:.12g} is outside {low:.12g} to {high:.12g} {point.unit}".rstrip())
    # The nearest float to the end of 64 bits may lie beyond it.
    return min(max(raw, whole.low), whole.high)


def _symbol(point: Point, name: str) -> int:
    if not point.kind.startswith("enum") or name not in point.symbols:
        raise SunSpecError(f"{name!r} is not one of {', '.join(point.symbols) or 'its values, which are numbers'}")
    return point.symbols[name]


def named(point: Point, value: Scalar) -> str:
    """An enumeration's name or a bitfield's names, as people read them; the number where there is none."""
    if not isinstance(value, int) or not point.symbols:
        return str(value)
    if point.kind.startswith("bitfield"):
        bits = {bit: name for name, bit in point.symbols.items()}
        return ", ".join(bits.get(bit, f"bit {bit}") for bit in range(value.bit_length()) if value >> bit & 1)
    return next((name for name, number in point.symbols.items() if number == value), str(value))


def _implied_counts(model: Model, values: Mapping[str, Scalar]) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for group, repeats in repeating_groups(model).items():
        name = _counter(model, repeats)
        if name is not None:
            counts[name] = max(counts.get(name, 0), _occurrences(group, values))
    return counts


def _counter(model: Model, repeats: Repeats) -> str | None:
    """The point that counts a group: the one it names, or, where it fills the room, the model's `count`."""
    if isinstance(repeats, str):
        return repeats
    return next((point.name for point in model.group.points if point.kind == "count"), None)


def _occurrences(group: str, values: Mapping[str, Scalar]) -> int:
    """The highest index of a group in the paths, plus one."""
    steps = (path.split(".") for path in values)
    return max((int(path[i + 1]) + 1 for path in steps for i in _indexed(path, group)), default=0)


def _indexed(path: list[str], group: str) -> Iterator[int]:
    return (i for i in range(len(path) - 2) if path[i] == group and path[i + 1].isdecimal())


def _stated(values: Mapping[str, Scalar], name: str) -> int:
    value = values.get(name, 0)
    return value if isinstance(value, int) else 0


def _registers_for(model: Model, values: Mapping[str, Scalar]) -> int:
    stated = stated_count(model, lambda name: _stated(values, name))
    if stated is None:
        filling = (group for group, repeats in repeating_groups(model).items() if repeats == 0)
        occurrences = max(_occurrences(group, values) for group in filling)
        stated = HEADER_REGISTERS + model.fixed_count + occurrences * filling_size(model)
    if stated > ENDLESS:
        raise SunSpecError(f"model {model.id} would be {stated} registers long")
    return stated
