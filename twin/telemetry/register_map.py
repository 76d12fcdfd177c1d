"""Register maps: a vendor's device as data, and the arithmetic between registers and numbers.

A map says for every point in which table and register it stands, how its words are to be read and
which way its power counts. Numbers leave here in the house's units and with the house's sign.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le
from pydantic import TypeAdapter

from twin.devices.base import STRICT
from twin.errors import InputError, Problem
from twin.units import has_unit
from twin.yaml_file import Document, Key, read_yaml

HOUSE_MAPS = Path(__file__).parents[2] / "site_configs" / "maps"
SIGNED_POWERS = frozenset({"p_kw", "q_kvar"})
"""The points whose sign has a meaning, which every map has to state."""
MAX_REGISTERS_PER_READ = 125
FLOAT_NAN = 0x7FC00000
"""The float by which IEEE 754 says that there is no number."""

Table = Literal["holding", "input"]
Words = Sequence[int]

_LAYOUTS = {
    "int16": (struct.Struct(">h"), struct.Struct(">1H"), (-(2**15), 2**15 - 1)),
    "uint16": (struct.Struct(">H"), struct.Struct(">1H"), (0, 2**16 - 1)),
    "int32": (struct.Struct(">i"), struct.Struct(">2H"), (-(2**31), 2**31 - 1)),
    "uint32": (struct.Struct(">I"), struct.Struct(">2H"), (0, 2**32 - 1)),
    "uint64": (struct.Struct(">Q"), struct.Struct(">4H"), (0, 2**64 - 1)),
    "float32": (struct.Struct(">f"), struct.Struct(">2H"), (-3.4e38, 3.4e38)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """One number in a device's registers."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    table: Table
    """`holding` (function 3) or `input` (function 4)."""
    address: Annotated[int, Ge(0), Le(65535)]
    """As it stands in the request, from 0: a manual's 40001 is holding 0."""
    type: Literal["int16", "uint16", "int32", "uint32", "uint64", "float32"]
    word_order: Literal["big", "little"] = "big"
    """Which of several words comes first; bytes within a word are always big-endian."""
    scale: Annotated[float, Gt(0)] = 1.0
    """The point's value is the raw number times this."""
    into_device: Literal["positive", "negative"] | None = None
    """Sign that the device itself gives to power flowing into it. Required for `p_kw` and `q_kvar`."""
    min: float
    """Least plausible value, in the point's unit and with the house's sign."""
    max: float
    """Largest plausible value."""
    sentinel: Annotated[int, Ge(0), Le(2**64 - 1)] | None = None
    """Raw content, unsigned, by which the device says that it has no value; a float needs none, it has NaN."""

    @property
    def word_count(self) -> int:
        return _LAYOUTS[self.type][1].size // 2

    @property
    def addresses(self) -> range:
        return range(self.address, self.address + self.word_count)

    @property
    def place(self) -> str:
        """As people look it up: `holding 40`, `input 2..3`."""
        last = self.addresses[-1]
        return f"{self.table} {self.address}" + (f"..{last}" if last > self.address else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setpoint(Register):
    """The one number by which a device is steered, with the dead-man that belongs to it."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    name: str
    """The setpoint's name with its unit: `p_kw`, `limit_kw`, `generation_kw`."""
    timeout_s: Register
    """The device's own dead-man: not rewritten for so long, it returns to its safe setpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterMap:
    """The registers of one model of device."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    title: str
    """What kind of device this is, for people."""
    address_base: Literal[0]
    """Addresses count from 0. Stated in every file, because every second manual counts from 1."""
    points: Mapping[str, Register]
    setpoint: Setpoint | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Registers that one request reads."""

    table: Table
    start: int
    count: int
    members: tuple[tuple[str, Register, int], ...]
    """Name, register, and where its first word stands in the block."""

    @property
    def place(self) -> str:
        return f"{self.table} {self.start}..{self.start + self.count - 1}"


def decode(register: Register, words: Words) -> float | None:
    """The number that `words` hold; None where the device says that it has none."""
    number, raw_words, _ = _LAYOUTS[register.type]
    packed = raw_words.pack(*(words if register.word_order == "big" else reversed(words)))
    if register.sentinel is not None and int.from_bytes(packed, "big") == register.sentinel:
        return None
    raw = number.unpack(packed)[0]
    if not math.isfinite(raw):
        return None
    return float(raw * register.scale if register.into_device != "negative" else -raw * register.scale)


def encode(register: Register, value: float) -> tuple[int, ...]:
    """The words that hold `value`, as near as the type can; it saturates where the type ends."""
    number, raw_words, (least, most) = _LAYOUTS[register.type]
    raw = value / register.scale if register.into_device != "negative" else -value / register.scale
    raw = min(max(raw, least), most)
    packed = number.pack(raw if register.type == "float32" else round(raw))
    words = raw_words.unpack(packed)
    return words if register.word_order == "big" else words[::-1]


def encode_missing(register: Register) -> tuple[int, ...] | None:
    """The words by which the device says that it has no value; None where its map knows none."""
    sentinel = FLOAT_NAN if register.type == "float32" and register.sentinel is None else register.sentinel
    if sentinel is None:
        return None
    words = _LAYOUTS[register.type][1].unpack(sentinel.to_bytes(2 * register.word_count, "big"))
    return words if register.word_order == "big" else words[::-1]


def blocks(registers: Mapping[str, Register]) -> tuple[Block, ...]:
    """Registers joined into as few reads as possible, without touching one that the map does not name."""
    runs: list[list[tuple[str, Register]]] = []
    for name, register in sorted(registers.items(), key=lambda item: (item[1].table, item[1].address)):
        if runs and _continues(runs[-1], register):
            runs[-1].append((name, register))
        else:
            runs.append([(name, register)])
    return tuple(_block(run) for run in runs)


def _continues(run: Sequence[tuple[str, Register]], register: Register) -> bool:
    first, last = run[0][1], run[-1][1]
    adjacent = register.table == last.table and register.address == last.addresses.stop
    return adjacent and register.addresses.stop - first.address <= MAX_REGISTERS_PER_READ


def _block(run: Sequence[tuple[str, Register]]) -> Block:
    first, last = run[0][1], run[-1][1]
    return Block(
        table=first.table,
        start=first.address,
        count=last.addresses.stop - first.address,
        members=tuple((name, register, register.address - first.address) for name, register in run),
    )


def load_map(name_or_path: str, site_path: Path) -> RegisterMap:
    """Read and check a register map. Raises `InputError` with file and line of everything wrong."""
    return read_map(find_map(name_or_path, site_path))


def find_map(name_or_path: str, site_path: Path) -> Path:
    """The file of a map: a path beside the site file, or a name in `maps/` beside it or in the house's own."""
    if name_or_path.endswith((".yaml", ".yml")):
        return site_path.parent / name_or_path
    candidates = [folder / f"{name_or_path}.yaml" for folder in (site_path.parent / "maps", HOUSE_MAPS)]
    for path in candidates:
        if path.is_file():
            return path
    known = sorted({path.stem for folder in {item.parent for item in candidates} for path in folder.glob("*.yaml")})
    raise InputError(
        Problem(
            file=str(site_path),
            line=None,
            path="telemetry.links",
            found=f"map: {name_or_path}",
            expected=f"a path that ends in .yaml, or one of {', '.join(known)}",
        )
    )


def read_map(path: Path) -> RegisterMap:
    """The map in one file."""
    document = read_yaml(path)
    parsed = document.validate(_adapter())
    problems = tuple(_check(parsed, document))
    if problems:
        raise InputError(*problems)
    return parsed


@cache
def _adapter() -> TypeAdapter[RegisterMap]:
    return TypeAdapter(RegisterMap)


def _entries(parsed: RegisterMap) -> Iterator[tuple[str, tuple[Key, ...], Register]]:
    """Every register of a map: its name, where it stands in the file, and itself."""
    for name, register in parsed.points.items():
        yield name, ("points", name), register
    if parsed.setpoint is not None:
        yield parsed.setpoint.name, ("setpoint",), parsed.setpoint
        yield "timeout_s", ("setpoint", "timeout_s"), parsed.setpoint.timeout_s


def _check(parsed: RegisterMap, document: Document) -> Iterator[Problem]:
    for name, keys, register in _entries(parsed):
        yield from _check_register(name, keys, register, document)
        if keys[0] == "setpoint":
            yield from _check_writable(keys, register, document)
    yield from _overlaps(_entries(parsed), document)


def _check_register(name: str, keys: tuple[Key, ...], register: Register, document: Document) -> Iterator[Problem]:
    if not has_unit(name):
        yield document.problem(keys, found=name, expected="a name that ends in its unit, such as p_kw or supply_c")
    if name in SIGNED_POWERS and register.into_device is None:
        yield document.problem(
            keys,
            found=f"{name} without its sign",
            expected="into_device: positive or negative, the sign the device gives to power flowing into it",
        )
    if name not in SIGNED_POWERS and register.into_device is not None:
        yield document.problem(
            (*keys, "into_device"), found=f"a sign for {name}", expected="none: only p_kw and q_kvar are signed"
        )
    if not register.min < register.max:
        yield document.problem(
            (*keys, "min"), found=f"min {register.min:g}, max {register.max:g}", expected="min below max"
        )
    if register.addresses.stop > 65536:
        yield document.problem(
            (*keys, "address"), found=f"{register.place}", expected="all words of it at or below 65535"
        )


def _check_writable(keys: tuple[Key, ...], register: Register, document: Document) -> Iterator[Problem]:
    if register.table != "holding":
        yield document.problem((*keys, "table"), found=register.table, expected="holding: others cannot be written")
    for end in ("min", "max"):
        bound = getattr(register, end)
        held = decode(register, encode(register, bound))
        if held is None or abs(held - bound) > register.scale:
            yield document.problem(
                (*keys, end), found=f"{bound:g}", expected=f"what {register.type} times {register.scale:g} can hold"
            )


def _overlaps(entries: Iterable[tuple[str, tuple[Key, ...], Register]], document: Document) -> Iterator[Problem]:
    taken: dict[tuple[str, int], tuple[Key, ...]] = {}
    for _, keys, register in entries:
        others = {taken[place] for address in register.addresses if (place := (register.table, address)) in taken}
        for other in sorted(others, key=str):
            line = document.problem(other, found="", expected="").line
            yield document.problem(
                keys,
                found=f"{register.place}, which {'.'.join(map(str, other))} on line {line} uses already",
                expected="registers of its own",
            )
        taken |= {(register.table, address): keys for address in register.addresses}
