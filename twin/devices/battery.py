"""A battery with its inverter and its battery management system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt

from twin.devices.base import DEVICES, STRICT, Account, Drive, Group, Step, Values
from twin.devices.inverter import Reactive, check_rating, fixed_q_kvar, limited_kw, max_kw
from twin.flexibility import Store
from twin.noise import Seed
from twin.numeric import Num, larger, smaller, where
from twin.quick import quick
from twin.units import SECONDS_PER_HOUR
from twin.weather import Weather


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryState:
    """What the cells hold."""

    soc: Num


@DEVICES.add("battery")
@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """Stores energy with constant one-way efficiencies between two hard stops.

    Its `p_kw` is measured at the terminals and contains the standby power, which is drawn always.
    A setpoint of exactly 0 is rest: the inverter is off, and standby is drawn. Any other is the power at
    the terminals, for which the cells feed the standby power where it is more than that.

    Notes
    -----
    Cells: ``dE/dt = charge_efficiency · (p - standby)`` where p > standby, and
    ``dE/dt = -(standby - p) / discharge_efficiency`` where p < standby. The management system stops the
    inverter exactly at `min_soc` and `max_soc`, so `p_kw` is the mean over the step. Constant
    efficiency is the energy-reservoir model of NREL's ATB; it holds between some 10% and 100% power.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    group: ClassVar[Group | None] = Group.STORAGE
    account: ClassVar[Account] = Account.BATTERY
    setpoint: ClassVar[str | None] = "p_kw"
    instruments: ClassVar[tuple[str, ...]] = ("soc",)
    example: ClassVar[Mapping[str, Any]] = {
        "type": "battery",
        "bus": "main",
        "rated_kw": 1000,
        "capacity_kwh": 4000,
        "charge_efficiency": 0.94,
        "discharge_efficiency": 0.94,
        "min_soc": 0.1,
        "max_soc": 0.95,
        "standby_kw": 3,
    }

    type: Literal["battery"] = "battery"
    bus: str
    rated_kw: Annotated[float, Gt(0)]
    """Largest power at the terminals, either way."""
    capacity_kwh: Annotated[float, Gt(0)]
    """Nominal content of the cells between `soc` 0 and 1."""
    charge_efficiency: Annotated[float, Gt(0), Le(1)] = 0.94
    """From the inverter's terminals into the cells."""
    discharge_efficiency: Annotated[float, Gt(0), Le(1)] = 0.94
    """From the cells to the inverter's terminals."""
    min_soc: Annotated[float, Ge(0), Lt(1)] = 0.1
    """The battery management system stops discharging here."""
    max_soc: Annotated[float, Gt(0), Le(1)] = 0.95
    """The battery management system stops charging here."""
    initial_soc: Annotated[float, Ge(0), Le(1)] = 0.5
    standby_kw: Annotated[float, Ge(0)] = 0.0
    """Thermal management and electronics."""
    safe_setpoint: float = 0.0
    """Power at the terminals (`p_kw`) when it hears nothing; 0 is at rest."""
    reactive: Reactive | None = None
    """Reactive power of the inverter; without it 0 kvar."""

    def __post_init__(self) -> None:
        check_rating(self.rated_kw, self.reactive)
        if self.min_soc >= self.max_soc:
            raise ValueError(f"min_soc below max_soc, not {self.min_soc:g} and {self.max_soc:g}")
        if self.standby_kw >= self.rated_kw:
            raise ValueError(f"standby_kw below rated_kw, not {self.standby_kw:g} and {self.rated_kw:g}")

    @property
    def serves(self) -> Sequence[str]:
        return ()

    @property
    def free_setpoint(self) -> float:
        return 0.0

    def initial(self) -> BatteryState:
        return BatteryState(soc=self.initial_soc)

    def drive(self, weather: Weather, seed: Seed) -> Drive:
        return {}

    def step(
        self, state: BatteryState, setpoint: Num, drive: Values, served: Sequence[Step[Any]], step_s: float
    ) -> Step[BatteryState]:
        hours, standby_kw = step_s / SECONDS_PER_HOUR, self.standby_kw
        wanted_kw = limited_kw(setpoint, self.rated_kw, self.reactive)
        charge_kw = smaller(larger(wanted_kw - standby_kw, 0.0), self._room_kwh(state.soc) / hours)
        discharge_kw = where(wanted_kw == 0.0, 0.0, larger(standby_kw - wanted_kw, 0.0))
        discharge_kw = smaller(discharge_kw, self._deliverable_kwh(state.soc) / hours)
        into_cells_kw = charge_kw * self.charge_efficiency - discharge_kw / self.discharge_efficiency
        soc = state.soc + into_cells_kw * hours / self.capacity_kwh
        p_kw = standby_kw + charge_kw - discharge_kw
        q_kvar = fixed_q_kvar(p_kw, self.reactive)
        return Step(state=BatteryState(soc=soc), p_kw=p_kw, q_kvar=q_kvar, points={"soc": soc})

    def flexibility(self, values: Values) -> Store:
        soc, rated_kw, standby_kw = values["soc"], max_kw(self.rated_kw, self.reactive), self.standby_kw
        stored_kwh, room_kwh = self._deliverable_kwh(soc), self._room_kwh(soc)
        # At rated power: standby takes its part of what leaves, and adds to what is drawn.
        return Store(
            min_p_kw=where(stored_kwh > 0.0, -rated_kw, standby_kw),
            max_p_kw=where(room_kwh > 0.0, rated_kw, standby_kw),
            stored_kwh=stored_kwh * (rated_kw / (rated_kw + standby_kw)),
            room_kwh=room_kwh * (rated_kw / (rated_kw - standby_kw)),
            soc=soc,
            capacity_kwh=self.capacity_kwh,
        )

    def _deliverable_kwh(self, soc: Num) -> Num:
        """What the inverter can still give, before standby is taken from it."""
        return larger(soc - self.min_soc, 0.0) * (self.capacity_kwh * self.discharge_efficiency)

    def _room_kwh(self, soc: Num) -> Num:
        """What the inverter can still take."""
        return larger(self.max_soc - soc, 0.0) * (self.capacity_kwh / self.charge_efficiency)
