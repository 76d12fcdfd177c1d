"""What devices and controller say to each other over MQTT: JSON to values and back. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


class UnusableError(ValueError):
    """A message that cannot be used, with the reason in plain words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a device says of itself."""

    at: datetime
    """By the device's own clock."""
    values: Mapping[str, float]
    problems: Mapping[str, str] = field(default_factory=dict)
    """Point → why it has no value in this message."""
    retained: bool = False
    """Kept by the broker from earlier, not heard live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A command on its way to a device."""

    id: str
    setpoint: str
    value: float
    valid_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A device's answer to an order."""

    id: str
    outcome: str
    value: float | None
    """What the device now holds."""
    detail: str = ""


def write_state(at: datetime, values: Mapping[str, float]) -> bytes:
    """A state message."""
    return json.dumps({"at": at.isoformat(), **values}).encode()


def read_state(payload: bytes, points: Sequence[str], *, retained: bool = False) -> State:
    """A state message. Raises `UnusableError`; a single point that is missing or no number is a problem of its own."""
    message = _object(payload)
    values, problems = dict[str, float](), dict[str, str]()
    for point in points:
        try:
            values[point] = _number(message, point)
        except UnusableError as error:
            problems[point] = str(error)
    return State(at=_instant(message, "at"), values=values, problems=problems, retained=retained)


def write_order(order: Order) -> bytes:
    """A command message."""
    body = {"id": order.id, "setpoint": order.setpoint, "value": order.value}
    return json.dumps(body | {"valid_until": order.valid_until.isoformat()}).encode()


def read_order(payload: bytes) -> Order:
    """A command message. Raises `UnusableError`."""
    message = _object(payload)
    return Order(
        id=_text(message, "id"),
        setpoint=_text(message, "setpoint"),
        value=_number(message, "value"),
        valid_until=_instant(message, "valid_until"),
    )


def write_answer(answer: Answer) -> bytes:
    """A receipt message."""
    body = {"id": answer.id, "outcome": answer.outcome, "value": answer.value, "detail": answer.detail}
    return json.dumps(body).encode()


def read_answer(payload: bytes) -> Answer:
    """A receipt message. Raises `UnusableError`."""
    message = _object(payload)
    value = None if message.get("value") is None else _number(message, "value")
    detail = str(message.get("detail", ""))
    return Answer(id=_text(message, "id"), outcome=_text(message, "outcome"), value=value, detail=detail)


def _object(payload: bytes) -> Mapping[str, Any]:
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError):
        raise UnusableError(f"not JSON: {payload[:40]!r}") from None
    if not isinstance(message, dict):
        raise UnusableError(f"not a JSON object: {payload[:40]!r}")
    return message


def _number(message: Mapping[str, Any], key: str) -> float:
    if key not in message:
        raise UnusableError(f"{key} is missing in the message")
    value = message[key]
    # bool is an int to Python; json.loads takes NaN, Infinity and integers too large for a float.
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300 and math.isfinite(value):
        return float(value)
    raise UnusableError(f"{key} is {str(value)[:40]!r} in the message, not a number")


def _text(message: Mapping[str, Any], key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str):
        raise UnusableError(f"{key} is {str(value)[:40]!r} in the message, not a text")
    return value


def _instant(message: Mapping[str, Any], key: str) -> datetime:
    text = _text(message, key)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise UnusableError(f"{key} is {text[:40]!r} in the message, not an ISO 8601 instant") from None
    if instant.tzinfo is None:
        raise UnusableError(f"{key} has no offset from UTC: {instant.isoformat()}")
    return instant.astimezone(UTC)
