"""An uninterruptible power supply: what it loses on the way to its load, and how long it carries it alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from twin.devices.base import DEVICES, STRICT, Account, Drive, Group, Step, Values
from twin.devices.conversion import check_losses, conversion_losses_kw, load_of
from twin.devices.instruments import Instruments
from twin.devices.spans import Span, inside
from twin.noise import Seed
from twin.numeric import UNBOUNDED, Flag, Num, larger, ratio, smaller, where
from twin.quick import quick
from twin.units import SECONDS_PER_HOUR
from twin.weather import Weather

LONGEST_MINUTES = 1440.0
"""An autonomy beyond a day is shown as a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Eco:
    """The load on the bypass while the input is sound: little is lost, and a break in the input is felt.

    Notes
    -----
    98 to 99% efficient. A break is felt until the inverter has taken over, in 2 to 10 ms; servers bridge 20 ms without
    voltage (the ITI curve, 2000). After the input has come back, it converts twice for a while before it trusts it.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    no_load_losses_kw: Annotated[float, Ge(0)]
    proportional_losses_fraction: Annotated[float, Ge(0), Le(1)]
    """Of the load."""
    transfer_s: Annotated[float, Ge(0), Le(0.02)] = 0.004
    """From the loss of its input to the inverter's taking over."""
    return_s: Annotated[float, Gt(0)] = 60.0
    """Double conversion after the input has come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """Cells that carry the load while the input is lost, and for nothing else."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    capacity_kwh: Annotated[float, Gt(0)]
    """That may be used."""
    recharge_kw: Annotated[float, Gt(0)]
    """Drawn from the input until they are full."""
    charge_efficiency: Annotated[float, Gt(0), Le(1)] = 0.95
    discharge_efficiency: Annotated[float, Gt(0), Le(1)] = 0.95
    """Of the cells and the inverter together."""
    initial_soc: Annotated[float, Ge(0), Le(1)] = 1.0


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class UpsState:
    """What its cells hold, and how long it will still convert twice."""

    stored_kwh: Num = 0.0
    until_eco_s: Num = 0.0


