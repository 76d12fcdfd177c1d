"""Each fault of a register map is named with its line, what was found, and what is expected."""

from pathlib import Path

import pytest

from twin.errors import InputError
from twin.telemetry.register_map import map_schema, read_map

HEAD = "title: a device\naddress_base: 0\npoints:\n"
P_KW = "  p_kw: {table: input, address: 0, type: int16, into_device: positive, min: -50, max: 50}\n"
SETPOINT = """\
setpoint:
  name: p_kw
  table: holding
  address: 10
  type: int16
  into_device: positive
  min: -50
  max: 50
"""
TIMER = "  timeout_s: {table: holding, address: 11, type: uint16, min: 1, max: 600}\n"
MODES = """\
setpoint:
  name: p_kw
  min: 0
  max: 50
  at_loss: holds
  above_zero:
    - {table: holding, address: 20, type: uint16, value: 1}
    - {table: holding, address: 21, type: uint16, unit: W, into_device: positive, value: setpoint}
  at_zero:
    - {table: holding, address: 20, type: uint16, value: 0}
"""


def point(name: str, **keys: object) -> str:
    whole = {"table": "input", "address": 5, "type": "uint16", "min": 0, "max": 50} | keys
    return f"  {name}: {{" + ", ".join(f"{key}: {value}" for key, value in whole.items() if value is not None) + "}\n"


