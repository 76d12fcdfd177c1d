"""One lasting connection to an MQTT broker, which comes back by itself. For both sides of the border."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from twin.errors import InputError, Problem
from twin.telemetry.config import Broker

KEEPALIVE_S = 5
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 2.0
MOST_QUEUED = 100

Handler = Callable[[bytes, bool], None]
"""Takes a message's payload, and whether the broker had retained it."""

log = logging.getLogger(__name__)


class MqttSession:
    """Subscriptions that survive the broker, and publishing that never waits for one that is away."""

    def __init__(self, broker: Broker, site_path: Path, handlers: Mapping[str, Handler]) -> None:
        self.place = f"MQTT {broker.host}:{broker.port}"
        self.down: str | None = "not connected yet"
        """Why nothing can be sent or heard at present; None while subscribed."""
        self._prefix = broker.topic_prefix
        self._handlers = {f"{self._prefix}/{topic}": handler for topic, handler in handlers.items()}
        self._ready = threading.Event()
        self._client = self._make_client(broker, site_path)

    def _make_client(self, broker: Broker, site_path: Path) -> Client:
        client = _LastingClient(CallbackAPIVersion.VERSION2, client_id=f"gridhelm-{uuid4().hex[:12]}")
        client.on_connect, client.on_subscribe = self._on_connect, self._on_subscribe
        client.on_connect_fail, client.on_disconnect = self._on_connect_fail, self._on_disconnect
        client.on_message, client.on_socket_open = self._on_message, _send_at_once
        client.reconnect_delay_set(FIRST_PAUSE_S, LONGEST_PAUSE_S)  # type: ignore[arg-type]
        client.max_queued_messages_set(MOST_QUEUED)
        if broker.username is not None:
            client.username_pw_set(broker.username, _password(broker, site_path))
        client.connect_async(broker.host, broker.port, keepalive=KEEPALIVE_S)
        return client

    def start(self) -> None:
        """Begin to connect, in a thread of its own, and go on doing so."""
        self._client.loop_start()

    def wait(self, timeout_s: float) -> bool:
        """Whether everything is subscribed within `timeout_s`."""
        return self._ready.wait(timeout_s)

    def close(self) -> None:
        """Say goodbye and end the thread."""
        self._client.disconnect()
        self._client.loop_stop()
        self._lost("closed")

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> MQTTMessageInfo | None:
        """Hand a message to the broker; None where there is none to hand it to.

        Nothing is queued for a broker that is away: it would arrive when it is no longer true. What the
        broker is to retain is acknowledged by it; everything else is sent once and never repeated, for
        paho would repeat an order after the connection is back.
        """
        if self.down is not None:
            return None
        return self._client.publish(f"{self._prefix}/{topic}", payload, qos=1 if retain else 0, retain=retain)

    def _on_connect(
        self, client: Client, _data: Any, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._lost(f"the broker refuses the connection: {reason}")
        elif self._handlers:
            client.subscribe([(topic, 1) for topic in self._handlers])
        else:
            self._subscribed()

    def _on_subscribe(
        self, _client: Client, _data: Any, _mid: int, reasons: Sequence[ReasonCode], _properties: Properties | None
    ) -> None:
        refused = [topic for topic, reason in zip(self._handlers, reasons, strict=False) if reason.is_failure]
        if refused:
            self._lost(f"the broker refuses to let us hear {', '.join(refused)}")
        else:
            self._subscribed()

    def _subscribed(self) -> None:
        if self.down is not None:
            log.info("%s: connected", self.place)
        self.down = None
        self._ready.set()

    def _on_connect_fail(self, _client: Client, _data: Any) -> None:
        # paho calls this while it handles the failure, and tells nobody what it was.
        error = sys.exc_info()[1]
        self._lost(
            "connection refused" if isinstance(error, ConnectionRefusedError) else str(error or "cannot connect")
        )

    def _on_disconnect(
        self, _client: Client, _data: Any, _flags: DisconnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if self.down is None:
            self._lost(f"connection lost: {reason}".lower())

    def _lost(self, reason: str) -> None:
        self.down = reason
        self._ready.clear()

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            log.warning("%s: a message was garbled on its way; nobody can tell whose it was", self.place)
            return
        handler = self._handlers.get(topic)
        if handler is None:
            return
        try:
            handler(bytes(message.payload), message.retain)
        except Exception:
            # An exception that left this callback would end paho's thread, and with it all hearing.
            log.exception("%s: unexpected failure over a message on %s", self.place, topic)


class _LastingClient(Client):
    """A client whose thread survives what cannot be read: paho would end it, and never hear anything again."""

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> MQTTErrorCode:
        """As paho's; after a failure inside it, on a fresh connection."""
        while True:
            try:
                return super().loop_forever(timeout, retry_first_connection)
            except Exception as error:
                log.warning("%s:%s: unreadable, so connected anew: %r", self.host, self.port, error)
                # Whoever is not there yet is waited for by the next round.
                with suppress(OSError):
                    self.reconnect()


def _send_at_once(_client: Client, _data: Any, sock: Any) -> None:
    # Nagle's algorithm and delayed acknowledgements would together hold small messages for 40 ms.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _password(broker: Broker, site_path: Path) -> str | None:
    if broker.password_file is None:
        return None
    path = site_path.parent / broker.password_file
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InputError(
            Problem(
                file=str(site_path),
                line=None,
                path="telemetry.broker.password_file",
                found=f"{path}: {error.strerror}",
                expected="a readable file that holds the password",
            )
        ) from None