@DEVICES.add("ups")
@dataclass(frozen=True, slots=True, kw_only=True)
class Ups:
    """Draws its losses; the load behind it is booked by the devices it serves.

    While its input is lost it feeds into its bus what its cells can carry of that load, so that the bus is left with
    nothing, and draws no losses. What they cannot carry any more stays on the bus and is told as `unbacked_kwh`, like
    what falls into the transfer from eco mode: the devices behind it do not know that they stand in the dark. Over an
    outage and the recharging after it, what it draws is its losses.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    group: ClassVar[Group | None] = None
    account: ClassVar[Account] = Account.UPS_LOSSES
    setpoint: ClassVar[str | None] = None
    instruments: ClassVar[tuple[str, ...]] = Instruments(  # type: ignore[assignment]
        "load_kw", described={"reserve": ("soc", "autonomy_minutes")}
    )
    example: ClassVar[Mapping[str, Any]] = {
        "type": "ups",
        "bus": "hall",
        "serves": ["hall"],
        "rated_kw": 1500,
        "no_load_losses_kw": 18,
        "proportional_losses_fraction": 0.018,
        "square_losses_fraction": 0.016,
        "reserve": {"capacity_kwh": 150, "recharge_kw": 75, "initial_soc": 0.4},
        "eco": {"no_load_losses_kw": 4, "proportional_losses_fraction": 0.009},
    }

    type: Literal["ups"] = "ups"
    bus: str
    serves: tuple[str, ...]
    """Devices it feeds."""
    rated_kw: Annotated[float, Gt(0)]
    """Load that it can feed."""
    no_load_losses_kw: Annotated[float, Ge(0)]
    """In double conversion, like the next two."""
    proportional_losses_fraction: Annotated[float, Ge(0), Le(1)]
    """Of the load."""
    square_losses_fraction: Annotated[float, Ge(0), Le(1)]
    """Of the rated power at rated load; falls with the square of the load."""
    power_factor: Annotated[float, Gt(0), Le(1)] = 0.99
    """Of its rectifier's whole input, lagging."""
    eco: Eco | None = None
    """Runs in eco mode; without it, in double conversion."""
    reserve: Reserve | None = None
    """Its cells; without it they are taken to be full, and what they hold up is not modelled."""
    input_lost: tuple[Span, ...] = ()
    """When its input has no voltage, or one that it refuses."""

    def __post_init__(self) -> None:
        told = (self.no_load_losses_kw, self.proportional_losses_fraction, self.square_losses_fraction)
        check_losses(self.rated_kw, *told)
        if self.input_lost and self.reserve is None:
            raise ValueError("a key reserve beside input_lost: something has to carry the load")
        losses_kw = float(self._double_kw(self.rated_kw))
        if self.reserve is not None and losses_kw + self.reserve.recharge_kw > self.rated_kw:
            raise ValueError(f"reserve.recharge_kw up to what rated_kw leaves, not {self.reserve.recharge_kw:g}")
        if self.eco is not None and self.eco.no_load_losses_kw > self.no_load_losses_kw:
            raise ValueError(
                f"eco.no_load_losses_kw up to no_load_losses_kw, "
                f"not {self.eco.no_load_losses_kw:g} and {self.no_load_losses_kw:g}"
            )

    @property
    def free_setpoint(self) -> float:
        return 0.0

    @property
    def safe_setpoint(self) -> float:
        return 0.0

    def initial(self) -> UpsState:
        cells = self.reserve
        return UpsState() if cells is None else UpsState(stored_kwh=cells.initial_soc * cells.capacity_kwh)

    def drive(self, weather: Weather, seed: Seed) -> Drive:
        return {"lost_fraction": inside(self.input_lost, weather.index)} if self.input_lost else {}

    def step(
        self, state: UpsState, setpoint: Num, drive: Values, served: Sequence[Step[Any]], step_s: float
    ) -> Step[UpsState]:
        load_kw, lost = load_of(served), drive.get("lost_fraction", 0.0) > 0.0
        losses_kw, until_eco_s = self._losses(state, load_kw, lost, step_s)
        points, amounts, p_kw, heat_kw = {"load_kw": load_kw}, dict[str, Num](), losses_kw, losses_kw
        stored_kwh = state.stored_kwh
        if self.reserve is not None:
            hours, cells = step_s / SECONDS_PER_HOUR, self.reserve
            gap_s = self._gap_s(state, lost)
            carried_h, charged_h = _passages(cells, stored_kwh, load_kw, lost, hours - gap_s / SECONDS_PER_HOUR)
            carried_kw, recharge_kw = load_kw * carried_h / hours, cells.recharge_kw * charged_h / hours
            stored_kwh = _stored(cells, stored_kwh, load_kw * carried_h, cells.recharge_kw * charged_h)
            p_kw = losses_kw + recharge_kw - carried_kw
            heat_kw = losses_kw + (1.0 - cells.charge_efficiency) * recharge_kw
            heat_kw = heat_kw + (1.0 / cells.discharge_efficiency - 1.0) * carried_kw
            points |= _shown(cells, stored_kwh, load_kw)
            amounts["unbacked_kwh"] = where(lost, load_kw * (hours - carried_h), 0.0)
        return Step(
            state=UpsState(stored_kwh=stored_kwh, until_eco_s=until_eco_s),
            p_kw=p_kw,
            q_kvar=(load_kw + p_kw) * math.sqrt(1.0 / self.power_factor**2 - 1.0),
            heat_kw=heat_kw,
            points=points,
            amounts=amounts,
        )

    def flexibility(self, values: Values) -> None:
        return None

    def _double_kw(self, load_kw: Num) -> Num:
        return conversion_losses_kw(
            load_kw,
            self.rated_kw,
            self.no_load_losses_kw,
            self.proportional_losses_fraction,
            self.square_losses_fraction,
        )

    def _losses(self, state: UpsState, load_kw: Num, lost: Flag, step_s: float) -> tuple[Num, Num]:
        """Mean losses on the way from its input to its load, and how long it will still convert twice."""
        double_kw = self._double_kw(load_kw)
        if self.eco is None:
            return where(lost, 0.0, double_kw), state.until_eco_s
        eco_kw = self.eco.no_load_losses_kw + self.eco.proportional_losses_fraction * load_kw
        eco_share = larger(step_s - state.until_eco_s, 0.0) / step_s
        losses_kw = double_kw + (eco_kw - double_kw) * eco_share
        until_eco_s = larger(state.until_eco_s - step_s, 0.0)
        return where(lost, 0.0, losses_kw), where(lost, self.eco.return_s, until_eco_s)

    def _gap_s(self, state: UpsState, lost: Flag) -> Num:
        """Without voltage for the load, as the input is lost in eco mode."""
        if self.eco is None:
            return 0.0
        return where(lost & (state.until_eco_s <= 0.0), self.eco.transfer_s, 0.0)


def _passages(cells: Reserve, stored_kwh: Num, load_kw: Num, lost: Flag, hours: Num) -> tuple[Num, Num]:
    """Hours in which the cells carry the load, and in which they are charged."""
    carried_h = smaller(ratio(stored_kwh * cells.discharge_efficiency, load_kw, UNBOUNDED), hours)
    taken_kw = cells.recharge_kw * cells.charge_efficiency
    charged_h = smaller(larger(cells.capacity_kwh - stored_kwh, 0.0) / taken_kw, hours)
    return where(lost, carried_h, 0.0), where(lost, 0.0, charged_h)


def _stored(cells: Reserve, stored_kwh: Num, carried_kwh: Num, charged_kwh: Num) -> Num:
    left_kwh = stored_kwh - carried_kwh / cells.discharge_efficiency + charged_kwh * cells.charge_efficiency
    return larger(left_kwh, 0.0)


def _shown(cells: Reserve, stored_kwh: Num, load_kw: Num) -> dict[str, Num]:
    minutes = ratio(stored_kwh * (cells.discharge_efficiency * 60.0), load_kw, LONGEST_MINUTES)
    return {"soc": stored_kwh / cells.capacity_kwh, "autonomy_minutes": smaller(minutes, LONGEST_MINUTES)}
