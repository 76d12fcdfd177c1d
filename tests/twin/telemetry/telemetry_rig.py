"""Small sites on free ports, and peers that we did not write."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest

from twin.clock import Clock, SteppedClock
from twin.points import Command, Reading, Snapshot
from twin.site import Site
from twin.telemetry.config import Broker, Link, ModbusLink, Telemetry
from twin.telemetry.device_server import PlantServer
from twin.telemetry.io_thread import IoThread
from twin.telemetry.live_plant import LivePlant

SITE_PATH = Path(__file__).parents[3] / "site_configs" / "campus.yaml"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
PATIENCE_S = 20.0
"""How long a test waits for something that takes milliseconds."""


@dataclass(frozen=True)
class TinyDevice:
    """The part of a device that telemetry looks at."""

    rated_kw: float
    setpoint: str | None = None
    safe_setpoint: float = 0.0


@dataclass(frozen=True)
class TinySite:
    """The part of a site that telemetry looks at."""

    telemetry: Telemetry
    devices: Mapping[str, TinyDevice] = field(default_factory=dict)
    grid: str | None = None


WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw7").removeprefix("gw")) % 8
_ports = count(20_000 + 1_500 * WORKER + os.getpid() % 10 * 100)
"""Each worker has a range of its own: two may not choose one port before either has opened it."""


def free_port() -> int:
    """A port that nobody has, below those that the kernel hands out for outgoing connections."""
    for port in _ports:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0 and _bindable(port):
                return port
    raise AssertionError("ports are endless")


def _bindable(port: int) -> bool:
    with closing(socket.socket()) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def modbus(device: str, map_name: str, port: int, unit_id: int = 1, timeout_s: float = PATIENCE_S) -> ModbusLink:
    """A link that a slow machine does not break: by default it waits longer than a site file may ask for."""
    return ModbusLink(
        protocol="modbus_tcp", port=port, unit_id=unit_id, map=map_name, device=device, timeout_s=timeout_s
    )


def site_of(
    links: Mapping[str, Link],
    devices: Mapping[str, TinyDevice] | None = None,
    broker: Broker | None = None,
    max_age_by_device_s: Mapping[str, float] | None = None,
    grid: str | None = None,
) -> Site:
    telemetry = Telemetry(links=dict(links), broker=broker, max_age_s=30, max_age_by_device_s=max_age_by_device_s or {})
    return cast(Site, TinySite(telemetry=telemetry, devices=devices or {}, grid=grid))


def snapshot(now: datetime = NOON, /, **devices: Mapping[str, float]) -> Snapshot:
    readings = {
        f"{device}.{point}": Reading(value=value, at=now)
        for device, points in devices.items()
        for point, value in points.items()
    }
    return Snapshot(now=now, readings=readings)


def command(device: str, setpoint: str, value: float, now: datetime = NOON, validity_s: float = 7) -> Command:
    return Command(device=device, setpoint=setpoint, value=value, valid_until=now + timedelta(seconds=validity_s))


@contextmanager
def serving(site: Site, site_path: Path = SITE_PATH) -> Iterator[PlantServer]:
    server = PlantServer(site, site_path)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def controlling(site: Site, site_path: Path = SITE_PATH, clock: Clock | None = None) -> Iterator[LivePlant]:
    plant = LivePlant(site, site_path, clock or SteppedClock(NOON))
    try:
        yield plant
    finally:
        plant.close()


def peer(program: str) -> str:
    """Path of a program that we did not write; its tests are skipped where it is not installed."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if path is None and os.environ.get("GRIDHELM_REQUIRE_PEERS") == "1":
        pytest.fail(f"{program} is not installed, and GRIDHELM_REQUIRE_PEERS=1 asks for it")
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


def until(met: Callable[[], Any]) -> None:
    """Wait until something is so; fail when it takes longer than any machine needs."""
    end_s = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < end_s, "it did not become so in time"
        time.sleep(0.01)


def read_until(plant: LivePlant, met: Callable[[Snapshot], Any], now: datetime = NOON) -> Snapshot:
    """Read again and again until a snapshot is as wanted; returns that one."""
    seen: list[Snapshot] = []

    def read() -> Any:
        seen.append(plant.read(now))
        return met(seen[-1])

    until(read)
    return seen[-1]


@dataclass(frozen=True)
class Request:
    """What a Modbus client asked."""

    transaction: bytes
    unit: int
    function: int
    body: bytes

    @property
    def address(self) -> int:
        return int.from_bytes(self.body[:2], "big")

    @property
    def count(self) -> int:
        return int.from_bytes(self.body[2:4], "big")

    @property
    def is_write(self) -> bool:
        return self.function == 16

    def reply(self, body: bytes) -> bytes:
        """The bytes of an answer to it; `body` begins after the function code."""
        length = (len(body) + 2).to_bytes(2, "big")
        return self.transaction + b"\0\0" + length + bytes((self.unit, self.function)) + body

    def registers(self, *words: int) -> bytes:
        return self.reply(bytes((2 * len(words),)) + b"".join(word.to_bytes(2, "big") for word in words))

    def written(self) -> bytes:
        return self.reply(self.body[:4])

    def exception(self, code: int) -> bytes:
        return self.transaction + b"\0\0\0\3" + bytes((self.unit, self.function | 0x80, code))


class ScriptedDevice:
    """A Modbus TCP server that answers exactly what a test wants: bytes, nothing (None), or a hang-up (b"")."""

    def __init__(self, answer: Callable[[Request], bytes | None]) -> None:
        self.requests: list[Request] = []
        self.answer = answer
        self.port = free_port()
        self._io = IoThread("scripted-device")
        self._server = self._io.run(asyncio.start_server(self._serve, "127.0.0.1", self.port))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                header = await reader.readexactly(7)
                body = await reader.readexactly(int.from_bytes(header[4:6], "big") - 1)
                request = Request(header[:2], header[6], body[0], body[1:])
                self.requests.append(request)
                reply = self.answer(request)
                if reply == b"":
                    return
                writer.write(reply or b"")

    def writes(self) -> list[Request]:
        return [request for request in self.requests if request.is_write]

    def close(self) -> None:
        self._server.close()
        self._io.close()


@contextmanager
def scripted(answer: Callable[[Request], bytes | None]) -> Iterator[ScriptedDevice]:
    device = ScriptedDevice(answer)
    try:
        yield device
    finally:
        device.close()


class Mosquitto:
    """A broker that we did not write, which can be killed and started again."""

    def __init__(self) -> None:
        self._program = peer("mosquitto")
        self.port = free_port()
        self._process: subprocess.Popen[Any] | None = None

    def start(self, settings: str = "", folder: Path | None = None) -> None:
        """Without settings it takes everybody, from this machine only."""
        options = ["-p", str(self.port)]
        if folder is not None:
            (folder / "mosquitto.conf").write_text(settings)
            options = ["-c", str(folder / "mosquitto.conf")]
        self._process = subprocess.Popen(
            [self._program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._listens)

    def _listens(self) -> bool:
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def freeze(self) -> None:
        """Let it hold its connections without answering, until it is stopped."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None
