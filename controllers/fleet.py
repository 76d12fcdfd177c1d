"""The assets that can be steered, by group: what of them never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from twin.devices.base import Device, Group
from twin.site import Site

GENERATING = frozenset({Group.RENEWABLES, Group.GENSETS})
"""Groups whose setpoint counts generation; the others' counts power into the asset."""


def sign(group: Group) -> float:
    """Power into the asset per unit of the group's setpoint."""
    return -1.0 if group in GENERATING else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Steerable:
    """One asset that takes a setpoint."""

    name: str
    group: Group
    setpoint: str
    """Name of its setpoint, with unit."""
    rated_kw: float
    free_setpoint: float
    safe_setpoint: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Every asset of a site that takes a setpoint."""

    groups: Mapping[Group, tuple[Steerable, ...]]
    """In the order of decision; groups without members are left out."""

    members: tuple[Steerable, ...] = field(init=False)
    """All of them, in the order of decision."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", tuple(chain.from_iterable(self.groups.values())))


def fleet_of(site: Site) -> Fleet:
    """A site's steerable assets. The grid-forming one is not among them: it takes what is left over."""
    found = [
        steerable(name, device)
        for name, device in site.devices.items()
        if device.group is not None and device.setpoint is not None and name != site.grid_forming
    ]
    groups = {group: tuple(item for item in found if item.group is group) for group in Group}
    return Fleet(groups={group: members for group, members in groups.items() if members})


def steerable(name: str, device: Device[Any]) -> Steerable:
    """What of a device never changes."""
    if device.group is None or device.setpoint is None:
        raise ValueError(f"{name} cannot be steered")
    return Steerable(
        name=name,
        group=device.group,
        setpoint=device.setpoint,
        rated_kw=device.rated_kw,
        free_setpoint=device.free_setpoint,
        safe_setpoint=device.safe_setpoint,
    )
