"""Whatever bytes come back: no crash, no value out of its range that counts as good, no memory that grows."""

from collections.abc import Iterator
from itertools import cycle

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.twin.telemetry.telemetry_rig import (
    NOON,
    Request,
    ScriptedDevice,
    controlling,
    modbus,
    read_until,
    scripted,
    site_of,
)
from twin.points import Quality
from twin.telemetry.live_plant import LivePlant

pytestmark = pytest.mark.sockets
MAPS = ("grid_meter", "battery_inverter", "ups", "genset")
FLOOD_BYTES = 2_000_000
MOST_KEPT_BYTES = 1000


class Device:
    """A device with each of several maps, all behind one port, which answers what it is given."""

    def __init__(self, device: ScriptedDevice, plant: LivePlant) -> None:
        self.device, self.plant = device, plant

    def well(self) -> None:
        self.device.answer = lambda request: request.registers(*[100] * request.count)
        read_until(self.plant, lambda image: not image.lost)


@pytest.fixture(scope="module")
def rig() -> Iterator[Device]:
    with scripted(lambda request: request.registers(*[100] * request.count)) as device:
        links = {name: modbus(name, name, device.port, unit, 0.02) for unit, name in enumerate(MAPS, 1)}
        with controlling(site_of(links)) as plant:
            yield Device(device, plant)


def spoilt(edit: tuple[str, int, int], reply: bytes) -> bytes:
    """`reply` with one thing done to it."""
    kind, at, byte = edit
    at %= len(reply)
    if kind == "flip":
        return reply[:at] + bytes((reply[at] ^ (1 << byte % 8),)) + reply[at + 1 :]
    if kind == "cut":
        return reply[:at] or b"\0"
    if kind == "insert":
        return reply[:at] + bytes((byte,)) + reply[at:]
    return reply[:at] + bytes((byte,)) + reply[at + 1 :]


EDITS = st.tuples(st.sampled_from(("flip", "cut", "insert", "set")), st.integers(0, 300), st.integers(0, 255))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(st.integers(0, 65535), min_size=1, max_size=20),
    edits=st.lists(EDITS, min_size=1, max_size=6),
    garbage=st.binary(max_size=40),
)
def test_any_bytes_on_the_wire_are_survived(
    rig: Device, words: list[int], edits: list[tuple[str, int, int]], garbage: bytes
) -> None:
    content, doings = cycle(words), cycle([*edits, None])

    def answer(request: Request) -> bytes:
        reply = request.registers(*[next(content) for _ in range(request.count)])
        doing = next(doings)
        return reply if doing is None else spoilt(doing, reply) + garbage

    rig.device.answer = answer
    for _ in range(2):
        image = rig.plant.read(NOON)
        for name, reading in image.readings.items():
            device, point = name.split(".")
            limits = rig.plant._modbus.units[device].registers.points[point]
            assert reading.quality is Quality.BAD or limits.min <= float(reading.value) <= limits.max
        for reason in image.lost.values():
            assert "internal error" not in reason
            assert len(reason) < 400, "an alarm is a sentence"


def test_after_all_that_the_devices_are_read_as_before(rig: Device) -> None:
    rig.device.answer = lambda request: b"\xff" * 50
    rig.plant.read(NOON)
    rig.well()


def test_a_flood_of_bytes_is_not_kept(rig: Device) -> None:
    rig.well()
    rig.device.answer = lambda request: b"\0" * FLOOD_BYTES
    rig.plant.read(NOON)
    clients = [unit.gateway._client for unit in rig.plant._modbus.units.values()]
    assert all(client is None or len(client.ctx.recv_buffer) < MOST_KEPT_BYTES for client in clients)
    rig.well()
