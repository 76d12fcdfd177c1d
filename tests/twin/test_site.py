"""A site file is read, or answered with file, line, key, what was found and what was expected."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from twin.errors import InputError
from twin.site import Site, load_document, load_site, site_adapter

SITES = Path(__file__).resolve().parents[2] / "site_configs"
CAMPUS = (SITES / "campus.yaml").read_text(encoding="utf-8")
ISLAND = (SITES / "island.yaml").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One mistake in a good file, and what must be said about it."""

    old: str
    new: str
    key: str
    found: str
    expected: str
    at: str = ""
    """Text on the line that must be named; `new` where it is empty."""
    text: str = CAMPUS


HALL_B = "    bus: hall_b_480v\n    gpu_count: 1440"
SOLAR = "    bus: solar_690v\n    rated_dc_kw"
SECOND_GRID = """devices:
  other:
    type: grid_connection
    bus: main_20kv
    rated_kw: 10
    contracted_import_kw: 5
    export_limit_kw: 5
    carbon_g_per_kwh: 390
    tariff:
      currency: USD
      demand_interval_s: 900
      demand_charge_per_kw: 1
      export_price_per_kwh: 0
      periods: [{name: all, from_hour: 0, to_hour: 24, price_per_kwh: 0.1}]
"""

CASES = {
    "wrong unit in a key": Case(
        old="capacity_kwh: 10000",
        new="capacity_mwh: 10",
        key="devices.battery.capacity_mwh",
        found="an unknown key",
        expected="did you mean capacity_kwh?",
    ),
    "misspelt optional key": Case(
        old="altitude_m: 273",
        new="altitude_ft: 896",
        key="location.altitude_ft",
        found="an unknown key",
        expected="did you mean altitude_m?",
    ),
    "unknown section": Case(
        old="emulation:", new="emulaton:", key="emulaton", found="an unknown key", expected="did you mean emulation?"
    ),
    "missing key": Case(
        old="rated_dc_kw: 3000",
        new="",
        at="  solar:",
        key="devices.solar.rated_dc_kw",
        found="nothing",
        expected="this key with a value",
    ),
    "text for a number": Case(
        old="initial_soc: 0.6",
        new="initial_soc: plenty",
        key="devices.battery.initial_soc",
        found="'plenty'",
        expected="a valid number",
    ),
    "a number without a value": Case(
        old="altitude_m: 273", new="altitude_m: .nan", key="location.altitude_m", found="nan", expected="finite number"
    ),
    "outside its bounds": Case(
        old="latitude_deg: 36.1",
        new="latitude_deg: 136.1",
        key="location.latitude_deg",
        found="136.1",
        expected="less than or equal to 90",
    ),
    "unknown time zone": Case(
        old="America/New_York",
        new="EST5EDTX",
        key="location.time_zone",
        found="'EST5EDTX'",
        expected="an IANA time zone",
    ),
    "unknown technology": Case(
        old="type: battery",
        new="type: batery",
        key="devices.battery.type",
        found="'batery'",
        expected="did you mean battery?",
    ),
    "no technology": Case(
        old="    type: battery\n",
        new="",
        at="  battery:",
        key="devices.battery",
        found="nothing that says which kind",
        expected="a key type",
    ),
    "unknown protocol": Case(
        old="protocol: modbus_tcp, port: 15027",
        new="protocol: modbus, port: 15027",
        key="telemetry.links.office_meter.protocol",
        found="'modbus'",
        expected="did you mean modbus_tcp?",
    ),
    "device on an unknown bus": Case(
        old=SOLAR,
        new=SOLAR.replace("solar_690v", "solar_960v"),
        at="bus: solar_960v",
        key="devices.solar.bus",
        found="'solar_960v'",
        expected="did you mean solar_690v?",
    ),
    "line from an unknown bus": Case(
        old="from_bus: pcc_20kv",
        new="from_bus: pcc",
        key="network.lines.feeder.from_bus",
        found="'pcc'",
        expected="a bus (pcc_20kv, main_20kv,",
    ),
    "transformer to an unknown bus": Case(
        old="lv_bus: office_480v",
        new="lv_bus: offices_480v",
        key="network.transformers.t_office.lv_bus",
        found="'offices_480v'",
        expected="did you mean office_480v?",
    ),
    "line between two voltages": Case(
        old="to_bus: field_20kv",
        new="to_bus: office_480v",
        key="network.lines.field_cable",
        found="main_20kv of 20000 V and office_480v of 480 V",
        expected="one rated voltage",
    ),
    "line to where it began": Case(
        old="to_bus: field_20kv",
        new="to_bus: main_20kv",
        at="field_cable:",
        key="network.lines.field_cable",
        found="both ends on main_20kv",
        expected="two different buses",
    ),
    "transformer the wrong way round": Case(
        old="hv_bus: main_20kv, lv_bus: office_480v",
        new="hv_bus: office_480v, lv_bus: main_20kv",
        key="network.transformers.t_office",
        found="hv_bus office_480v of 480 V",
        expected="exchange the two",
    ),
    "voltage band upside down": Case(
        old="office_480v: {rated_v: 480}",
        new="office_480v: {rated_v: 480, min_v_pu: 1.1}",
        key="network.buses.office_480v",
        found="min_v_pu 1.1 and max_v_pu 1.05",
        expected="min_v_pu below max_v_pu",
    ),
    "no path to the grid": Case(
        old="lv_bus: office_480v",
        new="lv_bus: cooling_480v",
        at="bus: office_480v\n",
        key="devices.office.bus",
        found="office_480v, which no line or transformer joins to grid",
        expected="a bus connected to battery_690v, cooling_480v",
    ),
    "an empty bus without a path": Case(
        old="  buses:\n",
        new="  buses:\n    spare: {rated_v: 480}\n",
        at="spare:",
        key="network.buses.spare",
        found="spare, which no line",
        expected="a bus connected to",
    ),
    "serves an unknown device": Case(
        old="serves: [hall_a, ups_a, ups_b]",
        new="serves: [hall_a, ups_a, ups_c]",
        key="devices.chiller_plant.serves.2",
        found="'ups_c'",
        expected="did you mean",
    ),
    "serves itself through another": Case(
        old="serves: [hall_a]",
        new="serves: [chiller_plant]",
        at="serves: [hall_a, ups_a, ups_b]",
        key="devices.chiller_plant.serves",
        found="ups_a serves chiller_plant",
        expected="no device that serves itself",
    ),
    "two grids": Case(
        old="devices:\n",
        new=SECOND_GRID,
        at="  grid:",
        key="devices.grid",
        found="a second grid connection beside other",
        expected="at most one",
    ),
    "a grid and a grid-forming device": Case(
        old="devices:\n",
        new="grid_forming: battery\ndevices:\n",
        at="grid_forming: battery",
        key="grid_forming",
        found="'battery' beside the grid connection grid",
        expected="one of the two",
    ),
    "neither grid nor grid-forming device": Case(
        text=ISLAND,
        old="grid_forming: battery\n",
        new="",
        at="devices:",
        key="devices",
        found="neither a device of type grid_connection nor",
        expected="to hold voltage and frequency",
    ),
    "grid-forming device unknown": Case(
        text=ISLAND,
        old="grid_forming: battery",
        new="grid_forming: batteries",
        key="grid_forming",
        found="'batteries'",
        expected="did you mean battery?",
    ),
    "grid-forming device unable": Case(
        text=ISLAND,
        old="grid_forming: battery",
        new="grid_forming: solar",
        key="grid_forming",
        found="'solar'",
        expected="a battery or genset of this file (battery, genset_1, genset_2)",
    ),
    "state of charge outside its band": Case(
        old="initial_soc: 0.6",
        new="initial_soc: 0.96",
        key="devices.battery.initial_soc",
        found="0.96",
        expected="from min_soc 0.1 to max_soc 0.95",
    ),
    "state of charge without a band": Case(
        old="min_soc: 0.10",
        new="min_soc: 0.95",
        at="  battery:",
        key="devices.battery",
        found="keys type, bus, rated_kw",
        expected="min_soc below max_soc",
    ),
    "device named like a path": Case(
        old="  office:\n",
        new="  main.office:\n",
        at="  main.office:",
        key="devices.main.office",
        found="'main.office'",
        expected="a name of letters",
    ),
    "device named weather": Case(
        old="  office:\n",
        new="  weather:\n",
        at="  weather:",
        key="devices.weather",
        found="'weather'",
        expected="other than weather",
    ),
    "link of an unknown device": Case(
        old="map: load_meter, device: office",
        new="map: load_meter, device: offices",
        key="telemetry.links.office_meter.device",
        found="'offices'",
        expected="did you mean office?",
    ),
    "age of an unknown device": Case(
        old="  max_age_s: 30\n",
        new="  max_age_s: 30\n  max_age_by_device_s: {hall_c: 60}\n",
        at="hall_c: 60",
        key="telemetry.max_age_by_device_s.hall_c",
        found="'hall_c'",
        expected="a device",
    ),
    "age below zero": Case(
        old="  max_age_s: 30\n",
        new="  max_age_s: 30\n  max_age_by_device_s: {hall_a: -1}\n",
        at="hall_a: -1",
        key="telemetry.max_age_by_device_s.hall_a",
        found="-1",
        expected="greater than 0",
    ),
    "two links for one device": Case(
        old="map: load_meter, device: office",
        new="map: load_meter, device: ups_b",
        key="telemetry.links.office_meter.device",
        found="ups_b, which link ups_b (line {unit_id: 2, map: ups, device: ups_b}) has already",
        expected="one link for each device",
    ),
    "two links with one address": Case(
        old="port: 15024, unit_id: 2",
        new="port: 15024, unit_id: 1",
        at="genset_2:         {",
        key="telemetry.links.genset_2.port",
        found="127.0.0.1:15024 unit_id 1, which link genset_1 (line {genset_1:         {protocol}) has already",
        expected="an address or topic for each link",
    ),
    "two links with one topic": Case(
        old="topic: hall_b",
        new="topic: hall_a",
        at="topic: hall_a, device: hall_b",
        key="telemetry.links.hall_b.topic",
        found="hall_a, which link hall_a (line {topic: hall_a, device: hall_a}) has already",
        expected="an address or topic for each link",
    ),
    "topic with a wildcard": Case(
        old="topic: hall_b",
        new="topic: halls/+",
        key="telemetry.links.hall_b.topic",
        found="'halls/+'",
        expected="without wildcards",
    ),
    "mqtt without a broker": Case(
        old="  broker: {host: 127.0.0.1, port: 18830, topic_prefix: gridhelm/campus, embedded: true}\n",
        new="",
        at="weather_station:",
        key="telemetry.links.weather_station.protocol",
        found="mqtt without a broker",
        expected="a key telemetry.broker",
    ),
    "a device at the broker's address": Case(
        old="port: 15027",
        new="port: 18830",
        at="office_meter:",
        key="telemetry.links.office_meter.port",
        found="127.0.0.1:18830, the address of the broker",
        expected="an address of its own",
    ),
    "greensboro with a file": Case(
        old="format: greensboro",
        new="format: greensboro\n  file: my.csv",
        at="file: my.csv",
        key="weather.file",
        found="'my.csv'",
        expected="no file for greensboro",
    ),
    "weather without its file": Case(
        old="format: greensboro",
        new="format: epw",
        at="weather:",
        key="weather.file",
        found="nothing",
        expected="the path of the epw file",
    ),
    "weather file that is not there": Case(
        old="format: greensboro",
        new="format: csv\n  file: nowhere.csv",
        at="file: nowhere.csv",
        key="weather.file",
        found="'nowhere.csv'",
        expected="an existing file",
    ),
    "commands shorter than a cycle": Case(
        old="command_validity_s: 5",
        new="command_validity_s: 1",
        key="control.command_validity_s",
        found="1 s",
        expected="more than period_s, 1 s",
    ),
}


