"""A proxy in front of a Modbus TCP server that does to the link what lines, gateways and devices do.

For tests and drills: put it between gridhelm and a device, and set `fault` to what shall go wrong now. It
answers for a device that is down, slow, deaf, frozen or garbled; with `Fault()` it only passes on.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from pymodbus.constants import ExcCodes

from twin.telemetry.io_thread import turns

HEADER_BYTES = 7
READS = frozenset({1, 2, 3, 4})
REGISTER_READS = frozenset({3, 4})
WRITES = frozenset({5, 6, 15, 16})
CONNECT_S = 2.0
DEVICE_S = 10.0
"""How long a device may take; then its connection is ended, on both sides."""
KEPT_REQUESTS = 1000
MOST_REGISTERS = 127

UnitIds = frozenset[int]
Functions = frozenset[int]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong at present; several may at once."""

    delay_s: float = 0.0
    """Each reply comes so much later."""
    refused: bool = False
    """Every connection is ended at once, those that are open too: the device is off, or starts again."""
    reset: bool = False
    """A request is answered by a reset of its connection."""
    black_hole: bool = False
    """Requests are taken, and nothing ever comes back."""
    half_open: bool = False
    """As `black_hole`, but only on the connections that are open at this moment: the far end lost them."""
    garbled_fraction: float = 0.0
    """Share of the bytes of replies in which one bit is flipped."""
    garbled_values_only: bool = False
    """Spare the frame: only the content of registers is garbled, as no check of a frame can notice."""
    frozen: bool = False
    """Every read is answered as it was the first time since this fault began."""
    names_next_unit: bool = False
    """Replies bear the unit id after the one that was asked."""
    asks_next_unit: bool = False
    """The gateway asks the unit after the one that was meant, and its reply does not show it."""
    cut_byte_count: int = 0
    """Replies end so many bytes early."""
    extra_register_count: int = 0
    """Replies to reads carry so many registers more than asked; fewer where negative."""
    split_byte_count: int = 0
    """Replies come in pieces of so many bytes; 0: whole."""
    bytes_per_s: float = 0.0
    """The line is this slow; 0: as quick as it is."""
    words: int | None = None
    """Every register reads as this: 0 in a device that just started, 0x8000 in one without measurements."""
    exception: ExcCodes | None = None
    """Every request is refused with this Modbus exception."""
    deaf_to_writes: bool = False
    """Writes are confirmed and not carried out."""
    units: UnitIds | None = None
    """Only requests to these units suffer; None: all."""
    functions: Functions | None = None
    """Only these Modbus functions suffer, for example ``{3, 4}``; None: all."""


@dataclass(slots=True)
class _Line:
    """One client's connection, and ours to the device for it."""

    client: asyncio.StreamWriter
    device: asyncio.StreamWriter
    lost: bool = False
    """Half open: the far end has forgotten it."""


