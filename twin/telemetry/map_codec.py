"""The arithmetic between registers and numbers."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from twin.telemetry.map_schema import Field
from twin.telemetry.map_types import BYTES, FLOATS, LAYOUTS, NAN, WORDS

Words = Sequence[int]


def decode(field: Field, words: Words, exponent: float = 0.0) -> float | None:
    """The number that `words` hold, `exponent` being the scale factor's; None where the device says it has none."""
    raw = raw_number(field, words)
    if raw is None:
        return None
    meant = raw if field.enumeration is None else field.enumeration.get(int(raw))
    if meant is None:
        return None
    if field.enumeration is not None and not isinstance(meant, str):
        return float(meant)
    value = float(raw * field.scale * 10.0**exponent + field.offset)
    return -value if field.into_device == "negative" else value


def raw_number(field: Field, words: Words) -> float | None:
    """The raw content of a field that is no text; None for a sentinel, NaN, or digits that are none."""
    packed = packed_bytes(field, words)
    if field.sentinels and int.from_bytes(packed, "big") in field.sentinels:
        return None
    if field.type in LAYOUTS:
        raw = LAYOUTS[field.type].unpack(packed)[0]
        return raw if math.isfinite(raw) else None
    content = int.from_bytes(packed, "big")
    if field.type in BYTES:
        byte = content >> 8 if field.type.endswith("high") else content & 0xFF
        return byte - 256 if field.type.startswith("int") and byte > 127 else byte
    if field.type == "bcd":
        digits = f"{content:x}"
        return int(digits) if digits.isdigit() else None
    low, high = _bits(field)
    return content >> low & (1 << high - low + 1) - 1


def _bits(field: Field) -> tuple[int, int]:
    if field.type == "bit":
        return (field.bit or 0,) * 2
    return field.bits or (0, 16 * field.word_count - 1)


def decode_text(field: Field, words: Words) -> str:
    """The text that `words` hold, without what pads it."""
    return packed_bytes(field, words).split(b"\0")[0].decode("utf-8", "replace").strip()


def encode(field: Field, value: float, exponent: float = 0.0) -> tuple[int, ...]:
    """The words that hold `value`, as near as the type can; it saturates where the type ends."""
    if field.enumeration is not None and (code := _code(field, value)) is not None:
        return _words(field, _content(field, code))
    shown = -value if field.into_device == "negative" else value
    raw = (shown - field.offset) / (field.scale * 10.0**exponent)
    least, most = field.raw_range
    return _words(field, _content(field, min(max(raw, least), most)))


def _code(field: Field, value: float) -> int | None:
    """The raw number that an enumeration of numbers has for the one nearest to `value`."""
    numbers = {code: meant for code, meant in (field.enumeration or {}).items() if not isinstance(meant, str)}
    return min(numbers, key=lambda code: abs(numbers[code] - value)) if numbers else None


def _content(field: Field, raw: float) -> bytes:
    if field.type in FLOATS:
        return LAYOUTS[field.type].pack(raw)
    # Not `round` of the float: the ends of 64 bits are integers that no float is.
    least, most = field.raw_range
    whole = min(max(round(raw), int(least)), int(most))
    if field.type in LAYOUTS:
        return LAYOUTS[field.type].pack(whole)
    size = 2 * field.word_count
    if field.type in BYTES:
        return ((whole & 0xFF) << (8 if field.type.endswith("high") else 0)).to_bytes(size, "big")
    if field.type == "bcd":
        return int(str(whole), 16).to_bytes(size, "big")
    return (whole << _bits(field)[0]).to_bytes(size, "big")


def encode_missing(field: Field) -> tuple[int, ...] | None:
    """The words by which the device says that it has no value; None where its map knows none."""
    size = 2 * field.word_count
    sentinel = next(iter(field.sentinels), NAN[size] if field.type in FLOATS else None)
    return None if sentinel is None else _words(field, sentinel.to_bytes(size, "big"))


def packed_bytes(field: Field, words: Words) -> bytes:
    """The content in big-endian order, whatever the device's."""
    ordered = words if field.word_order == "big" else words[::-1]
    packed = WORDS[len(ordered)].pack(*ordered)
    return packed if field.byte_order == "big" else _swapped(packed)


def _words(field: Field, packed: bytes) -> tuple[int, ...]:
    ordered = struct.unpack(f">{len(packed) // 2}H", packed if field.byte_order == "big" else _swapped(packed))
    return ordered if field.word_order == "big" else ordered[::-1]


def _swapped(packed: bytes) -> bytes:
    """The two bytes of every word exchanged."""
    turned = bytearray(packed)
    turned[0::2], turned[1::2] = packed[1::2], packed[0::2]
    return bytes(turned)
