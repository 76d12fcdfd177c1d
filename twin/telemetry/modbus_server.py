"""Modbus TCP servers: the emulated plant's side of meters and inverters."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import DataType, SimData, SimDevice

from twin.errors import LinkError
from twin.numeric import first
from twin.points import Command, Snapshot
from twin.telemetry.config import ModbusLink
from twin.telemetry.io_thread import stop_accepting
from twin.telemetry.map_formula import place_of
from twin.telemetry.map_schema import Steering
from twin.telemetry.map_served import ServedRegisters
from twin.telemetry.register_map import RegisterMap, decode

READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT = 1, 2, 3, 4
READ_TABLE = {READ_COILS: "coil", READ_DISCRETE: "discrete", READ_HOLDING: "holding", READ_INPUT: "input"}
READ_BY_TABLE = {table: function for function, table in READ_TABLE.items()}
WRITTEN_TABLE = {5: "coil", 6: "holding", 15: "coil", 16: "holding"}
FOR_EVER_S = 10 * 365 * 86400.0
"""The dead-man of a device that has none."""
DEAD_MAN_AT_START_S = 60.0

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What a device accepts as its setpoint, and what it returns to by itself."""

    low: float
    high: float
    safe: float


class ServedUnit:
    """The registers of one emulated device, and what is written to them.

    Registers that a map has under another unit id than the link's are not served.
    """

    def __init__(
        self, link: ModbusLink, registers: RegisterMap, accepts: Range | None, on_command: Callable[[Command], None]
    ) -> None:
        self.unit_id, self.device = link.unit_id, link.device
        self._accepts, self._on_command = accepts, on_command
        self._points, self._memory = registers.points, ServedRegisters(registers, link.unit_id)
        self._setpoint = registers.setpoint
        self._timeout_s = DEAD_MAN_AT_START_S
        self._now: datetime | None = None
        self._held_until: datetime | None = None

    def reset(self) -> SimDevice:
        """The device as after power-up."""
        self._timeout_s, self._held_until = self._fixed_s or DEAD_MAN_AT_START_S, None
        self._memory.forget_commands(self._accepts.safe if self._accepts else 0.0, self._timeout_s)
        coils, discrete = _bits(self._memory, "coil"), _bits(self._memory, "discrete")
        tables = (coils, discrete, _registers(self._memory, "holding"), _registers(self._memory, "input"))
        return SimDevice(id=self.unit_id, simdata=tables, action=self._on_access, use_bit_addressing=True)

    @property
    def _fixed_s(self) -> float | None:
        """The dead-man of a device that does not let it be set."""
        if self._setpoint is None or self._setpoint.timeout_s is not None:
            return None
        return self._setpoint.dead_man_s or FOR_EVER_S

    async def show(self, server: ModbusTcpServer | None, snapshot: Snapshot) -> None:
        """Fill the registers; `server` is None while its plug is pulled."""
        self._now = snapshot.now
        readings = {name: snapshot.readings.get(f"{self.device}.{name}") for name in self._points}
        self._memory.show({name: first(item.value) for name, item in readings.items() if item is not None})
        if self._held_until is not None and self._now >= self._held_until:
            # The dead-man: a setpoint that was not rewritten in time is forgotten.
            self._held_until = None
            self._memory.forget_commands(self._accepts.safe if self._accepts else 0.0, self._timeout_s)
        if server is not None:
            for block in self._memory.blocks:
                words = self._memory.block_words(block)
                await server.async_setValues(self.unit_id, READ_BY_TABLE[block.table], block.start, words)

    async def _on_access(
        self,
        function: int,
        _start: int,
        address: int,
        _count: int,
        _registers: list[int],
        written: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        if function in WRITTEN_TABLE:
            words = None if written is None else [int(word) for word in written]
            return None if words is None else self._accept(WRITTEN_TABLE[function], address, words)
        if function in (READ_COILS, READ_DISCRETE) and not self._memory.has_bit(READ_TABLE[function], address):
            return ExcCodes.ILLEGAL_ADDRESS
        # Values set under a reading function come from `show`.
        return None if function in READ_TABLE else ExcCodes.ILLEGAL_FUNCTION

    def _accept(self, table: str, address: int, words: Sequence[int]) -> ExcCodes | None:
        """Take a write, as a whole or not at all."""
        if self._setpoint is None or self._accepts is None:
            return ExcCodes.ILLEGAL_ADDRESS
        if self._now is None:
            return ExcCodes.DEVICE_BUSY
        written = self._memory.written(table, address, words)
        if written is None:
            return ExcCodes.ILLEGAL_ADDRESS
        timeout_s = self._setpoint.timeout_s
        told_s = None if timeout_s is None else written.get(place_of(timeout_s))
        if timeout_s is not None and told_s is not None:
            seconds = decode(timeout_s, told_s)
            if seconds is None or not timeout_s.min <= seconds <= timeout_s.max:
                return ExcCodes.ILLEGAL_VALUE
        setpoint = self._memory.setpoint_after(written)
        half_step = self._memory.resolution / 2
        if setpoint is not None and not self._may_be(setpoint, self._setpoint, half_step):
            return ExcCodes.ILLEGAL_VALUE
        self._memory.keep(written)
        if timeout_s is not None and told_s is not None:
            self._timeout_s = decode(timeout_s, told_s) or self._timeout_s
        if setpoint is not None and not math.isnan(setpoint):
            self._obey(self._setpoint.name, setpoint, self._now)
        return None

    def _may_be(self, setpoint: float, steering: Steering, slack: float) -> bool:
        accepts = self._accepts
        if accepts is None or math.isnan(setpoint):
            return False
        low, high = max(accepts.low, steering.min), min(accepts.high, steering.max)
        return low - slack <= setpoint <= high + slack

    def _obey(self, name: str, value: float, now: datetime) -> None:
        self._held_until = now + timedelta(seconds=self._timeout_s)
        self._on_command(
            Command(device=self.device, setpoint=name, value=value, valid_until=self._held_until, reason="Modbus")
        )


def _bits(memory: ServedRegisters, table: str) -> list[SimData]:
    # pymodbus insists on both tables, without gaps; bits that are not there are refused in `_on_access`.
    own = [field for field in memory.fields.values() if field.table == table]
    held = {field.address: bool(memory.content(field)[0]) for field in own}
    bits = [held.get(at, False) for at in range(max(held, default=0) + 1)]
    return [SimData(0, values=bits, datatype=DataType.BITS)]


def _registers(memory: ServedRegisters, table: str) -> list[SimData]:
    own = [field for field in memory.fields.values() if field.table == table]
    if not own:
        return [SimData(0, datatype=DataType.INVALID)]
    return [SimData(item.address, values=list(memory.content(item)), datatype=DataType.REGISTERS) for item in own]


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

    def __init__(self, host: str, port: int, units: Sequence[ServedUnit], *, rtu: bool = False) -> None:
        """With `rtu` it speaks the frames of a serial line, over TCP."""
        self.place = f"{host}:{port}"
        self._framer = FramerType.RTU if rtu else FramerType.SOCKET
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
        server = _DirectServer(devices, framer=self._framer, address=self._address)
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
