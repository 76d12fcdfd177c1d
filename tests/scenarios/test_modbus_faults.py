"""What lines, gateways and devices do to a link: noticed at once, told, harmless to others, and over when it ends.

Everything runs over real sockets, through the proxy that also drills use. Bounds are in control cycles wherever a
cycle decides; where only real time can, they are many times what is needed and far below what it would be without.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from pymodbus.constants import ExcCodes

from tests.twin.telemetry.telemetry_rig import (
    NOON,
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
    until,
)
from twin.points import Outcome, Quality, Snapshot
from twin.telemetry import modbus_gateway
from twin.telemetry.device_server import PlantServer
from twin.telemetry.fault_proxy import Fault, FaultProxy
from twin.telemetry.io_thread import IoThread
from twin.telemetry.live_plant import LivePlant

pytestmark = pytest.mark.sockets
TIMEOUT_S = 0.2
SHOWN = {"p_kw": 120.0, "q_kvar": 5.0, "soc": 0.5, "v_pu": 1.01}


@dataclass
class Faulty:
    """A battery and a meter, the battery behind a proxy."""

    server: PlantServer
    plant: LivePlant
    proxy: FaultProxy
    io: IoThread
    cycles: int = 0
    shown: dict[str, float] = field(default_factory=lambda: dict(SHOWN))

    def set(self, fault: Fault) -> None:
        self.io.run(_set(self.proxy, fault))

    def read(self) -> Snapshot:
        """One control cycle of 1 s of the plant's time."""
        self.cycles += 1
        now = NOON + timedelta(seconds=self.cycles)
        self.server.show(snapshot(now, battery=self.shown, office={"p_kw": 200.0, "q_kvar": 1.0, "v_pu": 1.0}))
        return self.plant.read(now)

    def until_well(self) -> Snapshot:
        seen: list[Snapshot] = []

        def well() -> bool:
            seen.append(self.read())
            return not seen[-1].lost and seen[-1].readings["battery.p_kw"].quality is Quality.GOOD

        until(well)
        return seen[-1]


@contextmanager
def faulty(timeout_s: float = TIMEOUT_S) -> Iterator[Faulty]:
    port, io = free_port(), IoThread("faults")
    devices = {"battery": TinyDevice(2500, "p_kw"), "office": TinyDevice(300)}
    office = modbus("office", "load_meter", free_port())
    proxy = FaultProxy("127.0.0.1", port)
    io.run(proxy.open())
    served = site_of({"battery": modbus("battery", "battery_inverter", port), "office": office}, devices)
    asked = {"battery": modbus("battery", "battery_inverter", proxy.port, timeout_s=timeout_s), "office": office}
    try:
        with serving(served) as server, controlling(site_of(asked, devices)) as plant:
            rig = Faulty(server, plant, proxy, io)
            rig.until_well()
            yield rig
    finally:
        io.run(proxy.close())
        io.close()


LOUD = {
    "black hole": (Fault(black_hole=True), "no answer within 0.2 s"),
    "half open": (Fault(half_open=True), "no answer within 0.2 s"),
    "reset": (Fault(reset=True), "connection closed"),
    "off": (Fault(refused=True), "connect"),
    "too slow": (Fault(delay_s=0.6), "no answer within 0.2 s"),
    "wrong unit": (Fault(names_next_unit=True), "but one of unit 2, which was not asked"),
    "cut short": (Fault(cut_byte_count=3), "no answer within 0.2 s"),
    "one register more": (Fault(extra_register_count=1), "answered 7 registers instead of 6"),
    "one register less": (Fault(extra_register_count=-1), "answered 5 registers instead of 6"),
    "busy": (Fault(exception=ExcCodes.DEVICE_BUSY), "device busy"),
    "behind the gateway": (Fault(exception=ExcCodes.GATEWAY_NO_RESPONSE), "the device behind the gateway"),
    "no measurement": (Fault(words=0x8000), "outside the plausible range"),
    "garbled all over": (Fault(garbled_fraction=1.0), ""),
}


@pytest.mark.parametrize("name", LOUD)
def test_a_fault_is_told_in_the_next_cycle_costs_no_neighbour_and_ends_with_its_cause(name: str) -> None:
    fault, words = LOUD[name]
    with faulty() as rig:
        rig.set(fault)
        image = rig.read()
        reading = image.readings["battery.p_kw"]
        assert reading.quality is Quality.BAD
        assert words in (reading.reason + image.lost.get("battery", "")).lower()
        assert reading.value == SHOWN["p_kw"] or "outside" in reading.reason, "never invented"
        assert image.readings["office.p_kw"].quality is Quality.GOOD
        assert image.age_s("office.p_kw") == 0.0
        rig.set(Fault())
        assert rig.until_well().readings["battery.p_kw"].value == SHOWN["p_kw"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(split_byte_count=1),
        Fault(bytes_per_s=2000.0),
        Fault(delay_s=0.02),
        Fault(exception=ExcCodes.DEVICE_BUSY, units=frozenset({7})),
    ],
)
def test_what_is_slow_or_in_pieces_is_read_all_the_same(fault: Fault) -> None:
    with faulty(timeout_s=20.0) as rig:
        rig.set(fault)
        rig.shown["p_kw"] = 130.0
        for _ in range(3):
            image = rig.read()
            assert not image.lost
            assert image.readings["battery.p_kw"].value == 130.0


