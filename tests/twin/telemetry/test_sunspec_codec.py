"""Registers and values, by hand: each type, its sentinel, scale factors, groups, lengths and refusals."""

import struct
from collections.abc import Mapping
from typing import Any

import pytest

from twin.telemetry.sunspec_codec import decode, encode, named, scaled, unscaled
from twin.telemetry.sunspec_model import Model, known_models, load_model, parse_model
from twin.telemetry.sunspec_types import KINDS, PAD, Scalar, SunSpecError, read_raw, write_missing, write_raw

ASKED_FOR = {1, *range(101, 104), *range(120, 125), 160, *range(201, 205), 213, *range(701, 715), 802, 803}

VALUES: list[tuple[str, list[int], Any]] = [
    ("int16", [0xFFFE], -2),
    ("uint16", [0xFFFE], 65534),
    ("int32", [0xFFFF, 0xFFFE], -2),
    ("uint32", [0x0001, 0x0002], 65538),
    ("int64", [0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE], -2),
    ("uint64", [0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE], 2**64 - 2),
    ("acc16", [0xFFFF], 65535),
    ("acc32", [0xFFFF, 0xFFFF], 2**32 - 1),
    ("acc64", [0, 0, 0, 1], 1),
    ("enum16", [0], 0),
    ("enum32", [0, 7], 7),
    ("bitfield16", [0x7FFF], 0x7FFF),
    ("bitfield32", [0x4000, 0], 2**30),
    ("bitfield64", [0, 0, 0, 3], 3),
    ("raw16", [0xFFFF], 65535),
    ("count", [3], 3),
    ("sunssf", [0xFFF6], -10),
    ("float32", [0x4048, 0xF5C3], struct.unpack(">f", bytes.fromhex("4048F5C3"))[0]),
    ("float64", [0x3FF8, 0, 0, 0], 1.5),
    ("string", [0x4142, 0x4300], "ABC"),
    ("ipaddr", [0xC0A8, 0x0102], "192.168.1.2"),
    ("ipv6addr", [0x2001, 0x0DB8, 0, 0, 0, 0, 0, 1], "2001:db8::1"),
    ("eui48", [0, 0x0011, 0x22AA, 0xBBCC], "00:11:22:AA:BB:CC"),
]
SENTINELS: list[tuple[str, list[int]]] = [
    ("int16", [0x8000]),
    ("uint16", [0xFFFF]),
    ("int32", [0x8000, 0]),
    ("uint32", [0xFFFF, 0xFFFF]),
    ("int64", [0x8000, 0, 0, 0]),
    ("uint64", [0xFFFF] * 4),
    ("acc16", [0]),
    ("acc32", [0, 0]),
    ("acc64", [0, 0, 0, 0]),
    ("enum16", [0xFFFF]),
    ("enum32", [0xFFFF, 0xFFFF]),
    ("bitfield16", [0xFFFF]),
    ("bitfield32", [0xFFFF, 0xFFFF]),
    ("bitfield64", [0xFFFF] * 4),
    ("count", [0xFFFF]),
    ("sunssf", [0x8000]),
    ("float32", [0x7FC0, 0]),
    ("float64", [0x7FF8, 0, 0, 0]),
    ("string", [0, 0]),
    ("ipaddr", [0, 0]),
    ("ipv6addr", [0] * 8),
    ("eui48", [0, 0xFFFF, 0xFFFF, 0xFFFF]),
]


def test_every_model_asked_for_is_here() -> None:
    assert set(known_models()) >= ASKED_FOR
    with pytest.raises(SunSpecError, match="no definition of SunSpec model 64001"):
        load_model(64001)


def test_the_tables_of_this_test_know_every_type() -> None:
    assert {kind for kind, *_ in VALUES} | {PAD} == KINDS
    assert {kind for kind, _ in SENTINELS} | {PAD, "raw16"} == KINDS


@pytest.mark.parametrize(("kind", "words", "value"), VALUES)
def test_a_type_reads_and_writes_the_registers_of_the_specification(kind: str, words: list[int], value: Any) -> None:
    assert read_raw(kind, words) == value
    assert write_raw(kind, len(words), value) == tuple(words)


@pytest.mark.parametrize(("kind", "words"), SENTINELS)
def test_what_is_not_implemented_is_absent_with_its_reason(kind: str, words: list[int]) -> None:
    assert "does not implement" in str(read_raw(kind, words))
    assert write_missing(kind, len(words)) == tuple(words)


@pytest.mark.parametrize("words", [[0x7F80, 0], [0xFF80, 0], [0x7FC0, 1], [0xFFFF, 0xFFFF]])
def test_neither_infinity_nor_any_nan_is_a_number(words: list[int]) -> None:
    assert "does not implement" in str(read_raw("float32", words))


