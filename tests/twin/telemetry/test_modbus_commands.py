"""A command is written once, read back, answered honestly, and forgotten by the device when nobody repeats it."""

import math
from collections.abc import Callable
from datetime import timedelta

import pytest
from pyModbusTCP.client import ModbusClient

from tests.twin.telemetry.telemetry_rig import (
    NOON,
    Request,
    TinyDevice,
    command,
    controlling,
    free_port,
    modbus,
    read_until,
    scripted,
    serving,
    site_of,
    snapshot,
)
from twin.points import Outcome, Receipt
from twin.site import Site
from twin.telemetry.live_plant import LivePlant
from twin.telemetry.register_map import HOUSE_MAPS, Setpoint, encode, read_map

pytestmark = pytest.mark.sockets


def battery_site(port: int, *, rated_kw: float = 2500, timeout_s: float = 20) -> Site:
    links = {"battery": modbus("battery", "battery_inverter", port, timeout_s=timeout_s)}
    return site_of(links, {"battery": TinyDevice(rated_kw, "p_kw")})


def connected(plant: LivePlant) -> None:
    read_until(plant, lambda image: not image.lost)


def apply_one(plant: LivePlant, value: float, validity_s: float = 7) -> Receipt:
    (receipt,) = plant.apply([command("battery", "p_kw", value, validity_s=validity_s)], NOON)
    return receipt


def held_kw(port: int) -> float:
    """The setpoint in the battery's registers, as a client that we did not write sees it."""
    client = ModbusClient(host="127.0.0.1", port=port, unit_id=1, timeout=20, auto_close=True)
    low, high = client.read_holding_registers(40, 2)
    raw = int(high) << 16 | int(low)
    return -(raw - (raw >> 31 << 32)) / 100


@pytest.mark.parametrize("value", [-800.25, 0.0, 1234.5])
def test_a_command_is_written_read_back_and_handed_to_the_plant(value: float) -> None:
    port = free_port()
    site = battery_site(port)
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(battery={"p_kw": 0.0}))
        connected(plant)
        receipt = apply_one(plant, value)
        assert (receipt.outcome, receipt.read_back, receipt.detail) == (Outcome.APPLIED, value, "")
        assert held_kw(port) == value
        (taken,) = server.take_commands()
        assert (taken.device, taken.setpoint, taken.value) == ("battery", "p_kw", value)
        assert taken.valid_until == NOON + timedelta(seconds=7)
        assert not server.take_commands()


def test_a_command_that_is_not_repeated_is_forgotten_on_the_devices_own_clock() -> None:
    port = free_port()
    site = battery_site(port)
    ahead = NOON + timedelta(hours=3)
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(battery={"p_kw": 0.0}))
        connected(plant)
        # The controller's clock is three hours ahead; seven seconds are seven seconds all the same.
        plant.apply([command("battery", "p_kw", -800, now=ahead)], ahead)
        server.show(snapshot(NOON + timedelta(seconds=5), battery={"p_kw": -800.0}))
        assert held_kw(port) == -800
        plant.apply([command("battery", "p_kw", -700, now=ahead)], ahead)
        server.show(snapshot(NOON + timedelta(seconds=11), battery={"p_kw": -700.0}))
        assert held_kw(port) == -700
        server.show(snapshot(NOON + timedelta(seconds=12), battery={"p_kw": -700.0}))
        assert held_kw(port) == 0


def test_a_value_beyond_its_register_is_clipped_and_said_so() -> None:
    site = battery_site(free_port(), rated_kw=20_000)
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(battery={"p_kw": 0.0}))
        connected(plant)
        receipt = apply_one(plant, 30_000)
        assert (receipt.outcome, receipt.read_back) == (Outcome.CLIPPED, 20_000)
        assert "ends at 20000" in receipt.detail


def test_what_the_device_refuses_is_rejected_and_changes_nothing() -> None:
    port = free_port()
    site = battery_site(port)
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(battery={"p_kw": 0.0}))
        connected(plant)
        receipt = apply_one(plant, 2600)
        assert receipt.outcome is Outcome.REJECTED
        assert f"127.0.0.1:{port} unit 1: illegal value writing holding 40" in receipt.detail
        assert not server.take_commands()
        assert held_kw(port) == 0
        assert not plant.read(NOON).lost, "a refusal is an answer: the device is not lost"


@pytest.mark.parametrize(
    ("device", "setpoint", "value", "outcome", "words"),
    [
        ("battery", "limit_kw", 1.0, Outcome.REJECTED, "battery takes p_kw, not limit_kw"),
        ("office", "p_kw", 1.0, Outcome.REJECTED, "office takes nothing, not p_kw"),
        ("nobody", "p_kw", 1.0, Outcome.REJECTED, "nobody takes nothing"),
        ("battery", "p_kw", math.nan, Outcome.REJECTED, "not a number"),
    ],
)
def test_what_cannot_be_written_is_rejected_before_it_leaves(
    device: str, setpoint: str, value: float, outcome: Outcome, words: str
) -> None:
    links = {
        "battery": modbus("battery", "battery_inverter", free_port()),
        "office": modbus("office", "load_meter", free_port()),
    }
    with controlling(site_of(links)) as plant:
        (receipt,) = plant.apply([command(device, setpoint, value)], NOON)
        assert receipt.outcome is outcome
        assert words in receipt.detail


def test_receipts_come_in_the_order_of_the_commands() -> None:
    port = free_port()
    site = battery_site(port)
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(battery={"p_kw": 0.0}))
        connected(plant)
        wanted = [command("nobody", "p_kw", 1), command("battery", "p_kw", 5), command("battery", "limit_kw", 2)]
        receipts = plant.apply(wanted, NOON)
        assert [receipt.command for receipt in receipts] == wanted
        assert [receipt.outcome for receipt in receipts] == [Outcome.REJECTED, Outcome.APPLIED, Outcome.REJECTED]
        assert plant.apply([], NOON) == ()


