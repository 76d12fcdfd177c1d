"""All SunSpec devices of a site, behind links with `protocol: sunspec`: found, polled, steered, and given back.

A device needs no register map; what it is made of is found when it is connected, and again after each silence. It
has a connection of its own for its host and port, beside that of Modbus links to the same place.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from typing import TypeVar

from twin.errors import LinkError
from twin.numeric import first
from twin.points import Command, Outcome, Receipt
from twin.site import Site
from twin.telemetry.config import SunSpecLink
from twin.telemetry.io_thread import IoThread
from twin.telemetry.modbus import Gateway, RefusedError, SilentError, Value
from twin.telemetry.sunspec_codec import Contents
from twin.telemetry.sunspec_control import (
    Device,
    Followed,
    Plan,
    carry_out,
    limit_generation,
    max_generation_kw,
    release,
    set_power,
)
from twin.telemetry.sunspec_discovery import Found, discover, read_model
from twin.telemetry.sunspec_exchange import Steps, over_modbus, run_async
from twin.telemetry.sunspec_model import ModelId
from twin.telemetry.sunspec_points import ROLES, poll
from twin.telemetry.sunspec_types import SunSpecError

STEERED_BY: tuple[ModelId, ...] = (702, 704, 120, 121, 122, 123, 124, 802)
LIMITS = ((704, "WMaxLimPct", "WMaxLimPctEna"), (123, "WMaxLimPct", "WMaxLim_Ena"))
TELLS = frozenset(role.name for roles in ROLES.values() for role in roles) | {"v_pu", "limit_kw", "available_kw"}
"""Every name that a SunSpec device may tell the twin."""
LONGEST_CYCLE_S = 30.0

T = TypeVar("T")
log = logging.getLogger(__name__)


class SunSpecUnit:
    """One SunSpec device behind a gateway; a `twin.telemetry.modbus_gateway.Member`."""

    def __init__(self, link: SunSpecLink, gateway: Gateway, *, setpoint: str | None, safe: float, nominal_v: float):
        """`nominal_v`: of its bus, line to line."""
        self.device, self.unit_id, self.setpoint = link.device, link.unit_id, setpoint
        self.place = f"{gateway.place} unit {link.unit_id}, SunSpec"
        self.gateway, self.timeout_s = gateway, link.timeout_s
        self.down: str | None = "not connected yet"
        """Why it is not polled at present; None while it answers."""
        self.points: tuple[str, ...] = ()
        """What it told at last."""
        self._link, self._safe, self._nominal_v = link, safe, nominal_v
        self._found: Found | None = None
        self._steered: Plan | None = None
        gateway.units.append(self)

    @property
    def found(self) -> bool:
        """Whether it is known what it is made of."""
        return self._found is not None

    def fail(self, reason: str) -> None:
        """Leave it to the background from now on; it may be another device when it comes back."""
        self.down, self._found = reason, None
        self.gateway.trouble.set()

    async def probe(self, patience_s: float) -> None:
        """See whether it answers, and what it is made of."""
        try:
            request = partial(self.gateway.request, timeout_s=patience_s, pause_s=self._link.pause_s, look=True)
            self._found = await run_async(discover(), over_modbus(request, self.unit_id))
        except LinkError as error:
            self.down = str(error)
        else:
            self.down = None

    async def poll(self) -> Mapping[str, Value]:
        """What it tells the twin. Empty when it does not answer; `down` then says why."""
        found = self._found
        if found is None:
            return {}
        try:
            told = await self._ask(poll(found, meter_import=self._link.meter_import, nominal_v=self._nominal_v))
            values: dict[str, Value] = {**told}
            if self.setpoint == "limit_kw":
                values |= _limited(await self._read(found, STEERED_BY), values)
        except LinkError as error:
            self.fail(str(error))
            return {}
        self.points = tuple(values)
        return values

    async def write(self, command: Command, remaining_s: float) -> Receipt:
        """Carry out one command and read it back. Nothing is repeated."""
        found, wanted = self._found, first(command.value)
        if found is None:
            return _receipt(command, Outcome.LOST, f"{self.place}: {self.down}")
        try:
            device = await self._read(found, STEERED_BY)
            plan, sign = self._plan(device, wanted, remaining_s)
            beats = device.get(802)
            heartbeat = beats if beats is not None and "CtrlHb" in beats.values else None
            followed = await self._ask(carry_out(plan, heartbeat=heartbeat))
        except SilentError as error:
            self.fail(str(error))
            return _receipt(command, Outcome.LOST, f"{self.place}: {error}")
        except (RefusedError, SunSpecError) as error:
            return _receipt(command, Outcome.REJECTED, f"{self.place}: {error}")
        self._steered = plan
        return _judged(command, followed, sign)

    def _plan(self, device: Device, wanted: float, valid_s: float) -> tuple[Plan, float]:
        """What to write, and the sign by which what is held becomes the setpoint."""
        # Only model 704 can be told what to return to; the others return to what they do on their own.
        safe = self._safe if 704 in device else None
        if self.setpoint == "limit_kw":
            return limit_generation(device, wanted, valid_s, safe_kw=safe), 1.0
        sign = -1.0 if self.setpoint == "generation_kw" else 1.0
        safe_kw = None if safe is None else sign * safe
        return set_power(device, sign * wanted, valid_s, safe_kw=safe_kw), sign

    async def release(self) -> None:
        """Give it back to what it does on its own. What fails is left to its dead-man."""
        if self._steered is None or self.down is not None:
            return
        try:
            await self._ask(carry_out(release(self._steered)))
        except LinkError as error:
            log.warning("%s: not given back to its own program: %s", self.device, error)

    async def _read(self, found: Found, ids: Sequence[ModelId]) -> Device:
        """The first model of each of these ids, as it stands now."""
        held: dict[ModelId, Contents] = {}
        for model in found.models:
            if model.id in ids and model.id not in held:
                contents = await self._ask(read_model(model))
                if isinstance(contents, Contents):
                    held[model.id] = contents
        return held

    async def _ask(self, steps: Steps[T]) -> T:
        request = partial(self.gateway.request, timeout_s=self.timeout_s, pause_s=self._link.pause_s)
        return await run_async(steps, over_modbus(request, self.unit_id))


def _limited(device: Device, values: Mapping[str, Value]) -> dict[str, Value]:
    """The limit in force, and what could be generated without it.

    Where the device does not say what it could generate (model 122 `WAval`), it is what it generates: all there is
    while the limit does not bind, and the least there is while it does.
    """
    try:
        most_kw = max_generation_kw(device)
    except SunSpecError as error:
        return {"limit_kw": str(error), "available_kw": str(error)}
    limits = [
        number / 100.0 * most_kw
        for model_id, path, enabled in LIMITS
        if model_id in device
        and device[model_id].number(enabled)
        and (number := device[model_id].number(path)) is not None
    ]
    power = values.get("p_kw", "no power is told")
    available_w = device[122].number("WAval") if 122 in device else None
    available: Value = max(-power, 0.0) if isinstance(power, float) else power
    if available_w is not None:
        available = available_w / 1000.0
    return {"limit_kw": min([most_kw, *limits]), "available_kw": available}


def _judged(command: Command, followed: Followed, sign: float) -> Receipt:
    held = None if followed.held is None else sign * followed.held
    if followed.as_sent:
        return _receipt(command, Outcome.APPLIED, "", held)
    return _receipt(command, Outcome.CLIPPED, "; ".join(followed.differences), held)


def _receipt(command: Command, outcome: Outcome, detail: str, read_back: float | None = None) -> Receipt:
    return Receipt(command=command, outcome=outcome, read_back=read_back, detail=detail)


class SunSpecDevices:
    """Every SunSpec device of a site, driven from a thread of its own. Without any there is no thread."""

    def __init__(
        self, links: Mapping[str, SunSpecLink], site: Site, watch: Callable[[SunSpecUnit], None] | None = None
    ) -> None:
        """`watch` is shown each unit before it is first asked."""
        self._io = IoThread("gridhelm-sunspec") if links else None
        self.units: Mapping[str, SunSpecUnit] = {}
        if self._io is not None:
            self.units = self._io.run(_open(links, site, watch))

    def begin_poll(self) -> Future[Mapping[str, Mapping[str, Value]]] | None:
        """Ask all of them, while others are asked; None where there are none."""
        if self._io is None:
            return None
        return asyncio.run_coroutine_threadsafe(_poll(list(self.units.values())), self._io.loop)

    def begin_apply(self, commands: Sequence[Command], now: datetime) -> Future[Sequence[Receipt]] | None:
        """Write every command at the same time; one receipt for each, in order."""
        if self._io is None or not commands:
            return None
        return asyncio.run_coroutine_threadsafe(_apply(self.units, commands, now), self._io.loop)

    def close(self) -> None:
        """Give back what was steered, and leave."""
        if self._io is not None:
            self._io.run(_close(list(self.units.values())), LONGEST_CYCLE_S)
            self._io.close()


async def _open(
    links: Mapping[str, SunSpecLink], site: Site, watch: Callable[[SunSpecUnit], None] | None
) -> dict[str, SunSpecUnit]:
    gateways = {place: Gateway(*place) for place in {(link.host, link.port) for link in links.values()}}
    units = {link.device: sunspec_unit(link, gateways[link.host, link.port], site) for link in links.values()}
    if watch is not None:
        for unit in units.values():
            watch(unit)
    for gateway in gateways.values():
        gateway.start()
    return units


def sunspec_unit(link: SunSpecLink, gateway: Gateway, site: Site) -> SunSpecUnit:
    """The unit at the end of a link, with what the site knows of its device."""
    device = site.devices[link.device]
    nominal_v = site.network.buses[device.bus].rated_v
    return SunSpecUnit(link, gateway, setpoint=device.setpoint, safe=device.safe_setpoint, nominal_v=nominal_v)


async def _poll(units: Sequence[SunSpecUnit]) -> Mapping[str, Mapping[str, Value]]:
    for gateway in {unit.gateway for unit in units}:
        gateway.begin_round()
    asked = [unit for unit in units if unit.down is None]
    answers = await asyncio.gather(*(unit.poll() for unit in asked))
    return {unit.device: answer for unit, answer in zip(asked, answers, strict=True) if answer}


async def _apply(units: Mapping[str, SunSpecUnit], commands: Sequence[Command], now: datetime) -> Sequence[Receipt]:
    return await asyncio.gather(*(_write(units[command.device], command, now) for command in commands))


async def _write(unit: SunSpecUnit, command: Command, now: datetime) -> Receipt:
    remaining_s = (command.valid_until - now).total_seconds()
    if unit.setpoint is None or unit.setpoint != command.setpoint:
        takes = unit.setpoint or "nothing"
        return _receipt(command, Outcome.REJECTED, f"{command.device} takes {takes}, not {command.setpoint}")
    if not math.isfinite(first(command.value)):
        return _receipt(command, Outcome.REJECTED, f"{first(command.value)} is not a number that can be written")
    if remaining_s <= 0:
        return _receipt(command, Outcome.LOST, "not sent: it had expired before")
    return await unit.write(command, remaining_s)


async def _close(units: Sequence[SunSpecUnit]) -> None:
    await asyncio.gather(*(unit.release() for unit in units))
    for unit in units:
        unit.gateway.close()
