"""Registers that a map uses twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twin.errors import Problem
from twin.telemetry.map_entries import Entry
from twin.telemetry.map_schema import Field
from twin.yaml_file import Document

OWN_THEIR_REGISTERS = ({"point"}, {"setpoint", "timer"})
"""Kinds of which two may not stand in one register, even if they read it alike."""
BYTE_MASKS = {"int8_high": 0xFF00, "uint8_high": 0xFF00, "int8_low": 0xFF, "uint8_low": 0xFF}


def check_overlaps(found: Sequence[Entry], document: Document) -> Iterator[Problem]:
    """Every field that stands where another does, and neither reads the same thing again nor other bits of it."""
    taken: dict[tuple[int | None, str, int], list[Entry]] = {}
    for entry in found:
        places = [(entry.field.unit_id, entry.field.table, address) for address in entry.field.addresses]
        others = {id(other): other for place in places for other in taken.get(place, [])}
        for other in others.values():
            if not _agree(entry, other):
                yield _problem(entry, other, document)
        for place in places:
            taken.setdefault(place, []).append(entry)


def _agree(one: Entry, other: Entry) -> bool:
    masks = _mask(one.field), _mask(other.field)
    if masks[0] is not None and masks[1] is not None and not masks[0] & masks[1]:
        return True
    return _content(one.field) == _content(other.field) and {one.kind, other.kind} not in OWN_THEIR_REGISTERS


def _mask(field: Field) -> int | None:
    """The bits of a register that a field looks at; None where it takes all of it."""
    if field.type in BYTE_MASKS:
        return BYTE_MASKS[field.type]
    if field.bit is not None:
        return 1 << field.bit
    if field.bits is not None and field.word_count == 1:
        low, high = field.bits
        return (1 << high + 1) - (1 << low)
    return None


def _content(field: Field) -> tuple[object, ...]:
    """What makes two fields the same number before it is scaled."""
    order = field.word_order if field.word_count > 1 else "big"
    return field.address, field.type, field.length, field.bit, field.bits, order, field.byte_order


def _problem(entry: Entry, other: Entry, document: Document) -> Problem:
    where = f"{'.'.join(map(str, other.keys))} on line {document.line(other.keys)}"
    if entry.field.address == other.field.address and entry.field.type != other.field.type:
        found = f"{entry.field.place} as {entry.field.type}, which {where} uses already as {other.field.type}"
        return document.problem(entry.keys, found=found, expected="one type for a register, or registers of its own")
    found = f"{entry.field.place}, which {where} uses already"
    return document.problem(entry.keys, found=found, expected="registers of its own")
