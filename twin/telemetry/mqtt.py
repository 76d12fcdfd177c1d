"""MQTT client: the controller's side of devices that publish their state and take commands as messages."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from uuid import uuid4

from twin.clock import stopwatch_s
from twin.numeric import first
from twin.points import Command, Outcome, Receipt
from twin.telemetry.config import Broker, MqttLink
from twin.telemetry.mqtt_messages import Answer, Order, State, UnusableError, read_answer, read_state, write_order
from twin.telemetry.mqtt_session import Handler, MqttSession

RECEIPT_TIMEOUT_S = 0.5

Tap = Callable[[str, bytes, bool], None]
"""Takes a device, its payload, and whether the broker had retained it."""

log = logging.getLogger(__name__)


class MqttDevices:
    """Every device behind one broker: its newest state, and the way to command it."""

    def __init__(self, broker: Broker, links: Mapping[str, MqttLink], site_path: Path) -> None:
        self.links = {link.device: link for link in links.values()}
        self.states: dict[str, State] = {}
        """Device → the newest state that could be used."""
        self.problems: dict[str, str] = {}
        """Device → why its newest message could not be used."""
        self.arrival = threading.Condition()
        """Held by whoever takes states that must not change meanwhile."""
        self.tap: Tap | None = None
        """Hears every state as it came."""
        self._slow: set[str] = set()
        self._deaf: set[str] = set()
        """Devices that left their last order unanswered: nobody waits for them until they answer one."""
        self._pending: dict[str, Future[Answer]] = {}
        self._run, self._numbers = uuid4().hex[:8], count()
        handlers: dict[str, Handler] = {}
        for device, link in self.links.items():
            handlers[f"{link.topic}/state"] = partial(self._on_state, device)
            handlers[f"{link.topic}/receipt"] = partial(self._on_answer, device)
        self._session = MqttSession(broker, site_path, handlers)
        self.place = self._session.place

    def start(self) -> None:
        self._session.start()

    def close(self) -> None:
        self._session.close()

    @property
    def down(self) -> str | None:
        """Why the broker cannot be used at present."""
        return self._session.down

    def silence(self, device: str) -> str | None:
        """Why a device cannot be heard at all; None when it can."""
        if self.down is not None:
            return f"{self.place}: {self.down}"
        if device not in self.states:
            return self.problems.get(device, f"{self.place}: nothing heard on {self._state_topic(device)} yet")
        return None

    def quiet(self, device: str, now: datetime, max_age_s: float) -> str | None:
        """Why a device that was heard counts as silent; None while its state is fresh."""
        age_s = (now - self.states[device].at).total_seconds()
        if age_s <= max_age_s:
            return None
        return f"{self.place}: the newest state on {self._state_topic(device)} is {age_s:.0f} s old"

    def _state_topic(self, device: str) -> str:
        return f"{self.links[device].topic}/state"

    def await_states(self, since: datetime, timeout_s: float) -> None:
        """Wait until every device has spoken since an instant of its own clock, `timeout_s` at most.

        For a run in lock step, where state and question would otherwise race. A device that let
        us wait in vain is not waited for again until it has caught up.
        """
        end_s = stopwatch_s() + timeout_s
        with self.arrival:
            while late := self._late(since) - self._slow:
                remaining_s = end_s - stopwatch_s()
                if self.down is not None or remaining_s <= 0 or not self.arrival.wait(remaining_s):
                    break
            self._slow = (self._slow | late) & self._late(since)

    def _late(self, since: datetime) -> set[str]:
        states = self.states
        return {device for device in self.links if device not in states or states[device].at < since}

    def _on_state(self, device: str, payload: bytes, retained: bool) -> None:
        with self.arrival:
            if self.tap is not None:
                self.tap(device, payload, retained)
            try:
                state = read_state(payload, self.links[device].points, retained=retained)
            except UnusableError as error:
                self.problems[device] = f"{self.place}: {error}"
                return
            known = self.states.get(device)
            # What the broker kept from before we lost it must not replace what was heard live since.
            if not (retained and known is not None and state.at <= known.at):
                self.states[device] = state
                self.problems.pop(device, None)
            self.arrival.notify_all()

    def send(self, command: Command, now: datetime) -> Future[Answer] | Receipt:
        """Send a command; what comes back is the receipt to come, or the reason why there is none to wait for."""
        if self._session.down is not None:
            return _lost(command, f"{self.place}: {self._session.down}")
        if command.valid_until <= now:
            return _lost(command, "not sent: it had expired before")
        order = Order(
            id=f"{self._run}-{next(self._numbers)}",
            setpoint=command.setpoint,
            value=first(command.value),
            valid_until=command.valid_until,
        )
        future = self._pending[order.id] = Future[Answer]()
        future.add_done_callback(lambda _: self._pending.pop(order.id, None))
        self._session.publish(f"{self.links[command.device].topic}/command", write_order(order))
        return future

    def receipt(self, command: Command, sent: Future[Answer] | Receipt, deadline_s: float) -> Receipt:
        """What became of it; waits for the device's answer until `deadline_s` on the stopwatch."""
        if isinstance(sent, Receipt):
            return sent
        patience_s = 0.0 if command.device in self._deaf else max(0.0, deadline_s - stopwatch_s())
        try:
            answer = sent.result(patience_s)
        except TimeoutError:
            if sent.cancel():
                return self._unanswered(command)
            answer = sent.result()
        return Receipt(command=command, outcome=Outcome(answer.outcome), read_back=answer.value, detail=answer.detail)

    def _unanswered(self, command: Command) -> Receipt:
        known = command.device in self._deaf
        self._deaf.add(command.device)
        reason = "its last order is unanswered, so it was not waited for" if known else "no receipt in time"
        return _lost(command, f"{self.place}: {reason}")

    def _on_answer(self, device: str, payload: bytes, _retained: bool) -> None:
        try:
            answer = read_answer(payload)
            Outcome(answer.outcome)
        except ValueError as error:
            log.warning("%s: %s: unusable receipt: %s", device, self.place, error)
            return
        self._deaf.discard(device)
        future = self._pending.pop(answer.id, None)
        if future is not None and future.set_running_or_notify_cancel():
            future.set_result(answer)


def _lost(command: Command, detail: str) -> Receipt:
    return Receipt(command=command, outcome=Outcome.LOST, detail=detail)
