"""A capture as a plant: the same messages, decoded anew by the maps of the site file, on the capture's own clock.

What was asked then is answered as it was then. A map that has changed since may ask for other registers: they are
answered from the newest words that the capture has of them, or refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from twin.errors import LinkError, RecordError
from twin.points import Command, Receipt, Snapshot
from twin.site import Site
from twin.telemetry.capture import EPOCH, MICROSECOND, Asked, Line, described, lines_of
from twin.telemetry.config import AnyModbusLink, MqttLink, SunSpecLink
from twin.telemetry.it_power import ItPower
from twin.telemetry.live_plant import LivePlant, ranges_of
from twin.telemetry.modbus import Gateway, RefusedError, SilentError, Unit, Value
from twin.telemetry.modbus_transport import endpoint_of
from twin.telemetry.mqtt import MqttDevices
from twin.telemetry.plausibility import BalanceCheck
from twin.telemetry.register_map import load_map
from twin.telemetry.sunspec_devices import SunSpecUnit, sunspec_unit

PATIENCE_S = 1.0
"""Nothing is waited for; the steps of a look want a number."""


class ReplayedGateway:
    """Answers as the capture's gateway did."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.units: list[Any] = []
        self.trouble = asyncio.Event()
        self.asked: set[int] = set()
        """Units that were asked something in this reading, other than whether they are there."""
        self._answers: dict[tuple[int, str, int, int], Line] = {}
        self._image: dict[tuple[int, str, int], int] = {}
        """Unit, table and address → newest word."""

    def begin(self, lines: Sequence[Line]) -> None:
        """From now on the answers of one reading."""
        self._answers = {}
        self.asked = {line["unit"] for line in lines if not line.get("look")}
        for line in lines:
            key = (line["unit"], line["table"], line["address"], line["count"])
            if not line.get("look"):
                self._answers[key] = line
            for at, word in enumerate(line.get("words", ()), start=line["address"]):
                self._image[line["unit"], line["table"], at] = word

    async def request(self, call: Any, *_given: Any, **_named: Any) -> list[int]:
        """The answer of then. Raises `SilentError` or `RefusedError`, as then."""
        asked = described(call)
        line = self._answers.get(asked.key)
        if line is None:
            return self._known(asked)
        if "silent" in line:
            raise SilentError(line["silent"])
        if "refused" in line:
            raise RefusedError(line["refused"])
        return list(line["words"])

    def _known(self, asked: Asked) -> list[int]:
        places = [(asked.unit_id, asked.table, asked.address + i) for i in range(asked.count)]
        missing = [place[2] for place in places if place not in self._image]
        if missing:
            raise RefusedError(f"{asked.table} {missing[0]} is not in the capture")
        return [self._image[place] for place in places]


