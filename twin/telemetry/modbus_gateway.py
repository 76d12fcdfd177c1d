"""One connection that carries Modbus, and whoever is behind it.

What pymodbus leaves open is closed here: it would repeat writes, wait 300 s between reconnects, never try again
what failed at first, and wait a whole timeout for a connection that is already gone. Whatever is down is brought
back in the background, and nobody waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

from pymodbus.client.base import ModbusBaseClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.transaction import TransactionManager

from twin.clock import stopwatch_s
from twin.errors import LinkError
from twin.telemetry.map_codec import Words
from twin.telemetry.modbus_transport import Endpoint, TcpEndpoint, why_closed, why_not

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 2.0
FIRST_LOOK_S = 0.5
"""How long a first look at all units together may take, however many are silent."""
LEAST_PATIENCE_S = 0.05
SILENCE_PER_ROUND_S = 0.5
"""What silence may cost in one round of polling; beyond it the rest is given `LEAST_PATIENCE_S`."""
REST_RATIO = 3.0
"""On a line where nobody can be interrupted: rest after a look at a silent unit, per time that it took."""
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

Call = Callable[[ModbusBaseClient], Awaitable[ModbusPDU]]

log = logging.getLogger(__name__)
# What goes wrong is reported here once, with the device; pymodbus would log every attempt.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


class SilentError(LinkError):
    """No answer, or no connection."""


class GaveWayError(SilentError):
    """A look at a silent unit was broken off, because somebody had something to ask."""


class RefusedError(LinkError):
    """The device answered, and said no."""


class Member(Protocol):
    """A unit, as its gateway sees it."""

    timeout_s: float
    down: str | None

    def fail(self, reason: str) -> None:
        """It is lost for this reason."""
        ...

    async def probe(self, patience_s: float) -> None:
        """See whether it answers again."""
        ...


class Gateway:
    """One connection, shared by its units, which take turns."""

    def __init__(self, where: Endpoint | str, port: int = 502) -> None:
        """A host with its port is Modbus TCP."""
        self.endpoint = TcpEndpoint(where, port) if isinstance(where, str) else where
        self.place = self.endpoint.place
        self.units: list[Member] = []
        self.trouble = asyncio.Event()
        self._client: ModbusBaseClient | None = None
        self._lock = asyncio.Lock()
        self._awaiting = self._looking = self._gave_way = False
        self._silent_s = 0.0
        self._free_at_s = 0.0
        self._wanted_count = 0
        """Requests that are not looks and are under way or in line."""
        self._answered = self._is_nonsense = False
        self._closed_because = ""
        self._stray_unit: int | None = None
        self._function = 0
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect, and go on bringing back whatever is down."""
        self._keeper = asyncio.create_task(self._keep())

    def begin_round(self) -> None:
        """A control cycle begins, in which silence may cost as much again as in the last one."""
        self._silent_s = 0.0

    def close(self) -> None:
        """Leave it for good."""
        if self._keeper is not None:
            self._keeper.cancel()
        self._disconnect()

    async def request(self, call: Call, timeout_s: float, pause_s: float = 0.0, *, look: bool = False) -> Words:
        """Send one request, once, and await its answer; nobody asks again within `pause_s` of it.

        With `look` it is a look at a silent unit, which whoever has a real request need not wait for.
        Raises `SilentError` or `RefusedError`.
        """
        if not look:
            self._interrupt_look()
            self._wanted_count += 1
        try:
            async with self._lock:
                # Whoever asked while this look stood in line could not interrupt it: it is kept short for them.
                if look and self._wanted_count and self.endpoint.numbers_requests:
                    timeout_s = min(timeout_s, LEAST_PATIENCE_S)
                if (rest_s := self._free_at_s - stopwatch_s()) > 0:
                    await asyncio.sleep(rest_s)
                reply = await self._ask(call, timeout_s if look else self._patience_s(timeout_s), look)
                self._free_at_s = stopwatch_s() + pause_s
        finally:
            self._wanted_count -= not look
        if isinstance(reply, ExceptionResponse):
            code = reply.exception_code
            words = EXCEPTION_WORDS.get(code, f"exception {code}")
            raise SilentError(words) if code in NOT_THERE else RefusedError(words)
        return reply.registers or [int(bit) for bit in reply.bits]

    def _patience_s(self, timeout_s: float) -> float:
        """How long an answer is awaited, after what silence has cost already in this round."""
        left_s = SILENCE_PER_ROUND_S - self._silent_s
        if self._silent_s == 0.0 or timeout_s <= left_s:
            return timeout_s
        if self.endpoint.numbers_requests:
            return min(timeout_s, max(left_s, LEAST_PATIENCE_S))
        # A late answer could be taken for another's, so nobody is asked whose answer will not be awaited.
        raise SilentError(f"not asked: the line was silent for {self._silent_s:.2g} s before")

    async def _ask(self, call: Call, patience_s: float, look: bool) -> ModbusPDU:
        client = self._client
        if client is None or not client.connected:
            raise SilentError("not connected")
        # pymodbus knows one timeout per client; a gateway may have slow and quick units.
        client.ctx.comm_params.timeout_connect = patience_s
        self._stray_unit, self._is_nonsense = None, False
        self._awaiting, self._looking, self._gave_way, began_s = True, look, False, stopwatch_s()
        try:
            reply = await call(client)
        except ModbusException:
            if self._client is not client:
                raise SilentError(self._closed_because) from None
            if self._gave_way:
                raise GaveWayError("not asked yet: others come first") from None
            if not look:
                self._silent_s += stopwatch_s() - began_s
            raise SilentError(self._silence(patience_s)) from None
        finally:
            self._awaiting = self._looking = False
        self._answered = True
        if reply.function_code & 0x7F != self._function:
            raise RefusedError(f"answered function {reply.function_code} instead of {self._function}")
        return reply

    def _silence(self, patience_s: float) -> str:
        if self._is_nonsense:
            return "answers with what cannot be decoded"
        stray = "" if self._stray_unit is None else f", but one of unit {self._stray_unit}, which was not asked"
        return f"no answer within {patience_s:.3g} s{stray}"

    def _interrupt_look(self) -> None:
        if self._looking and self._client is not None and self.endpoint.numbers_requests:
            self._gave_way = self._end_wait(self._client)

    def _end_wait(self, client: ModbusBaseClient) -> bool:
        future = client.ctx.response_future
        if future.done():
            return False
        future.set_exception(ModbusException("nobody waits for it any longer"))
        return True

    async def _connect(self) -> None:
        """Open a fresh connection. Raises `SilentError` with the reason."""
        self._disconnect()
        timeout_s = max(unit.timeout_s for unit in self.units)
        client = self.endpoint.client(timeout_s)
        # A unit that is silent must not cost its neighbours the connection.
        client.set_max_no_responses(ENDLESS)
        client.ctx.callback_disconnected = self._on_closed  # type: ignore[method-assign]
        client.ctx.callback_data = partial(self._on_data, client)  # type: ignore[method-assign]
        client.ctx.trace_packet, client.ctx.trace_pdu = self._on_packet, self._on_pdu
        self._answered = False
        # Known before it is open: it may be closed again before `connect` returns, which pymodbus then overlooks.
        self._client = client
        connected = await client.connect()
        if self._client is not client:
            raise SilentError(self._closed_because)
        if not connected:
            self._client = None
            raise SilentError(await why_not(self.endpoint, timeout_s))

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            transport = client.ctx.transport
            client.close()
            if isinstance(transport, asyncio.WriteTransport):
                # TLS would otherwise wait for the other side to say goodbye, which may be gone.
                transport.abort()

    def _on_packet(self, sending: bool, data: bytes) -> bytes:
        # Frames of TCP name their unit in the seventh byte, those of a serial line in the first.
        at = 6 if self.endpoint.numbers_requests else 0
        client = self._client
        if not sending and client is not None and len(data) > at and data[at] != client.ctx.request_dev_id:
            self._stray_unit = data[at]
        return data

    def _on_data(self, client: ModbusBaseClient, data: bytes, addr: tuple[str, int] | None = None) -> int:
        """Bytes have come; how many of them are used up. What cannot be decoded would end the connection for all."""
        try:
            return int(TransactionManager.callback_data(client.ctx, data, addr))
        except Exception:
            self._is_nonsense = True
            if self._awaiting and self._client is client:
                self._end_wait(client)
            return len(data)

    def _on_pdu(self, sending: bool, pdu: ModbusPDU) -> ModbusPDU:
        if sending:
            self._function = pdu.function_code
        return pdu

    def _on_closed(self, exc: Exception | None) -> None:
        client = self._client
        if client is None:
            return
        self._client, self._closed_because = None, why_closed(self.endpoint, exc, self._answered)
        for unit in self.units:
            unit.fail(self._closed_because)
        if self._awaiting:
            self._end_wait(client)

    async def _keep(self) -> None:
        pause_s, patience_s = FIRST_PAUSE_S, self._first_patience_s()
        while True:
            await self._revive(patience_s)
            # Trouble of an attempt of ours must not bring the next one at once: some accept only to close.
            self.trouble.clear()
            if not any(unit.down for unit in self.units):
                await self.trouble.wait()
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.trouble.wait(), pause_s)
            if self.trouble.is_set():
                pause_s, patience_s = FIRST_PAUSE_S, self._first_patience_s()
            else:
                pause_s, patience_s = min(2 * pause_s, LONGEST_PAUSE_S), 2 * patience_s

    def _first_patience_s(self) -> float:
        return max(FIRST_LOOK_S / max(len([unit for unit in self.units if unit.down]), 1), LEAST_PATIENCE_S)

    async def _revive(self, patience_s: float) -> None:
        try:
            if self._client is None or all(unit.down for unit in self.units):
                await self._connect()
        except Exception as error:
            # Operating systems refuse in many ways: names with UnicodeError, serial settings with termios.error.
            for unit in self.units:
                unit.down = str(error) or repr(error)
            return
        for unit in self.units:
            if unit.down and self._client is not None:
                await self._look_at(unit, patience_s)

    async def _look_at(self, unit: Member, patience_s: float) -> None:
        began_s = stopwatch_s()
        may_be_short = self.endpoint.numbers_requests
        await unit.probe(min(unit.timeout_s, patience_s) if may_be_short else unit.timeout_s)
        if unit.down and not may_be_short:
            await asyncio.sleep(REST_RATIO * (stopwatch_s() - began_s))
