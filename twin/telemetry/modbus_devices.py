"""All Modbus devices of a site: polled at once, written at once, each command answered by a receipt."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from twin.errors import InputError, Problem
from twin.numeric import first
from twin.points import Command, Outcome, Receipt
from twin.telemetry.config import AnyModbusLink
from twin.telemetry.io_thread import IoThread
from twin.telemetry.map_schema import Steering
from twin.telemetry.map_writes import Plan, plan, release
from twin.telemetry.modbus import Gateway, RefusedError, SilentError, Unit, Value, Written
from twin.telemetry.modbus_transport import Endpoint, endpoint_of
from twin.telemetry.register_map import RegisterMap, load_map

LONGEST_CYCLE_S = 30.0
"""Far beyond what all link timeouts add up to: only a bug reaches it."""

log = logging.getLogger(__name__)


class ModbusDevices:
    """Every device that speaks Modbus, driven from a thread of its own."""

    def __init__(
        self,
        links: Mapping[str, AnyModbusLink],
        site_path: Path,
        max_age_s: Callable[[str], float] = lambda _: math.inf,
    ) -> None:
        """`max_age_s` of a device: what is read less often would be stale between two reads, and is refused."""
        maps = {link.map: load_map(link.map, site_path) for link in links.values()}
        if seldom := [problem for name, link in links.items() for problem in _too_seldom(name, link, maps, max_age_s)]:
            raise InputError(*(replace(problem, file=str(site_path)) for problem in seldom))
        endpoints = {name: endpoint_of(link, site_path) for name, link in links.items()}
        self._io = IoThread("gridhelm-modbus")
        self._steered: set[str] = set()
        self.units: Mapping[str, Unit] = self._io.run(_open(links, endpoints, maps))

    def poll(self, now: datetime) -> Mapping[str, Mapping[str, Value]]:
        """Device → what it answered. Devices that are down are left out, and not waited for."""
        return self._io.run(_poll(list(self.units.values()), now.timestamp()), LONGEST_CYCLE_S)

    def apply(self, commands: Sequence[Command], now: datetime) -> Sequence[Receipt]:
        """Write every command at the same time; one receipt for each, in order."""
        if not commands:
            return ()
        self._steered |= {command.device for command in commands if command.device in self.units}
        return self._io.run(_apply(self.units, commands, now), LONGEST_CYCLE_S)

    def close(self) -> None:
        """Give back what was steered, and leave."""
        self._io.run(_close(self.units, self._steered), LONGEST_CYCLE_S)
        self._io.close()


def _too_seldom(
    name: str, link: AnyModbusLink, maps: Mapping[str, RegisterMap], max_age_s: Callable[[str], float]
) -> Iterator[Problem]:
    most_s = max_age_s(link.device)
    for group, polled in maps[link.map].groups.items():
        period_s = polled.period_s
        if period_s >= most_s:
            yield Problem(
                file="",
                line=None,
                path=f"telemetry.links.{name}.map",
                found=f"{link.map} that reads its group {group} every {period_s:g} s, where {most_s:g} s is stale",
                expected=f"more than {period_s:g} s for {link.device} under telemetry.max_age_by_device_s",
            )


async def _open(
    links: Mapping[str, AnyModbusLink], endpoints: Mapping[str, Endpoint], maps: Mapping[str, RegisterMap]
) -> dict[str, Unit]:
    """One gateway for each endpoint, with its units behind it and the task that keeps it."""
    gateways = {endpoint: Gateway(endpoint) for endpoint in endpoints.values()}
    units = {
        link.device: Unit(
            device=link.device,
            unit_id=link.unit_id,
            timeout_s=link.timeout_s,
            pause_s=link.pause_s,
            registers=maps[link.map],
            gateway=gateways[endpoints[name]],
        )
        for name, link in links.items()
    }
    for gateway in gateways.values():
        gateway.start()
    return units


async def _close(units: Mapping[str, Unit], steered: Collection[str]) -> None:
    await asyncio.gather(*(_release(units[device]) for device in steered if units[device].down is None))
    for unit in units.values():
        unit.gateway.close()


async def _release(unit: Unit) -> None:
    """Give a device that was steered back to its own program. What fails is left to its dead-man."""
    setpoint = unit.registers.setpoint
    try:
        await unit.release(release(setpoint) if setpoint is not None else ())
    except (SilentError, RefusedError) as error:
        log.warning("%s: not given back to its own program: %s", unit.device, error)


async def _poll(units: Sequence[Unit], now_s: float) -> Mapping[str, Mapping[str, Value]]:
    for gateway in {unit.gateway for unit in units}:
        gateway.begin_round()
    asked = [unit for unit in units if unit.down is None]
    answers = await asyncio.gather(*(unit.poll(now_s) for unit in asked))
    return {unit.device: answer for unit, answer in zip(asked, answers, strict=True) if answer}


async def _apply(units: Mapping[str, Unit], commands: Sequence[Command], now: datetime) -> Sequence[Receipt]:
    return await asyncio.gather(*(_write(units.get(command.device), command, now) for command in commands))


async def _write(unit: Unit | None, command: Command, now: datetime) -> Receipt:
    """Write one command and read it back. A command is never repeated here; the next cycle brings a fresh one."""
    setpoint = None if unit is None else unit.registers.setpoint
    if unit is None or setpoint is None or setpoint.name != command.setpoint:
        takes = "nothing" if setpoint is None else setpoint.name
        return _receipt(command, Outcome.REJECTED, f"{command.device} takes {takes}, not {command.setpoint}")
    wanted, remaining_s = first(command.value), (command.valid_until - now).total_seconds()
    if not math.isfinite(wanted):
        return _receipt(command, Outcome.REJECTED, f"{wanted} is not a number that can be written")
    if remaining_s <= 0:
        return _receipt(command, Outcome.LOST, "not sent: it had expired before")
    if unit.down is not None:
        return _receipt(command, Outcome.LOST, f"{unit.place}: {unit.down}")
    return await _transmit(unit, command, setpoint, wanted, remaining_s)


async def _transmit(unit: Unit, command: Command, setpoint: Steering, wanted: float, remaining_s: float) -> Receipt:
    try:
        exponent = await unit.exponent()
        planned = plan(setpoint, wanted, remaining_s, exponent)
        written = await unit.write(planned, exponent)
    except RefusedError as error:
        return _receipt(command, Outcome.REJECTED, f"{unit.place}: {error}")
    except SilentError as error:
        unit.fail(str(error))
        return _receipt(command, Outcome.LOST, f"{unit.place}: {error}")
    except Exception as error:
        log.exception("%s: unexpected failure while writing to %s", unit.device, unit.place)
        unit.fail(f"internal error: {error!r}")
        return _receipt(command, Outcome.LOST, f"{unit.place}: {unit.down}")
    return _judge(command, setpoint, planned, written)


def _judge(command: Command, setpoint: Steering, planned: Plan, written: Written) -> Receipt:
    deviations, wanted = [], first(command.value)
    if not written.as_sent:
        deviations.append(f"sent {planned.value:g}, reads back {_held(written.held)}")
    if not setpoint.min <= wanted <= setpoint.max:
        deviations.append(f"its register ends at {planned.value:g}")
    if not written.timeout_as_sent:
        deviations.append(f"holds it for another time than told: {_held(written.timeout_s)} s")
    if deviations:
        return _receipt(command, Outcome.CLIPPED, "; ".join(deviations), written.held)
    # Without a register to look into, its answer to the write is all there is.
    return _receipt(command, Outcome.APPLIED, "" if setpoint.verify else "not read back", written.held)


def _held(value: float | None) -> str:
    # Adding 0 turns the negative zero of a device with the opposite sign into one that people write.
    return "no value" if value is None else f"{value + 0.0:g}"


def _receipt(command: Command, outcome: Outcome, detail: str, read_back: float | None = None) -> Receipt:
    return Receipt(command=command, outcome=outcome, read_back=read_back, detail=detail)
