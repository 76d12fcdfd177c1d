"""Other tools' files become drafts that say what those files say, and that no check lets pass undecided."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from twin.errors import InputError
from twin.telemetry.map_codec import decode, decode_text
from twin.telemetry.map_import import import_map
from twin.telemetry.map_schema import Register, RegisterMap
from twin.telemetry.map_to_home_assistant import to_home_assistant
from twin.telemetry.register_map import HOUSE_MAPS, read_map
from twin.yaml_file import read_yaml

TELEGRAF = """\
[[inputs.modbus]]
  name = "meter"
  slave_id = 3
  controller = "tcp://10.0.0.5:502"
  coils = [ { name = "breaker", address = [4] } ]
  holding_registers = [
    { name = "power", byte_order = "CDAB", data_type = "INT32", scale = 0.1, address = [3, 4] },
    { name = "soc", byte_order = "BA", data_type = "UFIXED", scale = 0.001, address = [8] },
    { name = "energy", byte_order = "GHEFCDAB", data_type = "FLOAT64-IEEE", address = [10, 11, 12, 13] },
    { name = "torn", byte_order = "ABCD", data_type = "UINT32", address = [20, 22] },
    { name = "firmware", byte_order = "AB", data_type = "STRING", address = [30, 31, 32] },
    { name = "alarm", byte_order = "AB", data_type = "BIT", bit = 7, address = [40] },
  ]

  [[inputs.modbus.request]]
    slave_id = 3
    byte_order = "DCBA"
    register = "input"
    fields = [
      { address = 100, name = "frequency", type = "UINT32", scale = 0.01 },
      { address = 102, name = "unused", type = "INT16", omit = true },
      { address = 103, name = "temperature", type = "INT8L" },
    ]
"""
HOME_ASSISTANT = """\
modbus:
  - name: hub
    type: tcp
    host: 10.0.0.5
    port: 502
    sensors:
      - {name: Power, address: 5, device_address: 2, input_type: input, data_type: int32, swap: word, scale: -1,
         unit_of_measurement: W, nan_value: "0x80000000"}
      - {name: Battery SoC, address: 9, slave: 2, data_type: uint16, scale: 0.1, unit_of_measurement: "%",
         min_value: 5, max_value: 100, scan_interval: 60}
      - {name: Voltage L, address: 20, slave: 2, input_type: input, data_type: float32, virtual_count: 2,
         unit_of_measurement: V}
      - {name: Old, address: 30, slave: 2, data_type: custom, count: 2, structure: ">l"}
      - {name: Packed, address: 40, slave: 2, data_type: custom, count: 2, structure: ">hh"}
      - {name: Serial, address: 50, slave: 2, data_type: string, count: 6}
    binary_sensors:
      - {name: Breaker, address: 7, slave: 2, input_type: discrete_input}
    switches:
      - {name: Limit, address: 60, slave: 2, write_type: holding}
"""
MODPOLL = """\
device,SDM120M,1,,,

poll,input_register,12,2,BE_BE,
ref,power_active,12,float32,r,Watts