def test_a_bitfield_whose_highest_bit_is_set_says_nothing() -> None:
    assert "no bit of it is valid" in str(read_raw("bitfield16", [0x8001]))


def inverter(**values: Any) -> tuple[int, ...]:
    return encode(load_model(103), values)


def test_an_inverter_is_read_as_its_manual_says() -> None:
    # A by hand: id 103, 50 registers, 12.34 A, then phases; W 4321 · 10^1; 49.98 Hz; St 4.
    words = [103, 50, 1234, 411, 411, 412, 0xFFFE, *[0xFFFF] * 3, 2301, 2302, 2303, 0xFFFF, 4321, 1, 4998, 0xFFFE]
    words += [0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x0001, 0xE240, 0, *[0xFFFF, 0x8000] * 2, 0x8000, 0x8000]
    words += [253, 0x8000, 0x8000, 0x8000, 0xFFFF, 4, 0xFFFF, 0, 0, 0, 0, *[0xFFFF] * 8]
    held = decode(load_model(103), 40070, words)
    assert held.problems == ()
    assert held.values == {
        "A": 12.34, "AphA": 4.11, "AphB": 4.11, "AphC": 4.12, "A_SF": -2, "PhVphA": 230.1, "PhVphB": 230.2,
        "PhVphC": 230.3, "V_SF": -1, "W": 43210, "W_SF": 1, "Hz": 49.98, "Hz_SF": -2, "WH": 123456, "WH_SF": 0,
        "TmpCab": 25.3, "Tmp_SF": -1, "St": 4, "Evt1": 0, "Evt2": 0,
    }  # fmt: skip
    assert held.absent["DCA"] == "the device does not implement it"
    assert encode(load_model(103), held.values) == tuple(words)


def test_without_its_scale_factor_a_point_is_absent_though_its_register_holds_something() -> None:
    words = list(inverter(W=100, W_SF=0))
    place = decode(load_model(103), 0, words).places["W_SF"]
    words[place.start] = 0x8000
    held = decode(load_model(103), 0, words)
    assert "W" not in held.values
    assert held.absent["W"] == "without its scale factor W_SF: the device does not implement it"
    words[place.start] = 11
    assert "a scale factor of 11 is outside -10 to 10" in decode(load_model(103), 0, words).absent["W"]


@pytest.mark.parametrize("exponent", range(-10, 11))
def test_a_scaled_number_is_the_nearest_to_its_decimal_and_comes_back(exponent: int) -> None:
    for raw in (0, 1, -7, 12345, 2**31 - 1, 2**49 - 1):
        assert scaled(raw, exponent) == pytest.approx(float(f"{raw}e{exponent}"), rel=0, abs=0)
        assert unscaled(scaled(raw, exponent), exponent) == raw


def test_64_bits_keep_their_last_digit() -> None:
    words = encode(load_model(701), {"TotWhInj": 2**64 - 2, "TotWh_SF": 0})
    assert decode(load_model(701), 0, words).values["TotWhInj"] == 2**64 - 2
    # Scaled, the nearest float lies beyond the end of the type; it is still the end of the type.
    end = scaled(2**64 - 2, -3)
    assert encode(load_model(701), {"TotWhInj": end, "TotWh_SF": -3})[19:23] == (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE)