def line_of(text: str, marker: str) -> int:
    assert marker in text
    return text[: text.index(marker)].count("\n") + 1


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_mistake_is_answered_with_its_place_and_its_remedy(case: Case, tmp_path: Path) -> None:
    assert case.text.count(case.old) == 1, f"{case.old!r} must stand once in the good file"
    text = case.text.replace(case.old, case.new)
    path = tmp_path / "site.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(InputError) as caught:
        load_site(path)

    found = case.found
    if "{" in found:  # the line of another key, by a text that stands on it
        marker = found[found.index("{") + 1 : found.rindex("}")]
        found = found.replace("{" + marker + "}", str(line_of(text, marker)))
    about = [problem for problem in caught.value.problems if problem.path.startswith(case.key)]
    assert about, f"nothing was said about {case.key}: {caught.value}"
    problem = next((problem for problem in about if found in problem.found), about[0])
    assert (found in problem.found, case.expected in problem.expected) == (True, True), str(problem)
    assert problem.file == str(path)
    assert problem.line == line_of(text, case.at or case.new)
    assert str(problem).startswith(f"{path}:{problem.line}: {problem.path}: found ")


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    text = CAMPUS.replace("from_bus: pcc_20kv", "from_bus: a").replace("topic: hall_b", "topic: hall_a")
    path.write_text(text.replace("command_validity_s: 5", "command_validity_s: 1"), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_site(path)
    assert [problem.path for problem in caught.value.problems] == [
        "network.lines.feeder.from_bus",
        "telemetry.links.hall_b.topic",
        "control.command_validity_s",
    ]


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("name: campus\nlocation: [1\nweather: 3\n", 3, "expected ',' or ']'"),
        ("name: campus\nname: other\n", 2, "duplicate key"),
        ("name: campus\n\tweather: 3\n", 2, "character '\\t'"),
        ("name: 2024-13-45\n", None, "month must be in 1..12"),
        ("name: \x00\n", None, "unacceptable character"),
    ],
    ids=["open bracket", "duplicate key", "tab", "impossible date", "control character"],
)
def test_what_is_not_yaml_is_answered_with_its_line(text: str, line: int | None, found: str, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_site(path)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.expected) == (str(path), line, "valid YAML 1.2")
    assert found in problem.found