class _Replayed:
    """Units of one kind behind replayed gateways."""

    def __init__(self, units: Mapping[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        self.units = units
        self._loop = loop
        self._failures: Mapping[str, list[tuple[str, bool]]] = {}
        self._polled: frozenset[str] = frozenset()
        self._down: Mapping[str, str] = {}

    def begin(self, reading: Sequence[Line]) -> None:
        """What happened to the units in one reading."""
        polled: set[str] = set()
        failures: dict[str, list[tuple[str, bool]]] = {}
        for line in reading:
            if "poll" in line:
                polled.add(line["poll"])
            if "fail" in line:
                failures.setdefault(line["fail"], []).append((line["why"], line["fail"] in polled))
        self._polled, self._failures, self._down = frozenset(polled), failures, reading[-1]["down"]

    def poll(self, now: datetime) -> Mapping[str, Mapping[str, Value]]:
        """Device → what it answered."""
        answers: dict[str, Mapping[str, Value]] = {}
        for device, unit in self.units.items():
            self._fail(device, unit, after_poll=False)
            if device in self._polled:
                unit.down = None
                answer = self._loop.run_until_complete(self._asked(unit, now))
                answers |= {device: answer} if answer else {}
            self._fail(device, unit, after_poll=True)
            unit.down = self._down.get(device)
        return answers

    def _fail(self, device: str, unit: Any, *, after_poll: bool) -> None:
        for why, after in self._failures.get(device, ()):
            if after is after_poll:
                unit.fail(why)

    def _asked(self, unit: Any, now: datetime) -> Coroutine[Any, Any, Mapping[str, Value]]:
        return cast(Unit, unit).poll(now.timestamp())

    def apply(self, commands: Sequence[Command], now: datetime) -> Sequence[Receipt]:
        """Nobody is there to obey."""
        del commands, now
        return ()

    def close(self) -> None:
        """Nothing is open."""


class _ReplayedSunSpec(_Replayed):
    """SunSpec units, which are found anew where they were found then."""

    def begin_poll(self) -> Future[Mapping[str, Mapping[str, Value]]] | None:
        """As of `SunSpecDevices`; the answers are there already."""
        answers: Future[Mapping[str, Mapping[str, Value]]] = Future()
        answers.set_result(self.poll(EPOCH))
        return answers

    def _asked(self, unit: Any, now: datetime) -> Coroutine[Any, Any, Mapping[str, Value]]:
        async def found_and_asked() -> Mapping[str, Value]:
            if unit.unit_id not in unit.gateway.asked:
                return {}  # It was lost again before anything was asked.
            if not unit.found:
                await unit.probe(PATIENCE_S)
            return cast(Mapping[str, Value], await unit.poll())

        return found_and_asked()


class _ReplayedMqtt(MqttDevices):
    """MQTT devices whose messages come out of the capture."""

    broker_down: str | None = None

    @property
    def down(self) -> str | None:
        return self.broker_down

    def replay(self, line: Line) -> None:
        """One message, as it arrived."""
        if line["mqtt"] in self.links:
            self._on_state(line["mqtt"], line["payload"].encode(), line["retained"])

    def close(self) -> None:
        """Nothing is open."""


class ReplayPlant(LivePlant):
    """A capture behind the port `twin.plant.Plant`. It is read at the instants of the capture, one after the other."""

    def __init__(self, site: Site, site_path: Path, capture: Path) -> None:
        """Raises `RecordError` for a file that is no capture, or the capture of another site."""
        self._path, self._readings = capture, _readings(capture, site)
        self._next = next(self._readings, None)
        self._set_up(site, site_path)

    def _set_up(self, site: Site, site_path: Path) -> None:
        telemetry = self._telemetry = site.telemetry
        self._await_state_s, self._last, self._capture = 0.0, {}, None
        self._balance = BalanceCheck(site)
        self._gateways: dict[str, ReplayedGateway] = {}
        modbus: dict[str, Unit] = {}
        sunspec: dict[str, SunSpecUnit] = {}
        for link in telemetry.links.values():
            if isinstance(link, SunSpecLink):
                sunspec[link.device] = sunspec_unit(link, self._gateway(f"Modbus {link.host}:{link.port}"), site)
            elif isinstance(link, AnyModbusLink):
                modbus[link.device] = Unit(
                    device=link.device,
                    unit_id=link.unit_id,
                    timeout_s=link.timeout_s,
                    registers=load_map(link.map, site_path),
                    gateway=self._gateway(endpoint_of(link, site_path).place),
                )
        mqtt = {name: link for name, link in telemetry.links.items() if isinstance(link, MqttLink)}
        broker = telemetry.broker
        self._mqtt = _ReplayedMqtt(broker, mqtt, site_path) if broker is not None and mqtt else None
        # Controllers and exporters are read in the background, and not captured.
        self._it = ItPower(replace(site, telemetry=replace(telemetry, links={})), site_path)
        # Last: nothing after it can refuse a wrong file, and leave it open.
        self._loop = asyncio.new_event_loop()
        self._ranges = ranges_of(modbus)
        self._modbus = cast(Any, _Replayed(modbus, self._loop))
        self._sunspec = cast(Any, _ReplayedSunSpec(sunspec, self._loop))

    def _gateway(self, place: str) -> Gateway:
        return cast(Gateway, self._gateways.setdefault(place, ReplayedGateway(place)))

    @property
    def next_instant(self) -> datetime | None:
        """When it can be read next; None at the end of the capture."""
        return None if self._next is None else EPOCH + self._next[-1]["read"] * MICROSECOND

    def instants(self) -> Iterator[datetime]:
        """The instants at which it can be read, each once the one before was read."""
        while (instant := self.next_instant) is not None:
            yield instant

    def connect_or_raise(self, timeout_s: float) -> None:
        """There is nothing to connect to."""

    def read(self, now: datetime) -> Snapshot:
        reading, instant = self._next, self.next_instant
        if reading is None or now != instant:
            raise LinkError(f"{self._path}: was not read at {now.isoformat()}; the next instant in it is {instant}")
        self._next = next(self._readings, None)
        for place, gateway in self._gateways.items():
            gateway.begin([line for line in reading if line.get("modbus") == place])
        for kind in (self._modbus, self._sunspec):
            cast(_Replayed, kind).begin(reading)
        if self._mqtt is not None:
            mqtt = cast(_ReplayedMqtt, self._mqtt)
            mqtt.broker_down = reading[-1]["broker_down"]
            for line in reading:
                if "mqtt" in line:
                    mqtt.replay(line)
        return super().read(now)

    def apply(self, commands: Sequence[Command], now: datetime) -> tuple[Receipt, ...]:
        """Nothing is commanded: the plant of then obeyed somebody else."""
        del commands, now
        return ()

    def close(self) -> None:
        self._loop.close()


def _readings(path: Path, site: Site) -> Iterator[list[Line]]:
    lines = lines_of(path)
    head = next(lines)
    if head["site"] != site.name:
        raise RecordError(f"{path}: is a capture of the site {head['site']}, not of {site.name}; name its site file")
    reading: list[Line] = []
    for line in lines:
        reading.append(line)
        if "read" in line:
            yield reading
            reading = []
