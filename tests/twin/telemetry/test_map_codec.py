"""Registers mean what a map says of them, by a second arithmetic than ours."""

import struct
from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.telemetry.map_codec import decode, decode_text, encode, encode_missing
from twin.telemetry.map_formula import fields_of, place_of, scale_factors, value_of, words_for
from twin.telemetry.map_house import in_house_form
from twin.telemetry.map_schema import Computed, Field, Formula, Point, Register, RegisterMap, ScaleFactor
from twin.telemetry.map_units import SYMBOLS, conversion

FORMATS = {
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float16": "e",
    "float32": "f",
    "float64": "d",
}


def register(kind: str, **keys: object) -> Register:
    return Register(**({"table": "holding", "address": 0, "type": kind, "min": -1e9, "max": 1e9} | keys))  # type: ignore[arg-type]


def point(name: str, **keys: object) -> Point:
    """A point in the house's form."""
    written = RegisterMap(title="", address_base=0, points={name: register(**keys)})  # type: ignore[arg-type]
    return in_house_form(written).points[name]


ORDERS: dict[str, tuple[str, str, Callable[[bytes], bytes]]] = {
    "ABCD": ("big", "big", lambda content: content),
    "DCBA": ("little", "little", lambda content: content[::-1]),
    "BADC": ("big", "little", lambda content: b"".join(content[at : at + 2][::-1] for at in range(0, len(content), 2))),
    "CDAB": ("little", "big", lambda content: b"".join(content[at : at + 2] for at in range(len(content) - 2, -1, -2))),
}
"""As the trade calls them: order of words, order of bytes, and where the bytes of a big-endian number go."""


@pytest.mark.parametrize(("kind", "name"), list(product(FORMATS, ORDERS)))
def test_the_four_orders_of_bytes(kind: str, name: str) -> None:
    words_order, bytes_order, moved = ORDERS[name]
    number = -12.5 if kind.startswith("float") else -321 if kind.startswith("int") else 54321
    wire = moved(struct.pack(">" + FORMATS[kind], number))
    words = struct.unpack(f">{len(wire) // 2}H", wire)
    item = register(kind, word_order=words_order, byte_order=bytes_order)
    assert decode(item, words) == number
    assert encode(item, number) == words


@pytest.mark.parametrize(
    ("item", "words", "value"),
    [
        (register("bit", bit=3), (0b1000,), 1.0),
        (register("bit", bit=3), (0b10111,), 0.0),
        (register("bitfield", bits=(4, 7)), (0x00A0,), 10.0),
        (register("bitfield", length=2), (1, 2), 65538.0),
        (register("bcd", length=2), (0x0012, 0x3456), 123456.0),
        (register("int8_high"), (0xFF00,), -1.0),
        (register("int8_low"), (0x007F,), 127.0),
        (register("uint8_low"), (0x00FF,), 255.0),
        (register("int16", scale=0.1, offset=-40.0), (500,), 10.0),
        (register("uint16", enumeration={0: -1, 1: 1}), (0,), -1.0),
        (register("uint16", enumeration={3: "running"}), (3,), 3.0),
    ],
)
def test_parts_of_registers_offsets_and_codes(item: Register, words: tuple[int, ...], value: float) -> None:
    assert decode(item, words) == pytest.approx(value)
    again = encode(item, value)
    assert decode(item, again) == pytest.approx(value)


def test_what_is_no_value_is_none() -> None:
    assert decode(register("bcd", length=1), (0x00A1,)) is None
    assert decode(register("uint16", enumeration={1: 1}), (2,)) is None
    assert decode(register("int32", sentinel=(0x80000000, 0x7FFFFFFF)), (0x7FFF, 0xFFFF)) is None
    assert decode(register("float64"), (0x7FF8, 0, 0, 0)) is None
    assert encode_missing(register("float64", word_order="little")) == (0, 0, 0, 0x7FF8)


def test_texts() -> None:
    item = Field(table="holding", address=0, type="string", length=4)
    assert decode_text(item, (0x5355, 0x4E32, 0x3000, 0x4142)) == "SUN20"
    swapped = Field(table="holding", address=0, type="string", length=1, byte_order="little")
    assert decode_text(swapped, (0x4241,)) == "AB"