def test_a_written_number_is_rounded_to_the_step_of_the_scale() -> None:
    assert decode(load_model(103), 0, inverter(W=12_349, W_SF=2)).values["W"] == 12_300


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"W": 40_000, "W_SF": 0}, r"W: 40000 is outside -32767 to 32767 W"),
        ({"W": -327_680, "W_SF": 1}, r"W: -327680 is outside -327670 to 327670 W"),
        ({"W": 1}, r"W: cannot be written without its scale factor W_SF: it has no value"),
        ({"W": float("nan"), "W_SF": 0}, r"W: nan is no finite number"),
        ({"W_SF": 11}, r"W_SF: 11 is outside -10 to 10"),
        ({"Evt1": 2**31}, r"Evt1: .* is outside 0 to 2147483647"),
        ({"St": "RUNNING"}, r"St: 'RUNNING' is not one of OFF, SLEEPING"),
        ({"A": "much", "A_SF": 0}, r"A: 'much' is not one of its values, which are numbers"),
        ({"Power": 1}, r"model 103 has no point Power"),
        ({"ID": 1}, r"model 103 has no point ID"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(values: dict[str, Any], said: str) -> None:
    with pytest.raises(SunSpecError, match=said):
        inverter(**values)


@pytest.mark.parametrize(
    ("kind", "count", "value"),
    [
        ("string", 2, "ABCDE"),
        ("string", 2, "A\0"),
        ("ipaddr", 2, "1.2.3"),
        ("eui48", 4, "00:11"),
        ("pad", 1, 0),
        ("float32", 2, 1e39),
        ("float32", 2, float("inf")),
        ("uint16", 1, 65535),
        ("int16", 1, 1.5),
    ],
)
def test_what_a_type_cannot_hold_is_refused(kind: str, count: int, value: Any) -> None:
    with pytest.raises(SunSpecError):
        write_raw(kind, count, value)


def test_curves_stand_where_their_counts_put_them() -> None:
    model = load_model(707)
    values: Mapping[str, Scalar] = {
        "Crv.1.MustTrip.Pt.1.Tms": 0.16,
        "Tms_SF": -2,
        "Crv.0.MomCess.Pt.0.V": 50,
        "V_SF": 0,
        "Ena": "ENABLED",
    }
    words = encode(model, values)
    held = decode(model, 0, words)
    # Header 2, own points 7; a curve is ReadOnly and three times ActPt and 2 points of 3 registers.
    curve = 1 + 3 * (1 + 2 * 3)
    assert (held.values["NCrvSet"], held.values["NPt"], len(words)) == (2, 2, 9 + 2 * curve)
    assert held.places["Crv.1.MustTrip.Pt.1.Tms"].start == 9 + curve + 2 + 3 + 1
    assert words[held.places["Crv.1.MustTrip.Pt.1.Tms"].start :][:2] == (0, 16)
    assert held.values["Crv.1.MustTrip.Pt.1.Tms"] == 0.16
    assert named(model.group.points[2], held.values["Ena"]) == "ENABLED"


def test_strings_of_a_photovoltaic_field_repeat_as_often_as_there_is_room() -> None:
    values: Mapping[str, Scalar] = {"DCW_SF": 1, "module.0.DCW": 5000, "module.2.DCW": 7000, "module.1.IDStr": "roof"}
    words = encode(load_model(160), values)
    held = decode(load_model(160), 0, words)
    assert (len(words), held.values["N"]) == (2 + 8 + 3 * 20, 3)
    assert {path: held.values[path] for path in values} == values
    assert "module.1.DCW" in held.absent


def test_a_scale_factor_of_the_nearest_group_counts() -> None:
    point = {"name": "V", "type": "int16", "size": 1, "sf": "V_SF"}
    scale = {"name": "V_SF", "type": "sunssf", "size": 1}
    header = [{"name": "ID", "type": "uint16", "size": 1}, {"name": "L", "type": "uint16", "size": 1}]
    inner = {"name": "inner", "points": [scale, point]}
    literal = {"name": "Hz", "type": "uint16", "size": 1, "sf": -2}
    outer = {
        "name": "outer",
        "points": [*header, scale, literal],
        "groups": [inner, {"name": "bare", "points": [point]}],
    }
    model: Model = parse_model({"id": 60001, "group": outer})
    held = decode(model, 0, [60001, 5, 1, 5001, 2, 3, 3])
    assert (held.values["inner.V"], held.values["bare.V"], held.values["Hz"]) == (300, 30, 50.01)
    with pytest.raises(SunSpecError, match="unknown type int128"):
        parse_model({"id": 1, "group": {"name": "g", "points": [{**point, "type": "int128"}]}})


def test_a_model_that_is_too_short_is_read_as_far_as_it_goes() -> None:
    held = decode(load_model(103), 40070, inverter(A=5, A_SF=0, W=7, W_SF=0)[:-2])
    assert held.values["W"] == 7
    assert held.absent["EvtVnd4"] == "beyond the 48 registers that the device gives the model"
    assert held.problems == ("model 103 at 40070 is 48 registers long, 50 expected",)


def test_counts_that_ask_for_more_than_there_is_are_named_and_bounded() -> None:
    words = list(encode(load_model(705), {"Crv.0.Pt.0.V": 100, "V_SF": 0}))
    for name, count in (("NCrv", 65534), ("NPt", 1)):
        words[decode(load_model(705), 0, words).places[name].start] = count
    held = decode(load_model(705), 40100, words)
    assert held.values["Crv.0.Pt.0.V"] == 100
    assert len(held.places) < 40
    (problem,) = held.problems
    assert problem.startswith("model 705 at 40100 is 25 registers long, 786421 expected with NCrv 65534, NPt 1")


def test_model_1_may_be_of_the_length_before_it_was_padded() -> None:
    words = encode(load_model(1), {"Mn": "maker", "Md": "model", "SN": "7"})
    assert decode(load_model(1), 40002, words[:-1]).problems == ()
    assert len(decode(load_model(1), 40002, words[:-2]).problems) == 1


def test_names_of_bits_are_told() -> None:
    place = decode(load_model(103), 0, inverter(Evt1=0)).places["Evt1"]
    assert named(place.point, 0b1000_0001) == "GROUND_FAULT, OVER_TEMP"
    assert named(place.point, 2**30) == "bit 30"
