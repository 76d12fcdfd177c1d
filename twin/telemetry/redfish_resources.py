"""What Redfish says about power, in the shapes that controllers use: JSON to values and back. Pure.

Three resources carry a power limit (DMTF DSP0268, Redfish Data Model Specification):

- `EnvironmentMetrics` of a chassis: ``PowerWatts.Reading`` and ``PowerLimitWatts`` with SetPoint, AllowableMin,
  AllowableMax and ControlMode (2020.4 and later);
- the `Control` that ``PowerLimitWatts.DataSourceUri`` names, for controllers that take the limit only there;
- `Power` of a chassis, deprecated since 2020.4 and still what many answer: ``PowerControl[0]`` with
  PowerConsumedWatts, PowerCapacityWatts and PowerLimit.LimitInWatts, where null means that there is no limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

NOT_WRITABLE = ("PropertyNotWritable", "PropertyUnknown", "ActionNotSupported", "OperationNotAllowed")
"""Messages by which a controller says that the limit is not set here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a resource tells. What it does not tell is None."""

    power_w: float | None = None
    limit_w: float | None = None
    """The limit that is in force; None: none is."""
    lowest_w: float | None = None
    """The lowest limit that it takes."""
    highest_w: float | None = None
    """The highest limit that it takes."""
    disabled: bool = False
    """It holds a limit, and does not enforce it."""
    limited: bool = False
    """It has a place for a limit, whether one is in force or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How one kind of resource is read, and how a limit is written into it."""

    name: str
    read: Callable[[Json], Held]
    order: Callable[[float, Json], dict[str, Any]]
    """The body of the PATCH that sets a limit in W, given what the resource holds."""


def number(value: object) -> float | None:
    """A number that a controller told; None for what is none, or is not a plausible power."""
    # Neither infinity nor NaN is below, and an integer too long for a float may be compared.
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9:
        return float(value)
    return None


def part(body: Json, *path: str) -> Json:
    """The object at a path; empty where there is none."""
    for key in path:
        inner = body.get(key)
        if not isinstance(inner, dict):
            return {}
        body = inner
    return body


def parts(body: Json, key: str) -> Sequence[Json]:
    """The objects of an array."""
    items = body.get(key)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def link(body: Json, *path: str) -> str | None:
    """The path on the same controller that a link names; None where there is none.

    One that would lead to another host is none: the password goes nowhere else.
    """
    target = part(body, *path).get("@odata.id")
    if isinstance(target, str) and target.startswith("/") and not target.startswith("//"):
        return target
    return None


def read_environment_metrics(body: Json) -> Held:
    """Power and limit of an `EnvironmentMetrics`."""
    held = read_control(part(body, "PowerLimitWatts"))
    return Held(
        power_w=number(part(body, "PowerWatts").get("Reading")),
        limit_w=held.limit_w,
        lowest_w=held.lowest_w,
        highest_w=held.highest_w,
        disabled=held.disabled,
        limited="PowerLimitWatts" in body,
    )


def read_control(body: Json) -> Held:
    """The limit of a `Control`, or of an excerpt of one. One in percent is not read: of what, differs by model."""
    watts = body.get("SetPointUnits", "W") == "W"
    set_point = number(body.get("SetPoint")) if watts else None
    disabled = body.get("ControlMode") == "Disabled"
    return Held(
        limit_w=None if disabled else set_point,
        lowest_w=number(body.get("AllowableMin")) if watts else None,
        highest_w=number(body.get("AllowableMax")) if watts else None,
        disabled=disabled,
        limited=watts and bool(body),
    )


def read_power(body: Json) -> Held:
    """Power and limit of a `Power`: of its first PowerControl, which is that of the whole chassis."""
    controls = parts(body, "PowerControl")
    whole = controls[0] if controls else {}
    limit_w = number(part(whole, "PowerLimit").get("LimitInWatts"))
    capacity_w = number(whole.get("PowerCapacityWatts"))
    return Held(
        power_w=number(whole.get("PowerConsumedWatts")),
        # Some tell 0 where others tell null.
        limit_w=limit_w or None,
        highest_w=capacity_w or None,
        limited="PowerLimit" in whole,
    )


def order_environment_metrics(limit_w: float, body: Json) -> dict[str, Any]:
    """Set the limit in an `EnvironmentMetrics`."""
    return {"PowerLimitWatts": order_control(limit_w, part(body, "PowerLimitWatts"))}


def order_control(limit_w: float, body: Json) -> dict[str, Any]:
    """Set the limit in a `Control`; one that is not enforced is switched on with it."""
    mode = {"ControlMode": "Automatic"} if body.get("ControlMode") == "Disabled" else {}
    return {"SetPoint": int(limit_w), **mode}


def order_power(limit_w: float, body: Json) -> dict[str, Any]:
    """Set the limit in a `Power`. What stands behind the first PowerControl is left as it is (an empty object each)."""
    others: list[dict[str, Any]] = [{} for _ in parts(body, "PowerControl")[1:]]
    return {"PowerControl": [{"PowerLimit": {"LimitInWatts": int(limit_w)}}, *others]}


ENVIRONMENT_METRICS = Form(name="EnvironmentMetrics", read=read_environment_metrics, order=order_environment_metrics)
CONTROL = Form(name="Control", read=read_control, order=order_control)
POWER = Form(name="Power", read=read_power, order=order_power)


def messages(body: Json) -> Sequence[Json]:
    """What a controller says about a request: errors, and remarks about single properties."""
    extended = parts(part(body, "error"), "@Message.ExtendedInfo")
    annotated = (parts(body, key) for key in body if key.endswith("@Message.ExtendedInfo"))
    return [*extended, *(message for group in annotated for message in group)]


def not_writable(body: Json) -> bool:
    """Whether a controller says that the limit is not set in this resource."""
    return any(str(message.get("MessageId", "")).rsplit(".", 1)[-1] in NOT_WRITABLE for message in messages(body))


def refusal(status: int, body: Json) -> str:
    """Why a controller refuses, in its own words as far as it has some."""
    told = [str(message["Message"]) for message in messages(body) if message.get("Message")]
    general = part(body, "error").get("message")
    words = "; ".join(dict.fromkeys(told)) or (str(general) if general else "")
    return f"refuses ({status}): {words[:300]}" if words else f"refuses: {STATUS_WORDS.get(status, f'status {status}')}"


STATUS_WORDS = {
    400: "bad request (400)",
    401: "user name or password is wrong (401)",
    403: "this user may not (403)",
    404: "there is no such resource (404)",
    405: "nothing can be set there (405)",
    409: "in conflict with its state (409)",
    412: "the resource changed in between (412)",
    428: "it wants to know which state is meant (428)",
    500: "internal error (500)",
    501: "not implemented (501)",
    503: "busy (503)",
}
