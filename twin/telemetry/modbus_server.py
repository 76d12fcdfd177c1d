"""Modbus TCP servers: the emulated plant's side of meters and inverters."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import DataType, SimData, SimDevice

from twin.errors import LinkError
from twin.numeric import first
from twin.points import Command, Snapshot
from twin.telemetry.config import ModbusLink
from twin.telemetry.io_thread import stop_accepting
from twin.telemetry.register_map import Block, Register, RegisterMap, Setpoint, blocks, decode, encode, encode_missing

READ_HOLDING, READ_INPUT, WRITE_ONE, WRITE_SEVERAL = 3, 4, 6, 16
DEAD_MAN_AT_START_S = 60.0

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What a device accepts as its setpoint, and what it returns to by itself."""

    low: float
    high: float
    safe: float


class ServedUnit:
    """The registers of one emulated device, and what is written to them."""

    def __init__(
        self, link: ModbusLink, registers: RegisterMap, accepts: Range | None, on_command: Callable[[Command], None]
    ) -> None:
        self.unit_id, self.device = link.unit_id, link.device
        self._map, self._accepts, self._on_command = registers, accepts, on_command
        self._blocks = blocks(registers.points)
        self._setpoint = registers.setpoint
        self._timeout_s = DEAD_MAN_AT_START_S
        self._now: datetime | None = None
        self._held_until: datetime | None = None
        self._words: dict[tuple[str, int], tuple[int, ...]] = {}

    def reset(self) -> SimDevice:
        """The device as after power-up."""
        self._timeout_s, self._held_until = DEAD_MAN_AT_START_S, None
        registers = [*self._map.points.values()]
        if self._setpoint is not None:
            registers += [self._setpoint, self._setpoint.timeout_s]
        tables = (
            [_no_bits()],
            [_no_bits()],
            _sim_data(registers, "holding", self._content),
            _sim_data(registers, "input", self._content),
        )
        return SimDevice(id=self.unit_id, simdata=tables, action=self._on_access)

    def _content(self, register: Register) -> tuple[int, ...]:
        if self._setpoint is not None and register is self._setpoint:
            return encode(register, self._accepts.safe if self._accepts else 0.0)
        if self._setpoint is not None and register is self._setpoint.timeout_s:
            return encode(register, self._timeout_s)
        known = self._words.get((register.table, register.address))
        return known or encode_missing(register) or (0,) * register.word_count

    async def show(self, server: ModbusTcpServer | None, snapshot: Snapshot) -> None:
        """Fill the registers; `server` is None while its plug is pulled."""
        self._now = snapshot.now
        for block in self._blocks:
            words = self._block_words(block, snapshot)
            if server is not None:
                await _put(server, self.unit_id, block.table, block.start, words)
        await self._drop_expired(server)

    def _block_words(self, block: Block, snapshot: Snapshot) -> list[int]:
        words: list[int] = []
        for name, register, _ in block.members:
            reading = snapshot.readings.get(f"{self.device}.{name}")
            key = (register.table, register.address)
            if reading is not None:
                self._words[key] = encode(register, first(reading.value))
            elif (no_value := encode_missing(register)) is not None:
                self._words[key] = no_value
            words += self._content(register)
        return words

    async def _drop_expired(self, server: ModbusTcpServer | None) -> None:
        """The dead-man: a setpoint that was not rewritten in time is forgotten."""
        if self._held_until is None or self._now is None or self._now < self._held_until:
            return
        self._held_until = None
        if server is not None and self._setpoint is not None:
            words = self._content(self._setpoint)
            await _put(server, self.unit_id, "holding", self._setpoint.address, words)

    async def _on_access(
        self,
        function: int,
        _start: int,
        address: int,
        _count: int,
        _registers: list[int],
        written: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        if function in (WRITE_ONE, WRITE_SEVERAL):
            return None if written is None else self._accept(address, [int(word) for word in written])
        # Values set under a reading function come from `show`.
        return None if function in (READ_HOLDING, READ_INPUT) else ExcCodes.ILLEGAL_FUNCTION

    def _accept(self, address: int, words: Sequence[int]) -> ExcCodes | None:
        """Take a write, as a whole or not at all."""
        if self._setpoint is None or self._accepts is None:
            return ExcCodes.ILLEGAL_ADDRESS
        if self._now is None:
            return ExcCodes.DEVICE_BUSY
        written = _written(self._setpoint, address, words)
        if isinstance(written, ExcCodes):
            return written
        setpoint, timeout_s = written.get("setpoint"), written.get("timeout_s")
        half_step = self._setpoint.scale / 2
        if setpoint is not None and not self._accepts.low - half_step <= setpoint <= self._accepts.high + half_step:
            return ExcCodes.ILLEGAL_VALUE
        self._timeout_s = self._timeout_s if timeout_s is None else timeout_s
        if setpoint is not None:
            self._obey(self._setpoint.name, setpoint, self._now)
        return None

    def _obey(self, name: str, value: float, now: datetime) -> None:
        self._held_until = now + timedelta(seconds=self._timeout_s)
        self._on_command(
            Command(device=self.device, setpoint=name, value=value, valid_until=self._held_until, reason="Modbus")
        )


def _written(setpoint: Setpoint, address: int, words: Sequence[int]) -> Mapping[str, float] | ExcCodes:
    """The numbers in a write, which has to consist of whole writable registers."""
    fields = {setpoint.address: ("setpoint", setpoint), setpoint.timeout_s.address: ("timeout_s", setpoint.timeout_s)}
    values: dict[str, float] = {}
    position = 0
    while position < len(words):
        name, register = fields.get(address + position, ("", None))
        if register is None or position + register.word_count > len(words):
            return ExcCodes.ILLEGAL_ADDRESS
        value = decode(register, words[position : position + register.word_count])
        if value is None or not register.min <= value <= register.max:
            return ExcCodes.ILLEGAL_VALUE
        values[name] = value
        position += register.word_count
    return values


def _sim_data(
    registers: Sequence[Register], table: str, content: Callable[[Register], tuple[int, ...]]
) -> list[SimData]:
    own = [register for register in registers if register.table == table]
    if not own:
        return [SimData(0, datatype=DataType.INVALID)]
    return [SimData(item.address, values=list(content(item)), datatype=DataType.REGISTERS) for item in own]


def _no_bits() -> SimData:
    # pymodbus insists on coils and discrete inputs; reading them is refused in `_on_access`.
    return SimData(0, values=[False] * 16, datatype=DataType.BITS)


async def _put(server: ModbusTcpServer, unit_id: int, table: str, start: int, words: Sequence[int]) -> None:
    function = READ_HOLDING if table == "holding" else READ_INPUT
    await server.async_setValues(unit_id, function, start, list(words))


async def _nobody(*_: object) -> ExcCodes:
    return ExcCodes.GATEWAY_NO_RESPONSE


class _DirectHandler(ServerRequestHandler):
    """Answers in the loop in which the request arrived.

    pymodbus goes through `run_coroutine_threadsafe`, which wakes its own loop over a socket at every request.
    """

    def handle_later(self) -> None:
        self._answering = asyncio.ensure_future(self.handle_request())  # type: ignore[no-untyped-call]


class _DirectServer(ModbusTcpServer):
    def callback_new_connection(self) -> ServerRequestHandler:
        return _DirectHandler(self, self.trace_packet, self.trace_pdu, self.trace_connect)  # type: ignore[no-untyped-call]


class ServedGateway:
    """One listening port, with the units behind it. All methods run in the servers' loop."""

    def __init__(self, host: str, port: int, units: Sequence[ServedUnit]) -> None:
        self.place = f"{host}:{port}"
        self._address = (host, port)
        self._units = units
        self._server: ModbusTcpServer | None = None

    async def open(self) -> None:
        """Listen. Raises `LinkError` when the port is taken."""
        if self._server is not None:
            return
        devices = [unit.reset() for unit in self._units]
        if all(unit.unit_id != 0 for unit in self._units):
            anybody = SimData(0, count=65535, datatype=DataType.REGISTERS)
            devices.append(SimDevice(id=0, simdata=anybody, action=_nobody))
        server = _DirectServer(devices, address=self._address)
        try:
            await server.serve_forever(background=True)
        except RuntimeError:
            raise LinkError(
                f"cannot open a Modbus server on {self.place}: the port is taken or not ours to open; "
                "end the other program, or choose another port under telemetry.links"
            ) from None
        self._server = server

    async def close(self) -> None:
        """Stop listening, and cut whoever is connected."""
        server, self._server = self._server, None
        if server is not None:
            await stop_accepting(cast(asyncio.Server, server.transport))
            await server.shutdown()  # type: ignore[no-untyped-call]

    async def show(self, snapshot: Snapshot) -> None:
        for unit in self._units:
            await unit.show(self._server, snapshot)
