"""Modbus TCP client: the controller's side of meters and inverters.

What pymodbus leaves open is closed here: it would repeat writes, wait 300 s between reconnects,
accept replies of the wrong length, and wait a whole timeout for a connection that is already gone.
One `Gateway` is one socket; units behind it take turns. Whatever is down is brought back in the
background, and nobody waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ExceptionResponse, ModbusPDU

from twin.clock import stopwatch_s
from twin.errors import LinkError
from twin.telemetry.map_formula import Place, place_of
from twin.telemetry.map_polling import PollGroup, Value, point_value, poll_groups, too_quick
from twin.telemetry.map_writes import Plan, Planned, Written, written
from twin.telemetry.register_map import Block, RegisterMap, Setpoint, Words, blocks, decode

__all__ = ["Gateway", "RefusedError", "SilentError", "Unit", "Value", "Written"]
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

    async def request(
        self, call: Callable[[AsyncModbusTcpClient], Awaitable[ModbusPDU]], timeout_s: float, pause_s: float = 0.0
    ) -> Words:
        """Send one request, once, and wait for its answer, and then `pause_s` before anybody's next.

        Raises `SilentError` or `RefusedError`.
        """
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
            if pause_s > 0:
                await asyncio.sleep(pause_s)
        if isinstance(reply, ExceptionResponse):
            code = reply.exception_code
            words = EXCEPTION_WORDS.get(code, f"exception {code}")
            raise SilentError(words) if code in NOT_THERE else RefusedError(words)
        return reply.registers or [int(bit) for bit in reply.bits]

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
        self._groups = poll_groups(registers)
        self._read_at_s: dict[int, float] = {}
        self._heard: dict[str, tuple[float, float]] = {}
        self._held: dict[Place, Words] = {}
        """What is known to stand in registers that were written."""
        gateway.units.append(self)

    def fail(self, reason: str) -> None:
        """Leave it to the background from now on."""
        self.down = reason
        self._held.clear()
        self._heard.clear()
        self._read_at_s.clear()
        self.gateway.trouble.set()

    async def probe(self) -> None:
        """See whether it answers again."""
        try:
            await self._read(self._groups[0].blocks[0])
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
        """Every point of its map that is due. Empty when it does not answer; `down` then says why."""
        try:
            values: dict[str, Value] = {}
            for index, group in enumerate(self._groups):
                now_s = stopwatch_s()
                if now_s - self._read_at_s.get(index, -group.period_s) >= group.period_s:
                    values |= await self._poll_group(group)
                    self._read_at_s[index] = now_s
        except SilentError as error:
            self.fail(str(error))
            return {}
        except Exception as error:
            log.exception("%s: unexpected failure while polling %s", self.device, self.place)
            self.fail(f"internal error: {error!r}")
            return {}
        return values

    async def _poll_group(self, group: PollGroup) -> Mapping[str, Value]:
        heard: dict[Place, Words] = {}
        refused: dict[Place, str] = {}
        for block in group.blocks:
            try:
                words = await self._read(block)
            except RefusedError as error:
                refused |= {place_of(field): f"{self.place}: {error}" for _, field, _ in block.members}
                continue
            heard |= _by_place(block, words)
        values = {name: point_value(point, heard, refused) for name, point in group.points.items()}
        return {name: self._believed(name, value) for name, value in values.items()}

    def _believed(self, name: str, value: Value) -> Value:
        point = self.registers.points[name]
        if isinstance(value, str) or point.max_rate_per_s is None:
            return value
        now_s = stopwatch_s()
        doubt = too_quick(point, value, self._heard.get(name), now_s)
        self._heard[name] = value, now_s
        return doubt or value

    async def _read(self, block: Block) -> Words:
        def call(client: AsyncModbusTcpClient) -> Awaitable[ModbusPDU]:
            read = {
                "holding": client.read_holding_registers,
                "input": client.read_input_registers,
                "coil": client.read_coils,
                "discrete": client.read_discrete_inputs,
            }[block.table]
            return read(block.start, count=block.count, device_id=self._unit_of(block.unit_id))

        try:
            words = await self.gateway.request(call, self.timeout_s, self.registers.pause_s)
        except RefusedError as error:
            raise RefusedError(f"{error} reading {block.place}") from None
        # Bits come in whole bytes.
        expected = block.count if block.table in ("holding", "input") else -(-block.count // 8) * 8
        if len(words) != expected:
            raise RefusedError(f"answered {len(words)} registers instead of {block.count} reading {block.place}")
        return words[: block.count]

    def _unit_of(self, unit_id: int | None) -> int:
        return self._id if unit_id is None else unit_id

    async def exponent(self) -> float:
        """The exponent of its setpoint's scale factor, read from the device. Raises as `write`."""
        setpoint = self.registers.setpoint
        if not isinstance(setpoint, Setpoint) or setpoint.scale_factor is None:
            return 0.0
        field = setpoint.scale_factor.field
        (block,) = blocks({"": field})
        power = decode(field, await self._read(block))
        if power is None:
            raise RefusedError("the device says that its setpoint has no scale factor")
        return power

    async def write(self, plan: Plan, exponent: float = 0.0) -> Written:
        """Write what the device is not known to hold, and the setpoint, and read back what can be.

        Nothing is repeated. Raises `SilentError` or `RefusedError`.
        """
        for item in plan.writes:
            if item.always or self._held.get(place_of(item.field)) != list(item.words):
                await self._write(item)
                self._held[place_of(item.field)] = list(item.words)
        held: dict[Place, Words] = {}
        shown = {str(place_of(field)): field for field in plan.shown}
        for block in blocks(shown, self.registers.max_registers):
            held |= _by_place(block, await self._read(block))
        self._held |= held
        return written(plan, held, exponent)

    async def release(self, writes: Iterable[Planned]) -> None:
        """Give it back to its own program. Raises `SilentError` or `RefusedError`."""
        for item in writes:
            await self._write(item)

    async def _write(self, item: Planned) -> None:
        address, words, unit_id = item.field.address, list(item.words), self._unit_of(item.field.unit_id)

        def call(client: AsyncModbusTcpClient) -> Awaitable[ModbusPDU]:
            if item.function == 5:
                return client.write_coil(address, bool(words[0]), device_id=unit_id)
            if item.function == 15:
                return client.write_coils(address, [bool(word) for word in words], device_id=unit_id)
            if item.function == 6:
                return client.write_register(address, words[0], device_id=unit_id)
            return client.write_registers(address, words, device_id=unit_id)

        try:
            await self.gateway.request(call, self.timeout_s, self.registers.pause_s)
        except RefusedError as error:
            raise RefusedError(f"{error} writing {item.field.table} {address}") from None


def _by_place(block: Block, words: Words) -> dict[Place, Words]:
    return {place_of(field): list(words[at : at + field.word_count]) for _, field, at in block.members}
