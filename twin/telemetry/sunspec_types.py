"""The types of SunSpec points: what their registers hold, and by what they say that they hold nothing.

Source: SunSpec Device Information Model Specification 1.x, table of point types; contents of a point that
is not implemented as there. Registers are big-endian words, the most significant first.
"""

from __future__ import annotations

import ipaddress
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from twin.errors import LinkError

Words = Sequence[int]
Registers = tuple[int, ...]
"""Registers that are kept."""
Scalar = int | float | str

NOT_IMPLEMENTED = "the device does not implement it"
NOT_COUNTED = "the device does not implement it, or has counted nothing yet"
BEYOND_BITS = "its highest bit is set, by which the device says that no bit of it is valid"
LEAST_EXPONENT, MOST_EXPONENT = -10, 10


class SunSpecError(LinkError):
    """A device is no SunSpec device, or cannot hold or do what is asked of it."""


@dataclass(frozen=True, slots=True)
class Absent:
    """There is no value, with the reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Whole:
    """A kind of whole number: how it is packed, which contents are values, and which says that there is none."""

    layout: str
    low: int
    high: int
    missing: int | None


def _whole(layout: str) -> dict[str, _Whole]:
    """Signed and unsigned kinds of one width, by the prefix of their names."""
    bits = 8 * struct.calcsize(layout)
    top = 2**bits - 1
    return {
        "int": _Whole(layout.lower(), -(top // 2), top // 2, -(top // 2) - 1),
        "uint": _Whole(layout, 0, top - 1, top),
        "enum": _Whole(layout, 0, top - 1, top),
        "bitfield": _Whole(layout, 0, top // 2, top),
        "acc": _Whole(layout, 0, top, 0),
    }


WHOLE: dict[str, _Whole] = {
    f"{prefix}{bits}": kind
    for bits, layout in ((16, ">H"), (32, ">I"), (64, ">Q"))
    for prefix, kind in _whole(layout).items()
    if f"{prefix}{bits}" != "enum64"  # which SunSpec does not have
} | {
    "count": _Whole(">H", 0, 65534, 65535),
    "raw16": _Whole(">H", 0, 65535, None),
    "sunssf": _Whole(">h", LEAST_EXPONENT, MOST_EXPONENT, -32768),
}
FLOATS = {"float32": ">f", "float64": ">d"}
TEXTS = frozenset({"string", "ipaddr", "ipv6addr", "eui48"})
PAD = "pad"
PAD_CONTENT = 0x8000
KINDS = frozenset({*WHOLE, *FLOATS, *TEXTS, PAD})


def read_raw(kind: str, words: Words) -> Scalar | Absent:
    """What the registers of one point hold, before any scale factor. Any content has an answer."""
    packed = struct.pack(f">{len(words)}H", *words)
    if kind in WHOLE:
        return _read_whole(kind, packed)
    if kind in FLOATS:
        number: float = struct.unpack(FLOATS[kind], packed)[0]
        return number if math.isfinite(number) else Absent(NOT_IMPLEMENTED)
    text = _read_text(kind, packed)
    return Absent(NOT_IMPLEMENTED) if text is None else text


def _read_whole(kind: str, packed: bytes) -> int | Absent:
    whole = WHOLE[kind]
    raw: int = struct.unpack(whole.layout, packed)[0]
    if raw == whole.missing:
        return Absent(NOT_COUNTED if kind.startswith("acc") else NOT_IMPLEMENTED)
    if whole.low <= raw <= whole.high:
        return raw
    if kind == "sunssf":
        return Absent(f"a scale factor of {raw} is outside {LEAST_EXPONENT} to {MOST_EXPONENT}")
    return Absent(BEYOND_BITS)


def _read_text(kind: str, packed: bytes) -> str | None:
    if kind == "ipaddr":
        return str(ipaddress.IPv4Address(packed)) if any(packed) else None
    if kind == "ipv6addr":
        return str(ipaddress.IPv6Address(packed)) if any(packed) else None
    if kind == "eui48":
        last_six = packed[2:]
        return None if last_six in (b"\xff" * 6, bytes(6)) else last_six.hex(":").upper()
    if kind == "string":
        return packed.split(b"\0", 1)[0].decode("utf-8", errors="replace") or None
    return None


def write_raw(kind: str, register_count: int, raw: Scalar) -> Registers:
    """The registers that hold `raw`. Raises `SunSpecError` with the range when they cannot."""
    if kind in WHOLE:
        packed = _pack_whole(kind, raw)
    elif kind in FLOATS:
        packed = _pack_float(kind, raw)
    else:
        packed = _pack_text(kind, register_count, str(raw))
    return struct.unpack(f">{register_count}H", packed)


def write_missing(kind: str, register_count: int) -> Registers:
    """The registers of a point that the device does not implement."""
    if kind in WHOLE:
        packed = struct.pack(WHOLE[kind].layout, WHOLE[kind].missing or 0)
    elif kind in FLOATS:
        packed = struct.pack(FLOATS[kind], math.nan)
    elif kind == PAD:
        return (PAD_CONTENT,) * register_count
    else:
        packed = b"\0\0" + b"\xff" * 6 if kind == "eui48" else bytes(2 * register_count)
    return struct.unpack(f">{register_count}H", packed)


def _pack_whole(kind: str, raw: Scalar) -> bytes:
    whole = WHOLE[kind]
    if not isinstance(raw, int):
        raise SunSpecError(f"{raw!r} is no whole number, which {kind} needs")
    if not whole.low <= raw <= whole.high:
        raise SunSpecError(f"{raw} is outside {whole.low} to {whole.high}, the range of {kind}")
    return struct.pack(whole.layout, raw)


def _pack_float(kind: str, raw: Scalar) -> bytes:
    if isinstance(raw, str) or not math.isfinite(raw):
        raise SunSpecError(f"{raw!r} is no finite number, which {kind} needs")
    try:
        return struct.pack(FLOATS[kind], raw)
    except OverflowError:
        raise SunSpecError(f"{raw:g} is beyond the range of {kind}") from None


def _pack_text(kind: str, register_count: int, text: str) -> bytes:
    try:
        if kind == "ipaddr":
            return ipaddress.IPv4Address(text).packed
        if kind == "ipv6addr":
            return ipaddress.IPv6Address(text).packed
        if kind == "eui48":
            return b"\0\0" + _six_bytes(text)
    except ValueError:
        raise SunSpecError(f"{text!r} is no address of type {kind}") from None
    if kind != "string":
        raise SunSpecError(f"a point of type {kind} takes no value")
    packed = text.encode("utf-8", errors="replace")
    if len(packed) > 2 * register_count or b"\0" in packed:
        raise SunSpecError(f"{text!r} does not fit into {2 * register_count} bytes without zeros")
    return packed.ljust(2 * register_count, b"\0")


def _six_bytes(text: str) -> bytes:
    packed = bytes.fromhex(text.replace(":", ""))
    if len(packed) != 6:
        raise ValueError(text)
    return packed
