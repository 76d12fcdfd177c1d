"""Devices that speak MQTT: states with age, orders with expiry, and a broker that may go and come."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.twin.telemetry.telemetry_rig import (
    NOON,
    PATIENCE_S,
    TinyDevice,
    command,
    controlling,
    free_port,
    read_until,
    serving,
    site_of,
    snapshot,
    until,
)
from twin.clock import SystemClock
from twin.errors import LinkError
from twin.points import Outcome, Quality, Snapshot
from twin.site import Site
from twin.telemetry.config import Broker, MqttLink
from twin.telemetry.live_plant import LivePlant
from twin.telemetry.mqtt_server import EmbeddedBroker

pytestmark = pytest.mark.sockets
HALL = MqttLink(protocol="mqtt", topic="halls/a", device="hall", points=("p_kw", "limit_kw"))
WEATHER = MqttLink(protocol="mqtt", topic="weather", device="weather", points=("dry_bulb_c",))
SHOWN = {"hall": {"p_kw": 700.0, "limit_kw": 900.0}, "weather": {"dry_bulb_c": -3.5}}


def site_on(port: int, *, embedded: bool = True) -> Site:
    devices = {"hall": TinyDevice(1000, "limit_kw", 600)}
    return site_of({"hall": HALL, "weather": WEATHER}, devices, Broker(port=port, topic_prefix="t", embedded=embedded))


def hear(plant: LivePlant, now: datetime = NOON) -> Snapshot:
    return read_until(plant, lambda image: not image.lost, now)


@contextmanager
def speaking(port: int) -> Iterator["Voice"]:
    """A broker, and whoever publishes what on it."""
    broker = EmbeddedBroker(Broker(port=port, embedded=True))
    broker.start()
    voice = Voice(port)
    try:
        yield voice
    finally:
        voice.close()
        broker.stop()


class Voice:
    """Says and hears anything on a broker."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        subscribed: list[Any] = []
        self._client.on_subscribe = lambda *arguments: subscribed.append(arguments)
        self._client.subscribe("#", 1)
        until(lambda: subscribed)

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self.heard.append((message.topic, bytes(message.payload)))

    def say(self, topic: str, payload: bytes | dict[str, object], *, retain: bool = False) -> None:
        text = payload if isinstance(payload, bytes) else json.dumps(payload)
        self._client.publish(f"t/{topic}", text, qos=1, retain=retain).wait_for_publish(PATIENCE_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def state(at: datetime = NOON, **values: object) -> dict[str, object]:
    return {"at": at.isoformat(), **values}


def test_states_and_orders_go_round() -> None:
    site = site_on(free_port())
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(**SHOWN))
        image = hear(plant)
        assert {point: reading.value for point, reading in image.readings.items()} == {
            "hall.p_kw": 700.0,
            "hall.limit_kw": 900.0,
            "weather.dry_bulb_c": -3.5,
        }
        (receipt,) = plant.apply([command("hall", "limit_kw", 650)], NOON)
        assert (receipt.outcome, receipt.read_back) == (Outcome.APPLIED, 650)
        (taken,) = server.take_commands()
        assert (taken.device, taken.setpoint, taken.value) == ("hall", "limit_kw", 650)
        assert taken.valid_until == NOON + timedelta(seconds=7)


def test_in_lock_step_a_read_sees_the_states_of_its_own_instant() -> None:
    site = site_on(free_port())
    with serving(site) as server, controlling(site) as plant:
        for step in range(50):
            now = NOON + timedelta(seconds=step)
            server.show(snapshot(now, hall={"p_kw": float(step), "limit_kw": 1.0}, weather={"dry_bulb_c": 1.0}))
            if step == 0:
                hear(plant, now)
            assert plant.read(now).readings["hall.p_kw"].at == now


