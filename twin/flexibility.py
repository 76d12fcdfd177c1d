"""What an asset can do, in the control types of S2 (EN 50491-12-2). Controllers see only these.

Powers follow the one sign rule: positive flows into the asset.
"""

from __future__ import annotations

from dataclasses import dataclass

from twin.numeric import Num
from twin.quick import quick


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Any power between two bounds: curtailable generation, power-capped GPUs."""

    min_p_kw: Num
    max_p_kw: Num


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Power between two bounds, out of and into a limited store: battery, chilled-water tank."""

    min_p_kw: Num
    """Strongest discharge, negative."""
    max_p_kw: Num
    """Strongest charge."""
    stored_kwh: Num
    """What can still be delivered at the terminals before the store's floor."""
    room_kwh: Num
    """What can still be taken at the terminals before the store is full."""
    soc: Num
    capacity_kwh: float
    """Nominal content between `soc` 0 and 1."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Modes:
    """Off, or on between two powers, with a time to get there: engine-driven generators."""

    min_generation_kw: float
    """Lowest stable generation when on."""
    max_generation_kw: Num
    """0 where the engine is not available."""
    running: Num
    """1 where the engine runs at present, else 0."""
    start_s: float


Flexibility = Envelope | Store | Modes
