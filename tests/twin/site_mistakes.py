"""Mistakes in a site file: wrong keys and values, and a network that does not hang together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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


SOLAR = "    bus: solar_690v\n    rated_dc_kw"

KEYS_AND_NETWORK = {
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
    "two manners of speaking at one port": Case(
        old="{protocol: modbus_tcp, port: 15024, unit_id: 2",
        new="{protocol: modbus_rtu_over_tcp, port: 15024, unit_id: 2",
        key="telemetry.links.genset_2.protocol",
        found="modbus_rtu_over_tcp at 127.0.0.1:15024, where link genset_1 has modbus_tcp",
        expected="one manner of speaking at one place",
    ),
    "unknown protocol": Case(
        old="protocol: modbus_tcp, port: 15027",
        new="protocol: modbus_tpc, port: 15027",
        key="telemetry.links.office_meter.protocol",
        found="'modbus_tpc'",
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
        expected="a bus (pcc_110kv, pcc_20kv,",
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
        found="office_480v, which no line, transformer or switch joins to grid",
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
}
