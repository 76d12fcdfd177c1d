"""What evcc itself makes of registers, written down a second time and apart from our own arithmetic.

Source: evcc-io/evcc, util/modbus/register.go and plugin/calc.go: big-endian words, `s` for the low word first.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from evcc_registers import ENCODING, PASSED_THROUGH

from twin.telemetry.map_formula import Place

Data = Mapping[str, Any]
LETTERS = {"int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f"}
LETTERS |= {"float64": "d"}


class Memory:
    """A device with arbitrary content, the same whoever asks."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.words: dict[Place, int] = {}

    def read(self, unit_id: int | None, table: str, address: int, count: int) -> Sequence[int]:
        """Integers of either sign and floats that are numbers; no sentinels."""
        places = [(unit_id, table, address + index) for index in range(count)]
        return [self.words.setdefault(place, self._anything()) for place in places]

    def _anything(self) -> int:
        return self._random.choice((0x4000, 0xC000)) + self._random.randrange(0x800)


def evcc_value(source: Data, memory: Memory) -> float:
    """The number that evcc reads."""
    kind = source["source"]
    scale = float(source.get("scale") or 1.0)
    if kind == "const":
        return float(source["value"])
    if kind in PASSED_THROUGH:
        return evcc_value(source[PASSED_THROUGH[kind]], memory) * scale
    if kind == "calc":
        return _calculated(source, memory) * scale
    register = source["register"]
    encoding = str(register.get("decode", register.get("encoding"))).lower()
    match = ENCODING.fullmatch(encoding)
    if match is None:
        raise ValueError(encoding)
    letter = LETTERS[match[1] + match[2]]
    unit_id = int(source.get("id", 1))
    place = None if unit_id == 1 else unit_id, register["type"], int(register["address"])
    words = memory.read(*place, int(match[2]) // 16)
    ordered = words[::-1] if match[3] or match[5] else words
    return float(struct.unpack(">" + letter, struct.pack(f">{len(ordered)}H", *ordered))[0]) * scale


def _calculated(source: Data, memory: Memory) -> float:
    if "abs" in source:
        return abs(evcc_value(source["abs"], memory))
    values = [evcc_value(part, memory) for part in source.get("add", source.get("mul", source.get("div")))]
    if "add" in source:
        return sum(values)
    total = values[0]
    for value in values[1:]:
        total = total * value if "mul" in source else total / value
    return total
