import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.devices.base import Account, Device
from twin.errors import InputError
from twin.site import load_site
from twin.telemetry.config import ModbusLink
from twin.telemetry.register_map import (
    HOUSE_MAPS,
    Register,
    RegisterMap,
    blocks,
    decode,
    encode,
    encode_missing,
    find_map,
    load_map,
    read_map,
)

SITE_PATH = HOUSE_MAPS.parent / "campus.yaml"


def registers_of(parsed: RegisterMap) -> dict[str, Register]:
    return {name: point for name, point in parsed.points.items() if isinstance(point, Register)}


def register(type_: str, **keys: object) -> Register:
    return Register(**({"table": "holding", "address": 0, "type": type_, "min": -1e9, "max": 1e9} | keys))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("item", "words", "value"),
    [
        (register("int16", scale=0.1), (0xFFFF,), -0.1),
        (register("uint16", scale=0.1), (0xFFFF,), 6553.5),
        (register("int32"), (0xFFFE, 0xEE90), -70000.0),
        (register("int32", word_order="little"), (0xEE90, 0xFFFE), -70000.0),
        (register("uint32", word_order="little"), (0xEE90, 0xFFFE), 4294897296.0),
        (register("uint64", scale=0.001), (0, 1, 0, 500), 4294967.796),
        (register("uint64", word_order="little"), (500, 0, 1, 0), 4294967796.0),
        (register("float32"), (0x42F6, 0xE979), 123.456),
        (register("float32", word_order="little"), (0xE979, 0x42F6), 123.456),
        (register("int16", into_device="negative"), (250,), -250.0),
        (register("int16", into_device="positive"), (250,), 250.0),
    ],
)
def test_words_mean_what_the_map_says(item: Register, words: tuple[int, ...], value: float) -> None:
    assert decode(item, words) == pytest.approx(value, rel=1e-6)
    assert encode(item, value) == words


@given(
    kind=st.sampled_from(["int16", "uint16", "int32", "uint32", "float32"]),
    order=st.sampled_from(["big", "little"]),
    sign=st.sampled_from(["positive", "negative"]),
    scale=st.sampled_from([0.001, 0.1, 1.0, 10.0]),
    raw=st.integers(0, 32767),
)
def test_what_is_encoded_is_decoded(kind: str, order: str, sign: str, scale: float, raw: int) -> None:
    item = register(kind, word_order=order, into_device=sign, scale=scale)
    value = raw * scale * (-1 if sign == "negative" else 1)
    assert decode(item, encode(item, value)) == pytest.approx(value, abs=1e-9, rel=1e-6)


def test_the_sentinel_is_no_number() -> None:
    item = register("int16", sentinel=0x8000)
    assert decode(item, (0x8000,)) is None
    assert encode_missing(item) == (0x8000,)
    wide = register("uint32", sentinel=0xFFFF0000, word_order="little")
    assert encode_missing(wide) == (0, 0xFFFF)
    assert decode(wide, (0, 0xFFFF)) is None
    assert encode_missing(register("int16")) is None


def test_a_float_without_a_value_is_nan_on_the_wire() -> None:
    item = register("float32", word_order="little")
    assert encode_missing(item) == (0, 0x7FC0)
    assert decode(item, (0, 0x7FC0)) is None


@pytest.mark.parametrize("words", [(0x7FC0, 0), (0x7F80, 0)])
def test_a_float_that_is_not_finite_is_no_number(words: tuple[int, int]) -> None:
    assert decode(register("float32"), words) is None


def test_encoding_saturates_where_the_type_ends() -> None:
    assert encode(register("uint16"), -5.0) == (0,)
    assert encode(register("int16"), 40000.0) == (0x7FFF,)
    assert math.isfinite(decode(register("float32"), encode(register("float32"), 1e300)) or math.nan)