def test_an_expired_command_is_not_sent() -> None:
    site = battery_site(free_port())
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(battery={"p_kw": 0.0}))
        connected(plant)
        receipt = apply_one(plant, 100, validity_s=0)
        assert (receipt.outcome, receipt.detail) == (Outcome.LOST, "not sent: it had expired before")
        assert not server.take_commands()


def test_a_command_to_a_dead_device_is_lost_at_once() -> None:
    site = battery_site(free_port())
    with controlling(site) as plant:
        image = read_until(plant, lambda image: "connection refused" in image.lost.get("battery", ""))
        receipt = apply_one(plant, 100)
        assert receipt.outcome is Outcome.LOST
        assert receipt.detail in image.lost["battery"]


def holding(words: dict[int, int]) -> Callable[[Request], bytes]:
    """A battery that keeps what is written to it."""

    def answer(request: Request) -> bytes:
        if request.is_write:
            data = request.body[5:]
            for offset in range(request.count):
                words[request.address + offset] = int.from_bytes(data[2 * offset : 2 * offset + 2], "big")
            return request.written()
        return request.registers(*(words.get(request.address + offset, 0) for offset in range(request.count)))

    return answer


def test_the_dead_man_is_written_first_and_only_when_it_is_not_known() -> None:
    with scripted(holding({})) as device, controlling(battery_site(device.port)) as plant:
        connected(plant)
        for value in (100, 200, 300):
            assert apply_one(plant, value).outcome is Outcome.APPLIED
        assert [request.address for request in device.writes()] == [42, 40, 40, 40]


def test_a_device_that_lost_its_memory_is_told_its_dead_man_again() -> None:
    words: dict[int, int] = {}
    with scripted(holding(words)) as device, controlling(battery_site(device.port)) as plant:
        connected(plant)
        apply_one(plant, 100)
        words[42] = 3600
        receipt = apply_one(plant, 200)
        assert receipt.outcome is Outcome.CLIPPED
        assert receipt.detail == "holds it for another time than told: 3600 s"
        assert apply_one(plant, 300).outcome is Outcome.APPLIED
        assert words[42] == 7


def test_a_device_that_holds_something_else_than_it_was_told_is_found_out() -> None:
    words: dict[int, int] = {}
    keep, register = holding(words), read_map(HOUSE_MAPS / "battery_inverter.yaml").setpoint
    assert isinstance(register, Setpoint)

    def stubborn(request: Request) -> bytes:
        reply = keep(request)
        words[40], words[41] = encode(register, 50.0)
        return reply

    with scripted(stubborn) as device, controlling(battery_site(device.port)) as plant:
        connected(plant)
        receipt = apply_one(plant, 100)
        assert (receipt.outcome, receipt.read_back) == (Outcome.CLIPPED, 50.0)
        assert receipt.detail == "sent 100, reads back 50"


def test_nothing_is_written_twice() -> None:
    """Not even when the answer stays out: nobody knows whether the device heard it."""
    keep = holding({})

    def deaf_to_setpoints(request: Request) -> bytes | None:
        return None if request.is_write and request.address == 40 else keep(request)

    with scripted(deaf_to_setpoints) as device, controlling(battery_site(device.port, timeout_s=0.2)) as plant:
        connected(plant)
        receipt = apply_one(plant, 100)
        assert receipt.outcome is Outcome.LOST
        assert "no answer within 0.2 s" in receipt.detail
        connected(plant)
        assert len([request for request in device.writes() if request.address == 40]) == 1


def test_a_hang_up_in_the_middle_of_a_write_is_noticed_at_once_and_not_repeated() -> None:
    keep = holding({})

    def hang_up(request: Request) -> bytes:
        return b"" if request.is_write else keep(request)

    # The link would wait longer than any test does.
    with scripted(hang_up) as device, controlling(battery_site(device.port, timeout_s=3600)) as plant:
        connected(plant)
        receipt = apply_one(plant, 100)
        assert receipt.outcome is Outcome.LOST
        assert "connection closed by the other side" in receipt.detail
        connected(plant)
        assert len(device.writes()) == 1


@pytest.mark.parametrize("address", [39, 41, 43])
def test_the_served_device_takes_a_write_as_a_whole_or_not_at_all(address: int) -> None:
    port = free_port()
    with serving(battery_site(port)) as server:
        server.show(snapshot(battery={"p_kw": 0.0}))
        client = ModbusClient(host="127.0.0.1", port=port, unit_id=1, timeout=20, auto_close=True)
        assert not client.write_multiple_registers(address, [1, 2])
        assert client.last_except in (2, 3)
        assert not server.take_commands()
        assert held_kw(port) == 0


def test_the_served_device_is_busy_before_it_knows_what_time_it_is() -> None:
    port = free_port()
    with serving(battery_site(port)):
        client = ModbusClient(host="127.0.0.1", port=port, unit_id=1, timeout=20, auto_close=True)
        assert not client.write_multiple_registers(40, [1, 0])
        assert client.last_except == 6


def test_a_meter_takes_no_command() -> None:
    port = free_port()
    with serving(site_of({"office": modbus("office", "load_meter", port)})) as server:
        server.show(snapshot(office={"p_kw": 1.0}))
        client = ModbusClient(host="127.0.0.1", port=port, unit_id=1, timeout=20, auto_close=True)
        assert not client.write_multiple_registers(0, [1, 0])
        assert client.last_except in (1, 2)
