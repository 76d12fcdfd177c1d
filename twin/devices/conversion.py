"""What stands between a supply and racks, and loses power on the way: transformers of power distribution, rectifiers.

Each serves the devices behind it and draws its own losses only; what it passes on is booked by those devices. In a
chain, the stage nearer to the grid serves the devices and the stages behind it: its load is all of their power.
"""

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


def conversion_losses_kw(load_kw: Num, rated_kw: Num, no_load_kw: Num, proportional: Num, square: Num) -> Num:
    """Losses of a converter or transformer.

    ``losses = no_load + proportional · load + square · load² / rated``: magnetising and control, semiconductors, and
    copper. Valid from no load to rated power; beyond it the same law goes on.

    Source: Rasmussen, "Electrical Efficiency Modeling for Data Centers", APC white paper 113.
    """
    return no_load_kw + (proportional + square / rated_kw * load_kw) * load_kw


def load_of(served: Sequence[Step[Any]]) -> Num:
    """Power that passes on to what is served."""
    load_kw: Num = 0.0
    for item in served:
        load_kw = load_kw + item.p_kw
    return load_kw


def check_losses(rated_kw: float, no_load_kw: float, proportional: float, square: float) -> None:
    """Raise `ValueError` for a device that would lose as much as it passes on."""
    losses_kw = conversion_losses_kw(rated_kw, rated_kw, no_load_kw, proportional, square)
    if losses_kw >= rated_kw:
        raise ValueError(
            f"no_load_losses_kw, proportional_losses_fraction and square_losses_fraction below rated_kw together, "
            f"not {losses_kw:g} and {rated_kw:g}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionState:
    """They remember nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Conversion:
    """What both kinds have in common."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    group: ClassVar[Group | None] = None
    account: ClassVar[Account] = Account.UPS_LOSSES
    setpoint: ClassVar[str | None] = None
    instruments: ClassVar[tuple[str, ...]] = ("load_kw",)

    bus: str
    serves: tuple[str, ...]
    """Devices it feeds."""
    rated_kw: Annotated[float, Gt(0)]
    """Load that it can feed."""
    no_load_losses_kw: Annotated[float, Ge(0)]
    proportional_losses_fraction: Annotated[float, Ge(0), Le(1)] = 0.0
    """Of the load."""
    square_losses_fraction: Annotated[float, Ge(0), Le(1)] = 0.0
    """Of the rated power at rated load; falls with the square of the load."""

    def __post_init__(self) -> None:
        check_losses(
            self.rated_kw, self.no_load_losses_kw, self.proportional_losses_fraction, self.square_losses_fraction
        )

    @property
    def free_setpoint(self) -> float:
        return 0.0

    @property
    def safe_setpoint(self) -> float:
        return 0.0

    def initial(self) -> ConversionState:
        return ConversionState()

    def drive(self, weather: Weather, seed: Seed) -> Drive:
        return {}

    def flexibility(self, values: Values) -> None:
        return None

    def _losses_kw(self, load_kw: Num) -> Num:
        return conversion_losses_kw(
            load_kw,
            self.rated_kw,
            self.no_load_losses_kw,
            self.proportional_losses_fraction,
            self.square_losses_fraction,
        )


@DEVICES.add("pdu")
@dataclass(frozen=True, slots=True, kw_only=True)
class Pdu(_Conversion):
    """A power distribution unit with its transformer: iron always, copper with the square of the load.

    Its reactive power is neglected; what its load draws is booked by that.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "type": "pdu",
        "bus": "hall",
        "serves": ["hall"],
        "rated_kw": 1500,
        "no_load_losses_kw": 2.6,
        "square_losses_fraction": 0.014,
    }

    type: Literal["pdu"] = "pdu"

    def step(
        self, state: ConversionState, setpoint: Num, drive: Values, served: Sequence[Step[Any]], step_s: float
    ) -> Step[ConversionState]:
        load_kw = load_of(served)
        losses_kw = self._losses_kw(load_kw)
        return Step(state=state, p_kw=losses_kw, heat_kw=losses_kw, points={"load_kw": load_kw})


@DEVICES.add("rectifier")
@dataclass(frozen=True, slots=True, kw_only=True)
class Rectifier(_Conversion):
    """Rectifiers of racks, with the DC stage behind them where there is one.

    For halls whose power is told as direct current. What a power supply inside a server loses is part of the server's
    power, and of `GpuCluster.active_w_per_gpu` where that is told of whole nodes: it must not be told twice.

    Notes
    -----
    The DC stage first, the rectifier over the load and what the DC stage loses. Frontier: 0.98 and 0.96, each with a
    constant beside it, ``input = (load + constant) / efficiency`` (Brewer et al., "A Digital Twin Framework for
    Liquid-cooled Supercomputers", SC24, and its simulator RAPS), which is this law without its square.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "type": "rectifier",
        "bus": "hall",
        "serves": ["hall"],
        "rated_kw": 1500,
        "no_load_losses_kw": 2,
        "proportional_losses_fraction": 0.04,
        "dc_no_load_losses_kw": 1,
        "dc_proportional_losses_fraction": 0.02,
    }

    type: Literal["rectifier"] = "rectifier"
    dc_no_load_losses_kw: Annotated[float, Ge(0)] = 0.0
    """Of the DC stage."""
    dc_proportional_losses_fraction: Annotated[float, Ge(0), Le(1)] = 0.0
    """Of the load, in the DC stage."""
    power_factor: Annotated[float, Gt(0), Le(1)] = 0.99
    """Of its whole input, lagging."""

    def step(
        self, state: ConversionState, setpoint: Num, drive: Values, served: Sequence[Step[Any]], step_s: float
    ) -> Step[ConversionState]:
        load_kw = load_of(served)
        dc_losses_kw = self.dc_no_load_losses_kw + self.dc_proportional_losses_fraction * load_kw
        losses_kw = dc_losses_kw + self._losses_kw(load_kw + dc_losses_kw)
        return Step(
            state=state,
            p_kw=losses_kw,
            q_kvar=(load_kw + losses_kw) * math.sqrt(1.0 / self.power_factor**2 - 1.0),
            heat_kw=losses_kw,
            points={"load_kw": load_kw},
        )