poll,holding_register,30,8,BE_LE,
ref,total_energy_active,30,uint32,r,kWh,0.01
ref,odd,32,unit32,r
ref,label,34,string6,r
poll,coil,16,16,BE_BE
ref,relay,17,bool8,rw
"""
SUNSPEC = {
    "id": 103,
    "group": {
        "label": "Inverter (Three Phase)",
        "name": "inverter",
        "points": [
            {"name": "ID", "type": "uint16", "size": 1, "value": 103},
            {"name": "L", "type": "uint16", "size": 1},
            {"name": "A", "type": "uint16", "size": 1, "sf": "A_SF", "units": "A"},
            {"name": "A_SF", "type": "sunssf", "size": 1},
            {"name": "W", "type": "int16", "size": 1, "sf": "W_SF", "units": "W"},
            {"name": "W_SF", "type": "sunssf", "size": 1},
            {"name": "WH", "type": "acc32", "size": 2, "sf": -1, "units": "Wh"},
            {"name": "St", "type": "enum16", "size": 1, "symbols": [{"name": "OFF", "value": 1}]},
            {"name": "Evt1", "type": "bitfield32", "size": 2, "symbols": [{"name": "OVER_TEMP", "value": 7}]},
            {"name": "Mn", "type": "string", "size": 16},
            {"name": "Mac", "type": "eui48", "size": 4},
            {"name": "TmpCab", "type": "int16", "size": 1, "units": "C"},
        ],
        "groups": [{"name": "module", "count": 0, "points": []}],
    },
}
FILES = {
    "telegraf": TELEGRAF,
    "home-assistant": HOME_ASSISTANT,
    "modpoll": MODPOLL,
    "sunspec": json.dumps(SUNSPEC),
}


def drafted(tmp_path: Path, origin: str, text: str, address: int = 40069) -> tuple[Path, tuple[str, ...]]:
    source = tmp_path / "theirs"
    source.write_text(text, encoding="utf-8")
    made = import_map(origin, source, "a device", address)
    (tmp_path / "draft.yaml").write_text(made.text, encoding="utf-8")
    return tmp_path / "draft.yaml", made.left_out


def decided(path: Path, sign: str = "positive", unit: str = "kW") -> RegisterMap:
    """The draft as a person finishes it."""
    text = path.read_text(encoding="utf-8").replace("into_device: unknown", f"into_device: {sign}")
    path.write_text(text.replace("unit: unknown", f"unit: {unit}"), encoding="utf-8")
    return read_map(path)


def value(registers: RegisterMap, name: str, *words: int) -> float | None:
    point = registers.points[name]
    assert isinstance(point, Register)
    return decode(point, words)


@pytest.mark.parametrize("origin", FILES)
def test_a_draft_does_not_pass_before_its_signs_are_decided(tmp_path: Path, origin: str) -> None:
    path, _ = drafted(tmp_path, origin, FILES[origin])
    with pytest.raises(InputError) as caught:
        read_map(path)
    assert {problem.found.split(" ")[-1] for problem in caught.value.problems} <= {"undecided", "unknown"}
    assert "found the sign of p_kw undecided, expected into_device: positive or negative" in str(caught.value)
    assert "TODO" not in path.read_text(encoding="utf-8")


def test_telegraf(tmp_path: Path) -> None:
    path, left_out = drafted(tmp_path, "telegraf", TELEGRAF)
    assert [reason.split(":")[0] for reason in left_out] == ["torn"]
    path.write_text(path.read_text(encoding="utf-8").replace("0.01, unit: unknown", "0.01, unit: Hz"), encoding="utf-8")
    registers = decided(path)
    assert value(registers, "p_kw", 0xEE90, 0xFFFE) == pytest.approx(-7000.0)
    assert value(registers, "soc", 0xE803) == pytest.approx(1.0)
    content = struct.unpack(">4H", struct.pack(">d", 12.5))
    assert value(registers, "energy_count", *content[::-1]) == 12.5
    assert value(registers, "frequency_hz", *(word << 8 & 0xFF00 | word >> 8 for word in (5000, 0))) == 50.0
    assert value(registers, "temperature_count", 0xFB12) == -5.0, "its DCBA has the low byte first"
    assert value(registers, "alarm_count", 0x80) == 1.0
    assert registers.points["breaker_count"].place == "coil 4"  # type: ignore[union-attr]
    assert decode_text(registers.texts["firmware"], (0x7631, 0x2E32, 0)) == "v1.2"


def test_home_assistant(tmp_path: Path) -> None:
    path, left_out = drafted(tmp_path, "home-assistant", HOME_ASSISTANT)
    assert [reason.split(":")[0] for reason in left_out] == [
        "the minus of Power",
        "Packed",
        "Limit, one of the switches, register 60",
    ]
    registers = decided(path, "negative")
    assert value(registers, "p_kw", 5000, 0) == pytest.approx(-5.0)
    assert value(registers, "p_kw", 0, 0x8000) is None
    assert value(registers, "soc", 500) == pytest.approx(0.5)
    assert (registers.points["soc"].min, registers.points["soc"].max) == (0.05, 1.0)
    assert registers.points["soc"].group == "every_60_s"
    assert registers.groups["every_60_s"].period_s == 60
    assert [registers.points[name].place for name in ("voltage_l_v", "voltage_l_1_v", "voltage_l_2_v")] == [  # type: ignore[union-attr]
        "input 20..21",
        "input 22..23",
        "input 24..25",
    ]
    assert registers.points["breaker_count"].place == "discrete input 7"  # type: ignore[union-attr]
    assert registers.texts["serial"].length == 6


def test_modpoll(tmp_path: Path) -> None:
    path, left_out = drafted(tmp_path, "modpoll", MODPOLL)
    assert left_out == ("odd: its type unit32",)
    registers = decided(path)
    assert value(registers, "p_kw", *struct.unpack(">2H", struct.pack(">f", -1500.0))) == -1.5
    assert value(registers, "total_energy_active_kwh", 100, 0) == 1.0
    assert registers.texts["label"].length == 3
    coils = [name for name in registers.points if name.startswith("relay")]
    assert [registers.points[name].place for name in (coils[0], coils[-1])] == ["coil 24", "coil 31"]  # type: ignore[union-attr]


def test_sunspec(tmp_path: Path) -> None:
    path, left_out = drafted(tmp_path, "sunspec", FILES["sunspec"])
    assert len(left_out) == 3
    registers = decided(path, "negative")
    power = registers.points["p_kw"]
    assert isinstance(power, Register)
    assert power.place == "holding 40073"
    assert power.scale_factor is not None
    assert power.scale_factor.address == 40074
    assert decode(power, (1234,), 1.0) == pytest.approx(-12.34)
    assert decode(power, (0x8000,), 1.0) is None
    assert value(registers, "generation_kwh", 0, 50) == pytest.approx(0.005)
    assert value(registers, "st_count", 2) is None, "a state that the model does not know"
    assert registers.points["temperature_c"].place == "holding 40100"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("origin", "text", "words"),
    [
        ("telegraf", "a = ", "no TOML"),
        ("telegraf", "[agent]\n", "nothing under inputs.modbus"),
        ("modpoll", "device,x,1\npoll,holding,0,2,BE_BE\n", "line 2"),
        ("modpoll", "\n", "no ref row"),
        ("home-assistant", "sensor: []\n", "no list of hubs"),
        ("sunspec", "[]", "no SunSpec model"),
        ("sunspec", '{"group": {"points": [{"name": "x", "type": "uint17"}]}}', "uint17"),
    ],
)
def test_a_file_of_another_kind_is_refused_in_words(tmp_path: Path, origin: str, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        drafted(tmp_path, origin, text)


def home_assistant_shows(sensor: Any, words: list[int]) -> float:
    """What Home Assistant makes of registers (modbus/sensor.py and base_platform.py): swap, unpack, scale, offset."""
    swap = sensor.get("swap")
    if swap in ("byte", "word_byte"):
        words = [word << 8 & 0xFF00 | word >> 8 for word in words]
    if swap in ("word", "word_byte"):
        words = words[::-1]
    letter = {"int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "uint64": "Q", "float32": "f"}
    packed = struct.pack(f">{len(words)}H", *words)
    (raw,) = struct.unpack(">" + letter[sensor["data_type"]], packed)
    return float(raw * sensor.get("scale", 1) + sensor.get("offset", 0))


@pytest.mark.parametrize("path", sorted(HOUSE_MAPS.glob("*.yaml")), ids=lambda path: path.stem)
def test_home_assistant_shows_what_the_twin_sees(tmp_path: Path, path: Path) -> None:
    registers = read_map(path)
    made = to_home_assistant(registers, name="hub", host="10.0.0.5", port=502, unit_id=1)
    assert len(made.left_out) == (registers.setpoint is not None)
    (tmp_path / "ha.yaml").write_text(made.text, encoding="utf-8")
    (hub,) = read_yaml(tmp_path / "ha.yaml").data["modbus"]
    for sensor in hub["sensors"]:
        point = registers.points[sensor["name"]]
        assert isinstance(point, Register)
        words = [0x0102 * (index + 3) for index in range(point.word_count)]
        seen = decode(point, words)
        share = 100.0 if sensor.get("unit_of_measurement") == "%" else 1.0
        assert seen is not None
        assert home_assistant_shows(sensor, words) == pytest.approx(seen * share, rel=1e-6)
        assert (sensor["address"], sensor["input_type"]) == (point.address, point.table)
        assert [int(str(sensor.get("nan_value")), 0)] == list(point.sentinels) if point.sentinels else True


@pytest.mark.parametrize("path", sorted(HOUSE_MAPS.glob("*.yaml")), ids=lambda path: path.stem)
def test_what_is_handed_to_home_assistant_comes_back_as_it_was(tmp_path: Path, path: Path) -> None:
    registers = read_map(path)
    made = to_home_assistant(registers, name="hub", host="10.0.0.5", port=502, unit_id=1)
    draft, _ = drafted(tmp_path, "home-assistant", made.text)
    again = decided(draft)
    assert set(again.points) == set(registers.points)
    for name, point in registers.points.items():
        back = again.points[name]
        assert isinstance(point, Register)
        assert isinstance(back, Register)
        for key in ("table", "address", "type", "word_count", "sentinels"):
            assert getattr(back, key) == getattr(point, key), (name, key)
        assert (back.word_order, back.byte_order) == (point.word_order, point.byte_order)
        assert back.scale == pytest.approx(point.scale)
        assert back.offset == pytest.approx(point.offset)
        # The sign is the one thing that nobody takes over unseen.
        assert (back.into_device is None) == (point.into_device is None)


def test_what_home_assistant_cannot_say_is_left_out_with_the_reason(tmp_path: Path) -> None:
    keys = "table: input, type: uint16, min: 0, max: 9"
    text = (
        "title: x\naddress_base: 0\npoints:\n"
        f"  soc: {{{keys}, address: 1, scale_factor: {{address: 2}}}}\n"
        "  s_kva: {product: [{table: input, address: 3, type: int16}, {table: input, address: 4, type: int16}],"
        " min: 0, max: 9}\n"
        f"  l1_v: {{{keys}, address: 5, enumeration: {{1: 0.5}}}}\n"
        "  running: {table: input, address: 6, type: bit, bit: 3, min: 0, max: 1}\n"
        "  l2_v: {table: input, address: 7, type: bcd, length: 1, min: 0, max: 9}\n"
    )
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    made = to_home_assistant(read_map(tmp_path / "own.yaml"), name="x", host="h", port=502, unit_id=1)
    assert [reason.split(":")[0] for reason in made.left_out] == ["soc", "s_kva", "l1_v", "running", "l2_v"]
