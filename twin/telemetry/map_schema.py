"""What a person may write in a register map, key by key; `gridhelm map schema` prints it for editors.

::

    title: battery inverter
    address_base: 1                       # the manual's 30001 is address 1 of the input table
    points:                               # named as the twin names them
      p_kw: {table: input, address: 1, type: int16, unit: W, scale: 10, into_device: negative, min: -50, max: 50}
      soc:  {table: input, address: 2, type: uint16, unit: "%", min: 0, max: 1, group: slow}
      q_kvar:                             # computed from several registers
        difference: [{table: input, address: 3, type: uint16}, {table: input, address: 4, type: uint16}]
        unit: var
        into_device: positive
        min: -50
        max: 50
    groups: {slow: {period_s: 60}}
    setpoint:
      {name: p_kw, table: holding, address: 1, type: int16, unit: W, into_device: negative, min: -50, max: 50,
       timeout_s: {table: holding, address: 2, type: uint16, min: 1, max: 600}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Len
from pydantic import Discriminator, Tag

from twin.devices.base import STRICT
from twin.telemetry.map_types import Order, Table, Type, raw_range, word_count

MAX_REGISTERS_PER_READ = 125
Raw = Annotated[int, Ge(0), Le(2**64 - 1)]
Direction = Literal["positive", "negative", "unsigned", "unknown"]
OPERATIONS = ("sum", "difference", "product", "ratio", "magnitude")
BY_THE_TABLE = {"coil": "coil", "discrete": "discrete input"}


def _is_formula(value: Any) -> bool:
    return any(name in value for name in OPERATIONS) if isinstance(value, Mapping) else isinstance(value, Formula)


def _point_kind(value: Any) -> str:
    return "computed" if _is_formula(value) else "register"


def _operand_kind(value: Any) -> str:
    return "formula" if _is_formula(value) else "field"


def _steering_kind(value: Any) -> str:
    modes = any(key.endswith("_zero") for key in value) if isinstance(value, Mapping) else isinstance(value, Modes)
    return "modes" if modes else "setpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One number (or text) in a device's registers."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    table: Table
    """`holding` (read by function 3), `input` (4), `coil` (1) or `discrete` (2)."""
    address: Annotated[int, Ge(0), Le(65536)]
    """Counted from `address_base`: with 0 as it stands in the request, where a manual's 40001 is holding 0."""
    type: Type
    """`int8_high` and the like are one byte of a register; `bit` is one bit, as coils and discrete inputs hold."""
    length: Annotated[int, Ge(1), Le(125)] | None = None
    """Registers of a `string`, `bcd` (4 digits each) or `bitfield`."""
    bit: Annotated[int, Ge(0), Le(15)] | None = None
    """Of a `bit` in a register: which, 0 is the lowest."""
    bits: tuple[int, int] | None = None
    """Of a `bitfield`: lowest and highest bit, both included; without it, all."""
    word_order: Order = "big"
    """Which of several words comes first: `big` the high one (ABCD), `little` the low one (CDAB)."""
    byte_order: Order = "big"
    """Within a word. Nearly always `big`; `little` is BADC, or DCBA where the words are `little` too."""
    scale: float = 1.0
    """The value is the raw number times this, plus `offset`, in `unit`."""
    offset: float = 0.0
    scale_factor: ScaleFactor | None = None
    """SunSpec's manner: a register with the power of ten that the raw number is also to be multiplied by."""
    unit: str | None = None
    """The device's unit, such as `W`, `kWh`, `%` or `°C`, converted into the one in the point's name; without it,
    numbers are in the point's unit already."""
    rated: Annotated[float, Gt(0)] | None = None
    """What 1 pu or 100 % is, in the point's unit (a voltage for a point in pu): `v_pu` from `unit: V, rated: 400`."""
    into_device: Direction | None = None
    """The sign that the device itself gives to power, current or energy flowing *into* it. `unsigned` for a
    current that shows no direction; `unknown` is what an importer writes, and what nobody may run with."""
    sentinel: Raw | Annotated[tuple[Raw, ...], Len(1)] | None = None
    """Raw content, unsigned, by which the device says that it has no value; a float needs none, it has NaN."""
    enumeration: Mapping[int, float | str] | None = None
    """What each raw number means: the value to take for it, or a word for people. Any other is no value."""
    unit_id: Annotated[int, Ge(0), Le(255)] | None = None
    """Where it answers under another Modbus address than the link's."""

    @property
    def word_count(self) -> int:
        return word_count(self.type, self.length)

    @property
    def addresses(self) -> range:
        return range(self.address, self.address + self.word_count)

    @property
    def place(self) -> str:
        """As people look it up: `holding 40`, `input 2..3`."""
        last = self.addresses[-1]
        table = BY_THE_TABLE.get(self.table, self.table)
        return f"{table} {self.address}" + (f"..{last}" if last > self.address else "")

    @property
    def raw_range(self) -> tuple[float, float]:
        return raw_range(self.type, self.length, self.bits)

    @property
    def sentinels(self) -> tuple[int, ...]:
        return (self.sentinel,) if isinstance(self.sentinel, int) else self.sentinel or ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleFactor:
    """A register with a power of ten, signed, −10 to 10; anything else means that the value is not implemented."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    table: Literal["holding", "input"] = "holding"
    address: Annotated[int, Ge(0), Le(65536)]
    unit_id: Annotated[int, Ge(0), Le(255)] | None = None

    @property
    def field(self) -> Field:
        return Field(table=self.table, address=self.address, type="int16", sentinel=0x8000, unit_id=self.unit_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Register(Field):
    """A number that the twin or people look at."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    min: float
    """Least plausible value, in the point's unit and with the house's sign."""
    max: float
    """Largest plausible value."""
    max_rate_per_s: Annotated[float, Gt(0)] | None = None
    """A value that differs from the one heard before by more than this, per second, is not believed once."""
    group: str | None = None
    """The polling group, one of `groups`; without one it is read in every cycle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """A number computed from several registers; exactly one of the five operations."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    sum: Annotated[tuple[Operand, ...], Len(2)] | None = None
    difference: tuple[Operand, Operand] | None = None
    """The first less the second, as of a meter with one register for import and one for export."""
    product: Annotated[tuple[Operand, ...], Len(2)] | None = None
    """Power of voltage and current, or of a magnitude and a direction (an `enumeration` of 1 and −1)."""
    ratio: tuple[Operand, Operand] | None = None
    """The first by the second; no value where the second is 0."""
    magnitude: Operand | None = None
    scale: float = 1.0
    """The value is the result times this, plus `offset`."""
    offset: float = 0.0

    @property
    def operations(self) -> tuple[str, ...]:
        return tuple(name for name in OPERATIONS if getattr(self, name) is not None)

    @property
    def operation(self) -> str:
        return self.operations[0]

    @property
    def operands(self) -> tuple[Operand, ...]:
        inside = getattr(self, self.operation)
        return inside if isinstance(inside, tuple) else (inside,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed(Formula):
    """A point that is computed; keys as of a register."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    unit: str | None = None
    """The unit of the result, where operands have none: `product` of V and A with `unit: W`."""
    rated: Annotated[float, Gt(0)] | None = None
    into_device: Direction | None = None
    min: float
    max: float
    max_rate_per_s: Annotated[float, Gt(0)] | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Write(Field):
    """One write of a sequence."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    value: float | Literal["setpoint"]
    """A number, in the register's own unit; or the setpoint, with this register's scale, unit and sign."""
    function: Literal[5, 6, 15, 16] | None = None


AtLoss = Literal["holds", "returns_to_safe"]
Writes = tuple[Write, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setpoint(Register):
    """The one number by which a device is steered, with the dead-man that belongs to it."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    name: str
    """The setpoint's name with its unit: `p_kw`, `limit_kw`, `generation_kw`."""
    function: Literal[5, 6, 15, 16] | None = None
    """Modbus function that writes it; without one 16, or 5 for a coil. Some devices refuse 16 for one register."""
    step: Annotated[float, Gt(0)] | None = None
    """The device takes multiples of this only; commands are rounded to the nearest."""
    verify: bool = True
    """Read back what was written. False for a register that cannot be read."""
    read_back: Field | None = None
    """Where the device shows what it holds, if not in the register that was written."""
    before: Writes = ()
    """Writes that give control away from the device's own program; done once per connection, and when found undone."""
    after: Writes = ()
    """Writes that make the device take the setpoint; done every time."""
    timeout_s: Register | None = None
    """The device's own dead-man or revert timer: not rewritten for so long, it returns to its safe setpoint."""
    dead_man_s: Annotated[float, Gt(0)] | None = None
    """The same where it is fixed in the device."""
    at_loss: AtLoss | None = None
    """What it does without commands. `holds`: it goes on with its last one, for ever; has to be said where neither
    `timeout_s` nor `dead_man_s` is there."""
    release: Writes = ()
    """Writes that give the device back to its own program, when gridhelm ends in an orderly way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Modes:
    """A setpoint that is several writes, which differ by its sign: charge mode and power, discharge mode and power.

    A device that only knows on and off has `step` as large as `max` (or as −`min`), and no write of the setpoint.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    name: str
    min: float
    max: float
    step: Annotated[float, Gt(0)] | None = None
    above_zero: Writes = ()
    """In their order. Writes of a constant are left out while the device is known to hold it."""
    at_zero: Annotated[Writes, Len(1)]
    below_zero: Writes = ()
    verify: bool = True
    timeout_s: Register | None = None
    dead_man_s: Annotated[float, Gt(0)] | None = None
    at_loss: AtLoss | None = None
    release: Writes = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Points that are read less often than in every cycle."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    period_s: Annotated[float, Gt(0)]


Operand = Annotated[Annotated[Field, Tag("field")] | Annotated[Formula, Tag("formula")], Discriminator(_operand_kind)]
Point = Annotated[
    Annotated[Register, Tag("register")] | Annotated[Computed, Tag("computed")], Discriminator(_point_kind)
]
Steering = Annotated[
    Annotated[Setpoint, Tag("setpoint")] | Annotated[Modes, Tag("modes")], Discriminator(_steering_kind)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterMap:
    """The registers of one model of device."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    title: str
    """What kind of device this is, for people."""
    address_base: Literal[0, 1]
    """The number of the first register. Stated in every file, because every second manual counts from 1."""
    points: Mapping[str, Point]
    """What the twin knows of such a device, by the names that the twin has for it."""
    details: Mapping[str, Register] = field(default_factory=dict)
    """What else the device shows, under names that end in a unit; recorded, and not used by the twin."""
    texts: Mapping[str, Field] = field(default_factory=dict)
    """Serial number, firmware and the like; kept with the map, and not read in the cycle."""
    setpoint: Steering | None = None
    groups: Mapping[str, Group] = field(default_factory=dict)
    """Polling groups: name → how often."""
    max_registers: Annotated[int, Ge(1), Le(MAX_REGISTERS_PER_READ)] = MAX_REGISTERS_PER_READ
    """The most that the device answers in one read."""
    pause_s: Annotated[float, Ge(0), Le(1)] = 0.0
    """What the device needs between two requests."""
