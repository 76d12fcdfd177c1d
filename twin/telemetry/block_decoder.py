"""All plain numbers of one read at once: unpacked by one layout, as many as there are.

A number is plain when it fills its registers and needs no other: no bits, enumeration, scale factor or formula.
What is not plain is decoded one by one, in `twin.telemetry.map_codec`; both give the same numbers.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from twin.telemetry.map_codec import Words
from twin.telemetry.map_formula import place_of
from twin.telemetry.map_polling import NO_VALUE, Value
from twin.telemetry.map_schema import Field, Point, Register
from twin.telemetry.map_types import FLOATS, LAYOUTS, WORDS
from twin.telemetry.register_map import Block

Places = tuple[int, ...]
"""Of words in a block."""


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    scale: float
    offset: float
    is_negative: bool
    absent: frozenset[int]
    """Raw numbers by which the device says that it has none."""


@dataclass(frozen=True, slots=True)
class BlockDecoder:
    """The plain numbers of a block."""

    layout: struct.Struct
    turned: Places | None
    """The order of words in which the high one comes first; None where they come so."""
    columns: tuple[_Column, ...]

    @property
    def names(self) -> frozenset[str]:
        """The points that it decodes."""
        return frozenset(column.name for column in self.columns)

    def values(self, words: Words) -> dict[str, Value]:
        """Each point's number, or why it has none."""
        ordered = words if self.turned is None else [words[at] for at in self.turned]
        found: dict[str, Value] = {}
        for column, raw in zip(self.columns, self.layout.unpack(WORDS[len(words)].pack(*ordered)), strict=True):
            if raw in column.absent or not math.isfinite(raw):
                found[column.name] = NO_VALUE
            else:
                value = float(raw * column.scale + column.offset)
                found[column.name] = -value if column.is_negative else value
        return found


def block_decoder(block: Block, points: Mapping[str, Point]) -> BlockDecoder | None:
    """The decoder of a block's plain numbers, each place once; None where it has none."""
    layout, columns, order, cursor = ">", list[_Column](), list(range(block.count)), 0
    for at, name, point in sorted(_plain(block, points), key=lambda item: item[0]):
        if at < cursor:
            continue
        layout += f"{2 * (at - cursor)}x{LAYOUTS[point.type].format[1:]}"
        cursor = at + point.word_count
        if point.word_order == "little":
            order[at:cursor] = reversed(order[at:cursor])
        absent = frozenset(_raw(point, sentinel) for sentinel in point.sentinels)
        columns.append(_Column(name, point.scale, point.offset, point.into_device == "negative", absent))
    if not columns:
        return None
    turned = None if order == sorted(order) else tuple(order)
    return BlockDecoder(struct.Struct(f"{layout}{2 * (block.count - cursor)}x"), turned, tuple(columns))


def _plain(block: Block, points: Mapping[str, Point]) -> Iterator[tuple[int, str, Register]]:
    starts = {place_of(field): at for _, field, at in block.members}
    for name, point in points.items():
        if not isinstance(point, Register) or point.type not in LAYOUTS or point.byte_order != "big":
            continue
        at = starts.get(place_of(point))
        if at is not None and point.enumeration is None and point.scale_factor is None and not _nan(point):
            yield at, name, point


def _nan(field: Field) -> bool:
    """Whether a float also has sentinels: they are compared bit by bit, and stay with those decoded one by one."""
    return field.type in FLOATS and bool(field.sentinels)


def _raw(field: Field, sentinel: int) -> int:
    raw: int = LAYOUTS[field.type].unpack(sentinel.to_bytes(2 * field.word_count, "big"))[0]
    return raw