@pytest.mark.parametrize("path", sorted(HOUSE_MAPS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_map_of_the_house_is_sound(path: Path) -> None:
    parsed = read_map(path)
    assert {"p_kw", "q_kvar", "v_pu"} <= set(parsed.points)
    covered = [member for block in blocks(registers_of(parsed)) for member in block.members]
    assert {name for name, _, _ in covered} == set(parsed.points)


def modbus_links() -> Iterator[tuple[str, Device[Any], ModbusLink]]:
    for path in sorted(HOUSE_MAPS.parent.glob("*.yaml")):
        site = load_site(path)
        for name, link in site.telemetry.links.items():
            if isinstance(link, ModbusLink):
                yield f"{path.stem}.{name}", site.devices[link.device], link


def test_every_device_of_every_site_shows_all_its_instruments_and_takes_its_setpoint() -> None:
    for place, device, link in modbus_links():
        registers = load_map(link.map, SITE_PATH)
        counters = {"import_kwh"} if device.account is Account.GRID else set()
        wanted = {"p_kw", "q_kvar", "v_pu", *device.instruments} | counters
        assert wanted <= set(registers.points), place
        assert device.setpoint is None or (registers.setpoint and registers.setpoint.name == device.setpoint), place


def test_the_registers_reach_as_far_as_the_device_goes() -> None:
    for place, device, link in modbus_links():
        registers = load_map(link.map, SITE_PATH)
        if registers.setpoint is None:
            continue
        power = registers_of(registers)["p_kw"]
        for rated_kw in (device.rated_kw, registers.setpoint.max):
            # The wrong sign of either saturates or is implausible; the right one is the device's own.
            held = [decode(power, encode(power, sign * rated_kw)) for sign in (1, -1)]
            assert any(value is not None and abs(value) >= rated_kw - power.scale for value in held), place
        assert registers.setpoint.max >= device.rated_kw, place


def test_adjacent_registers_are_read_at_once_and_gaps_never() -> None:
    joined = blocks(
        {"b": register("int32", address=12), "a": register("int16", address=11), "c": register("int16", address=15)}
    )
    assert [(block.start, block.count) for block in joined] == [(11, 3), (15, 1)]
    assert [name for name, _, _ in joined[0].members] == ["a", "b"]


def test_no_read_is_longer_than_the_protocol_allows() -> None:
    many = {f"p{index}_kw": register("int32", address=2 * index) for index in range(100)}
    assert [block.count for block in blocks(many)] == [124, 76]


GOOD = """\
title: a meter
address_base: 0
points:
  p_kw: {table: input, address: 0, type: int32, into_device: positive, min: -1, max: 1}
"""
SETPOINT = """\
setpoint:
  name: limit_kw
  table: holding
  address: 10
  type: uint16
  min: 0
  max: 1000
  timeout_s: {table: holding, address: 11, type: uint16, min: 1, max: 600}
"""


def complaint(tmp_path: Path, text: str) -> str:
    path = tmp_path / "meter.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_map(path)
    return str(caught.value)


def test_a_good_map_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "meter.yaml"
    path.write_text(GOOD + SETPOINT)
    assert load_map("meter.yaml", tmp_path / "site.yaml") == read_map(path)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (GOOD + "  v_pu: {table: input, address: 1, type: uint16, min: 0, max: 2}\n", 5, "points.p_kw on line 4"),
        (GOOD.replace("into_device: positive, ", ""), 4, "without its sign"),
        (GOOD.replace("min: -1", "min: 2"), 4, "min below max"),
        (GOOD.replace("address: 0", "address: 65535"), 4, "65535"),
        (GOOD.replace("address_base: 0", "address_base: 40001"), 2, "0 or 1"),
        (GOOD.replace("p_kw", "power"), 4, "a point that the twin knows"),
        (GOOD.replace("min: -1", "minimum: -1"), 4, "unknown key"),
        (
            GOOD + "  load_kw: {table: input, address: 9, type: int16, into_device: negative, min: 0, max: 2}\n",
            5,
            "it has no direction",
        ),
        (GOOD + SETPOINT.replace("table: holding\n", "table: input\n"), 7, "holding"),
        (GOOD + SETPOINT.replace("max: 1000", "max: 100000"), 11, "what uint16 times 1 can hold"),
        (GOOD + SETPOINT.replace("address: 11", "address: 10"), 12, "setpoint on line 5"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    said = complaint(tmp_path, text)
    assert f"meter.yaml:{line}: " in said
    assert words in said


def test_a_setpoint_without_a_dead_man_is_refused(tmp_path: Path) -> None:
    without = SETPOINT[: SETPOINT.index("  timeout_s")]
    assert "setpoint.timeout_s" in complaint(tmp_path, GOOD + without)


def test_an_unknown_map_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no_such_map.*battery_inverter.*ups"):
        find_map("no_such_map", tmp_path / "site.yaml")


def test_a_map_beside_the_site_comes_before_one_of_the_house(tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    own = tmp_path / "maps" / "ups.yaml"
    own.write_text(GOOD)
    assert find_map("ups", tmp_path / "site.yaml") == own
    assert find_map("genset", tmp_path / "site.yaml") == HOUSE_MAPS / "genset.yaml"
