"""What registers of an unknown device are likely to be, judged from what stands in them. Pure.

Evidence, strongest first: a readable text; a float of ordinary size (a pair of small integers, read as a float, is
one of 1e-38); a value near a mains frequency or a nominal voltage; and, in repeated readings, which of two words
moves: the low one of a number moves before the high one.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from twin.telemetry.map_types import Order

Samples = Sequence[Mapping[int, int]]
FREQUENCIES_HZ = (50.0, 60.0)
FREQUENCY_TOLERANCE_HZ = 0.5
NOMINAL_V = (120.0, 208.0, 230.0, 240.0, 277.0, 400.0, 415.0, 480.0, 690.0)
"""Mains voltages of the world, phase to neutral and line to line (IEC 60038, ANSI C84.1)."""
VOLTAGE_TOLERANCE_FRACTION = 0.06
PER_UNIT_STEP = 1e-4
NO_VALUE = {0x8000: "0x8000, perhaps no value", 0xFFFF: "0xFFFF, perhaps no value or -1"}
LEAST_FLOAT, MOST_FLOAT = 1e-3, 1e8
SHORTEST_TEXT = 8
"""The floats of 230.4 and 229.8 V are `CfffCe` and more: what is shorter may be chance."""
LONGEST_TEXT = 64
ZERO, SIGNS = 0, 0xFFFF
FLOAT, WHOLE, WHOLE_MOVES, TEXT_BEGINS, TEXT_PER_WORD = 3.0, 1.0, 2.2, 1.0, 2.4
ONE_ZERO, ONE, ONE_MOVES, RECOGNISED_ONE, RECOGNISED_FLOAT, ORDER = 0.3, 0.8, 1.3, 1.0, 1.5, 0.5
"""Weights of the evidence. The reading of all registers in a row with the largest sum is taken; they are set so that
two small numbers beat one large one only where something speaks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """What one register, or several in a row, may be."""

    address: int
    type: str
    word_count: int
    word_order: Order = "big"
    values: tuple[float, ...] = ()
    """In each sample, without a scale."""
    text: str = ""
    score: float = 0.0
    unit: str | None = None
    """`Hz`, `V` or `pu` where the value is recognised."""
    scale: float = 1.0

    @property
    def moves(self) -> bool:
        return len(set(self.values)) > 1

    @property
    def words(self) -> str:
        """As a person reads it: `230.1 V`, or the number alone."""
        if self.type == "string":
            return repr(self.text)
        shown = f"{self.values[0] * self.scale:.6g}{' ' + self.unit if self.unit else ''}"
        return f"{shown}, moves to {self.values[-1] * self.scale:.6g}" if self.values[0] != self.values[-1] else shown


def guesses(samples: Samples) -> tuple[Guess, ...]:
    """The likeliest reading of all registers, in order of addresses, without overlap and without a gap."""
    order = _order_of_most(samples)
    best: dict[int, tuple[float, tuple[Guess, ...]]] = {}
    """Register → the best reading of it and of all that follow in its row."""
    for address in sorted(samples[0], reverse=True):
        following = (
            (guess, *best.get(address + guess.word_count, (0.0, ()))) for guess in _at(samples, address, order)
        )
        guess, score, rest = max(following, key=lambda item: item[0].score + item[1])
        best[address] = (guess.score + score, (guess, *rest))
    found: list[Guess] = []
    for address in sorted(samples[0]):
        if not found or address >= found[-1].address + found[-1].word_count:
            found.append(best[address][1][0])
    return tuple(found)


def _at(samples: Samples, address: int, order: Order | None) -> Iterator[Guess]:
    yield _single(samples, address)
    yield from _pairs(samples, address, order)
    if (text := _text(samples[0], address)) is not None:
        yield text


def pair(samples: Samples, address: int, kind: str, order: Order) -> tuple[float, ...] | None:
    """Two registers as one number, in each sample; None where there are not two, or where it is no number."""
    if address not in samples[0] or address + 1 not in samples[0]:
        return None
    values = []
    for words in samples:
        high, low = words[address], words[address + 1]
        packed = struct.pack(">HH", *((high, low) if order == "big" else (low, high)))
        values.append(float(struct.unpack(">f" if kind == "float32" else ">i", packed)[0]))
    return tuple(values) if all(math.isfinite(value) for value in values) else None


def _pairs(samples: Samples, address: int, of_most: Order | None) -> Iterator[Guess]:
    orders: tuple[Order, ...] = ("big", "little")
    for order in orders:
        bonus = ORDER if order == (of_most or "big") else 0.0
        values = pair(samples, address, "float32", order)
        if values is not None and all(LEAST_FLOAT <= abs(value) <= MOST_FLOAT for value in values):
            unit = recognised(values[0], 1.0)
            score = FLOAT + bonus + (RECOGNISED_FLOAT if unit else 0.0) - _leap(values)
            yield Guess(
                address=address, type="float32", word_count=2, word_order=order, values=values, score=score, unit=unit
            )
        whole = pair(samples, address, "int32", order)
        if whole is not None and (likelihood := _whole(samples, address, order)) > 0:
            yield Guess(
                address=address, type="int32", word_count=2, word_order=order, values=whole, score=likelihood + bonus
            )


