"""Whatever is down costs nobody else, is named, and comes back by itself."""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest

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
    until,
)
from twin.errors import LinkError
from twin.points import Outcome, Quality
from twin.telemetry.config import Link

pytestmark = pytest.mark.sockets


def two_gateways() -> tuple[Mapping[str, Link], Mapping[str, TinyDevice]]:
    """A gateway with two gensets, and a battery elsewhere."""
    port = free_port()
    links: Mapping[str, Link] = {
        "genset_1": modbus("genset_1", "genset", port, unit_id=1),
        "genset_2": modbus("genset_2", "genset", port, unit_id=2),
        "battery": modbus("battery", "battery_inverter", free_port()),
    }
    devices = {
        "genset_1": TinyDevice(2000, "generation_kw"),
        "genset_2": TinyDevice(2000, "generation_kw"),
        "battery": TinyDevice(2500, "p_kw"),
    }
    return links, devices


ALL = {"genset_1": {"p_kw": -500.0}, "genset_2": {"p_kw": -600.0}, "battery": {"p_kw": 700.0}}


def test_a_killed_gateway_is_lost_whole_and_alone_and_comes_back_by_itself() -> None:
    site = site_of(*two_gateways())
    later = NOON + timedelta(seconds=10)
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(**ALL))
        read_until(plant, lambda image: not image.lost)

        server.kill("genset_2")
        server.show(snapshot(later, battery={"p_kw": 710.0}))
        image = read_until(plant, lambda image: len(image.lost) == 2, later)
        assert image.lost.keys() == {"genset_1", "genset_2"}
        assert image.readings["battery.p_kw"].value == pytest.approx(710)
        stale = image.readings["genset_1.p_kw"]
        assert (stale.value, stale.at, stale.quality) == (-500.0, NOON, Quality.BAD), "never fresh, never invented"
        assert image.age_s("genset_1.p_kw") == 10.0
        receipts = plant.apply([command("genset_1", "generation_kw", 1, later), command("battery", "p_kw", 1)], NOON)
        assert [receipt.outcome for receipt in receipts] == [Outcome.LOST, Outcome.APPLIED]

        server.restore("genset_2")
        server.show(snapshot(later, **ALL))
        image = read_until(plant, lambda image: not image.lost, later)
        assert image.readings["genset_1.p_kw"].quality is Quality.GOOD
        assert image.readings["genset_1.p_kw"].at == later
        (receipt,) = plant.apply([command("genset_1", "generation_kw", 800)], NOON)
        assert receipt.outcome is Outcome.APPLIED, receipt


def test_a_restarted_device_holds_nothing_of_what_it_was_told() -> None:
    site = site_of(*two_gateways())
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(**ALL))
        read_until(plant, lambda image: not image.lost)
        plant.apply([command("genset_1", "generation_kw", 800, validity_s=600)], NOON)
        server.kill("genset_1")
        server.restore("genset_1")
        read_until(plant, lambda image: not image.lost)
        # Had the controller believed that the device still knows its dead-man, it would now be 60 s instead of 7.
        plant.apply([command("genset_1", "generation_kw", 900, validity_s=7)], NOON)
        assert server.take_commands()[-1].valid_until == NOON + timedelta(seconds=7)


def test_killing_and_restoring_twice_does_no_harm() -> None:
    site = site_of(*two_gateways())
    with serving(site) as server, controlling(site) as plant:
        for _ in range(2):
            server.kill("battery")
        for _ in range(2):
            server.restore("battery")
        server.show(snapshot(**ALL))
        read_until(plant, lambda image: not image.lost)


def test_nobody_waits_for_a_device_that_is_down() -> None:
    with scripted(lambda _: None) as silent:
        links = {
            "silent": modbus("silent", "ups", silent.port, timeout_s=1.0),
            "office": modbus("office", "load_meter", free_port()),
        }
        with serving(site_of({"office": links["office"]})) as server, controlling(site_of(links)) as plant:
            server.show(snapshot(office={"p_kw": 1.0}))
            read_until(
                plant,
                lambda image: "no answer within 1 s" in image.lost.get("silent", "") and "office" not in image.lost,
            )
            # Ten reads would take ten seconds if each asked the silent device again. At most one in the
            # background holds the processor; the fastest of ten shows the cost without it.
            assert min(duration_s(lambda: plant.read(NOON)) for _ in range(10)) < 1.0


