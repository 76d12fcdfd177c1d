"""What is wrong with a register map that can be read: each fault with its line and with what is expected."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from twin.errors import Problem
from twin.telemetry.map_check_setpoint import check_setpoint
from twin.telemetry.map_check_shared import check_overlaps
from twin.telemetry.map_entries import Entry, Keys, entries, formulas
from twin.telemetry.map_house import in_house_form
from twin.telemetry.map_roles import CURRENTS, SIGNED, roles
from twin.telemetry.map_schema import Computed, Field, Point, RegisterMap
from twin.telemetry.map_types import BYTES, LENGTHENED
from twin.telemetry.map_units import SYMBOLS, conversion, suffix_of, symbols_for
from twin.units import has_unit
from twin.yaml_file import Document, did_you_mean

SIGN_ASKED = "into_device: positive or negative, the sign the device gives to power flowing into it"
SIGN_UNKNOWN = (
    f"{SIGN_ASKED}; its manual says so, or a look at it while the direction is known "
    "(a battery that charges, sun on the panels)"
)


def check_map(parsed: RegisterMap, document: Document) -> Iterator[Problem]:
    """Everything wrong with `parsed`, which came from `document`."""
    malformed = tuple(_check_formulas(parsed, document))
    if malformed:
        yield from malformed
        return
    if not parsed.points:
        expected = "at least one point that the twin knows, such as p_kw"
        yield document.problem(("points",), found="nothing", expected=expected)
        return
    found = list(entries(parsed))
    faults = [(entry, tuple(_check_field(entry, parsed.address_base, document))) for entry in found]
    yield from (problem for _, problems in faults for problem in problems)
    yield from _check_names(parsed, document)
    for section, points in (("points", parsed.points), ("details", parsed.details)):
        for name, point in points.items():
            if section == "points" and name not in roles():
                continue  # Its name decides its unit and whether it has a sign.
            yield from _check_point((section, name), name, point, parsed, document)
    sound = _without(parsed, {entry.keys[:2] for entry, problems in faults if problems})
    yield from _check_directions(sound, document)
    yield from check_setpoint(sound, in_house_form(sound), document)
    yield from check_overlaps(found, document)


def _without(parsed: RegisterMap, broken: Collection[Keys]) -> RegisterMap:
    """The part of a map of which every field is sound by itself, and can be brought into the house's form."""
    return replace(
        parsed,
        points={name: point for name, point in parsed.points.items() if not _is_broken(name, point, broken)},
        details={name: item for name, item in parsed.details.items() if ("details", name) not in broken},
        texts={},
        setpoint=None if any(keys[0] == "setpoint" for keys in broken) else parsed.setpoint,
    )


def _is_broken(name: str, point: Point, broken: Collection[Keys]) -> bool:
    unit = point.unit
    unfit = unit is not None and conversion(unit, suffix_of(name), point.rated) is None
    return unfit or ("points", name) in broken


def _check_formulas(parsed: RegisterMap, document: Document) -> Iterator[Problem]:
    for keys, formula in formulas(parsed):
        if len(formula.operations) != 1:
            found = " and ".join(formula.operations) or "no operation"
            yield document.problem(
                keys, found=found, expected="exactly one of sum, difference, product, ratio and magnitude"
            )
        elif formula.scale == 0:
            yield document.problem((*keys, "scale"), found="0", expected="a number other than 0")


def _check_names(parsed: RegisterMap, document: Document) -> Iterator[Problem]:
    for name in parsed.points:
        if name not in roles():
            near = did_you_mean(name, roles())
            for_people = "; what only people want to see stands under details" if has_unit(name) else ""
            expected = f"a point that the twin knows, such as p_kw, soc or import_kwh{for_people}{near}"
            yield document.problem(("points", name), found=name or "nothing", expected=expected)
    for name in parsed.details:
        if not has_unit(name):
            expected = "a name that ends in its unit, such as inverter_c or alarm_count"
            yield document.problem(("details", name), found=name or "nothing", expected=expected)
        if name in parsed.points:
            yield document.problem(("details", name), found=f"{name}, which points has already", expected="one of them")


