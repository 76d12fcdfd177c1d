"""RTU frames over TCP, serial lines and TLS: the same devices, and the same manners, whatever carries them."""

import ssl
from pathlib import Path

import pytest
from pymodbus.server import ModbusTlsServer
from pymodbus.simulator import DataType, SimData, SimDevice

from tests.twin.telemetry.modbus_rig import (
    all_registers,
    certified,
    serial_devices,
    serial_link,
    tls_device,
    tls_link,
)
from tests.twin.telemetry.telemetry_rig import (
    NOON,
    SITE_PATH,
    TinyDevice,
    command,
    controlling,
    free_port,
    modbus,
    read_until,
    serving,
    site_of,
    snapshot,
    until,
)
from twin.errors import InputError, LinkError
from twin.points import Outcome
from twin.telemetry.config import ModbusLink
from twin.telemetry.device_server import PlantServer
from twin.telemetry.io_thread import IoThread

pytestmark = pytest.mark.sockets
BATTERY = {"battery": TinyDevice(2500, "p_kw")}


def rtu_over_tcp(port: int, timeout_s: float = 20.0) -> ModbusLink:
    return ModbusLink(
        protocol="modbus_rtu_over_tcp", port=port, map="battery_inverter", device="battery", timeout_s=timeout_s
    )


def test_rtu_frames_over_tcp_are_read_and_steered() -> None:
    site = site_of({"battery": rtu_over_tcp(free_port())}, BATTERY)
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(battery={"p_kw": 12.34, "soc": 0.5}))
        image = read_until(plant, lambda image: not image.lost)
        assert image.readings["battery.p_kw"].value == 12.34
        (receipt,) = plant.apply([command("battery", "p_kw", -640.5)], NOON)
        assert (receipt.outcome, receipt.read_back) == (Outcome.APPLIED, -640.5)


@pytest.mark.parametrize("rtu_at", ["server", "client"])
def test_tcp_and_rtu_mixed_up_is_silence_and_never_a_value(rtu_at: str) -> None:
    port = free_port()
    rtu, tcp = rtu_over_tcp(port, timeout_s=0.1), modbus("battery", "battery_inverter", port, timeout_s=0.1)
    served, asked = (rtu, tcp) if rtu_at == "server" else (tcp, rtu)
    with serving(site_of({"link": served}, BATTERY)) as server, controlling(site_of({"link": asked})) as plant:
        server.show(snapshot(battery={"p_kw": 12.34, "soc": 0.5}))
        image = read_until(plant, lambda image: "not connected yet" not in image.lost["battery"])
        assert not image.readings
        assert "no answer within" in image.lost["battery"] or "closed" in image.lost["battery"]


def test_devices_on_one_serial_line_take_turns_and_a_silent_one_is_named() -> None:
    values = all_registers(100)
    with serial_devices(lambda unit, request: None if unit == 9 else values(unit, request)) as line:
        links = {
            "a": serial_link("a", "ups", line.port, unit_id=1),
            "b": serial_link("b", "ups", line.port, unit_id=2),
            "dead": serial_link("dead", "ups", line.port, unit_id=9, timeout_s=0.1),
        }
        with controlling(site_of(links)) as plant:
            image = read_until(plant, lambda image: image.lost.keys() == {"dead"} and "answer" in image.lost["dead"])
            assert {image.readings[f"{name}.p_kw"].value for name in ("a", "b")} == {1.0}
            assert image.lost["dead"] == f"dead: Modbus RTU {line.port} 19200 8N1 unit 9: no answer within 0.1 s"


def test_a_serial_device_is_steered_and_read_back() -> None:
    held: dict[int, bytes] = {}

    def answer(unit: int, request: bytes) -> bytes:
        address, count = int.from_bytes(request[1:3], "big"), request[4]
        if request[0] == 16:
            held.update({address + at: request[6 + 2 * at : 8 + 2 * at] for at in range(count)})
            return request[:5]
        words = b"".join(held.get(address + at, b"\0\0") for at in range(count))
        return bytes((request[0], len(words))) + words

    with serial_devices(answer) as line:
        site = site_of({"battery": serial_link("battery", "battery_inverter", line.port)}, BATTERY)
        with controlling(site) as plant:
            read_until(plant, lambda image: not image.lost)
            (receipt,) = plant.apply([command("battery", "p_kw", -640.5)], NOON)
            assert (receipt.outcome, receipt.read_back) == (Outcome.APPLIED, -640.5)
            writes = [request for _, request in line.asked if request[0] == 16]
            assert len(writes) == 2, "the setpoint and its dead-man, each once"


def test_a_wrong_checksum_is_silence_and_the_device_comes_back() -> None:
    with serial_devices(all_registers(100)) as line:
        site = site_of({"ups": serial_link("ups", "ups", line.port, timeout_s=0.1)})
        with controlling(site) as plant:
            read_until(plant, lambda image: not image.lost)
            line.garble = True
            image = read_until(plant, lambda image: "no answer" in image.lost.get("ups", ""))
            assert image.readings["ups.p_kw"].quality.value == "bad"
            line.garble = False
            assert read_until(plant, lambda image: not image.lost).readings["ups.p_kw"].quality.value == "good"