def duration_s(call: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    call()
    return time.perf_counter() - began_s


def test_a_silent_unit_does_not_take_its_neighbour_with_it() -> None:
    def answer(request: Request) -> bytes | None:
        return None if request.unit == 1 else request.registers(*[100] * request.count)

    with scripted(answer) as gateway:
        links = {
            "dead": modbus("dead", "ups", gateway.port, unit_id=1, timeout_s=0.1),
            "alive": modbus("alive", "ups", gateway.port, unit_id=2),
        }
        with controlling(site_of(links)) as plant:
            read_until(plant, lambda image: image.lost.keys() == {"dead"} and "no answer" in image.lost["dead"])
            for _ in range(20):
                assert "alive" not in plant.read(NOON).lost


def test_a_socket_with_one_dead_unit_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.telemetry.modbus_gateway.LONGEST_PAUSE_S", 0.01)
    asked: list[int] = []

    def answer(request: Request) -> bytes | None:
        asked.append(request.unit)
        return None if request.unit == 1 else request.registers(*[100] * request.count)

    with scripted(answer) as gateway:
        links = {
            "dead": modbus("dead", "ups", gateway.port, unit_id=1, timeout_s=0.02),
            "alive": modbus("alive", "ups", gateway.port, unit_id=2),
        }
        with controlling(site_of(links)) as plant:
            read_until(plant, lambda image: image.lost.keys() == {"dead"})
            asked.clear()
            until(lambda: len(asked) >= 10)
            assert set(asked) == {1}, "no reconnection, after which every unit would be asked"
            assert "alive" not in plant.read(NOON).lost


def test_a_late_answer_is_not_taken_for_the_answer_to_the_next_question() -> None:
    held_back: list[Request] = []

    def answer(request: Request) -> bytes | None:
        if request.unit == 1:
            held_back.append(request)
            return None
        late = held_back.pop(0).registers(*[999] * 5) if held_back else b""
        return late + request.registers(*[100] * request.count)

    with scripted(answer) as gateway:
        links = {
            "slow": modbus("slow", "load_meter", gateway.port, unit_id=1, timeout_s=0.1),
            "quick": modbus("quick", "ups", gateway.port, unit_id=2),
        }
        with controlling(site_of(links)) as plant:
            image = read_until(plant, lambda image: image.lost.keys() == {"slow"})
            for _ in range(20):
                image = plant.read(NOON)
                assert image.readings["quick.p_kw"].value == pytest.approx(1.0)
            assert not [point for point in image.readings if point.startswith("slow")]


def garbage(request: Request) -> bytes:
    return b"HTTP/1.1 400 Bad Request\r\n\r\n"


def truncated(request: Request) -> bytes:
    return request.registers(*[100] * request.count)[:-3]


def unknown_function(request: Request) -> bytes:
    return request.transaction + b"\0\0\0\3" + bytes((request.unit, 0x55, 1))


@pytest.mark.parametrize("nonsense", [garbage, truncated, unknown_function])
def test_after_nonsense_on_the_wire_the_device_comes_back(nonsense: Callable[[Request], bytes]) -> None:
    with scripted(nonsense) as device:
        site = site_of({"link": modbus("ups", "ups", device.port, timeout_s=0.2)})
        with controlling(site) as plant:
            read_until(plant, lambda image: "not connected yet" not in image.lost["ups"])
            assert not plant.read(NOON).readings
            device.answer = lambda request: request.registers(*[100] * request.count)
            image = read_until(plant, lambda image: not image.lost)
            assert image.readings["ups.p_kw"].value == pytest.approx(1.0)


def test_an_unreachable_device_is_named_with_its_place_and_the_remedy() -> None:
    links, devices = two_gateways()
    nobody = links["battery"]
    site = site_of(links, devices)
    served = site_of({name: link for name, link in links.items() if name != "battery"}, devices)
    with serving(served) as server, controlling(site) as plant:
        server.show(snapshot(**ALL))
        read_until(plant, lambda image: image.lost.keys() == {"battery"} and "refused" in image.lost["battery"])
        with pytest.raises(LinkError) as caught:
            plant.connect_or_raise(0.0)
    lines = str(caught.value).splitlines()
    assert lines[0] == "the plant cannot be reached:"
    assert lines[1].strip() == (
        f"battery: Modbus 127.0.0.1:{nobody.port} unit 1: connection refused; "  # type: ignore[union-attr]
        "expected: battery inverter with its battery"
    )
    assert "gridhelm emulate" in lines[2]
    assert "host, port and unit_id under telemetry" in lines[2]
    assert len(lines) == 3


@pytest.mark.parametrize("host", ["no-such-host.invalid", "..", "a" * 70])
def test_a_host_that_does_not_exist_is_said_and_tried_again(host: str) -> None:
    link = modbus("ups", "ups", free_port(), timeout_s=0.5)
    link = type(link)(protocol="modbus_tcp", host=host, port=link.port, map="ups", device="ups", timeout_s=0.5)
    with controlling(site_of({"link": link})) as plant:
        image = read_until(plant, lambda image: "not connected yet" not in image.lost["ups"])
        assert f"Modbus {host}:{link.port} unit 1: " in image.lost["ups"]


def test_a_device_that_is_switched_on_later_is_found() -> None:
    site = site_of(*two_gateways())
    with controlling(site) as plant:
        read_until(plant, lambda image: all("refused" in reason for reason in image.lost.values()))
        with serving(site) as server:
            server.show(snapshot(**ALL))
            plant.connect_or_raise(20.0)
            assert not plant.read(NOON).lost