@pytest.mark.parametrize(
    ("setpoint", "value", "validity_s", "outcome", "words"),
    [
        ("limit_kw", 1500, 7, Outcome.CLIPPED, "takes 0 to 1000"),
        ("limit_kw", -1, 7, Outcome.CLIPPED, "takes 0 to 1000"),
        ("p_kw", 5, 7, Outcome.REJECTED, "takes limit_kw, not p_kw"),
        ("limit_kw", 5, -1, Outcome.LOST, "not sent: it had expired before"),
    ],
)
def test_orders_are_answered_honestly(
    setpoint: str, value: float, validity_s: float, outcome: Outcome, words: str
) -> None:
    site = site_on(free_port())
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(**SHOWN))
        hear(plant)
        (receipt,) = plant.apply([command("hall", setpoint, value, validity_s=validity_s)], NOON)
        assert receipt.outcome is outcome
        assert words in receipt.detail
        assert len(server.take_commands()) == (outcome is Outcome.CLIPPED)


def test_a_device_refuses_an_order_that_has_expired_on_its_own_clock() -> None:
    site = site_on(free_port())
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(NOON + timedelta(seconds=20), **SHOWN))
        hear(plant, NOON + timedelta(seconds=20))
        (receipt,) = plant.apply([command("hall", "limit_kw", 650)], NOON)
        assert receipt.outcome is Outcome.REJECTED
        assert "expired at 2026-06-01T12:00:07" in receipt.detail
        assert not server.take_commands()


def test_a_muted_device_is_lost_by_its_age_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.telemetry.live_plant.LOCK_STEP_PATIENCE_S", 0.05)
    site = site_on(free_port())
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(**SHOWN))
        hear(plant)
        server.kill("hall")
        for age_s, lost in ((30, False), (31, True)):
            now = NOON + timedelta(seconds=age_s)
            server.show(snapshot(now, **SHOWN))
            image = read_until(plant, lambda image, now=now: image.readings["weather.dry_bulb_c"].at == now, now)  # type: ignore[misc]
            assert ("hall" in image.lost) == lost
            reading = image.readings["hall.p_kw"]
            assert (reading.at, reading.quality is Quality.BAD) == (NOON, lost)
        assert "the newest state on halls/a/state is 31 s old" in image.lost["hall"]

        server.restore("hall")
        now = NOON + timedelta(seconds=40)
        server.show(snapshot(now, **SHOWN))
        assert hear(plant, now).readings["hall.p_kw"].quality is Quality.GOOD


def test_a_device_may_be_given_more_time_than_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.telemetry.live_plant.LOCK_STEP_PATIENCE_S", 0.05)
    site = site_on(free_port())
    patient = site_of(site.telemetry.links, broker=site.telemetry.broker, max_age_by_device_s={"weather": 600.0})
    with serving(site) as server, controlling(patient) as plant:
        server.show(snapshot(**SHOWN))
        hear(plant)
        server.show(snapshot(**SHOWN))
        read_until(plant, lambda image: image.readings["weather.dry_bulb_c"].quality is Quality.GOOD)
        image = plant.read(NOON + timedelta(seconds=599))
        assert image.lost.keys() == {"hall"}
        assert image.readings["weather.dry_bulb_c"].quality is Quality.GOOD
        assert image.age_s("weather.dry_bulb_c") == 599.0


def test_a_device_that_does_not_answer_orders_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.telemetry.live_plant.RECEIPT_TIMEOUT_S", 0.3)
    site = site_on(free_port())
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(**SHOWN))
        hear(plant)
        server.kill("hall")
        (first,) = plant.apply([command("hall", "limit_kw", 650)], NOON)
        assert (first.outcome, "no receipt in time" in first.detail) == (Outcome.LOST, True)
        monkeypatch.setattr("twin.telemetry.live_plant.RECEIPT_TIMEOUT_S", 3600)
        (second,) = plant.apply([command("hall", "limit_kw", 650)], NOON)
        assert (second.outcome, "was not waited for" in second.detail) == (Outcome.LOST, True)
        server.restore("hall")

        def confirmed() -> bool:
            return plant.apply([command("hall", "limit_kw", 650)], NOON)[0].outcome is Outcome.APPLIED

        until(confirmed)


