"""The types of registers: how many words each takes, and how its content is packed."""

from __future__ import annotations

import struct
from typing import Literal

Table = Literal["holding", "input", "coil", "discrete"]
Type = Literal[
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
    "int8_high",
    "int8_low",
    "uint8_high",
    "uint8_low",
    "bit",
    "bitfield",
    "bcd",
    "string",
]
Order = Literal["big", "little"]

NUMBERS: dict[str, tuple[str, float, float]] = {
    "int16": (">h", -(2**15), 2**15 - 1),
    "uint16": (">H", 0, 2**16 - 1),
    "int32": (">i", -(2**31), 2**31 - 1),
    "uint32": (">I", 0, 2**32 - 1),
    "int64": (">q", -(2**63), 2**63 - 1),
    "uint64": (">Q", 0, 2**64 - 1),
    "float16": (">e", -65504.0, 65504.0),
    "float32": (">f", -3.4e38, 3.4e38),
    "float64": (">d", -1.7e308, 1.7e308),
}
"""Numbers that fill their words: layout in big-endian order, least and largest raw content."""
LAYOUTS = {name: struct.Struct(layout) for name, (layout, _, _) in NUMBERS.items()}
WORDS = tuple(struct.Struct(f">{count}H") for count in range(126))
BYTES = ("int8_high", "int8_low", "uint8_high", "uint8_low")
FLOATS = ("float16", "float32", "float64")
NAN = {2: 0x7E00, 4: 0x7FC00000, 8: 0x7FF8000000000000}
"""Bytes of a float → the content by which IEEE 754 says that there is no number."""
LENGTHENED = {"string": 125, "bcd": 4, "bitfield": 4}
"""Types of which a map states the number of registers → the most it may be."""


def word_count(kind: str, length: int | None) -> int:
    """Registers that a field takes; of a coil or discrete input, the one bit that it is."""
    if kind in LAYOUTS:
        return LAYOUTS[kind].size // 2
    return (length or 1) if kind in LENGTHENED else 1


def raw_range(kind: str, length: int | None, bits: tuple[int, int] | None) -> tuple[float, float]:
    """Least and largest raw content of a type."""
    if kind in NUMBERS:
        return NUMBERS[kind][1:]
    if kind in BYTES:
        return (-128, 127) if kind.startswith("int") else (0, 255)
    if kind == "bcd":
        return 0, 10 ** (4 * (length or 1)) - 1
    if kind == "bitfield":
        return 0, 2 ** (bits[1] - bits[0] + 1 if bits else 16 * (length or 1)) - 1
    return 0, 1
