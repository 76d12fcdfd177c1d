"""The electrical network as a person writes it down: buses, lines, transformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le

from twin.devices.base import STRICT


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """Buses and branches of a site. The slack is where the grid, or the grid-forming device, is connected."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    frequency_hz: Annotated[float, Gt(0)] = 60.0
    buses: Mapping[str, Bus]
    lines: Mapping[str, Line] = field(default_factory=dict)
    transformers: Mapping[str, Transformer] = field(default_factory=dict)
    slack_v_pu: Annotated[float, Gt(0)] = 1.0
    """Voltage that the grid, or the grid-forming device, holds."""