def _leap(values: Sequence[float]) -> float:
    """What speaks against values that change by more than a device does within a second or two."""
    largest = max(abs(value) for value in values)
    return 2.0 if largest > 0 and max(values) - min(values) > largest else 0.0


def _whole(samples: Samples, address: int, order: Order) -> float:
    """How likely two registers are one whole number with the high word where `order` has it."""
    at_high, at_low = (address, address + 1) if order == "big" else (address + 1, address)
    high, low = samples[0][at_high], samples[0][at_low]
    high_moves = len({words[at_high] for words in samples}) > 1
    low_moves = len({words[at_low] for words in samples}) > 1
    if high_moves and not _carries(samples, at_high, at_low):
        return 0.0
    if high == ZERO and low == ZERO:
        return 0.0
    extends = high == ZERO or (high == SIGNS and low >= 0x8000)
    if not extends and not (low_moves and not high_moves and high < 0x1000):
        return 0.0
    return WHOLE_MOVES if low_moves else WHOLE


def _carries(samples: Samples, at_high: int, at_low: int) -> bool:
    """Whether the high word moves only as a sum of both does: by one, or between the two signs of a small number."""
    wholes = [struct.unpack(">i", struct.pack(">HH", words[at_high], words[at_low]))[0] for words in samples]
    return bool(max(wholes) - min(wholes) < 0x8000)


def _single(samples: Samples, address: int) -> Guess:
    raw = [words[address] for words in samples]
    signed = any(word >= 0x8000 for word in raw) and raw[0] not in NO_VALUE
    values = tuple(float(word - 0x10000 if signed and word >= 0x8000 else word) for word in raw)
    score = ONE_ZERO if _leap(values) or not any(values) else ONE_MOVES if len(set(values)) > 1 else ONE
    kind = "int16" if signed else "uint16"
    for scale in () if signed or _rises(values) else (0.01, 0.001, 0.1, PER_UNIT_STEP, 1.0):
        unit = recognised(values[0] * scale, scale)
        if unit is not None:
            score += RECOGNISED_ONE
            return Guess(address=address, type=kind, word_count=1, values=values, score=score, unit=unit, scale=scale)
    return Guess(address=address, type=kind, word_count=1, values=values, score=score)


def _rises(values: Sequence[float]) -> bool:
    """As a counter does: more in each sample, which a voltage or a frequency seldom is."""
    return len(values) > 2 and all(after > before for before, after in pairwise(values))


def recognised(value: float, scale: float) -> str | None:
    """The unit of a value that is near a mains frequency, a nominal voltage, or 1 per unit; None otherwise."""
    if scale != PER_UNIT_STEP:
        if any(abs(value - nominal) <= FREQUENCY_TOLERANCE_HZ for nominal in FREQUENCIES_HZ) and scale != 0.1:
            return "Hz"
        near = any(abs(value / nominal - 1) <= VOLTAGE_TOLERANCE_FRACTION for nominal in NOMINAL_V)
        return "V" if near and scale >= 0.1 else None
    return "pu" if abs(value - 1) <= VOLTAGE_TOLERANCE_FRACTION else None


def _order_of_most(samples: Samples) -> Order | None:
    """The word order under which more pairs are ordinary floats; None where it is even."""
    counts: dict[Order, int] = {"big": 0, "little": 0}
    for address in samples[0]:
        for order in ("big", "little"):
            values = pair(samples, address, "float32", order)
            if values and all(LEAST_FLOAT <= abs(value) <= MOST_FLOAT and _few_digits(value) for value in values):
                counts[order] += 1
    if counts["big"] == counts["little"]:
        return None
    return "big" if counts["big"] > counts["little"] else "little"


def _few_digits(value: float) -> bool:
    return abs(value) < 1e6


def _text(words: Mapping[int, int], address: int) -> Guess | None:
    raw, at = bytearray(), address
    while at in words and len(raw) < LONGEST_TEXT and _printable(words[at]):
        raw += words[at].to_bytes(2, "big")
        at += 1
        if 0 in raw:
            break
    text = bytes(raw).split(b"\0")[0].decode("ascii").strip()
    if sum(letter.isalnum() for letter in text) < SHORTEST_TEXT:
        return None
    length, begins = at - address, not _printable(words.get(address - 1, 0))
    score = TEXT_PER_WORD * length + (TEXT_BEGINS if begins else 0.0)
    return Guess(address=address, type="string", word_count=length, text=text, score=score)


def _printable(word: int) -> bool:
    high, low = word >> 8, word & 0xFF
    return 0x20 <= high < 0x7F and (0x20 <= low < 0x7F or low == 0)
