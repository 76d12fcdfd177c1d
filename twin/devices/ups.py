"""An uninterruptible power supply in double conversion: what it loses on the way to its load."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from twin.devices.base import DEVICES, STRICT, Account, Drive, Group, Step, Values
from twin.noise import Seed
from twin.numeric import Num
from twin.weather import Weather


def ups_losses_kw(load_kw: Num, rated_kw: float, no_load_kw: float, proportional: float, square: float) -> Num:
    """Losses of a double-conversion UPS.

    ``losses = no_load + proportional · load + square · load² / rated``: transformers and control,
    semiconductors, and copper. Valid from no load to rated power; beyond it the same law goes on.

    Source: Rasmussen, "Electrical Efficiency Modeling for Data Centers", APC white paper 113.
    """
    return no_load_kw + (proportional + square / rated_kw * load_kw) * load_kw


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsState:
    """Its battery is taken to be full; what it holds up is not modelled."""


@DEVICES.add("ups")
@dataclass(frozen=True, slots=True, kw_only=True)
class Ups:
    """Draws its losses; the load behind it is booked by the devices it serves."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    group: ClassVar[Group | None] = None
    account: ClassVar[Account] = Account.UPS_LOSSES
    setpoint: ClassVar[str | None] = None
    instruments: ClassVar[tuple[str, ...]] = ("load_kw",)
    example: ClassVar[Mapping[str, Any]] = {
        "type": "ups",
        "bus": "hall",
        "serves": ["hall"],
        "rated_kw": 1500,
        "no_load_losses_kw": 18,
        "proportional_losses_fraction": 0.018,
        "square_losses_fraction": 0.016,
    }

    type: Literal["ups"] = "ups"
    bus: str
    serves: tuple[str, ...]
    """Devices it feeds."""
    rated_kw: Annotated[float, Gt(0)]
    """Load that it can feed."""
    no_load_losses_kw: Annotated[float, Ge(0)]
    proportional_losses_fraction: Annotated[float, Ge(0), Le(1)]
    """Of the load."""
    square_losses_fraction: Annotated[float, Ge(0), Le(1)]
    """Of the rated power at rated load; falls with the square of the load."""
    power_factor: Annotated[float, Gt(0), Le(1)] = 0.99
    """Of its rectifier's whole input, lagging."""

    @property
    def free_setpoint(self) -> float:
        return 0.0

    @property
    def safe_setpoint(self) -> float:
        return 0.0

    def initial(self) -> UpsState:
        return UpsState()

    def drive(self, weather: Weather, seed: Seed) -> Drive:
        return {}

    def step(
        self, state: UpsState, setpoint: Num, drive: Values, served: Sequence[Step[Any]], step_s: float
    ) -> Step[UpsState]:
        load_kw: Num = 0.0
        for item in served:
            load_kw = load_kw + item.p_kw
        losses_kw = ups_losses_kw(
            load_kw,
            self.rated_kw,
            self.no_load_losses_kw,
            self.proportional_losses_fraction,
            self.square_losses_fraction,
        )
        return Step(
            state=state,
            p_kw=losses_kw,
            q_kvar=(load_kw + losses_kw) * math.sqrt(1.0 / self.power_factor**2 - 1.0),
            heat_kw=losses_kw,
            points={"load_kw": load_kw},
        )

    def flexibility(self, values: Values) -> None:
        return None
