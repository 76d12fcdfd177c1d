"""A hall and a weather station on a broker, and somebody who says anything there."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.twin.telemetry.telemetry_rig import (
    NOON,
    PATIENCE_S,
    TinyDevice,
    read_until,
    site_of,
    until,
)
from twin.points import Snapshot
from twin.site import Site
from twin.telemetry.config import Broker, MqttLink
from twin.telemetry.live_plant import LivePlant
from twin.telemetry.mqtt_server import EmbeddedBroker

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
