"""Which technology cools a hall: the one block that a site file gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, cast

from twin.cooling.air import Air
from twin.cooling.cold_plate import ColdPlate
from twin.cooling.immersion import Immersion
from twin.cooling.rear_door import RearDoor
from twin.cooling.stream import Technology
from twin.cooling.two_phase import TwoPhase
from twin.devices.base import STRICT


def the_one_given(choice: Any) -> Any:
    """The one field of a dataclass of optional blocks that is not None; `ValueError` for none, or for several."""
    given = [item.name for item in fields(choice) if getattr(choice, item.name) is not None]
    if len(given) != 1:
        names = ", ".join(item.name for item in fields(choice))
        raise ValueError(f"exactly one of {names}, not {' and '.join(given) or 'none'}")
    return getattr(choice, given[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class HallTechnology:
    """Exactly one of these blocks; ``air: {}`` takes a technology as its defaults make it."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    air: Air | None = None
    """Air handlers with a water coil, contained aisles."""
    rear_door: RearDoor | None = None
    """A water coil in the rear door of each rack."""
    cold_plate: ColdPlate | None = None
    """Liquid to the chips, air for the rest."""
    immersion: Immersion | None = None
    """Tanks of oil."""
    two_phase: TwoPhase | None = None
    """A boiling bath."""

    def __post_init__(self) -> None:
        the_one_given(self)

    @property
    def chosen(self) -> Technology:
        """The block that was given."""
        return cast(Technology, the_one_given(self))
