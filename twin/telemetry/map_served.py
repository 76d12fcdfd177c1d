"""The registers of an emulated device: what stands in them, and what a write to them means. Pure but for its memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from twin.telemetry.map_codec import decode, encode, encode_missing
from twin.telemetry.map_entries import write_sections
from twin.telemetry.map_formula import Place, fields_of, place_of, scale_factors, words_for
from twin.telemetry.map_schema import Field, Modes, RegisterMap, ScaleFactor, Setpoint, Steering, Writes
from twin.telemetry.register_map import Block, blocks

Told = Mapping[Place, tuple[int, ...]]
"""Place → the words that were written there."""


class ServedRegisters:
    """What stands in the registers of one unit."""

    def __init__(self, registers: RegisterMap, unit_id: int) -> None:
        self._points, self._setpoint = registers.points, registers.setpoint
        direct = [self._setpoint] if isinstance(self._setpoint, Setpoint) else []
        self._exponents = scale_factors([*self._points.values(), *direct])
        self._writable = {place_of(field): field for field in _writable(self._setpoint)}
        readable = [*self._writable.values(), *(field for point in self._points.values() for field in fields_of(point))]
        if direct and direct[0].read_back is not None:
            readable.append(direct[0].read_back)
        readable += [field.scale_factor.field for field in readable if field.scale_factor is not None]
        self.fields = {place_of(field): field for field in reversed(readable) if field.unit_id in (None, unit_id)}
        self.blocks = blocks({str(place): field for place, field in self.fields.items()})
        self._words: dict[Place, tuple[int, ...]] = {}

    @property
    def resolution(self) -> float:
        """The smallest step of the setpoint."""
        if not isinstance(self._setpoint, Setpoint):
            return 0.0
        return abs(self._setpoint.scale) * 10.0 ** self._exponent(self._setpoint.scale_factor)

    def _exponent(self, factor: ScaleFactor | None) -> int:
        return 0 if factor is None else self._exponents[place_of(factor.field)]

    def forget_commands(self, safe: float, timeout_s: float) -> None:
        """As after power-up: the setpoint is the safe one, and of other writes nothing is known."""
        for place in self._writable:
            self._words.pop(place, None)
        for place, power in self._exponents.items():
            self._words[place] = encode(self.fields[place], power) if place in self.fields else ()
        steering = self._setpoint
        if isinstance(steering, Setpoint):
            self._show_setpoint(steering, safe)
        if steering is not None and steering.timeout_s is not None:
            self._words[place_of(steering.timeout_s)] = encode(steering.timeout_s, timeout_s)

    def _show_setpoint(self, setpoint: Setpoint, value: float) -> None:
        self._words[place_of(setpoint)] = encode(setpoint, value, self._exponent(setpoint.scale_factor))
        if setpoint.read_back is not None:
            self._words[place_of(setpoint.read_back)] = encode(setpoint.read_back, value)

    def show(self, values: Mapping[str, float]) -> None:
        """Let the instruments show `values`. What can be written shows what was written."""
        shown = words_for(self._points, values, self._exponents)
        self._words |= {place: words for place, words in shown.items() if place not in self._writable}

    def content(self, field: Field) -> tuple[int, ...]:
        """What stands in a field."""
        return self._words.get(place_of(field)) or encode_missing(field) or (0,) * field.word_count

    def block_words(self, block: Block) -> list[int]:
        """What stands in the registers of a read."""
        words = [0] * block.count
        for _, field, at in block.members:
            words[at : at + field.word_count] = self.content(field)
        return words

    def has_bit(self, table: str, address: int) -> bool:
        """Whether a coil or discrete input is there."""
        return any(field.table == table and field.address == address for field in self.fields.values())

    def written(self, table: str, address: int, words: Sequence[int]) -> Told | None:
        """A write by its fields; None unless it consists of whole fields that can be written."""
        told: dict[Place, tuple[int, ...]] = {}
        position = 0
        while position < len(words):
            field = self._writable.get((None, table, address + position))
            if field is None or position + field.word_count > len(words):
                return None
            told[place_of(field)] = tuple(words[position : position + field.word_count])
            position += field.word_count
        return told

    def keep(self, told: Told) -> None:
        """Remember a write."""
        self._words |= told
        if isinstance(self._setpoint, Setpoint) and self._setpoint.read_back is not None:
            value = self.setpoint_after(told)
            if value is not None:
                self._words[place_of(self._setpoint.read_back)] = encode(self._setpoint.read_back, value)

    def setpoint_after(self, told: Told) -> float | None:
        """The setpoint that a write asks for; NaN for words that are none, None where it asks for none."""
        steering = self._setpoint
        if isinstance(steering, Setpoint):
            words = told.get(place_of(steering))
            if words is None:
                return None
            value = decode(steering, words, self._exponent(steering.scale_factor))
            return float("nan") if value is None else value
        return None if steering is None else self._mode_after(steering, self._words | dict(told))

    def _mode_after(self, steering: Modes, held: Mapping[Place, tuple[int, ...]]) -> float | None:
        """The setpoint of the sequence of which everything is written."""
        ways = ((steering.above_zero, steering.max), (steering.below_zero, steering.min), (steering.at_zero, 0.0))
        for sequence, implied in ways:
            if sequence and _stands(sequence, held):
                main = next((write for write in sequence if write.value == "setpoint"), None)
                return implied if main is None else decode(main, held[place_of(main)])
        return None


def _writable(steering: Steering | None) -> Iterator[Field]:
    if steering is None:
        return
    for _, writes in write_sections(steering):
        yield from writes
    if steering.timeout_s is not None:
        yield steering.timeout_s
    if isinstance(steering, Setpoint):
        yield steering


def _stands(sequence: Writes, held: Mapping[Place, tuple[int, ...]]) -> bool:
    final = {place_of(write): write for write in sequence}
    return all(
        place in held and (write.value == "setpoint" or held[place] == encode(write, float(write.value)))
        for place, write in final.items()
    )