def test_a_reset_or_a_closed_connection_is_not_waited_out() -> None:
    """pymodbus waits its whole timeout for an answer over a connection that is gone."""
    with faulty(timeout_s=20.0) as rig:
        for fault in (Fault(reset=True), Fault(refused=True)):
            rig.set(fault)
            began_s = time.monotonic()
            rig.read()
            assert time.monotonic() - began_s < 10.0
            rig.set(Fault())
            rig.until_well()


def test_a_half_open_connection_is_replaced_though_it_is_never_closed() -> None:
    with faulty() as rig:
        before = rig.proxy.connections
        rig.set(Fault(half_open=True))
        assert rig.read().lost.keys() == {"battery"}
        # The fault stays: what helps is a connection of its own accord.
        rig.until_well()
        assert rig.proxy.connections > before


@pytest.mark.parametrize("fault", [Fault(refused=True), Fault(reset=True)])
def test_a_device_that_closes_every_connection_is_not_hammered(fault: Fault) -> None:
    with faulty() as rig:
        rig.set(fault)
        before, began_s = rig.proxy.connections, time.monotonic()
        while time.monotonic() - began_s < 1.0:
            rig.read()
        # Pauses of 0.2, 0.4 and 0.8 s between attempts, each of which may ask twice for the reason.
        assert 0 < rig.proxy.connections - before < 20


def test_late_answers_are_never_taken_for_others() -> None:
    """Each answer comes after its request was given up, and while the next one is under way."""
    with faulty() as rig:
        for value in range(8):
            rig.set(Fault(delay_s=0.25 if value % 2 else 0.0))
            rig.shown["p_kw"] = float(value)
            reading = rig.read().readings["battery.p_kw"]
            assert reading.quality is Quality.BAD or (reading.value, reading.at) == (
                float(value),
                NOON + timedelta(seconds=rig.cycles),
            )
        rig.set(Fault())
        rig.until_well()


@pytest.mark.parametrize("fault", [Fault(black_hole=True), Fault(delay_s=0.6), Fault(reset=True)])
def test_a_write_is_sent_once_whatever_becomes_of_it(fault: Fault) -> None:
    with faulty() as rig:
        writes_before = sum(request[7] == 16 for request in rig.proxy.requests)
        rig.set(fault)
        (receipt,) = rig.plant.apply([command("battery", "p_kw", 500.0)], NOON)
        assert receipt.outcome is Outcome.LOST
        rig.set(Fault())
        rig.until_well()
        assert sum(request[7] == 16 for request in rig.proxy.requests) - writes_before == 1


def test_a_write_that_is_confirmed_and_not_carried_out_is_no_success() -> None:
    with faulty() as rig:
        rig.set(Fault(deaf_to_writes=True))
        (receipt,) = rig.plant.apply([command("battery", "p_kw", 500.0)], NOON)
        assert receipt.outcome is Outcome.CLIPPED
        assert "sent 500, reads back 0" in receipt.detail
        assert not rig.server.take_commands()
        rig.set(Fault())
        (receipt,) = rig.plant.apply([command("battery", "p_kw", 500.0)], NOON)
        assert receipt.outcome is Outcome.APPLIED


def test_a_write_that_is_refused_is_rejected_and_says_why() -> None:
    with faulty() as rig:
        rig.set(Fault(exception=ExcCodes.ILLEGAL_VALUE, functions=frozenset({16})))
        (receipt,) = rig.plant.apply([command("battery", "p_kw", 500.0)], NOON)
        assert receipt.outcome is Outcome.REJECTED
        assert "illegal value writing holding" in receipt.detail
        assert rig.read().readings["battery.p_kw"].quality is Quality.GOOD, "it is still read"


def test_a_device_that_starts_again_shows_defaults_and_is_told_everything_anew() -> None:
    with faulty() as rig:
        rig.plant.apply([command("battery", "p_kw", 500.0, validity_s=600)], NOON)
        rig.set(Fault(refused=True))
        assert rig.read().lost
        rig.set(Fault(words=0))
        until(lambda: not rig.read().lost)
        image = rig.read()
        # All zeros: what cannot be so is bad; nothing is carried over from before.
        assert image.readings["battery.v_pu"].quality is Quality.BAD
        rig.set(Fault())
        rig.until_well()
        before = len(rig.proxy.requests)
        rig.plant.apply([command("battery", "p_kw", 500.0, validity_s=600)], NOON)
        assert [request[7] for request in rig.proxy.requests[before:]].count(16) == 2, "its dead-man once more, too"


