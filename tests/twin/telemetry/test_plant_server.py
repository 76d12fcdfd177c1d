"""The emulated plant opens everything or nothing, and leaves nothing behind."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

import pytest

from tests.twin.telemetry.telemetry_rig import (
    NOON,
    SITE_PATH,
    free_port,
    modbus,
    serving,
    site_of,
    snapshot,
)
from twin.clock import SteppedClock
from twin.errors import InputError, LinkError
from twin.telemetry.config import Broker, Link, MqttLink
from twin.telemetry.device_server import PlantServer
from twin.telemetry.live_plant import LivePlant

pytestmark = pytest.mark.sockets
WEATHER = MqttLink(protocol="mqtt", topic="weather", device="weather", points=("dry_bulb_c",))


@contextmanager
def taken(port: int) -> Iterator[None]:
    with closing(socket.socket()) as owner:
        owner.bind(("127.0.0.1", port))
        owner.listen()
        yield


def is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith(("gridhelm", "paho"))}


@pytest.mark.parametrize("victim", ["modbus", "broker"])
def test_a_taken_port_is_named_and_nothing_stays_open(victim: str) -> None:
    ports = {"first": free_port(), "modbus": free_port(), "broker": free_port()}
    links: Mapping[str, Link] = {
        "first": modbus("a", "ups", ports["first"]),
        "second": modbus("b", "ups", ports["modbus"]),
        "weather": WEATHER,
    }
    site = site_of(links, broker=Broker(port=ports["broker"], embedded=True))
    server = PlantServer(site, SITE_PATH)
    with taken(ports[victim]):
        with pytest.raises(LinkError, match=rf"127\.0\.0\.1:{ports[victim]}.*choose another port"):
            server.start()
        assert all(is_free(port) for name, port in ports.items() if name != victim)
        assert not threads()
    server.start()
    server.show(snapshot(a={"p_kw": 1.0}))
    server.stop()
    assert not threads()


def test_a_missing_broker_is_named_and_nothing_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.telemetry.device_server.CONNECT_S", 0.3)
    gateway, broker = free_port(), free_port()
    links: Mapping[str, Link] = {"a": modbus("a", "ups", gateway), "weather": WEATHER}
    server = PlantServer(site_of(links, broker=Broker(port=broker)), SITE_PATH)
    with pytest.raises(LinkError, match=rf"MQTT 127\.0\.0\.1:{broker}: .*; start a broker there, or set `embedded"):
        server.start()
    assert is_free(gateway)
    assert not threads()


def test_stopping_ends_every_thread_and_a_second_stop_does_nothing() -> None:
    port = free_port()
    links: Mapping[str, Link] = {"a": modbus("a", "ups", port), "weather": WEATHER}
    server = PlantServer(site_of(links, broker=Broker(port=free_port(), embedded=True)), SITE_PATH)
    server.start()
    assert threads()
    server.stop()
    server.stop()
    assert not threads()
    assert is_free(port)


def test_a_server_that_was_not_started_says_so() -> None:
    server = PlantServer(site_of({"a": modbus("a", "ups", free_port())}), SITE_PATH)
    with pytest.raises(LinkError, match="call start"):
        server.show(snapshot(NOON))


def test_a_password_file_that_is_missing_is_told_before_anything_runs() -> None:
    links: Mapping[str, Link] = {"a": modbus("a", "ups", free_port()), "weather": WEATHER}
    site = site_of(links, broker=Broker(port=free_port(), username="operator", password_file="no-such-file"))
    for open_it in (lambda: LivePlant(site, SITE_PATH, SteppedClock(NOON)), lambda: PlantServer(site, SITE_PATH)):
        with pytest.raises(InputError, match=r"telemetry.broker.password_file: .*no-such-file: No such file"):
            open_it()
    assert not threads()


def test_a_broker_can_be_killed_and_restored_any_number_of_times() -> None:
    site = site_of({"weather": WEATHER}, broker=Broker(port=free_port(), embedded=True))
    with serving(site) as server:
        for _ in range(3):
            server.kill_broker()
            server.kill_broker()
            server.show(snapshot(weather={"dry_bulb_c": 20.0}))
            server.restore_broker()
            server.restore_broker()
