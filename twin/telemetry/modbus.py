"""Modbus TCP client: the controller's side of meters and inverters.

What pymodbus leaves open is closed here: it would repeat writes, wait 300 s between reconnects,
accept replies of the wrong length, and wait a whole timeout for a connection that is already gone.
One `Gateway` is one socket; units behind it take turns. Whatever is down is brought back in the
background, and nobody waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ExceptionResponse, ModbusPDU

from twin.errors import LinkError
from twin.telemetry.register_map import Block, RegisterMap, Words, blocks, decode

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 2.0
ENDLESS = 1_000_000_000
EXCEPTION_WORDS = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal value",
    4: "device failure",
    5: "acknowledged, still busy with it",
    6: "device busy",
    7: "negative acknowledge",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "the device behind the gateway does not answer",
}
NOT_THERE = frozenset({10, 11})
"""Exceptions by which a gateway says that the unit behind it is silent."""
CLOSED = "connection closed by the other side"
Value = float | str
"""A number, or in plain words why there is none."""

log = logging.getLogger(__name__)
# What goes wrong is reported here once, with the device; pymodbus would log every attempt.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


class SilentError(LinkError):
    """No answer, or no connection."""


class RefusedError(LinkError):
    """The device answered, and said no."""


class Gateway:
    """One socket to one host and port, and whoever is behind it."""

    def __init__(self, host: str, port: int) -> None:
        self.place = f"Modbus {host}:{port}"
        self.units: list[Unit] = []
        self.trouble = asyncio.Event()
        self._address = (host, port)
        self._client: AsyncModbusTcpClient | None = None
        self._lock = asyncio.Lock()
        self._awaiting = False
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect, and go on bringing back whatever is down."""
        self._keeper = asyncio.create_task(self._keep())

    async def _connect(self) -> None:
        """Open a fresh connection. Raises `SilentError` with the reason."""
        self._disconnect()
        host, port = self._address
        timeout_s = max(unit.timeout_s for unit in self.units)
        client = AsyncModbusTcpClient(
            host, port=port, timeout=timeout_s, retries=0, reconnect_delay=0, trace_connect=self._on_connection
        )
        # A unit that is silent must not cost its neighbours the socket.
        client.set_max_no_responses(ENDLESS)
        # Known before it is open: it may be closed again before `connect` returns, which pymodbus then overlooks.
        self._client = client
        connected = await client.connect()
        if self._client is not client:
            raise SilentError(CLOSED)
        if not connected:
            self._client = None
            raise SilentError(await _why_not(host, port, timeout_s))

    def close(self) -> None:
        """Leave it for good."""
        if self._keeper is not None:
            self._keeper.cancel()
        self._disconnect()

    def _disconnect(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None

    async def request(self, call: Callable[[AsyncModbusTcpClient], Awaitable[ModbusPDU]], timeout_s: float) -> Words:
        """Send one request, once, and wait for its answer. Raises `SilentError` or `RefusedError`."""
        async with self._lock:
            client = self._client
            if client is None or not client.connected:
                raise SilentError("not connected")
            # pymodbus knows one timeout per client; a gateway may have slow and quick units.
            client.ctx.comm_params.timeout_connect = timeout_s
            self._awaiting = True
            try:
                reply = await call(client)
            except ModbusException:
                raise SilentError(f"no answer within {timeout_s:g} s" if self._client is client else CLOSED) from None
            finally:
                self._awaiting = False
        if isinstance(reply, ExceptionResponse):
            code = reply.exception_code
            words = EXCEPTION_WORDS.get(code, f"exception {code}")
            raise SilentError(words) if code in NOT_THERE else RefusedError(words)
        return reply.registers

    def _on_connection(self, opened: bool) -> None:
        if opened or self._client is None:
            return
        future = self._client.ctx.response_future
        self._client = None
        self._fail(CLOSED)
        if self._awaiting and not future.done():
            future.set_exception(ModbusException(CLOSED))

    def _fail(self, reason: str) -> None:
        for unit in self.units:
            unit.fail(reason)

    async def _keep(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            await self._revive()
            if any(unit.down for unit in self.units):
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                pause_s = FIRST_PAUSE_S
                self.trouble.clear()
                await self.trouble.wait()

    async def _revive(self) -> None:
        try:
            if self._client is None or all(unit.down for unit in self.units):
                await self._connect()
        except (SilentError, UnicodeError) as error:
            # A name that cannot even be asked for is a UnicodeError; pymodbus lets it through.
            self._fail(str(error))
            return
        for unit in self.units:
            if unit.down:
                await unit.probe()


async def _why_not(host: str, port: int, timeout_s: float) -> str:
    """Why nothing can be reached there: pymodbus only says that it could not."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), timeout_s)
    except TimeoutError:
        return f"no connection within {timeout_s:g} s"
    except OSError as error:
        return "connection refused" if isinstance(error, ConnectionRefusedError) else str(error)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return "connection failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of a write that the device answered."""

    held: float | None
    """What the device says it now holds."""
    as_sent: bool
    timeout_s: float | None
    """Its dead-man, as it reads back."""
    timeout_as_sent: bool


class Unit:
    """One device behind a gateway."""

    def __init__(self, *, device: str, unit_id: int, timeout_s: float, registers: RegisterMap, gateway: Gateway):
        self.device = device
        self.place = f"{gateway.place} unit {unit_id}"
        self.registers = registers
        self.gateway = gateway
        self.timeout_s = timeout_s
        self.down: str | None = "not connected yet"
        """Why it is not polled at present; None while it answers."""
        self._id = unit_id
        self._blocks = blocks(registers.points)
        setpoint = registers.setpoint
        self._writable = blocks({"setpoint": setpoint, "timeout_s": setpoint.timeout_s}) if setpoint else ()
        self._timeout_words: Words | None = None
        gateway.units.append(self)

    def fail(self, reason: str) -> None:
        """Leave it to the background from now on."""
        self.down = reason
        self._timeout_words = None
        self.gateway.trouble.set()

    async def probe(self) -> None:
        """See whether it answers again."""
        try:
            await self._read(self._blocks[0])
        except SilentError as error:
            self.fail(str(error))
        except RefusedError:
            self.down = None
        except Exception as error:
            log.exception("%s: unexpected failure while probing %s", self.device, self.place)
            self.fail(f"internal error: {error!r}")
        else:
            self.down = None

    async def poll(self) -> Mapping[str, Value]:
        """Every point of its map. Empty when it does not answer; `down` then says why."""
        try:
            values: dict[str, Value] = {}
            for block in self._blocks:
                values.update(await self._poll_block(block))
        except SilentError as error:
            self.fail(str(error))
            return {}
        except Exception as error:
            log.exception("%s: unexpected failure while polling %s", self.device, self.place)
            self.fail(f"internal error: {error!r}")
            return {}
        return values

    async def _poll_block(self, block: Block) -> Mapping[str, Value]:
        try:
            words = await self._read(block)
        except RefusedError as error:
            return dict.fromkeys((name for name, _, _ in block.members), f"{self.place}: {error}")
        return {
            name: "the device says that it has no value" if value is None else value
            for name, value in self._decoded(block, words)
        }

    @staticmethod
    def _decoded(block: Block, words: Words) -> list[tuple[str, float | None]]:
        return [
            (name, decode(register, words[offset : offset + register.word_count]))
            for name, register, offset in block.members
        ]

    async def _read(self, block: Block) -> Words:
        def call(client: AsyncModbusTcpClient) -> Awaitable[ModbusPDU]:
            read = client.read_holding_registers if block.table == "holding" else client.read_input_registers
            return read(block.start, count=block.count, device_id=self._id)

        try:
            words = await self.gateway.request(call, self.timeout_s)
        except RefusedError as error:
            raise RefusedError(f"{error} reading {block.place}") from None
        if len(words) != block.count:
            raise RefusedError(f"answered {len(words)} registers instead of {block.count} reading {block.place}")
        return words

    async def write(self, setpoint_words: Words, timeout_words: Words) -> Written:
        """Write the dead-man if it is not known to be as wanted, then the setpoint, and read both back.

        Nothing is repeated. Raises `SilentError` or `RefusedError`.
        """
        setpoint = self.registers.setpoint
        if setpoint is None:
            raise RefusedError("its map has no setpoint")
        if self._timeout_words != list(timeout_words):
            await self._write(setpoint.timeout_s.address, timeout_words)
        await self._write(setpoint.address, setpoint_words)
        held: dict[str, list[int]] = {}
        for block in self._writable:
            words = list(await self._read(block))
            held |= {name: words[offset : offset + item.word_count] for name, item, offset in block.members}
        self._timeout_words = held["timeout_s"]
        return Written(
            held=decode(setpoint, held["setpoint"]),
            as_sent=held["setpoint"] == list(setpoint_words),
            timeout_s=decode(setpoint.timeout_s, held["timeout_s"]),
            timeout_as_sent=held["timeout_s"] == list(timeout_words),
        )

    async def _write(self, address: int, words: Words) -> None:
        def call(client: AsyncModbusTcpClient) -> Awaitable[ModbusPDU]:
            return client.write_registers(address, list(words), device_id=self._id)

        try:
            await self.gateway.request(call, self.timeout_s)
        except RefusedError as error:
            raise RefusedError(f"{error} writing holding {address}") from None
