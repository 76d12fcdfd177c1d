"""Looking around on a Modbus connection of which nothing is known yet: who answers, and which registers can be read.

Read-only, one request at a time, with a pause between any two, and never for longer than told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ExceptionResponse, ModbusPDU

from twin.clock import stopwatch_s
from twin.telemetry.map_types import Table
from twin.telemetry.modbus_gateway import ENDLESS, EXCEPTION_WORDS, NOT_THERE, RefusedError, SilentError

CONNECT_S = 3.0
BLOCK_REGISTERS = 32
"""Small enough for devices that answer short reads only, large enough to be done soon."""
PARTS = 4
"""Into how many a refused read is cut."""
DEVICE_FAILURE = EXCEPTION_WORDS[4]
"""Some servers answer so for units that they do not have."""
BIT_TABLES = ("coil", "discrete")

Call = Callable[[AsyncModbusTcpClient], Awaitable[ModbusPDU]]
Told = Callable[[str], None]


class Bus:
    """One connection to one host and port."""

    def __init__(
        self, host: str, port: int, *, rtu: bool = False, timeout_s: float = 0.5, pause_s: float = 0.02
    ) -> None:
        """With `rtu`, frames as on a serial line, with their checksum, through a gateway that passes them on."""
        self.place = f"{host}:{port}"
        self.request_count = 0
        self._host, self._port, self._rtu = host, port, rtu
        self._timeout_s, self._pause_s = timeout_s, pause_s
        self._client: AsyncModbusTcpClient | None = None

    async def open(self) -> None:
        """Connect. Raises `SilentError` with what went wrong and what to do about it."""
        try:
            connecting = asyncio.open_connection(self._host, self._port)
            _, writer = await asyncio.wait_for(connecting, CONNECT_S)
        except (OSError, TimeoutError, UnicodeError) as error:
            raise SilentError(f"{self.place}: {_why(error)}") from None
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        framer = FramerType.RTU if self._rtu else FramerType.SOCKET
        self._client = AsyncModbusTcpClient(
            self._host, port=self._port, framer=framer, timeout=self._timeout_s, retries=0, reconnect_delay=0
        )
        self._client.set_max_no_responses(ENDLESS)
        if not await self._client.connect():
            raise SilentError(f"{self.place}: connected once, and then no more; does it serve one client only?")

    def close(self) -> None:
        """Leave it."""
        if self._client is not None:
            self._client.close()
        self._client = None

    async def request(self, call: Call) -> Sequence[int]:
        """Send one request, once. Raises `SilentError` or `RefusedError`."""
        client = self._client
        if client is None or not client.connected:
            self.close()
            await self.open()
            client = self._client
        assert client is not None
        self.request_count += 1
        try:
            reply = await call(client)
        except ModbusException:
            # A late answer to this request must not be taken for one to the next.
            if self._rtu or not client.connected:
                self.close()
            raise SilentError(f"no answer within {self._timeout_s:g} s") from None
        finally:
            await asyncio.sleep(self._pause_s)
        if isinstance(reply, ExceptionResponse):
            words = EXCEPTION_WORDS.get(reply.exception_code, f"exception {reply.exception_code}")
            raise SilentError(words) if reply.exception_code in NOT_THERE else RefusedError(words)
        return reply.registers or [int(bit) for bit in reply.bits]

    async def read(self, unit_id: int, table: Table, address: int, count: int) -> Sequence[int]:
        """Registers or bits. Raises `SilentError` or `RefusedError`."""

        def call(client: AsyncModbusTcpClient) -> Awaitable[ModbusPDU]:
            read = {
                "holding": client.read_holding_registers,
                "input": client.read_input_registers,
                "coil": client.read_coils,
                "discrete": client.read_discrete_inputs,
            }[table]
            return read(address, count=count, device_id=unit_id)

        words = await self.request(call)
        if len(words) < count or (table not in BIT_TABLES and len(words) > count):
            raise RefusedError(f"answered {len(words)} registers instead of {count}")
        return words[:count]


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return (
            f"no connection within {CONNECT_S:g} s: the host is off or not in this network, or a firewall drops the "
            "port; try `ping`, and see that the port is open for this machine"
        )
    if isinstance(error, ConnectionRefusedError):
        return (
            "connection refused: the host is there, and nothing listens on this port; Modbus TCP is usually port 502, "
            "and has to be switched on in many devices"
        )
    return f"{error}; check the name or address of the host"


@dataclass(slots=True)
class Budget:
    """How long it may take."""

    end_s: float

    @classmethod
    def of(cls, limit_s: float) -> Budget:
        return cls(stopwatch_s() + limit_s)

    @property
    def spent(self) -> bool:
        return stopwatch_s() >= self.end_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Registers of one unit to look at."""

    unit_id: int
    table: Table
    addresses: range


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What an area holds."""

    area: Area
    samples: tuple[Mapping[int, int], ...]
    """Address → word, one reading of all after the other."""
    refused: Mapping[int, str]
    """Address → why it cannot be read."""
    stopped: str = ""
    """Where it was left when the time was up; empty when all was looked at."""

    @property
    def words(self) -> Mapping[int, int]:
        return self.samples[0]


async def answers(bus: Bus, unit_id: int, tables: Iterable[Table] = ("holding", "input")) -> str | None:
    """Why no device answers under a unit id; None when one does, be it with a refusal."""
    silence = ""
    for table in tables:
        try:
            await bus.read(unit_id, table, 0, 1)
        except SilentError as error:
            return str(error)
        except RefusedError as error:
            if str(error) != DEVICE_FAILURE:
                return None
            silence = f"{error}, as gateways say of units that they do not have"
        else:
            return None
    return silence


async def look(bus: Bus, area: Area, budget: Budget, tell: Told, *, samples: int = 3, apart_s: float = 1.0) -> Seen:
    """Find what can be read of an area, and read that `samples` times, so that one sees what moves."""
    runs, refused, stopped = await _find(bus, area, budget, tell)
    seen = [dict(enumerate_from(start, words)) for start, words in [*runs]]
    first = {address: word for block in seen for address, word in block.items()}
    readings: list[Mapping[int, int]] = [first]
    while runs and len(readings) < samples and not budget.spent:
        tell(f"{area.table}: reading once more what can be read, to see what moves")
        await asyncio.sleep(apart_s)
        readings.append(first | await _again(bus, area, [(start, len(words)) for start, words in runs]))
    return Seen(area=area, samples=tuple(readings), refused=refused, stopped=stopped)


def enumerate_from(start: int, words: Iterable[int]) -> Iterable[tuple[int, int]]:
    """Address and word of each."""
    return enumerate(words, start)


Runs = list[tuple[int, Sequence[int]]]


async def _find(bus: Bus, area: Area, budget: Budget, tell: Told) -> tuple[Runs, dict[int, str], str]:
    runs: Runs = []
    refused: dict[int, str] = {}
    starts = range(area.addresses.start, area.addresses.stop, BLOCK_REGISTERS)
    waiting = [(start, min(BLOCK_REGISTERS, area.addresses.stop - start)) for start in reversed(starts)]
    while waiting:
        start, count = waiting.pop()
        if budget.spent:
            return runs, refused, f"{area.table} {start}"
        tell(f"unit {area.unit_id}: {area.table} {start} of {area.addresses.stop}")
        try:
            runs.append((start, await bus.read(area.unit_id, area.table, start, count)))
        except (RefusedError, SilentError) as error:
            if count == 1:
                refused[start] = str(error)
            else:
                part = max(count // PARTS, 1)
                inside = range(start, start + count, part)
                waiting += [(first, min(part, start + count - first)) for first in reversed(inside)]
    await _pairs(bus, area, runs, refused, budget)
    return sorted(runs), refused, ""


async def _pairs(bus: Bus, area: Area, runs: Runs, refused: dict[int, str], budget: Budget) -> None:
    """Numbers of two registers at odd addresses, where the device refuses halves of numbers."""
    if not runs and len(refused) > BLOCK_REGISTERS:
        return
    for start in [address for address in refused if address % 2 and address + 1 in refused]:
        if budget.spent:
            return
        with suppress(RefusedError, SilentError):
            runs.append((start, await bus.read(area.unit_id, area.table, start, 2)))
            del refused[start], refused[start + 1]


async def _again(bus: Bus, area: Area, runs: Iterable[tuple[int, int]]) -> dict[int, int]:
    words: dict[int, int] = {}
    for start, count in runs:
        # What fails now and did not before keeps its first reading.
        with suppress(RefusedError, SilentError):
            words |= enumerate_from(start, await bus.read(area.unit_id, area.table, start, count))
    return words
