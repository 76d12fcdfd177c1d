"""A device as another size of the same make: everything that grows with it, in proportion."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

D = TypeVar("D")

EXTENSIVE = ("kw", "kwh", "kvar", "kva", "kg_s", "l", "l_per_h")
"""Units of what two devices have twice as much of as one."""


def scaled(device: D, size: float) -> D:
    """`device`, `size` times as large: powers, energies, volumes and flows; efficiencies and temperatures stay.

    Parts that are dataclasses grow with it; counts do not. With `size` 0, leave the device out instead.
    """
    grown = {item.name: _grown(item.name, getattr(device, item.name), size) for item in fields(device)}  # type: ignore[arg-type]
    return replace(device, **grown)  # type: ignore[type-var]


def _grown(name: str, value: Any, size: float) -> Any:
    if is_dataclass(value):
        return scaled(value, size)
    return value * size if isinstance(value, float) and is_extensive(name) else value


def grows(device: Any) -> bool:
    """Whether anything of it does."""
    return any(
        is_extensive(item.name) or (is_dataclass(part := getattr(device, item.name)) and grows(part))
        for item in fields(device)
    )


def is_extensive(name: str) -> bool:
    """Whether a quantity of this name grows with the size of what has it."""
    unit = max((unit for unit in EXTENSIVE if name == unit or name.endswith(f"_{unit}")), key=len, default="")
    return bool(unit) and not name.removesuffix(unit).endswith("per_")