def _check_field(entry: Entry, base: int, document: Document) -> Iterator[Problem]:
    yield from _check_address(entry, base, document)
    yield from _check_type(entry, document)
    yield from _check_unit(entry.keys, entry.field, entry.name, document)
    item, keys = entry.field, entry.keys
    if item.scale == 0 or (item.scale < 0 and entry.kind != "operand"):
        expected = "a number above 0: a sign is stated by into_device" if item.scale else "a number other than 0"
        yield document.problem((*keys, "scale"), found=f"{item.scale:g}", expected=expected)
    if entry.kind in ("operand", "factor") and item.into_device is not None:
        expected = "none here: the sign belongs to the point, and what is taken away to a difference"
        yield document.problem((*keys, "into_device"), found="a sign of an operand", expected=expected)
    wide = [content for content in item.sentinels if content >= 2 ** (16 * item.word_count)]
    for content in wide:
        expected = f"at most {item.word_count * 4} hexadecimal digits, what {item.type} can hold"
        yield document.problem((*keys, "sentinel"), found=f"{content:#x}", expected=expected)


def _check_address(entry: Entry, base: int, document: Document) -> Iterator[Problem]:
    item, keys = entry.field, (*entry.keys, "address")
    if item.address < base:
        yield document.problem(keys, found="address 0", expected=f"{base} or more, as address_base: {base} says")
    elif item.addresses.stop - base > 65536:
        yield document.problem(keys, found=item.place, expected=f"all words of it at or below {65535 + base}")


def _check_type(entry: Entry, document: Document) -> Iterator[Problem]:
    item, keys = entry.field, entry.keys
    if item.table in ("coil", "discrete") and (item.type != "bit" or item.bit is not None):
        yield document.problem(
            (*keys, "type"), found=f"{item.type} in table {item.table}", expected="type: bit, without bit"
        )
    elif item.type == "bit" and item.table in ("holding", "input") and item.bit is None:
        yield document.problem(keys, found="a bit of a register", expected="bit: which, 0 is the lowest")
    if item.type != "bit" and item.bit is not None:
        yield document.problem((*keys, "bit"), found=f"a bit of {item.type}", expected="type: bit, or no bit")
    yield from _check_length(item, keys, document)
    if item.type in (*BYTES, "string") and item.scale_factor is not None:
        yield document.problem((*keys, "scale_factor"), found=f"one for {item.type}", expected="none")
    if (item.type == "string") is not (entry.kind == "text"):
        expected = (
            "string: numbers stand under details" if entry.kind == "text" else "a number; texts stand under texts"
        )
        yield document.problem((*keys, "type"), found=item.type, expected=expected)


def _check_length(item: Field, keys: Keys, document: Document) -> Iterator[Problem]:
    most = LENGTHENED.get(item.type)
    if most is None and item.length not in (None, item.word_count):
        expected = f"none, or {item.word_count}: {item.type} has {item.word_count} word(s)"
        yield document.problem((*keys, "length"), found=f"length {item.length}", expected=expected)
    if item.type in ("string", "bcd") and item.length is None:
        yield document.problem(keys, found=f"a {item.type} without length", expected="length: its number of registers")
    if most is not None and item.length is not None and item.length > most:
        yield document.problem((*keys, "length"), found=f"length {item.length}", expected=f"at most {most}")
    if item.bits is not None:
        low, high = item.bits
        if item.type != "bitfield" or not 0 <= low <= high < 16 * item.word_count:
            expected = f"[lowest, highest] of a bitfield, 0 to {16 * item.word_count - 1}"
            yield document.problem((*keys, "bits"), found=f"bits {low} to {high} of {item.type}", expected=expected)


def _check_unit(keys: Keys, item: Field | Computed, name: str | None, document: Document) -> Iterator[Problem]:
    unit, rated = item.unit, item.rated
    if unit is None:
        if rated is not None:
            yield document.problem((*keys, "rated"), found="rated without unit", expected="unit: V or %, or no rated")
        return
    if unit not in SYMBOLS:
        usual = symbols_for(suffix_of(name)) if name else list(SYMBOLS)
        near = did_you_mean(unit, usual) or did_you_mean(unit.casefold(), {symbol.casefold() for symbol in usual})
        yield document.problem(
            (*keys, "unit"), found=f"the unit {unit}", expected=f"one of {', '.join(usual)}{_same_case(near, usual)}"
        )
    elif name is not None and conversion(unit, suffix_of(name), rated) is None:
        needs_rated = conversion(unit, suffix_of(name), 1.0) is not None
        expected = (
            "rated: what 100 % or 1 pu is" if needs_rated else f"one of {', '.join(symbols_for(suffix_of(name)))}"
        )
        yield document.problem((*keys, "unit"), found=f"the unit {unit} for {name}", expected=expected)


