"""Mistakes in a site file: devices and links that contradict each other."""

from __future__ import annotations

from tests.twin.site_mistakes import ISLAND, Case

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

DEVICES_AND_LINKS = {
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