def test_bytes_that_are_no_text_are_not_yaml(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_bytes(b"name: \xff\xfe\x00")
    with pytest.raises(InputError, match=r"expected valid YAML 1\.2"):
        load_site(path)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "campus\n"], ids=["empty", "a list", "a word"])
def test_a_file_without_keys_is_answered(text: str, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="expected a"):
        load_site(path)


def test_a_missing_file_is_answered_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.yaml"
    with pytest.raises(InputError, match=r"nowhere\.yaml: found No such file or directory, expected a readable YAML"):
        load_site(path)


@pytest.mark.parametrize("path", sorted(SITES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_sites_are_sound(path: Path) -> None:
    site, document = load_document(path)
    assert site.name == path.stem
    assert [*site.devices] == [*document.data["devices"]]
    assert site.slack in site.devices


def test_a_site_with_a_grid_leans_on_it_and_an_island_on_its_battery() -> None:
    campus, island = load_site(SITES / "campus.yaml"), load_site(SITES / "island.yaml")
    assert (campus.grid, campus.slack) == ("grid", "grid")
    assert (island.grid, island.slack) == (None, "battery")


def test_the_shipped_sites_can_run_side_by_side() -> None:
    addresses = [address for path in SITES.glob("*.yaml") for address in served(load_site(path))]
    assert len(addresses) == len(set(addresses))


def served(site: Site) -> set[tuple[str, int]]:
    links: list[Any] = [link for link in site.telemetry.links.values() if link.protocol == "modbus_tcp"]
    broker = site.telemetry.broker
    return {(link.host, link.port) for link in links} | ({(broker.host, broker.port)} if broker else set())


def test_the_schema_describes_every_device_and_key() -> None:
    schema = site_adapter().json_schema()
    assert set(schema["properties"]) >= {"name", "location", "network", "devices", "rules", "telemetry"}
    battery = schema["$defs"]["Battery"]["properties"]
    assert battery["capacity_kwh"]["type"] == "number"
    line = schema["$defs"]["Line"]["properties"]
    assert "all parallel systems" in line["rated_a"]["description"]