class FaultProxy:
    """Listens on `port`, passes requests on to `host` and `device_port`, and does `fault` to what comes back.

    With `framed=False` bytes are passed on as they come, for protocols that are not Modbus TCP (RTU over TCP,
    TLS); of the faults, those of single frames then do nothing. All methods belong to one event loop.
    """

    def __init__(
        self, host: str, device_port: int, *, port: int = 0, listen_host: str = "127.0.0.1", framed: bool = True
    ) -> None:
        self.port = port
        """Where it listens; chosen in `open` where it was 0."""
        self.connections = 0
        """How many were made to it."""
        self.requests: list[bytes] = []
        """The newest requests as they came, at most `KEPT_REQUESTS`; of a proxy that is framed."""
        self._device, self._listen_host, self._framed = (host, device_port), listen_host, framed
        self._fault = Fault()
        self._frozen: dict[bytes, bytes] = {}
        self._lines: list[_Line] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._chance = random.Random(0)
        self._server: asyncio.Server | None = None

    @property
    def fault(self) -> Fault:
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        """From the next request on. To be set in the proxy's own loop, as everything else here."""
        self._frozen = {}
        self._fault = fault
        for line in list(self._lines):
            if fault.half_open:
                line.lost = True
            if fault.refused:
                _reset(line.client)

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._on_connection, self._listen_host, self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening, and end every connection."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await turns()

    def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._fault.refused:
                _reset(writer)
            else:
                await self._connect(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            log.debug("a connection of %s ended", self._device)
        finally:
            writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_device, to_device = await asyncio.wait_for(asyncio.open_connection(*self._device), CONNECT_S)
        line = _Line(writer, to_device)
        self._lines.append(line)
        try:
            if self._framed:
                await self._pass_frames(line, reader, from_device)
            else:
                await self._pass_bytes(line, reader, from_device)
        finally:
            self._lines.remove(line)
            to_device.close()

    async def _pass_bytes(self, line: _Line, reader: asyncio.StreamReader, from_device: asyncio.StreamReader) -> None:
        async def upwards() -> None:
            while data := await reader.read(4096):
                if self._fault.reset:
                    _reset(line.client)
                    return
                if not (line.lost or self._fault.black_hole):
                    line.device.write(data)
            line.device.close()

        up = asyncio.ensure_future(upwards())
        try:
            while data := await from_device.read(4096):
                await asyncio.sleep(self._fault.delay_s)
                if not (line.lost or self._fault.black_hole):
                    await self._send(line, self._garbled(data, 0), self._fault)
        finally:
            up.cancel()

    async def _pass_frames(self, line: _Line, reader: asyncio.StreamReader, from_device: asyncio.StreamReader) -> None:
        while True:
            request = await _frame(reader)
            self.requests = [*self.requests[-KEPT_REQUESTS + 1 :], request]
            fault = self._fault if _concerns(self._fault, request) else Fault()
            if fault.reset:
                _reset(line.client)
                return
            if line.lost or fault.black_hole:
                continue
            reply = await self._answer(fault, request, line, from_device)
            if fault.delay_s:
                await asyncio.sleep(fault.delay_s)
            await self._send(line, self._spoilt(fault, request, reply), fault)

    async def _answer(self, fault: Fault, request: bytes, line: _Line, from_device: asyncio.StreamReader) -> bytes:
        function, key = request[HEADER_BYTES], request[HEADER_BYTES - 1 :]
        if fault.exception is not None:
            return request[:4] + b"\0\3" + bytes((request[6], function | 0x80, fault.exception.value))
        if fault.deaf_to_writes and function in WRITES:
            return _confirmation(request)
        if fault.frozen and key in self._frozen:
            return request[:2] + self._frozen[key][2:]
        unit = (request[6] + fault.asks_next_unit) % 256
        line.device.write(request[:6] + bytes((unit,)) + request[7:])
        # Whoever asked may be gone by then, which is seen only when there is something to send.
        reply = await asyncio.wait_for(_frame(from_device), DEVICE_S)
        reply = reply[:6] + request[6:7] + reply[7:]
        if fault.frozen and function in READS:
            self._frozen[key] = reply
        return reply

    def _spoilt(self, fault: Fault, request: bytes, reply: bytes) -> bytes:
        if fault.words is not None and request[HEADER_BYTES] in REGISTER_READS and not reply[HEADER_BYTES] & 0x80:
            body = fault.words.to_bytes(2, "big") * (reply[8] // 2)
            reply = reply[:9] + body
        if fault.extra_register_count and request[HEADER_BYTES] in REGISTER_READS and not reply[HEADER_BYTES] & 0x80:
            reply = _resized(reply, fault.extra_register_count)
        if fault.names_next_unit:
            reply = reply[:6] + bytes(((reply[6] + 1) % 256,)) + reply[7:]
        if fault.garbled_fraction:
            is_value = request[HEADER_BYTES] in READS and not reply[HEADER_BYTES] & 0x80
            spared = (HEADER_BYTES + 2 if is_value else len(reply)) if fault.garbled_values_only else 0
            reply = self._garbled(reply, spared)
        return reply[: len(reply) - fault.cut_byte_count]

    def _garbled(self, data: bytes, spared: int) -> bytes:
        share = self._fault.garbled_fraction
        if not share:
            return data
        chance = self._chance
        return data[:spared] + bytes(
            byte ^ (1 << chance.randrange(8)) if chance.random() < share else byte for byte in data[spared:]
        )

    async def _send(self, line: _Line, data: bytes, fault: Fault) -> None:
        for piece in _pieces(data, fault.split_byte_count):
            if fault.bytes_per_s:
                await asyncio.sleep(len(piece) / fault.bytes_per_s)
            line.client.write(piece)
            await line.client.drain()
            if fault.split_byte_count:
                # Long enough to leave as a segment of its own.
                await asyncio.sleep(0.001)


async def _frame(reader: asyncio.StreamReader) -> bytes:
    """The next frame. A device that speaks nonsense may announce a length that leaves nothing to read."""
    header = await reader.readexactly(HEADER_BYTES)
    return header + await reader.readexactly(max(int.from_bytes(header[4:6], "big") - 1, 1))


def _concerns(fault: Fault, request: bytes) -> bool:
    unit, function = request[HEADER_BYTES - 1], request[HEADER_BYTES]
    return (fault.units is None or unit in fault.units) and (fault.functions is None or function in fault.functions)


def _confirmation(request: bytes) -> bytes:
    """What a device answers that carried a write out: functions 5 and 6 as asked, 15 and 16 address and count."""
    body = request[6:12]
    return request[:4] + len(body).to_bytes(2, "big") + body


def _resized(reply: bytes, registers: int) -> bytes:
    words = reply[9:] + b"\0\1" * max(registers, 0)
    body = words[: 2 * min(max(reply[8] // 2 + registers, 0), MOST_REGISTERS)]
    return reply[:4] + (len(body) + 3).to_bytes(2, "big") + reply[6:8] + bytes((len(body),)) + body


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size or max(len(data), 1)):
        yield data[start : start + (size or len(data))]


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with a reset instead of an orderly end."""
    with suppress(OSError, AttributeError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
