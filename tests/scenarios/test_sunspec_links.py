"""A site whose battery, sun and meter are SunSpec devices: read and steered through links without register maps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from agents.assemble import load
from tests.scenarios.running_site import SITES, on_free_ports
from tests.scenarios.running_site import running as running_site
from tests.twin.telemetry.sunspec_rig import RATED_1000_KW, SETTINGS_704, SETTINGS_802, device_of
from tests.twin.telemetry.telemetry_rig import NOON, free_port, read_until
from twin.clock import SteppedClock
from twin.errors import InputError
from twin.points import Command, Outcome, Quality, Snapshot
from twin.site import load_site
from twin.telemetry.io_thread import IoThread
from twin.telemetry.live_plant import LivePlant
from twin.telemetry.modbus_server import ServedGateway
from twin.telemetry.sunspec_server import ServedSunSpec, served

pytestmark = pytest.mark.sockets
LINKS = """
telemetry:
  links:
    battery: {{protocol: sunspec, port: {port}, unit_id: 1, device: battery}}
    solar:   {{protocol: sunspec, port: {port}, unit_id: 2, device: solar}}
    meter:   {{protocol: sunspec, port: {port}, unit_id: 3, device: grid{sign}}}
"""


def site_file(folder: Path, port: int, sign: str = "") -> Path:
    text = (SITES / "edge.yaml").read_text(encoding="utf-8")
    path = folder / "site.yaml"
    path.write_text(re.sub(r"\ntelemetry:\n(  .*\n|\n)*", LINKS.format(port=port, sign=sign), text), encoding="utf-8")
    return path


class Devices:
    """A battery at rest, an inverter in the sun, a meter: behind one port."""

    def __init__(self) -> None:
        power = {"W": 12_000, "W_SF": 2, "LLV": 480, "V_SF": 0}
        self.battery = device_of({1: {}, 701: power | {"W": 0}, 702: RATED_1000_KW, 704: SETTINGS_704,
                                  802: SETTINGS_802, 713: {"SoC": 60, "Pct_SF": 0}})  # fmt: skip
        self.solar = device_of({1: {}, 701: power, 702: {"WMax": 27_000, "W_SF": 2}, 704: SETTINGS_704})
        self.meter = device_of({1: {}, 203: {"W": 4000, "W_SF": 0, "PPV": 480, "V_SF": 0}})
        self.port, self._io = free_port(), IoThread("served-sunspec")
        units = (self.battery, self.solar, self.meter)
        self.server: ServedGateway = served(
            "127.0.0.1", self.port, [ServedSunSpec(i, unit) for i, unit in enumerate(units, start=1)]
        )

    def open(self) -> None:
        self._io.run(self.server.open())

    def unplug(self) -> None:
        self._io.run(self.server.close())

    def step(self, seconds: float) -> None:
        self._io.run(self.server.show(Snapshot(now=NOON + timedelta(seconds=seconds), readings={})))

    def close(self) -> None:
        self.unplug()
        self._io.close()


@contextmanager
def running(folder: Path, sign: str = ", meter_import: negative") -> Iterator[tuple[Devices, LivePlant]]:
    with closing(Devices()) as devices:
        devices.open()
        path = site_file(folder, devices.port, sign)
        with closing(LivePlant(load_site(path), path, SteppedClock(NOON))) as plant:
            plant.connect_or_raise(20.0)
            yield devices, plant


def order(device: str, setpoint: str, value: float) -> Command:
    return Command(device=device, setpoint=setpoint, value=value, valid_until=NOON + timedelta(seconds=8))


def test_what_the_devices_say_arrives_with_the_sign_of_the_house(tmp_path: Path) -> None:
    with running(tmp_path) as (_, plant):
        found = plant.read(NOON).readings
    values = {point: found[point].value for point in found}
    assert values["battery.soc"] == pytest.approx(0.6)
    assert values["solar.p_kw"] == -12.0
    assert (values["solar.limit_kw"], values["solar.available_kw"]) == (27.0, 12.0)
    assert values["grid.p_kw"] == -4.0
    assert values["grid.v_pu"] == pytest.approx(1.0)


def test_a_meter_without_a_stated_sign_is_not_believed(tmp_path: Path) -> None:
    with running(tmp_path, sign="") as (_, plant):
        snapshot = plant.read(NOON)
    assert "grid.p_kw" not in snapshot.readings
    assert "grid.v_pu" in snapshot.readings


def test_they_are_steered_read_back_and_given_back(tmp_path: Path) -> None:
    with running(tmp_path) as (devices, plant):
        receipts = plant.apply([order("battery", "p_kw", 20.0), order("solar", "limit_kw", 9.0)], NOON)
        assert [(item.outcome, item.read_back) for item in receipts] == [
            (Outcome.APPLIED, 20.0),
            (Outcome.APPLIED, pytest.approx(9.0, abs=0.02)),
        ]
        assert devices.battery.p_kw(0.0) == 20.0
        assert devices.solar.p_kw(-12.0) == pytest.approx(-9.0, abs=0.02)
        assert plant.read(NOON).readings["solar.limit_kw"].value == pytest.approx(9.0, abs=0.02)
        (wrong,) = plant.apply([order("grid", "p_kw", 1.0)], NOON)
        assert (wrong.outcome, wrong.detail) == (Outcome.REJECTED, "grid takes nothing, not p_kw")
    assert devices.solar.p_kw(-12.0) == -12.0


def test_the_dead_man_lets_go_when_nobody_commands(tmp_path: Path) -> None:
    with running(tmp_path) as (devices, plant):
        plant.apply([order("battery", "p_kw", 20.0)], NOON)
        devices.step(7.9)
        assert devices.battery.p_kw(5.0) == 20.0
        devices.step(8.1)
        assert devices.battery.p_kw(5.0) == 0.0


def test_what_is_unplugged_is_lost_by_name_and_comes_back(tmp_path: Path) -> None:
    with running(tmp_path) as (devices, plant):
        plant.read(NOON)
        devices.unplug()
        lost = read_until(plant, lambda seen: len(seen.lost) == 3)
        assert lost.readings["battery.soc"].quality is Quality.BAD
        (receipt,) = plant.apply([order("battery", "p_kw", 1.0)], NOON)
        assert receipt.outcome is Outcome.LOST
        devices.open()
        back = read_until(plant, lambda seen: not seen.lost)
        assert back.readings["battery.soc"].quality is Quality.GOOD


def test_a_device_of_which_sunspec_tells_too_little_is_refused(tmp_path: Path) -> None:
    path = site_file(tmp_path, 1502)
    path.write_text(path.read_text().replace("device: battery}", "device: hall}"), encoding="utf-8")
    with pytest.raises(InputError, match=r"links\.battery\.protocol: found nothing that shows demand_kw, firm_kw"):
        load(path)


def test_two_links_to_one_unit_are_refused(tmp_path: Path) -> None:
    path = site_file(tmp_path, 1502)
    path.write_text(path.read_text().replace("unit_id: 2", "unit_id: 1"), encoding="utf-8")
    with pytest.raises(InputError, match="unit_id 1"):
        load_site(path)


def test_an_emulated_site_with_sunspec_links_runs_live(tmp_path: Path) -> None:
    """The emulator's own SunSpec devices: read, steered by the controller, and true to what they show."""
    port, path = free_port(), on_free_ports("edge.yaml", tmp_path)
    text = path.read_text(encoding="utf-8")
    for device, unit_id in (("battery", 1), ("solar", 2), ("grid", 3)):
        sign = ", meter_import: negative" if device == "grid" else ""
        link = f"{{protocol: sunspec, port: {port}, unit_id: {unit_id}, device: {device}{sign}}}"
        text, count = re.subn(rf"\{{protocol: modbus_tcp[^}}]*device: {device}\}}", link, text)
        assert count == 1
    path.write_text(text, encoding="utf-8")
    with running_site(path) as site:
        cycle = site.run(3)
        assert not cycle.snapshot.lost
        values = {point: reading.value for point, reading in cycle.snapshot.readings.items()}
        total_kw = sum(values[f"{name}.p_kw"] for name in site_devices(path) if name != "grid")
        assert values["grid.p_kw"] == pytest.approx(total_kw, abs=3.0)
        assert -27.0 <= values["solar.p_kw"] < -5.0
        assert {receipt.outcome for receipt in cycle.receipts} == {Outcome.APPLIED}
        wanted = {receipt.command.device: receipt.read_back for receipt in cycle.receipts}
        after = site.cycle().snapshot.readings
        assert after["battery.p_kw"].value == pytest.approx(wanted["battery"], abs=2.0)
        assert abs(float(after["battery.p_kw"].value)) > 5.0


def site_devices(path: Path) -> list[str]:
    return list(load_site(path).devices)
