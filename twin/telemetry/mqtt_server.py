"""MQTT devices: the emulated plant's side of halls and weather stations, and a broker where there is none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from amqtt.broker import Broker as AmqttBroker
from amqtt.errors import BrokerError
from paho.mqtt.client import MQTTMessageInfo

from twin.clock import stopwatch_s
from twin.errors import LinkError
from twin.numeric import clip, first
from twin.points import Command, Outcome, Snapshot
from twin.telemetry.config import Broker, MqttLink
from twin.telemetry.io_thread import IoThread, stop_accepting
from twin.telemetry.modbus_server import Range
from twin.telemetry.mqtt_messages import Answer, Order, UnusableError, read_order, write_answer, write_state
from twin.telemetry.mqtt_session import Handler, MqttSession

ACKNOWLEDGE_S = 0.5
"""How long showing a state waits for the broker to have it."""
SHUTDOWN_S = 2.0

log = logging.getLogger(__name__)
logging.getLogger("amqtt").setLevel(logging.CRITICAL)
logging.getLogger("transitions").setLevel(logging.CRITICAL)


class _TidyBroker(AmqttBroker):  # type: ignore[misc]  # amqtt has no types
    """Closes every connection it took.

    amqtt leaves those open that come while it shuts down, or that never say who they are: whoever is at
    the other end would go on believing in a broker.
    """

    async def shutdown(self) -> None:
        for server in self._servers.values():
            await stop_accepting(server.instance)
        await super().shutdown()

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        try:
            await super().stream_connected(reader, writer, listener_name)
        finally:
            writer.close()


class EmbeddedBroker:
    """A broker in this process, for a machine without one."""

    def __init__(self, config: Broker) -> None:
        self._bind = f"{config.host}:{config.port}"
        self._io: IoThread | None = None
        self._broker: AmqttBroker | None = None

    def start(self) -> None:
        """Raises `LinkError` when the port is taken."""
        if self._io is not None:
            return
        io = IoThread("gridhelm-broker")
        try:
            self._broker = io.run(_open_broker(self._bind))
        except BrokerError as error:
            io.close()
            raise LinkError(
                f"cannot open an MQTT broker on {self._bind}: {error}; end the other program, "
                "or choose another port or `embedded: false` under telemetry.broker"
            ) from None
        self._io = io

    def stop(self) -> None:
        """End the broker and cut whoever is connected."""
        if self._io is None or self._broker is None:
            return
        try:
            self._io.run(asyncio.wait_for(self._broker.shutdown(), SHUTDOWN_S))
        except TimeoutError:
            log.warning("the embedded broker did not end within %g s and was cut off", SHUTDOWN_S)
        self._io.close()
        self._io = self._broker = None


async def _open_broker(bind: str) -> AmqttBroker:
    config = {
        "listeners": {"default": {"type": "tcp", "bind": bind}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    broker = _TidyBroker(config)
    await broker.start()
    return broker


class ServedMqtt:
    """Every emulated device that speaks MQTT."""

    def __init__(
        self,
        broker: Broker,
        links: Mapping[str, MqttLink],
        setpoints: Mapping[str, tuple[str, Range]],
        site_path: Path,
        on_command: Callable[[Command], None],
    ) -> None:
        self._links, self._setpoints, self._on_command = links, setpoints, on_command
        self._muted: set[str] = set()
        self._now: datetime | None = None
        steered = {name: link for name, link in links.items() if link.device in setpoints}
        handlers: dict[str, Handler] = {
            f"{link.topic}/command": partial(self._on_order, name) for name, link in steered.items()
        }
        self._session = MqttSession(broker, site_path, handlers)

    def start(self, timeout_s: float) -> None:
        """Connect. Raises `LinkError` when there is no broker."""
        self._session.start()
        if not self._session.wait(timeout_s):
            reason = self._session.down
            self._session.close()
            raise LinkError(
                f"{self._session.place}: {reason}; start a broker there, or set `embedded: true` under telemetry.broker"
            )

    def stop(self) -> None:
        self._session.close()

    def mute(self, link: str, muted: bool) -> None:
        """Let one device fall silent, or speak again."""
        (self._muted.add if muted else self._muted.discard)(link)

    def show(self, snapshot: Snapshot) -> Sequence[MQTTMessageInfo]:
        """Publish every device's state; retained, so that whoever comes later sees the newest at once."""
        self._now = snapshot.now
        sent = [self._show(link, snapshot) for name, link in self._links.items() if name not in self._muted]
        return [message for message in sent if message is not None]

    def _show(self, link: MqttLink, snapshot: Snapshot) -> MQTTMessageInfo | None:
        readings = {point: snapshot.readings.get(f"{link.device}.{point}") for point in link.points}
        values = {point: first(reading.value) for point, reading in readings.items() if reading is not None}
        return self._session.publish(f"{link.topic}/state", write_state(snapshot.now, values), retain=True)

    def _on_order(self, name: str, payload: bytes, retained: bool) -> None:
        if name in self._muted or retained:
            return
        link = self._links[name]
        try:
            order = read_order(payload)
        except UnusableError as error:
            log.warning("%s: unusable command: %s", link.device, error)
            return
        answer = self._answer(link.device, order)
        self._session.publish(f"{link.topic}/receipt", write_answer(answer))

    def _answer(self, device: str, order: Order) -> Answer:
        name, accepts = self._setpoints[device]
        refuse = partial(Answer, id=order.id, outcome=Outcome.REJECTED.value, value=None)
        if order.setpoint != name:
            return refuse(detail=f"takes {name}, not {order.setpoint}")
        if self._now is None:
            return refuse(detail="not ready yet")
        if order.valid_until <= self._now:
            return refuse(detail=f"expired at {order.valid_until.isoformat()}, it is {self._now.isoformat()}")
        value = first(clip(order.value, accepts.low, accepts.high))
        self._on_command(
            Command(device=device, setpoint=name, value=value, valid_until=order.valid_until, reason="MQTT")
        )
        if value == order.value:
            return Answer(id=order.id, outcome=Outcome.APPLIED.value, value=value)
        detail = f"takes {accepts.low:g} to {accepts.high:g}"
        return Answer(id=order.id, outcome=Outcome.CLIPPED.value, value=value, detail=detail)


def await_acknowledged(messages: Sequence[MQTTMessageInfo]) -> None:
    """Wait until the broker has every message; `ACKNOWLEDGE_S` at most for all of them."""
    end_s = stopwatch_s() + ACKNOWLEDGE_S
    for message in messages:
        remaining_s = end_s - stopwatch_s()
        if remaining_s <= 0:
            return
        try:
            message.wait_for_publish(remaining_s)
        except (ValueError, RuntimeError):
            return  # The connection went away in between: the state is dropped, the next one follows.
