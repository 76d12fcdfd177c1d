"""What every technology in the house has in common: the contract of a device.

A device is a frozen dataclass of its parameters, as they stand in the site file, with pure
methods. To add a technology, write one file with one registered class; the contract suite in
`tests/contracts/` then tests it without a further line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from twin.attribute_docs import describe
from twin.flexibility import Flexibility
from twin.noise import Seed
from twin.numeric import FloatArray, Num
from twin.quick import quick
from twin.registry import Registry

if TYPE_CHECKING:
    from twin.weather import Weather

S = TypeVar("S")
Values = Mapping[str, Num]
"""Named numbers with their units in their names, for example ``{"soc": 0.5, "available_kw": 12.0}``."""
Drive = Mapping[str, FloatArray]
"""Named series that act on a device from outside, one value for each interval of a time grid. Time is the last axis;
what differs between several seeds has them as its first."""

STRICT = {"extra": "forbid", "allow_inf_nan": False, "json_schema_extra": describe}
"""Reading of a person's file: no unknown keys, no nan or inf; docstrings become the schema's descriptions."""


class Group(Enum):
    """Assets that one setpoint steers together; an allocator splits it over the members.

    The order is the order of decision: what batteries can do is settled before work is shed.
    """

    RENEWABLES = "renewables"
    """Generation limit, kW, unsigned."""
    STORAGE = "storage"
    """Power, kW, positive charges."""
    COMPUTE = "compute"
    """Power budget of the GPU halls, kW."""
    GENSETS = "gensets"
    """Generation, kW, unsigned."""

    # As every object's: a member is one object. That of `Enum` is written in Python, and every cycle asks
    # hundreds of times.
    __hash__ = object.__hash__


class Account(Enum):
    """The line of the energy ledger on which a device's power is booked."""

    PV = "pv"
    WIND = "wind"
    GENSET = "genset"
    BATTERY = "battery"
    IT = "it"
    COOLING = "cooling"
    UPS_LOSSES = "ups_losses"
    OTHER = "other"
    GRID = "grid"

    __hash__ = object.__hash__


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Generic[S]):
    """What a device did during one step."""

    state: S
    """At the end of the step."""
    p_kw: Num
    """Mean active power, positive into the device."""
    q_kvar: Num = 0.0
    """Mean reactive power, positive into the device."""
    heat_kw: Num = 0.0
    """Mean heat given to whatever cools the device."""
    points: Values = field(default_factory=dict)
    """What its instruments show at the end of the step, beside `p_kw` and `q_kvar`."""
    amounts: Values = field(default_factory=dict)
    """What it used or made during the step: `fuel_l`, `water_l`, `delivered_gpu_h` …"""


class Device(Protocol[S]):
    """One asset of the site. `S` is the frozen dataclass of its state."""

    group: ClassVar[Group | None]
    """None: it cannot be steered."""
    account: ClassVar[Account]
    setpoint: ClassVar[str | None]
    """Name of its one setpoint, with unit: `p_kw`, `limit_kw`, `generation_kw`; None: it cannot be steered."""
    instruments: ClassVar[tuple[str, ...]]
    """Names of the points it publishes beside `p_kw` and `q_kvar`."""
    example: ClassVar[Mapping[str, Any]]
    """A complete configuration, as in a site file, for the contract suite and the documentation."""

    @property
    def bus(self) -> str:
        """The bus of the network on which its power appears."""
        ...

    @property
    def serves(self) -> Sequence[str]:
        """Devices whose step it needs: the halls behind a UPS or a cooling plant. Usually none."""
        ...

    @property
    def rated_kw(self) -> float:
        """Largest magnitude of its active power."""
        ...

    @property
    def free_setpoint(self) -> float:
        """The setpoint with which nothing is steered: battery at rest, limits at rated power."""
        ...

    @property
    def safe_setpoint(self) -> float:
        """What the device does by itself when its last command has expired (its local safe mode)."""
        ...

    def initial(self) -> S:
        """The state in which a run begins."""
        ...

    def drive(self, weather: Weather, seed: Seed) -> Drive:
        """What acts on the device from outside, for each interval of `weather.grid`: available
        sun, wanted GPU work, outdoor temperature. A function of time and seed, so that it may be asked for part
        by part; see `LooksBack`. Computed for many intervals, and for many seeds, at once."""
        ...

    def step(self, state: S, setpoint: Num, drive: Values, served: Sequence[Step[Any]], step_s: float) -> Step[S]:
        """One step of physics: pure, exact for constant inputs (two half steps equal one), on floats
        or on arrays over scenarios alike. A setpoint outside what is possible is followed as far as it is."""
        ...

    def flexibility(self, values: Values) -> Flexibility | None:
        """What it can do next, from what its instruments show (`p_kw` and `instruments`)."""
        ...


@runtime_checkable
class LooksBack(Protocol):
    """A device of which what acts on it depends on the hours before."""

    @property
    def looks_back_h(self) -> float:
        """How far. What was before the run began is nothing."""
        ...


DEVICES: Registry[Device[Any]] = Registry("device")
"""Technology name (`type:` in the site file) → class."""
