"""Which plant takes a hall's heat outdoors: the blocks that a site file gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from twin.cooling.chillers import Chillers
from twin.cooling.dry_cooler import DryCoolers
from twin.cooling.economiser import FirstThen
from twin.cooling.rejection import HeatRejection
from twin.cooling.wet_towers import WetTowers
from twin.devices.base import STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class HallPlant:
    """At least one of these blocks; several work one after the other, in this order.

    Dry coolers before towers save water, dry coolers before air-cooled chillers save power.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    dry_coolers: DryCoolers | None = None
    """Fans alone, with wetted pads on hot days if wanted."""
    wet_towers: WetTowers | None = None
    """Evaporating water."""
    chillers: Chillers | None = None
    """Compressors, with towers or air behind them, and economisers."""

    def __post_init__(self) -> None:
        if not self.given:
            raise ValueError("at least one of dry_coolers, wet_towers, chillers, not none")

    @property
    def given(self) -> tuple[DryCoolers | WetTowers | Chillers, ...]:
        """The blocks, in the order in which they work."""
        return tuple(one for one in (self.dry_coolers, self.wet_towers, self.chillers) if one is not None)

    @property
    def chosen(self) -> HeatRejection:
        """All blocks as one plant."""
        first, *others = self.given
        plant: HeatRejection = first
        for other in others:
            plant = FirstThen(first=plant, then=other)
        return plant

    @property
    def rated_kw(self) -> float:
        """Everything at full power."""
        return sum(one.rated_kw for one in self.given)