def test_a_broker_that_dies_takes_all_its_devices_with_it_and_gives_them_back() -> None:
    site = site_on(free_port())
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(**SHOWN))
        hear(plant)
        server.kill_broker()
        image = read_until(plant, lambda image: len(image.lost) == 2)
        assert f"MQTT 127.0.0.1:{site.telemetry.broker.port}: conn" in image.lost["hall"]  # type: ignore[union-attr]
        assert image.readings["hall.p_kw"].quality is Quality.BAD
        assert image.readings["hall.p_kw"].value == 700.0
        server.show(snapshot(**SHOWN))
        (receipt,) = plant.apply([command("hall", "limit_kw", 650)], NOON)
        assert (receipt.outcome, server.take_commands()) == (Outcome.LOST, [])

        server.restore_broker()
        later = NOON + timedelta(seconds=5)

        def back() -> bool:
            server.show(snapshot(later, **SHOWN))
            image = plant.read(later)
            return not image.lost and image.readings["hall.p_kw"].at == later

        until(back)
        (receipt,) = plant.apply([command("hall", "limit_kw", 650, later)], later)
        assert receipt.outcome is Outcome.APPLIED
        assert [taken.value for taken in server.take_commands()] == [650], "nothing of before was kept and sent again"


def test_what_the_broker_kept_is_suspect_until_the_device_speaks() -> None:
    port = free_port()
    with speaking(port) as voice:
        voice.say("halls/a/state", state(p_kw=700, limit_kw=900), retain=True)
        voice.say("weather/state", state(dry_bulb_c=1), retain=True)
        with controlling(site_on(port, embedded=False)) as plant:
            kept = hear(plant).readings["hall.p_kw"]
            assert (kept.value, kept.quality) == (700.0, Quality.SUSPECT)
            assert "kept by the broker" in kept.reason
            voice.say("halls/a/state", state(p_kw=710, limit_kw=900))
            image = read_until(plant, lambda image: image.readings["hall.p_kw"].value == 710.0)
            assert image.readings["hall.p_kw"].quality is Quality.GOOD
            assert image.readings["weather.dry_bulb_c"].quality is Quality.SUSPECT


def test_what_the_broker_kept_from_long_ago_is_lost() -> None:
    port = free_port()
    with speaking(port) as voice:
        voice.say("halls/a/state", state(NOON - timedelta(days=3), p_kw=700, limit_kw=900), retain=True)
        with controlling(site_on(port, embedded=False), clock=SystemClock()) as plant:
            words = "the newest state on halls/a/state is 259200 s old"
            image = read_until(plant, lambda image: words in image.lost["hall"])
            assert image.readings["hall.p_kw"].quality is Quality.BAD


@pytest.mark.parametrize(
    "payload", [b"", b"p_kw=700", b"\xff\xfe", b"[1]", b'{"p_kw": 1}', b'{"at": "2026-06-01T12:00:00"}']
)
def test_a_garbled_message_marks_the_values_and_never_ends_the_hearing(payload: bytes) -> None:
    port = free_port()
    with speaking(port) as voice, controlling(site_on(port, embedded=False), clock=SystemClock()) as plant:
        until(lambda: plant._mqtt is not None and plant._mqtt.down is None)
        voice.say("halls/a/state", state(p_kw=700, limit_kw=900))
        read_until(plant, lambda image: "hall" not in image.lost)
        voice.say("halls/a/state", payload)
        image = read_until(plant, lambda image: image.readings["hall.p_kw"].quality is Quality.BAD)
        assert image.readings["hall.p_kw"].value == 700.0
        voice.say("halls/a/state", state(p_kw=720, limit_kw=900))
        image = read_until(plant, lambda image: image.readings["hall.p_kw"].value == 720.0)
        assert image.readings["hall.p_kw"].quality is Quality.GOOD