def test_a_serial_port_that_is_plugged_in_later_is_found(tmp_path: Path) -> None:
    port = tmp_path / "ttyUSB0"
    site = site_of({"ups": serial_link("ups", "ups", str(port))})
    with serial_devices(all_registers(100)) as line, controlling(site) as plant:
        read_until(plant, lambda image: "could not open port" in image.lost["ups"])
        port.symlink_to(line.port)
        read_until(plant, lambda image: not image.lost)


def test_a_device_behind_tls_is_read_whatever_records_its_answer_comes_in(tmp_path: Path) -> None:
    device, ours = certified(tmp_path, "device", "device-ca"), certified(tmp_path, "ours", "our-ca")
    with tls_device(all_registers(100), device.server_context(ours.ca)) as server:
        site = site_of({"ups": tls_link("ups", "ups", server.port, ours, device.ca)})
        with controlling(site, tmp_path / "site.yaml") as plant:
            image = read_until(plant, lambda image: not image.lost)
            for _ in range(5):
                image = plant.read(NOON)
                assert (image.readings["ups.p_kw"].value, image.lost) == (1.0, {})


def test_a_tls_server_that_we_did_not_write_is_read(tmp_path: Path) -> None:
    device, ours = certified(tmp_path, "device", "device-ca"), certified(tmp_path, "ours", "our-ca")
    port, io = free_port(), IoThread("tls-server")
    registers = SimData(0, count=200, values=100, datatype=DataType.REGISTERS)

    async def start() -> ModbusTlsServer:
        context = device.server_context(ours.ca)
        server = ModbusTlsServer(SimDevice(id=1, simdata=registers), sslctx=context, address=("127.0.0.1", port))
        await server.serve_forever(background=True)
        return server

    server = io.run(start())
    try:
        site = site_of({"ups": tls_link("ups", "ups", port, ours, device.ca)})
        with controlling(site, tmp_path / "site.yaml") as plant:
            assert read_until(plant, lambda image: not image.lost).readings["ups.p_kw"].value == 1.0
    finally:
        io.run(server.shutdown())  # type: ignore[no-untyped-call]
        io.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_device_that_refuses_our_certificate_is_quoted(version: ssl.TLSVersion, tmp_path: Path) -> None:
    """With TLS 1.3 the refusal comes only after the connection is open, at the first read."""
    device, ours = certified(tmp_path, "device", "device-ca"), certified(tmp_path, "ours", "our-ca")
    context = device.server_context(device.ca)
    context.minimum_version = context.maximum_version = version
    with tls_device(all_registers(100), context) as server:
        site = site_of({"ups": tls_link("ups", "ups", server.port, ours, device.ca)})
        with controlling(site, tmp_path / "site.yaml") as plant:
            read_until(plant, lambda image: "refuses our certificate" in image.lost["ups"])
            assert not plant.read(NOON).readings


@pytest.mark.parametrize(("host", "verify_host", "taken"), [("127.0.0.9", True, False), ("127.0.0.9", False, True)])
def test_a_certificate_for_another_host_is_refused_unless_hosts_are_not_verified(
    host: str, verify_host: bool, taken: bool, tmp_path: Path
) -> None:
    device, ours = certified(tmp_path, "device", "device-ca", host), certified(tmp_path, "ours", "our-ca")
    with tls_device(all_registers(100), device.server_context(ours.ca)) as server:
        link = tls_link("ups", "ups", server.port, ours, device.ca, verify_host=verify_host)
        with controlling(site_of({"ups": link}), tmp_path / "site.yaml") as plant:
            image = read_until(
                plant, lambda image: not image.lost if taken else "not to be trusted" in image.lost["ups"]
            )
            assert ("ups.p_kw" in image.readings) is taken


def test_an_unknown_authority_is_not_trusted(tmp_path: Path) -> None:
    device, ours = certified(tmp_path, "device", "device-ca"), certified(tmp_path, "ours", "our-ca")
    with tls_device(all_registers(100), device.server_context(ours.ca)) as server:
        site = site_of({"ups": tls_link("ups", "ups", server.port, ours, ours.ca)})
        with controlling(site, tmp_path / "site.yaml") as plant:
            read_until(plant, lambda image: "not to be trusted" in image.lost["ups"])


def test_a_certificate_that_cannot_be_read_is_said_before_anything_starts(tmp_path: Path) -> None:
    ours = certified(tmp_path, "ours", "our-ca")
    (tmp_path / ours.key).write_text("no key")
    site = site_of({"ups": tls_link("ups", "ups", 802, ours, ours.ca)})
    with pytest.raises(InputError, match=r"ours\.key of the link to ups"), controlling(site, tmp_path / "site.yaml"):
        pass


def test_what_cannot_be_emulated_is_said(tmp_path: Path) -> None:
    site = site_of({"ups": serial_link("ups", "ups", "/dev/ttyUSB0")})
    with pytest.raises(LinkError, match="link ups: modbus_rtu cannot be emulated"):
        PlantServer(site, SITE_PATH)


def test_links_that_name_one_endpoint_share_its_connection() -> None:
    with serial_devices(all_registers(100)) as line:
        links = {f"u{unit}": serial_link(f"u{unit}", "ups", line.port, unit) for unit in range(1, 6)}
        with controlling(site_of(links)) as plant:
            # A port opened twice would be refused: it is opened for one only.
            read_until(plant, lambda image: not image.lost)
            until(lambda: {unit for unit, _ in line.asked} == set(range(1, 6)))