def _same_case(hint: str, symbols: list[str]) -> str:
    """A hint that was found without regard to case, spelled as the symbol is."""
    meant = hint.removeprefix("; did you mean ").removesuffix("?")
    return next((f"; did you mean {symbol}?" for symbol in symbols if symbol.casefold() == meant.casefold()), hint)


def _check_point(keys: Keys, name: str, point: Point, parsed: RegisterMap, document: Document) -> Iterator[Problem]:
    if isinstance(point, Computed):
        yield from _check_unit(keys, point, name, document)
    yield from _check_sign(keys, name, point, document)
    if not point.min < point.max:
        found = f"min {point.min:g}, max {point.max:g}"
        yield document.problem((*keys, "min"), found=found, expected="min below max")
    if point.group is not None and point.group not in parsed.groups:
        known = ", ".join(parsed.groups) or "nothing yet"
        expected = f"one of groups, which has {known}{did_you_mean(point.group, parsed.groups)}"
        yield document.problem((*keys, "group"), found=point.group or "nothing", expected=expected)
    everyone = [*parsed.points.values(), *parsed.details.values()]
    if point is everyone[0] and all(other.group is not None for other in everyone):
        expected = "at least one point without group, by which the device is heard in every cycle"
        yield document.problem((*keys, "group"), found="only points in groups", expected=expected)


def _check_sign(keys: Keys, name: str, point: Point, document: Document) -> Iterator[Problem]:
    sign = point.into_device
    shows_both_ways = isinstance(point, Computed) or point.raw_range[0] < 0
    if sign == "unknown":
        yield document.problem((*keys, "into_device"), found=f"the sign of {name} undecided", expected=SIGN_UNKNOWN)
    elif name in SIGNED and sign is None:
        yield document.problem(keys, found=f"{name} without its sign", expected=SIGN_ASKED)
    elif name in CURRENTS and sign is None and shows_both_ways:
        expected = f"{SIGN_ASKED}; unsigned where it shows no direction"
        yield document.problem(keys, found=f"{name} without its sign", expected=expected)
    elif sign == "unsigned" and name not in CURRENTS:
        expected = SIGN_ASKED if name in SIGNED else "none: it has no direction"
        yield document.problem((*keys, "into_device"), found=f"{name} without direction", expected=expected)
    elif sign is not None and name not in SIGNED | CURRENTS:
        expected = "none: it has no direction; those that have are p_kw, q_kvar, dc_kw, energy_kwh, currents"
        yield document.problem((*keys, "into_device"), found=f"a sign for {name}", expected=expected)


def _check_directions(parsed: RegisterMap, document: Document) -> Iterator[Problem]:
    """An unsigned register cannot show what is plausible on the other side of 0: signed read as unsigned."""
    house = in_house_form(parsed).points
    for section, points in (("points", parsed.points), ("details", parsed.details)):
        for name, point in points.items():
            settled = house.get(name)
            if isinstance(settled, Field) and settled.enumeration is None and settled.raw_range[0] == 0:
                ends = [raw * settled.scale + settled.offset for raw in (0.0, settled.raw_range[1])]
                low, high = sorted(-end if settled.into_device == "negative" else end for end in ends)
                slack = abs(settled.scale)
                if point.min < low - slack and settled.into_device != "negative":
                    expected = f"{low:g} or more, as {settled.type} shows nothing less; or the signed type"
                    yield document.problem((section, name, "min"), found=f"min {point.min:g}", expected=expected)
                if point.max > high + slack and settled.into_device == "negative":
                    expected = f"{high:g} or less, as {settled.type} shows nothing else; or the signed type"
                    yield document.problem((section, name, "max"), found=f"max {point.max:g}", expected=expected)
