"""The electrical network as a person writes it down: buses, lines, transformers with taps, switches.

What is here never moves. Which switches are open at the moment, and where a tap changer stands, is told
beside it (`twin.network.switching.NetworkState`); the positions here are the normal ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from twin.devices.base import STRICT

Side = Literal["hv", "lv"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bus:
    """A node of the network."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    rated_v: Annotated[float, Gt(0)]
    """Rated voltage, line to line."""
    min_v_pu: Annotated[float, Gt(0)] = 0.95
    """Lowest permitted voltage in operation."""
    max_v_pu: Annotated[float, Gt(0)] = 1.05
    """Highest permitted voltage in operation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A cable or overhead line between two buses of one voltage."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    from_bus: str
    to_bus: str
    length_m: Annotated[float, Gt(0)]
    resistance_ohm_per_km: Annotated[float, Gt(0)]
    reactance_ohm_per_km: Annotated[float, Gt(0)]
    capacitance_nf_per_km: Annotated[float, Ge(0)] = 0.0
    rated_a: Annotated[float, Gt(0)]
    """Continuous current rating of all parallel systems together."""
    parallel_count: Annotated[int, Ge(1)] = 1
    """Systems in parallel; impedances are those of one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnLoad:
    """What an on-load tap changer holds: the voltage of one side, within a dead band."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    side: Side = "lv"
    min_v_pu: Annotated[float, Gt(0)]
    """Below it the changer moves one step so that the voltage rises."""
    max_v_pu: Annotated[float, Gt(0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taps:
    """The taps of one winding. A position is a number of steps, as on the nameplate."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    side: Side = "hv"
    """Winding that has them."""
    step_fraction: Annotated[float, Ge(-0.1), Le(0.1)]
    """Turns of one step as a fraction of the winding's; negative where a higher position has fewer."""
    position_steps: int = 0
    """Where the changer stands; an on-load tap changer starts here."""
    neutral_steps: int = 0
    """Position with the rated ratio."""
    min_steps: int
    max_steps: int
    on_load: OnLoad | None = None
    """Without it the position is changed by hand, with the transformer switched off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformer:
    """A two-winding transformer."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    hv_bus: str
    lv_bus: str
    rated_kva: Annotated[float, Gt(0)]
    """Of one unit."""
    short_circuit_fraction: Annotated[float, Gt(0), Le(0.3)]
    """Short-circuit voltage (vk) as a fraction of the rated voltage."""
    copper_fraction: Annotated[float, Gt(0), Le(0.1)]
    """Resistive part of the short-circuit voltage (vkr)."""
    iron_losses_kw: Annotated[float, Ge(0)]
    no_load_current_fraction: Annotated[float, Ge(0), Le(0.1)]
    phase_shift_deg: float = 0.0
    """Vector group: 150 for Dyn5, 330 for Dyn11."""
    parallel_count: Annotated[int, Ge(1)] = 1
    """Units in parallel, whose tap changers move together."""
    hv_rated_v: Annotated[float, Gt(0)] | None = None
    """Rated voltage of the winding where it is not the bus's, for example 21 kV on a bus of 20 kV."""
    lv_rated_v: Annotated[float, Gt(0)] | None = None
    taps: Taps | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """A switch at one end of a line or transformer."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    branch: str
    """Line or transformer that it cuts off."""
    bus: str
    """At which of its ends."""
    closed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupler:
    """A switch between two buses of one voltage, without impedance: closed, it makes one node of them."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    from_bus: str
    to_bus: str
    closed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferSwitch:
    """An automatic transfer switch: the load is on the preferred feed while that is alive, else on the other."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    load_bus: str
    preferred_bus: str
    alternate_bus: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """Buses and branches of a site. The slack is where the grid, or the grid-forming device, is connected."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    frequency_hz: Annotated[float, Gt(0)] = 60.0
    buses: Mapping[str, Bus]
    lines: Mapping[str, Line] = field(default_factory=dict)
    transformers: Mapping[str, Transformer] = field(default_factory=dict)
    breakers: Mapping[str, Breaker] = field(default_factory=dict)
    couplers: Mapping[str, Coupler] = field(default_factory=dict)
    transfer_switches: Mapping[str, TransferSwitch] = field(default_factory=dict)
    slack_v_pu: Annotated[float, Gt(0)] = 1.0
    """Voltage that the grid, or the grid-forming device, holds."""

    @property
    def branches(self) -> tuple[str, ...]:
        """Lines, then transformers, as everywhere in this package."""
        return (*self.lines, *self.transformers)

    def ends(self, branch: str) -> tuple[str, str]:
        """From (hv) and to (lv) bus of a branch."""
        line = self.lines.get(branch)
        if line is not None:
            return line.from_bus, line.to_bus
        unit = self.transformers[branch]
        return unit.hv_bus, unit.lv_bus