@given(kind=st.sampled_from(sorted(FORMATS)), raw=st.integers(0, 2**64 - 1), little=st.booleans())
def test_any_content_is_decoded_or_said_to_be_none_and_encoded_again(kind: str, raw: int, little: bool) -> None:
    item = register(kind, word_order="little" if little else "big")
    words = tuple(raw >> 16 * index & 0xFFFF for index in range(item.word_count))
    value = decode(item, words)
    # Doubles do not hold every integer of 64 bits.
    assert value is None or decode(item, encode(item, value)) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("name", "keys", "raw", "value"),
    [
        ("p_kw", {"kind": "int16", "unit": "W", "scale": 10.0, "into_device": "negative"}, 500, -5.0),
        ("p_kw", {"kind": "int16", "unit": "MW", "into_device": "positive"}, 2, 2000.0),
        ("import_kwh", {"kind": "uint32", "unit": "Wh"}, 1500, 1.5),
        ("soc", {"kind": "uint16", "unit": "%", "scale": 0.1}, 955, 0.955),
        ("v_pu", {"kind": "uint16", "unit": "V", "rated": 400.0, "scale": 0.1}, 4100, 1.025),
        ("limit_kw", {"kind": "uint16", "unit": "%", "rated": 50.0}, 60, 30.0),
        ("supply_c", {"kind": "uint16", "unit": "K", "scale": 0.1}, 2931, 19.95),
        ("supply_c", {"kind": "int16", "unit": "°F", "offset": 0.0}, 212, 100.0),
    ],
)
def test_units_of_devices_become_ours(name: str, keys: dict[str, object], raw: int, value: float) -> None:
    item = point(name, **keys)
    assert isinstance(item, Register)
    words = (raw,) if item.word_count == 1 else (raw >> 16, raw & 0xFFFF)
    assert decode(item, words) == pytest.approx(value)
    assert encode(item, value) == words


@pytest.mark.parametrize("symbol", sorted(SYMBOLS))
def test_every_unit_becomes_the_one_it_is_said_to_become(symbol: str) -> None:
    into = conversion(symbol, SYMBOLS[symbol].suffix)
    assert into is not None
    assert into.factor > 0


def test_a_voltage_is_no_power() -> None:
    assert conversion("V", "kw") is None
    assert conversion("V", "pu") is None, "not without what 1 pu is"
    assert conversion("furlong", "m") is None


WORDS = {
    ("input", 0): (2300,),
    ("input", 1): (0xFFF6,),
    ("input", 2): (1,),
    ("input", 3): (0xFFFE,),
    ("input", 4): (700,),
    ("input", 5): (0x8000,),
}


def field(address: int, kind: str = "uint16", **keys: object) -> Field:
    return Field(**({"table": "input", "address": address, "type": kind} | keys))  # type: ignore[arg-type]


def heard(item: Field) -> tuple[int, ...] | None:
    return WORDS.get((item.table, item.address))


VOLTAGE, CURRENT = field(0, scale=0.1), field(1, "int16", scale=0.1)


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        (Formula(product=(VOLTAGE, CURRENT)), -230.0),
        (Formula(product=(VOLTAGE, CURRENT), scale=0.001, offset=1.0), 0.77),
        (Formula(sum=(field(4), field(4, scale=-2.0))), -700.0),
        (Formula(difference=(field(4), field(0))), -1600.0),
        (Formula(ratio=(field(0), field(4))), 2300 / 700),
        (Formula(magnitude=CURRENT), 1.0),
        (Formula(product=(Formula(magnitude=CURRENT), field(2, enumeration={0: -1, 1: 1}))), 1.0),
        (field(4, scale_factor=ScaleFactor(table="input", address=3)), 7.0),
        (field(4, scale_factor=ScaleFactor(table="input", address=5)), None),
        (field(4, scale_factor=ScaleFactor(table="input", address=4)), None),
        (field(9), None),
        (Formula(sum=(field(4), field(9))), None),
        (Formula(ratio=(field(4), field(2, offset=-1.0))), None),
    ],
)
def test_points_from_several_registers(formula: Formula | Field, value: float | None) -> None:
    assert value_of(formula, heard) == (None if value is None else pytest.approx(value))


@given(
    values=st.lists(st.floats(-40.0, 40.0), min_size=4, max_size=4),
    sign=st.sampled_from(["positive", "negative"]),
)
def test_an_emulated_device_shows_what_it_is_told_through_formulas_and_scale_factors(
    values: list[float], sign: str
) -> None:
    shared = ScaleFactor(address=50)
    keys: dict[str, object] = {"min": -40.0, "max": 40.0, "into_device": sign}
    points: dict[str, Point] = {
        "p_kw": Computed(sum=(field(0, "int32", scale=1e-3), field(2, "int32", scale=1e-3)), **keys),  # type: ignore[arg-type]
        "q_kvar": Computed(difference=(field(4, "uint32", scale=1e-3), field(6, "uint32", scale=1e-3)), **keys),  # type: ignore[arg-type]
        "l1_kw": register("int16", address=20, scale_factor=shared, **keys),
        "l2_kw": register("int16", address=21, scale_factor=shared, **(keys | {"max": 4000.0})),
    }
    shown = dict(zip(points, values, strict=True))
    exponents = scale_factors(points.values())
    held = words_for(points, shown, exponents)
    held |= {place: encode(shared.field, power) for place, power in exponents.items()}
    assert exponents[place_of(shared.field)] == 0, "4000 does not fit with one digit more"
    for name, item in points.items():
        step = 0.5 if name.startswith("l") else 1e-3
        value = value_of(item, lambda part: held.get(place_of(part)))
        assert value == pytest.approx(shown[name], abs=step + 1e-9)
        assert {place_of(part) for part in fields_of(item)} <= set(held)