def test_flipped_bits_stop_nothing_and_no_value_leaves_its_range() -> None:
    """0.2 % of all bytes, in the frame too. What is silently wrong and plausible is for the balance of all meters."""
    with faulty(timeout_s=0.05) as rig:
        rig.set(Fault(garbled_fraction=0.002))
        good = 0
        for _ in range(400):
            image = rig.read()
            reading = image.readings["battery.p_kw"]
            good += reading.quality is Quality.GOOD
            assert reading.quality is Quality.BAD or abs(float(reading.value)) <= 20_000
            assert image.readings["office.p_kw"].quality is Quality.GOOD
        assert good > 200
        rig.set(Fault())
        rig.until_well()


def test_an_answer_that_cannot_be_decoded_costs_neither_the_connection_nor_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """pymodbus would raise in the event loop, which prints a traceback and closes the connection for all units."""
    with scripted(lambda request: request.transaction + b"\0\0\0\3\1\x55\1") as device:
        links = {name: modbus(name, "ups", device.port, unit, TIMEOUT_S) for name, unit in (("a", 1), ("b", 2))}
        with controlling(site_of(links)) as plant:
            read_until(plant, lambda image: "cannot be decoded" in image.lost.get("a", ""))
            device.answer = lambda request: request.registers(*[100] * request.count)
            read_until(plant, lambda image: not image.lost)
    assert not caplog.records


UNITS = range(1, 11)
DEAD = frozenset(range(1, 10))


@contextmanager
def crowded(fault: Fault, timeout_s: float = 0.5) -> Iterator[tuple[LivePlant, FaultProxy, IoThread]]:
    """Ten units behind one gateway, through a proxy that has a fault from the start."""
    port, io = free_port(), IoThread("faults")
    proxy = FaultProxy("127.0.0.1", port)
    io.run(proxy.open())
    proxy.fault = fault
    names = {unit: f"u{unit}" for unit in UNITS}
    served = site_of({name: modbus(name, "load_meter", port, unit) for unit, name in names.items()})
    asked = {name: modbus(name, "load_meter", proxy.port, unit, timeout_s) for unit, name in names.items()}
    try:
        with ExitStack() as stack:
            server = stack.enter_context(serving(served))
            server.show(snapshot(**{name: {"p_kw": 1.0, "q_kvar": 0.0, "v_pu": 1.0} for name in asked}))
            yield stack.enter_context(controlling(site_of(asked))), proxy, io
    finally:
        io.run(proxy.close())
        io.close()


def test_nine_silent_units_do_not_keep_the_tenth_waiting_at_the_start() -> None:
    """One after another with their timeouts they would: 4.5 s."""
    began_s = time.monotonic()
    with crowded(Fault(black_hole=True, units=DEAD)) as (plant, _, _):
        read_until(plant, lambda image: "u10" not in image.lost)
        assert time.monotonic() - began_s < 3.0
        slowest_s = 0.0
        for _ in range(20):
            began_s = time.monotonic()
            assert "u10" not in plant.read(NOON).lost, "a look at a silent unit gives way"
            slowest_s = max(slowest_s, time.monotonic() - began_s)
        assert slowest_s < 1.0, "less than one control period"


def test_nine_units_that_fall_silent_at_once_cost_one_budget_and_not_nine_timeouts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(modbus_gateway, "SILENCE_PER_ROUND_S", 0.1)
    monkeypatch.setattr(modbus_gateway, "LEAST_PATIENCE_S", 0.02)
    with crowded(Fault()) as (plant, proxy, io):
        read_until(plant, lambda image: not image.lost)

        io.run(_set(proxy, Fault(black_hole=True, units=DEAD)))
        began_s = time.monotonic()
        lost = plant.read(NOON).lost
        assert time.monotonic() - began_s < 3.0, "4.5 s if every timeout were waited for"
        assert set(lost) >= {f"u{unit}" for unit in DEAD}
        read_until(plant, lambda image: image.lost.keys() == {f"u{unit}" for unit in DEAD})
        io.run(_set(proxy, Fault()))
        read_until(plant, lambda image: not image.lost)


async def _set(proxy: FaultProxy, fault: Fault) -> None:
    proxy.fault = fault


def test_a_pause_between_requests_is_kept_by_all_units_of_a_gateway() -> None:
    """Without it, some gateways drop every second request (OpenEMS, pull request 3099: 25 ms)."""
    port = free_port()
    links = {name: modbus(name, "load_meter", port, unit) for unit, name in ((1, "a"), (2, "b"))}
    asked = {name: replace(link, pause_s=0.2) for name, link in links.items()}
    with serving(site_of(links)) as server, controlling(site_of(asked)) as plant:
        server.show(snapshot(a={"p_kw": 1.0}, b={"p_kw": 1.0}))
        read_until(plant, lambda image: not image.lost)
        began_s = time.monotonic()
        plant.read(NOON)
        plant.read(NOON)
        assert time.monotonic() - began_s > 0.55, "four requests with three pauses between them"