def complaints(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "device.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_map(path)
    return [str(problem).removeprefix(str(path)) for problem in caught.value.problems]


READING = [
    # An unknown role, and one that is nearly right.
    (point("soc_pct"), "points.soc_pct: found soc_pct, expected a point that the twin knows"),
    (point("p_kww"), "did you mean p_kw?"),
    (point("boiler_c"), "what only people want to see stands under details"),
    # Signs.
    (point("q_kvar", type="int16"), "found q_kvar without its sign, expected into_device: positive or negative"),
    (point("q_kvar", into_device="unknown"), "found the sign of q_kvar undecided"),
    (point("q_kvar", into_device="unsigned"), "found q_kvar without direction"),
    (point("l1_a", type="int16"), "unsigned where it shows no direction"),
    (point("soc", into_device="positive"), "found a sign for soc, expected none"),
    (point("energy_kwh", type="int32"), "found energy_kwh without its sign"),
    # Signed read as unsigned.
    (point("q_kvar", into_device="positive", min=-50), "found min -50, expected 0 or more, as uint16 shows nothing"),
    (point("q_kvar", into_device="negative", min=-50), "found max 50, expected -0 or less"),
    (point("supply_c", min=-20), "or the signed type"),
    # Units.
    (point("soc", unit="percent"), "found the unit percent, expected one of 1, %, ‰"),
    (point("q_kvar", type="int16", into_device="positive", unit="kVAr"), "did you mean kvar?"),
    (point("q_kvar", type="int16", into_device="positive", unit="W"), "found the unit W for q_kvar"),
    (point("v_pu", unit="V", max=2), "expected rated: what 100 % or 1 pu is"),
    (point("v_pu", rated=400, max=2), "found rated without unit"),
    # Types, lengths, bits.
    (point("soc", type="uint8"), "'uint8'"),
    (point("soc", type="uint32", length=3), "found length 3, expected none, or 2"),
    (point("soc", type="bcd"), "found a bcd without length"),
    (point("soc", type="bcd", length=5), "found length 5, expected at most 4"),
    (point("running", type="bit", max=1), "found a bit of a register, expected bit: which"),
    (point("running", type="uint16", bit=3, max=1), "found a bit of uint16"),
    (point("running", table="coil", max=1), "found uint16 in table coil"),
    (point("running", type="bitfield", bits="[4, 16]"), "found bits 4 to 16 of bitfield"),
    (point("soc", type="string", length=4), "texts stand under texts"),
    (point("soc", sentinel="0x10000"), "found 0x10000, expected at most 4 hexadecimal digits"),
    # Numbers.
    (point("soc", scale=0), "found 0, expected a number other than 0"),
    (point("soc", scale=-1), "a sign is stated by into_device"),
    (point("soc", min=1, max=0), "found min 1, max 0, expected min below max"),
    (point("soc", address=65536), "expected all words of it at or below 65535"),
    (point("soc", max_rate_per_s=0), "greater than 0"),
    # Groups.
    (point("soc", group="slo") + "groups: {slow: {period_s: 60}}\n", "which has slow; did you mean slow?"),
    # Overlaps.
    (point("soc", address=0, type="int16"), "found input 0, which points.p_kw on line 4 uses already"),
    (point("soc", address=0), "found input 0 as uint16, which points.p_kw on line 4 uses already as int16"),
    # Formulas.
    ("  soc: {sum: [], product: [], min: 0, max: 1}\n", "at least 2 items"),
    (
        "  soc: {ratio: [{table: input, address: 5, type: int16}, {table: input, address: 6, type: int16}],\n"
        "        magnitude: {table: input, address: 7, type: int16}, min: 0, max: 1}\n",
        "found ratio and magnitude, expected exactly one of",
    ),
    (
        "  soc: {magnitude: {table: input, address: 7, type: int16, into_device: positive}, min: 0, max: 1}\n",
        "found a sign of an operand",
    ),
    ("details:\n" + point("speed"), "details.speed: found speed, expected a name that ends in its unit"),
    ("texts: {serial: {table: input, address: 5, type: uint16}}\n", "found uint16, expected string"),
    ("details:\n" + point("p_kw"), "found p_kw, which points has already"),
]


@pytest.mark.parametrize(("more", "words"), READING, ids=lambda value: value[:60] if isinstance(value, str) else None)
def test_a_fault_of_a_point_is_named_with_its_line(tmp_path: Path, more: str, words: str) -> None:
    said = complaints(tmp_path, HEAD + P_KW + more)
    assert [line for line in said if words in line], said
    assert all(line.startswith((":4:", ":5:", ":6:", ":7:")) for line in said), "a line of the fault, or next to it"


WRITING = [
    (SETPOINT, "dead_man_s where that is fixed in the device; or at_loss: holds"),
    (SETPOINT + "  at_loss: returns_to_safe\n", "after how long it returns"),
    (SETPOINT + TIMER + "  dead_man_s: 60\n", "found both timeout_s and dead_man_s"),
    (SETPOINT + TIMER + "  at_loss: holds\n", "found holds"),
    (SETPOINT.replace("p_kw", "p_kv") + TIMER, "did you mean p_kw?"),
    (SETPOINT.replace("  into_device: positive\n", "") + TIMER, "found p_kw without its sign"),
    (SETPOINT.replace("positive", "unknown") + TIMER, "found the sign of p_kw undecided"),
    (SETPOINT + TIMER + "  function: 5\n", "found function 5, expected 6 or 16"),
    (
        SETPOINT.replace("int16", "int32").replace("10", "13") + TIMER + "  function: 6\n",
        "found function 6, expected 16",
    ),
    (SETPOINT + TIMER + "  step: 500\n", "found step 500, expected at most 100"),
    (SETPOINT + TIMER.replace("holding", "input"), "others cannot be written"),
    (SETPOINT.replace("max: 50", "max: 50000") + TIMER, "found 50000, expected what int16 times 1 can hold"),
    (SETPOINT + TIMER + "  before: [{table: holding, address: 20, type: uint16, value: 70000}]\n", "found 70000"),
    (
        SETPOINT + TIMER + "  release: [{table: holding, address: 20, type: uint16, value: setpoint}]\n",
        "there is none at",
    ),
    (
        SETPOINT + TIMER + "  before: [{table: holding, address: 20, type: bit, bit: 3, value: 1}]\n",
        "what shares it would be overwritten",
    ),
    (SETPOINT + TIMER.replace("11", "10"), "found holding 10"),
    (MODES.replace("max: 50", "max: 50\n  step: 5").replace("value: setpoint", "value: 9"), "or step: 50"),
    (MODES.replace("min: 0", "min: -5"), "setpoint.below_zero: found nothing"),
    (MODES.replace("into_device: positive, ", ""), "found p_kw without its sign"),
]


@pytest.mark.parametrize(("setpoint", "words"), WRITING, ids=lambda value: value[-60:])
def test_a_fault_of_a_setpoint_is_named_with_its_line(tmp_path: Path, setpoint: str, words: str) -> None:
    said = complaints(tmp_path, HEAD + P_KW + setpoint)
    assert [line for line in said if words in line], said
    assert all(int(line.split(":")[1]) >= 5 for line in said)


SOUND = [
    P_KW + SETPOINT + TIMER,
    P_KW + SETPOINT + "  dead_man_s: 60\n  function: 6\n  step: 5\n",
    P_KW + SETPOINT + "  at_loss: holds\n  verify: false\n",
    P_KW + MODES,
    P_KW + MODES.replace("at_loss: holds", "at_loss: holds\n  step: 50").replace("value: setpoint", "value: 9"),
    # Bits of one register, and a formula that reads again what a point reads.
    P_KW + point("running", type="bit", bit=1, max=1) + "details:\n" + point("alarm_count", type="bit", bit=2),
    point("l1_v", address=1) + "  s_kva: {product: [{table: input, address: 1, type: uint16}, "
    "{table: input, address: 2, type: uint16}], unit: VA, min: 0, max: 9}\n",
    P_KW + "texts: {serial: {table: input, address: 50, type: string, length: 8}}\n",
]


@pytest.mark.parametrize("text", SOUND, ids=range(len(SOUND)))
def test_what_real_devices_need_is_taken(tmp_path: Path, text: str) -> None:
    path = tmp_path / "device.yaml"
    path.write_text(HEAD + text, encoding="utf-8")
    assert read_map(path).points


def test_all_faults_of_a_map_are_named_at_once(tmp_path: Path) -> None:
    said = complaints(tmp_path, HEAD + point("q_kvar") + point("soc", address=6, unit="W") + SETPOINT)
    assert len(said) == 3


def test_a_map_without_points_is_refused(tmp_path: Path) -> None:
    assert "at least one point" in complaints(tmp_path, "title: x\naddress_base: 0\npoints: {}\n")[0]


def test_addresses_count_from_where_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "device.yaml"
    path.write_text(HEAD.replace("base: 0", "base: 1") + P_KW.replace("address: 0", "address: 1"), encoding="utf-8")
    assert next(iter(read_map(path).points.values())) == read_point(tmp_path, HEAD + P_KW)
    path.write_text(HEAD.replace("base: 0", "base: 1") + P_KW, encoding="utf-8")
    with pytest.raises(InputError, match="found address 0, expected 1 or more, as address_base: 1 says"):
        read_map(path)


def read_point(tmp_path: Path, text: str) -> object:
    path = tmp_path / "other.yaml"
    path.write_text(text, encoding="utf-8")
    return next(iter(read_map(path).points.values()))


def test_the_schema_describes_every_key() -> None:
    definitions = map_schema()["$defs"]
    register = definitions["Register"]["properties"]
    assert {"word_order", "scale_factor", "into_device", "max_rate_per_s", "enumeration"} <= set(register)
    assert "flowing *into* it" in register["into_device"]["description"]
    assert {"Computed", "Modes", "Setpoint", "Write"} <= set(definitions)
