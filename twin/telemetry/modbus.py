"""Modbus client: the controller's side of meters and inverters.

A `Unit` is one device: what is read of it, and how a setpoint is written to it and read back. Replies of another
length than asked, which pymodbus takes, are refused. What it shares with others is its `Gateway`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass

from pymodbus.client.base import ModbusBaseClient
from pymodbus.pdu import ModbusPDU

from twin.telemetry.block_decoder import BlockDecoder, block_decoder
from twin.telemetry.map_formula import Place, place_of
from twin.telemetry.map_polling import Value, point_value, poll_groups, too_quick
from twin.telemetry.map_schema import Point
from twin.telemetry.map_writes import Plan, Planned, Written, written
from twin.telemetry.modbus_gateway import EXCEPTION_WORDS, Gateway, GaveWayError, RefusedError, SilentError
from twin.telemetry.register_map import Block, RegisterMap, Setpoint, Words, blocks, decode

__all__ = ["EXCEPTION_WORDS", "Gateway", "RefusedError", "SilentError", "Unit", "Value", "Written"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Part:
    """One read, and what is made of it."""

    block: Block
    decoder: BlockDecoder | None
    names: frozenset[str]
    """The points that are decoded all at once."""
    places: tuple[tuple[Place, int, int], ...]
    """Where in the block the words of each field begin and end."""


def _part(block: Block, points: Mapping[str, Point]) -> _Part:
    decoder = block_decoder(block, points)
    places = tuple((place_of(field), at, at + field.word_count) for _, field, at in block.members)
    return _Part(block, decoder, decoder.names if decoder is not None else frozenset(), places)


class Unit:
    """One device behind a gateway."""

    def __init__(
        self,
        *,
        device: str,
        unit_id: int,
        timeout_s: float,
        registers: RegisterMap,
        gateway: Gateway,
        pause_s: float = 0.0,
    ):
        self.device = device
        self.place = f"{gateway.place} unit {unit_id}"
        self.registers = registers
        self.gateway = gateway
        self.timeout_s = timeout_s
        self.down: str | None = "not connected yet"
        """Why it is not polled at present; None while it answers."""
        self._id = unit_id
        self._pause_s = max(pause_s, registers.pause_s)
        self._groups = poll_groups(registers)
        self._parts = [[_part(block, group.points) for block in group.blocks] for group in self._groups]
        plain = {name for parts in self._parts for part in parts for name in part.names}
        self._others = [
            {name: point for name, point in group.points.items() if name not in plain} for group in self._groups
        ]
        self._has_rates = any(point.max_rate_per_s is not None for point in registers.points.values())
        self._read_at_s: dict[int, float] = {}
        self._heard: dict[str, tuple[float, float]] = {}
        self._believed: dict[str, tuple[float, float]] = {}
        self._held: dict[Place, Words] = {}
        """What is known to stand in registers that were written."""
        gateway.units.append(self)

    def fail(self, reason: str) -> None:
        """Leave it to the background from now on."""
        self.down = reason
        self._held.clear()
        self._heard.clear()
        self._believed.clear()
        self._read_at_s.clear()
        self.gateway.trouble.set()

    async def probe(self, patience_s: float) -> None:
        """See whether it answers again."""
        try:
            await self._read(self._groups[0].blocks[0], patience_s)
        except GaveWayError:
            return
        except SilentError as error:
            self.down = str(error)
        except RefusedError:
            self.down = None
        except Exception as error:
            log.exception("%s: unexpected failure while probing %s", self.device, self.place)
            self.down = f"internal error: {error!r}"
        else:
            self.down = None

    async def poll(self, now_s: float) -> Mapping[str, Value]:
        """Every point of its map that is due. Empty when it does not answer; `down` then says why.

        `now_s` is the plant's time, by which groups are due and values change.
        """
        try:
            values: dict[str, Value] = {}
            for index, group in enumerate(self._groups):
                if now_s - self._read_at_s.get(index, -group.period_s) >= group.period_s:
                    values |= await self._poll_group(index, now_s)
                    self._read_at_s[index] = now_s
        except SilentError as error:
            self.fail(str(error))
            return {}
        except Exception as error:
            log.exception("%s: unexpected failure while polling %s", self.device, self.place)
            self.fail(f"internal error: {error!r}")
            return {}
        return values

    async def _poll_group(self, index: int, now_s: float) -> Mapping[str, Value]:
        others = self._others[index]
        values: dict[str, Value] = {}
        heard: dict[Place, Words] = {}
        refused: dict[Place, str] = {}
        for part in self._parts[index]:
            try:
                words = await self._read(part.block)
            except RefusedError as error:
                reason = f"{self.place}: {error}"
                refused |= {place: reason for place, _, _ in part.places}
                values |= dict.fromkeys(part.names, reason)
                continue
            if part.decoder is not None:
                values |= part.decoder.values(words)
            if others:
                heard |= {place: words[start:stop] for place, start, stop in part.places}
        values |= {name: point_value(point, heard, refused) for name, point in others.items()}
        if not self._has_rates:
            return values
        return {name: self._judged(name, value, now_s) for name, value in values.items()}

    def _judged(self, name: str, value: Value, now_s: float) -> Value:
        """The value, or why it is not believed: it jumped both from the last one heard and from the last believed.

        So one garbled value costs one reading, and a true jump is believed a reading later.
        """
        point = self.registers.points[name]
        if isinstance(value, str) or point.max_rate_per_s is None:
            return value
        doubt = too_quick(point, value, self._heard.get(name), now_s)
        if doubt is not None and name in self._believed:
            doubt = too_quick(point, value, self._believed[name], now_s)
        self._heard[name] = value, now_s
        if doubt is None:
            self._believed[name] = value, now_s
        return doubt or value

    async def _read(self, block: Block, look_s: float | None = None) -> Words:
        """The words of a block; `look_s` is the patience of a look at a unit that was silent."""

        def call(client: ModbusBaseClient) -> Awaitable[ModbusPDU]:
            read = {
                "holding": client.read_holding_registers,
                "input": client.read_input_registers,
                "coil": client.read_coils,
                "discrete": client.read_discrete_inputs,
            }[block.table]
            return read(block.start, count=block.count, device_id=self._unit_of(block.unit_id))

        try:
            look = look_s is not None
            words = await self.gateway.request(call, look_s or self.timeout_s, self._pause_s, look=look)
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

        def call(client: ModbusBaseClient) -> Awaitable[ModbusPDU]:
            if item.function == 5:
                return client.write_coil(address, bool(words[0]), device_id=unit_id)
            if item.function == 15:
                return client.write_coils(address, [bool(word) for word in words], device_id=unit_id)
            if item.function == 6:
                return client.write_register(address, words[0], device_id=unit_id)
            return client.write_registers(address, words, device_id=unit_id)

        try:
            await self.gateway.request(call, self.timeout_s, self._pause_s)
        except RefusedError as error:
            raise RefusedError(f"{error} writing {item.field.table} {address}") from None


def _by_place(block: Block, words: Words) -> dict[Place, Words]:
    return {place_of(field): list(words[at : at + field.word_count]) for _, field, at in block.members}
