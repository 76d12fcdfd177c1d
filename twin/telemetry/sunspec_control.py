"""Steering a SunSpec device so that it lets go by itself when it is not told again.

Every setpoint is written with the device's own dead-man, a reversion timer (`*RvrtTms`), and only where the
device has one: a setpoint that nobody renews must not stay. The timer is written first and the function is
enabled last, at each renewal too, so that a device whose timer starts at either of them starts it anew.
Then everything written is read back.

What the models mean, as far as their definitions leave it open:

- 704 (DER AC controls): `WSet` positive is generation. On expiry `*Rvrt` values take over if `*EnaRvrt` says so,
  else the function is disabled.
- 123 (immediate controls): `WMaxLimPct` is of the maximum power; on expiry the limit ends.
- 124 (basic storage controls): `InWRte` and `OutWRte` bound charging and discharging, in percent of `WChaMax`,
  each in force with its bit of `StorCtl_Mod`. A negative bound forces the other direction (a user of a Fronius Symo
  Hybrid charges from the grid with `OutWRte` -100 and both bits, see evcc pull request 18386), so that a power is
  fixed by both, one the negative of the other. Not every device takes that: reading back tells.
- 802 (battery): the controller's heartbeat `CtrlHb` is incremented each second; it follows a setpoint that was
  read back as sent, never a timer of ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from twin.telemetry.sunspec_codec import Contents, decode, named, place_words
from twin.telemetry.sunspec_exchange import Read, Steps, Write, read_block
from twin.telemetry.sunspec_model import ModelId
from twin.telemetry.sunspec_types import WHOLE, SunSpecError

Device = Mapping[ModelId, Contents]
Setting = tuple[str, float]
"""Path of a point, and what to write there."""

KILO = 1e3
WHOLE_PERCENT = 100.0
ENABLED, DISABLED = 1, 0
BY_WATTS, BY_PERCENT = 1, 0
BY_VARS = 4
CHARGE_AND_DISCHARGE = 0b11
CONNECT, DISCONNECT = 1, 2
LOCAL_CONTROL = 1
LAST_BEAT = 65534
"""The largest content of `CtrlHb`: the next one means that it is not implemented."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to write to have a setpoint followed, and what to find when it is read back."""

    contents: Contents
    """The model through which the device is steered, as it was read before."""
    settings: tuple[Setting, ...]
    """In the order of writing."""
    setpoint: str
    """Path of the point that is the setpoint itself."""
    timer: str
    """Path of the point that is its dead-man."""
    setpoint_factor: float
    """The setpoint in kW or kvar, with the house's sign, is the point's value times this."""

    @property
    def writes(self) -> tuple[Write, ...]:
        """The requests, neighbours of one kind joined."""
        joined: list[Write] = []
        for path, _ in self.settings:
            start, words = self.contents.address + self.contents.places[path].start, self.words(path)
            if joined and joined[-1].address + len(joined[-1].words) == start:
                joined[-1] = Write(joined[-1].address, (*joined[-1].words, *words))
            else:
                joined.append(Write(start, words))
        return tuple(joined)

    def words(self, path: str) -> tuple[int, ...]:
        """What is written to a point."""
        return place_words(self.contents.places[path], dict(self.settings)[path], self.contents.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What a device holds after it was written to."""

    held: float | None
    """The setpoint in kW or kvar, with the house's sign, as it reads back."""
    timeout_s: float | None
    """The dead-man, as it reads back."""
    differences: tuple[str, ...]
    """Points that do not read back as sent, with both values; empty when the device took everything."""

    @property
    def as_sent(self) -> bool:
        return not self.differences


def set_power(device: Device, p_kw: float, valid_s: float, *, safe_kw: float | None = None) -> Plan:
    """Have a device take `p_kw` (positive into it) for `valid_s`, through model 704 or else 124.

    On expiry it returns to `safe_kw`, or without it to what it does on its own. Raises `SunSpecError` in words
    when the device cannot do that, and when it has no dead-man.
    """
    _refuse_local_control(device)
    if 704 in device and _has(device[704], "WSet"):
        settings = _reversion(device[704], "WSet", valid_s, _watts(safe_kw))
        mode = _if_there(device[704], ("WSetMod", BY_WATTS))
        return _plan(device[704], "WSet", [*settings, *mode, ("WSet", -p_kw * KILO), ("WSetEna", ENABLED)], -1 / KILO)
    if 704 in device and _has(device[704], "WSetPct"):
        return _set_percent(device, p_kw, valid_s, safe_kw)
    if 124 in device:
        return _set_storage(device[124], p_kw, valid_s, safe_kw)
    raise SunSpecError("its power cannot be set: it has neither WSet in model 704 nor model 124")


def set_reactive_power(device: Device, q_kvar: float, valid_s: float) -> Plan:
    """Have a device take `q_kvar` (positive into it) for `valid_s`, through model 704; on expiry it is on its own.

    Raises `SunSpecError` in words when the device cannot do that, and when it has no dead-man.
    """
    if 704 not in device:
        raise SunSpecError("its reactive power cannot be set: it has no model 704")
    settings = _reversion(device[704], "VarSet", valid_s, None)
    own: list[Setting] = [("VarSet", -q_kvar * KILO), ("VarSetEna", ENABLED)]
    return _plan(device[704], "VarSet", [*settings, ("VarSetMod", BY_VARS), *own], -1 / KILO)


def limit_generation(device: Device, limit_kw: float, valid_s: float, *, safe_kw: float | None = None) -> Plan:
    """Have a device generate at most `limit_kw` (a magnitude) for `valid_s`, through model 704 or else 123.

    A limit above the device's maximum power is that power. On expiry the limit is `safe_kw`, or without it
    none. Raises `SunSpecError` in words when the device cannot do that, and when it has no dead-man.
    """
    if limit_kw < 0 or (safe_kw is not None and safe_kw < 0):
        raise SunSpecError(f"a limit is a magnitude, not {min(limit_kw, safe_kw or 0.0):g} kW")
    max_kw = max_generation_kw(device)
    percent = min(limit_kw / max_kw, 1.0) * WHOLE_PERCENT
    per_percent = max_kw / WHOLE_PERCENT
    if 704 in device and _has(device[704], "WMaxLimPct"):
        safe = None if safe_kw is None else min(safe_kw / max_kw, 1.0) * WHOLE_PERCENT
        settings = _reversion(device[704], "WMaxLimPct", valid_s, safe)
        own = [("WMaxLimPct", percent), ("WMaxLimPctEna", ENABLED)]
        return _plan(device[704], "WMaxLimPct", [*settings, *own], per_percent)
    if 123 in device:
        _refuse_safe(123, safe_kw)
        timer = ("WMaxLimPct_RvrtTms", _seconds(device[123], "WMaxLimPct_RvrtTms", valid_s))
        own = [("WMaxLimPct", percent), ("WMaxLim_Ena", ENABLED)]
        return _plan(device[123], "WMaxLimPct", [timer, *own], per_percent)
    raise SunSpecError("its generation cannot be limited: it has neither WMaxLimPct in model 704 nor model 123")


def release(plan: Plan) -> Plan:
    """Have the device go back to what it does on its own now, by disabling what `plan` enabled."""
    *_, (last, _value) = plan.settings
    return Plan(
        contents=plan.contents,
        settings=((last, DISABLED),),
        setpoint=plan.setpoint,
        timer=plan.timer,
        setpoint_factor=plan.setpoint_factor,
    )


def max_generation_kw(device: Device) -> float:
    """The power of which limits are a percentage: the setting if there is one, else the rating."""
    for model_id, path in ((702, "WMax"), (702, "WMaxRtg"), (121, "WMax"), (120, "WRtg")):
        watts = device[model_id].number(path) if model_id in device else None
        if watts:
            return watts / KILO
    raise SunSpecError("its maximum power is not known: neither WMax nor a rating in models 702, 121 and 120")


def _set_percent(device: Device, p_kw: float, valid_s: float, safe_kw: float | None) -> Plan:
    contents, per_percent = device[704], max_generation_kw(device) / WHOLE_PERCENT
    safe = None if safe_kw is None else -safe_kw / per_percent
    settings = _reversion(contents, "WSetPct", valid_s, safe, family="WSet")
    mode = _if_there(contents, ("WSetMod", BY_PERCENT))
    own = [("WSetPct", -p_kw / per_percent), ("WSetEna", ENABLED)]
    return _plan(contents, "WSetPct", [*settings, *mode, *own], -per_percent)


def _set_storage(contents: Contents, p_kw: float, valid_s: float, safe_kw: float | None) -> Plan:
    _refuse_safe(124, safe_kw)
    max_w = contents.number("WChaMax")
    if not max_w:
        raise SunSpecError("model 124: WChaMax, of which its rates are a percentage, has no value")
    per_percent = max_w / KILO / WHOLE_PERCENT
    charge = p_kw / per_percent
    timer = ("InOutWRte_RvrtTms", _seconds(contents, "InOutWRte_RvrtTms", valid_s))
    own = [("OutWRte", -charge), ("InWRte", charge), ("StorCtl_Mod", CHARGE_AND_DISCHARGE)]
    return _plan(contents, "InWRte", [timer, *own], per_percent)


def _plan(contents: Contents, setpoint: str, settings: Iterable[Setting], setpoint_factor: float) -> Plan:
    settings = tuple(settings)
    for path, _ in settings:
        if not _has(contents, path):
            reason = contents.absent.get(path, "the model does not have it")
            raise SunSpecError(f"model {contents.model.id} {path}: {reason}")
    plan = Plan(
        contents=contents, settings=settings, setpoint=setpoint, timer=settings[0][0], setpoint_factor=setpoint_factor
    )
    # What a point cannot hold is refused now, before anything is written.
    for path, _ in settings:
        plan.words(path)
    return plan


def _reversion(
    contents: Contents, setpoint: str, valid_s: float, safe: float | None, family: str | None = None
) -> list[Setting]:
    """The dead-man of a function of model 704: its timer, and what it returns to."""
    family = family or setpoint
    timer = (f"{family}RvrtTms", _seconds(contents, f"{family}RvrtTms", valid_s))
    if safe is None:
        return [timer, *_if_there(contents, (f"{family}EnaRvrt", DISABLED))]
    return [timer, (f"{setpoint}Rvrt", safe), (f"{family}EnaRvrt", ENABLED)]


def _seconds(contents: Contents, path: str, valid_s: float) -> int:
    """The timer's content: whole seconds, never longer than `valid_s`, and as much as its type can hold."""
    if not _has(contents, path):
        raise SunSpecError(
            f"model {contents.model.id} has no dead-man in this device ({path} is not implemented): "
            "it would hold a setpoint for ever"
        )
    if not valid_s >= 1:
        raise SunSpecError(f"a setpoint cannot be valid for {valid_s:g} s only: a dead-man counts whole seconds")
    return min(math.floor(min(valid_s, 2**32)), WHOLE[contents.places[path].point.kind].high)


def _watts(kw: float | None) -> float | None:
    return None if kw is None else -kw * KILO


def _has(contents: Contents, path: str) -> bool:
    return path in contents.values


def _if_there(contents: Contents, setting: Setting) -> list[Setting]:
    return [setting] if _has(contents, setting[0]) else []


def _refuse_safe(model_id: ModelId, safe_kw: float | None) -> None:
    if safe_kw is not None:
        raise SunSpecError(f"model {model_id} cannot be told what to return to ({safe_kw:g} kW)")


def _refuse_local_control(device: Device) -> None:
    if 802 in device and device[802].values.get("LocRemCtl") == LOCAL_CONTROL:
        raise SunSpecError("the battery is in local control (model 802 LocRemCtl)")


def carry_out(plan: Plan, *, heartbeat: Contents | None = None) -> Steps[Followed]:
    """Write what is planned and read it back; then, if all is as sent, beat once through model 802."""
    # A tuple cannot be sent the answers that `yield from` would hand it.
    for write in plan.writes:  # noqa: UP028
        yield write
    places = [plan.contents.places[path] for path in (*dict(plan.settings), plan.setpoint, plan.timer)]
    start, stop = min(place.start for place in places), max(place.stop for place in places)
    address = plan.contents.address
    words = list(plan.contents.words)
    words[start:stop] = yield from read_block(address + start, address + stop, ())
    held = decode(plan.contents.model, address, words)
    setpoint = held.number(plan.setpoint)
    followed = Followed(
        held=None if setpoint is None else setpoint * plan.setpoint_factor,
        timeout_s=held.number(plan.timer),
        differences=tuple(_differences(plan, held)),
    )
    if heartbeat is not None and followed.as_sent:
        yield from beat(heartbeat)
    return followed


def _differences(plan: Plan, held: Contents) -> Iterable[str]:
    for path, value in plan.settings:
        place = held.places[path]
        if held.words[place.start : place.stop] != plan.words(path):
            yield f"{path} holds {held.values.get(path, 'nothing')} instead of {value:g}"


def beat(contents: Contents) -> Steps[int]:
    """Increment the controller's heartbeat in model 802, from what the device holds; the new content."""
    if not _has(contents, "CtrlHb"):
        raise SunSpecError("model 802 has no heartbeat in this device (CtrlHb is not implemented)")
    address = contents.address + contents.places["CtrlHb"].start
    (last,) = yield Read(address, 1)
    following = last + 1 if last < LAST_BEAT else 0
    yield Write(address, (following,))
    return following


def connect(contents: Contents, *, connected: bool) -> Steps[str]:
    """Have a battery bank connect or disconnect through model 802; its state afterwards, in the model's word."""
    if not _has(contents, "SetOp"):
        raise SunSpecError("model 802 cannot connect this device (SetOp is not implemented)")
    start = {path: contents.address + contents.places[path].start for path in ("SetOp", "State")}
    yield Write(start["SetOp"], (CONNECT if connected else DISCONNECT,))
    (state,) = yield Read(start["State"], 1)
    return named(contents.places["State"].point, state)