def test_one_bad_point_does_not_spoil_its_neighbour() -> None:
    port = free_port()
    with speaking(port) as voice, controlling(site_on(port, embedded=False), clock=SystemClock()) as plant:
        until(lambda: plant._mqtt is not None and plant._mqtt.down is None)
        voice.say("halls/a/state", state(p_kw=700, limit_kw=900))
        read_until(plant, lambda image: "hall" not in image.lost)
        voice.say("halls/a/state", state(p_kw=None, limit_kw=800))
        image = read_until(plant, lambda image: image.readings["hall.limit_kw"].value == 800.0)
        assert image.readings["hall.limit_kw"].quality is Quality.GOOD
        assert (image.readings["hall.p_kw"].value, image.readings["hall.p_kw"].quality) == (700.0, Quality.BAD)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b'{"id": 1}',
        b'{"id": "x", "setpoint": "limit_kw", "value": NaN, "valid_until": "2100-01-01T00Z"}',
    ],
)
def test_a_garbled_order_is_not_obeyed_and_the_next_one_is(payload: bytes) -> None:
    port = free_port()
    site = site_on(port)
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(**SHOWN))
        hear(plant)
        voice = Voice(port)
        voice.say("halls/a/command", payload)
        (receipt,) = plant.apply([command("hall", "limit_kw", 650)], NOON)
        voice.close()
        assert receipt.outcome is Outcome.APPLIED
        assert [taken.value for taken in server.take_commands()] == [650]


def test_an_order_that_the_broker_kept_is_not_obeyed() -> None:
    port = free_port()
    order = {"id": "x", "setpoint": "limit_kw", "value": 1, "valid_until": (NOON + timedelta(days=1)).isoformat()}
    with speaking(port) as voice:
        voice.say("halls/a/command", order, retain=True)
        site = site_on(port, embedded=False)
        with serving(site) as server, controlling(site) as plant:
            server.show(snapshot(**SHOWN))
            hear(plant)
            plant.apply([command("hall", "limit_kw", 650)], NOON)
            assert [taken.value for taken in server.take_commands()] == [650]


def test_an_unusable_receipt_confirms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.telemetry.live_plant.RECEIPT_TIMEOUT_S", 0.3)
    port = free_port()
    with speaking(port) as voice, controlling(site_on(port, embedded=False), clock=SystemClock()) as plant:
        until(lambda: plant._mqtt is not None and plant._mqtt.down is None)
        for answer in (b"{", b'{"id": "somebody-else", "outcome": "applied"}', b'{"id": "x", "outcome": "done"}'):
            voice.say("halls/a/receipt", answer)
        (receipt,) = plant.apply([command("hall", "limit_kw", 650)], NOON)
        assert receipt.outcome is Outcome.LOST
        until(lambda: [topic for topic, _ in voice.heard].count("t/halls/a/command") == 1)


def test_a_silent_device_is_named_with_its_topic_and_the_remedy() -> None:
    port = free_port()
    with speaking(port) as voice:
        voice.say("weather/state", state(dry_bulb_c=1), retain=True)
        with controlling(site_on(port, embedded=False)) as plant:
            read_until(plant, lambda image: image.lost.keys() == {"hall"})
            with pytest.raises(LinkError) as caught:
                plant.connect_or_raise(0.0)
    assert f"hall: MQTT 127.0.0.1:{port}: nothing heard on halls/a/state yet; expected: JSON with p_kw" in str(
        caught.value
    )
    assert "weather:" not in str(caught.value)


def test_an_absent_broker_is_named() -> None:
    port = free_port()
    with controlling(site_on(port, embedded=False), clock=SystemClock()) as plant:
        image = read_until(plant, lambda image: "refused" in image.lost["hall"])
        assert image.lost["hall"] == f"hall: MQTT 127.0.0.1:{port}: connection refused"
        with pytest.raises(LinkError, match=rf"127\.0\.0\.1:{port}: connection refused"):
            plant.connect_or_raise(0.0)
