"""A battery with its inverter and its battery management system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, cast

from annotated_types import Ge, Gt, Le, Lt

from twin.devices.base import DEVICES, STRICT, Account, Drive, Group, Step, Values
from twin.devices.battery_ageing import Wear
from twin.devices.battery_course import FOREVER_H, NEVER, Course, Fade, Taper, fade, fading_course, steady_course
from twin.devices.battery_losses import Converter
from twin.devices.battery_thermal import Thermal
from twin.devices.instruments import Instruments
from twin.devices.inverter import Reactive, check_rating, fixed_q_kvar, max_kw
from twin.flexibility import Store
from twin.noise import Seed
from twin.numeric import UNBOUNDED, Flag, Num, clip, larger, ratio, smaller, where
from twin.quick import quick
from twin.units import SECONDS_PER_HOUR
from twin.weather import Weather


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryState:
    """What the cells hold, and how warm they are; without `Battery.thermal` their temperature stays."""

    soc: Num
    cell_c: Num = 20.0


@DEVICES.add("battery")
@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """Stores energy between two hard stops, with losses, limits and temperature as far as its file tells them.

    Its `p_kw` is measured at the terminals and contains the standby power, which is drawn always.
    A setpoint of exactly 0 is rest: the inverter is off, and standby is drawn. Any other is the power at
    the terminals, for which the cells feed the standby power where it is more than that.

    Notes
    -----
    With ``net = p - standby - no_load`` and the cells' power ``u``, ``net = u / charge_efficiency + square · u²``
    while charging and ``-net = discharge_efficiency · u - square · u²`` while discharging. Without no-load and square
    losses, the efficiencies are constant: the energy-reservoir model of NREL's ATB, good between some 10% and 100%
    power. With them, part load costs more and so does full load. Losses depend on power alone, not on the state of
    charge, so that any length of step is exact. The management system stops the inverter exactly at `min_soc` and
    `max_soc`, so `p_kw` is the mean over the step.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    group: ClassVar[Group | None] = Group.STORAGE
    account: ClassVar[Account] = Account.BATTERY
    setpoint: ClassVar[str | None] = "p_kw"
    instruments: ClassVar[tuple[str, ...]] = Instruments(  # type: ignore[assignment]
        "soc", described={"thermal": ("cell_c", "charge_limit_kw", "discharge_limit_kw")}
    )
    example: ClassVar[Mapping[str, Any]] = {
        "type": "battery",
        "bus": "main",
        "rated_kw": 1000,
        "capacity_kwh": 4000,
        "charge_efficiency": 0.955,
        "discharge_efficiency": 0.955,
        "no_load_losses_kw": 5,
        "square_losses_fraction": 0.028,
        "min_soc": 0.1,
        "max_soc": 0.95,
        "standby_kw": 3,
        "max_c_rate_per_h": 0.5,
        "wear": {"replacement_cost_per_kwh": 180, "life_cycles": 6000, "cycle_depth_fraction": 0.8},
    }

    type: Literal["battery"] = "battery"
    bus: str
    rated_kw: Annotated[float, Gt(0)]
    """Largest power at the terminals, either way, with all strings."""
    capacity_kwh: Annotated[float, Gt(0)]
    """Nominal content of the cells between `soc` 0 and 1, of all strings when they were new."""
    charge_efficiency: Annotated[float, Gt(0), Le(1)] = 0.94
    """From the inverter's terminals into the cells, no-load and square losses apart."""
    discharge_efficiency: Annotated[float, Gt(0), Le(1)] = 0.94
    """From the cells to the inverter's terminals, no-load and square losses apart."""
    no_load_losses_kw: Annotated[float, Ge(0)] = 0.0
    """Of the inverters of all strings, whenever they run."""
    square_losses_fraction: Annotated[float, Ge(0), Lt(0.25)] = 0.0
    """Of rated power when the cells carry rated power; falls with the square of the power. The loss in the cells'
    and the inverter's resistances."""
    min_soc: Annotated[float, Ge(0), Lt(1)] = 0.1
    """The battery management system stops discharging here."""
    max_soc: Annotated[float, Gt(0), Le(1)] = 0.95
    """The battery management system stops charging here."""
    initial_soc: Annotated[float, Ge(0), Le(1)] = 0.5
    standby_kw: Annotated[float, Ge(0)] = 0.0
    """Thermal management and electronics."""
    soh: Annotated[float, Gt(0), Le(1)] = 1.0
    """Present capacity of the nominal one; `battery_ageing` tells from a year's states of charge how it falls."""
    string_count: Annotated[int, Gt(0)] = 1
    """Parallel strings, each with an inverter."""
    available_string_count: Annotated[int, Gt(0)] | None = None
    """Those in service; all of them where it is not told. Power, capacity and no-load losses fall with them."""
    max_c_rate_per_h: Annotated[float, Gt(0)] | None = None
    """Largest power of the cells per capacity that their maker allows; a faster rating is refused."""
    taper: Taper | None = None
    thermal: Thermal | None = None
    wear: Wear | None = None
    safe_setpoint: float = 0.0
    """Power at the terminals (`p_kw`) when it hears nothing; 0 is at rest."""
    reactive: Reactive | None = None
    """Reactive power of the inverter; without it 0 kvar."""

    def __post_init__(self) -> None:
        check_rating(self.rated_kw, self.reactive)
        if self.min_soc >= self.max_soc:
            raise ValueError(f"min_soc below max_soc, not {self.min_soc:g} and {self.max_soc:g}")
        if self._converter.fixed_kw >= self._limit_kw:
            told = f"{self.standby_kw:g}, {self.no_load_losses_kw:g} and {self._limit_kw:g}"
            raise ValueError(f"standby_kw and no_load_losses_kw together below what rated_kw leaves, not {told}")
        if self._strings > self.string_count:
            told = f"{self._strings} of {self.string_count}"
            raise ValueError(f"available_string_count up to string_count, not {told}")
        self._check_discharge()
        self._check_taper()
        self._check_thermal()

    def _check_discharge(self) -> None:
        converter = self._converter
        given_kw = self._limit_kw + converter.fixed_kw
        if 4.0 * converter.square_per_kw * given_kw >= self.discharge_efficiency**2:
            raise ValueError(f"square_losses_fraction with which the cells can deliver {given_kw:g} kW")
        rate_per_h = float(converter.drained_kw(self._limit_kw) / self._capacity_kwh)
        if self.max_c_rate_per_h is not None and rate_per_h > self.max_c_rate_per_h * (1 + 1e-9):
            raise ValueError(
                f"max_c_rate_per_h of {rate_per_h:.3g} at least, which rated_kw asks of capacity_kwh, "
                f"not {self.max_c_rate_per_h:g}"
            )

    def _check_taper(self) -> None:
        if self.taper is None:
            return
        for key in ("charge_above_soc", "discharge_below_soc"):
            soc = getattr(self.taper, key)
            if soc is not None and not self.min_soc < soc < self.max_soc:
                raise ValueError(f"taper.{key} between min_soc and max_soc, not {soc:g}")

    def _check_thermal(self) -> None:
        if self.thermal is None:
            return
        air_c, converter = self.thermal.max_air_c, self._converter
        endured_kw = self.thermal.endured_kw(air_c, converter, converter.drain_loss_fraction)
        if converter.drain_terminal_kw(smaller(endured_kw, converter.drained_kw(self._limit_kw))) <= 0.0:
            raise ValueError("thermal.conductance_kw_per_k with which the cells can discharge at max_air_c")

    @property
    def serves(self) -> Sequence[str]:
        return ()

    @property
    def free_setpoint(self) -> float:
        return 0.0

    def initial(self) -> BatteryState:
        if self.thermal is None:
            return BatteryState(soc=self.initial_soc)
        return BatteryState(soc=self.initial_soc, cell_c=self.thermal.initial_cell_c)

    def drive(self, weather: Weather, seed: Seed) -> Drive:
        return {} if self.thermal is None else {"air_c": self.thermal.air_c(weather.dry_bulb_c)}

    def step(
        self, state: BatteryState, setpoint: Num, drive: Values, served: Sequence[Step[Any]], step_s: float
    ) -> Step[BatteryState]:
        hours, converter = step_s / SECONDS_PER_HOUR, self._converter
        charge_max_kw, drain_max_kw = self._allowed_kw(converter, drive)
        limit_kw = self._limit_kw
        wanted_kw = clip(setpoint, 0.0 - limit_kw, limit_kw)
        charging = wanted_kw > converter.fixed_kw
        cells_kw = where(
            charging,
            smaller(converter.charged_kw(wanted_kw), charge_max_kw),
            smaller(where(wanted_kw == 0.0, 0.0, converter.drained_kw(0.0 - wanted_kw)), drain_max_kw),
        )
        left_kwh = where(charging, self._room_kwh(state.soc), self._stored_kwh(state.soc))
        course = self._course(converter, cells_kw, left_kwh, hours, charging)
        losses_kwh = converter.losses_kwh(course, charging)
        into_cells_kwh = where(charging, course.energy_kwh, 0.0 - course.energy_kwh)
        soc = state.soc + into_cells_kwh / self._capacity_kwh
        p_kw = self.standby_kw + (into_cells_kwh + losses_kwh) / hours
        points: dict[str, Num] = {"soc": soc}
        cell_c = state.cell_c
        if self.thermal is not None:
            air_c = drive["air_c"]
            cell_c = air_c + self._above_air_k(converter, cell_c - air_c, course, charging, hours)
            points |= {"cell_c": cell_c, **self._shown_limits(converter, charge_max_kw, drain_max_kw)}
        amounts = {"battery_losses_kwh": losses_kwh + self.standby_kw * hours}
        if self.wear is not None:
            amounts["wear_cost"] = course.energy_kwh * self.wear.wear_cost_per_kwh
        return Step(
            state=BatteryState(soc=soc, cell_c=cell_c),
            p_kw=p_kw,
            q_kvar=fixed_q_kvar(p_kw, self.reactive),
            points=points,
            amounts=amounts,
        )

    def flexibility(self, values: Values) -> Store:
        """The bounds are those of the moment; with a taper they fall on the way, and what is stored and what there is
        room for is what can be had by following them to the end."""
        soc, converter = values["soc"], self._converter
        charge_kw = values.get("charge_limit_kw", self._limit_kw)
        drain_kw = values.get("discharge_limit_kw", self._limit_kw)
        charged_kw, drained_kw = converter.charged_kw(charge_kw), converter.drained_kw(drain_kw)
        room_kwh, left_kwh = self._room_kwh(soc), self._stored_kwh(soc)
        if self.taper is None:
            taken_kwh = room_kwh * ratio(charge_kw, charged_kw)
            given_kwh = left_kwh * ratio(drain_kw, drained_kw)
        else:
            charge = self._course(converter, charged_kw, room_kwh, FOREVER_H, True)
            drain = self._course(converter, drained_kw, left_kwh, FOREVER_H, False)
            charge_kw = smaller(charge_kw, converter.charge_terminal_kw(charge.kw))
            drain_kw = smaller(drain_kw, converter.drain_terminal_kw(drain.kw))
            taken_kwh = charge.energy_kwh + converter.losses_kwh(charge, True) + self.standby_kw * charge.running_h
            given_kwh = drain.energy_kwh - converter.losses_kwh(drain, False) - self.standby_kw * drain.running_h
        return Store(
            min_p_kw=where(given_kwh > 0.0, 0.0 - drain_kw, self.standby_kw),
            max_p_kw=where(taken_kwh > 0.0, charge_kw, self.standby_kw),
            stored_kwh=larger(given_kwh, 0.0),
            room_kwh=taken_kwh,
            soc=soc,
            capacity_kwh=self._capacity_kwh,
        )

    @property
    def _strings(self) -> int:
        return self.string_count if self.available_string_count is None else self.available_string_count

    @property
    def _share(self) -> float:
        """Of all strings, that are in service."""
        return self._strings / self.string_count

    @property
    def _limit_kw(self) -> Num:
        """Largest power at the terminals of the strings in service."""
        return max_kw(self.rated_kw * self._share, self.reactive)

    @property
    def _converter(self) -> Converter:
        return Converter(
            charge_efficiency=self.charge_efficiency,
            discharge_efficiency=self.discharge_efficiency,
            square_per_kw=self.square_losses_fraction / (self.rated_kw * self._share),
            no_load_kw=self.no_load_losses_kw * self._share,
            standby_kw=self.standby_kw,
        )

    @property
    def _capacity_kwh(self) -> float:
        return self.capacity_kwh * self.soh * self._share

    def _stored_kwh(self, soc: Num) -> Num:
        """What the cells can still give."""
        return larger(soc - self.min_soc, 0.0) * self._capacity_kwh

    def _room_kwh(self, soc: Num) -> Num:
        """What the cells can still take."""
        return larger(self.max_soc - soc, 0.0) * self._capacity_kwh

    def _fades(self, converter: Converter) -> tuple[Fade, Fade]:
        """Limits of the cells' power near full and near empty."""
        taper = cast(Taper, self.taper)
        end, above, below = taper.end_fraction, taper.charge_above_soc, taper.discharge_below_soc
        charge_kw, drain_kw = converter.charged_kw(self._limit_kw), converter.drained_kw(self._limit_kw)
        return (
            NEVER if above is None else fade(charge_kw, end, (self.max_soc - above) * self._capacity_kwh),
            NEVER if below is None else fade(drain_kw, end, (below - self.min_soc) * self._capacity_kwh),
        )

    def _course(self, converter: Converter, cells_kw: Num, left_kwh: Num, hours: float, charging: Flag) -> Course:
        if self.taper is None:
            return steady_course(cells_kw, left_kwh, hours)
        full, empty = self._fades(converter)
        rate_per_h = where(charging, full.rate_per_h, empty.rate_per_h)
        return fading_course(cells_kw, left_kwh, hours, rate_per_h, where(charging, full.end_kw, empty.end_kw))

    def _allowed_kw(self, converter: Converter, drive: Values) -> tuple[Num, Num]:
        """Charging and discharging power of the cells that the air around them allows."""
        thermal = self.thermal
        if thermal is None:
            return UNBOUNDED, UNBOUNDED
        air_c = drive["air_c"]
        charge_kw = converter.charged_kw(self._limit_kw) * thermal.charge_fraction(air_c)
        return (
            smaller(charge_kw, thermal.endured_kw(air_c, converter, converter.charge_loss_fraction)),
            smaller(
                converter.drained_kw(self._limit_kw),
                thermal.endured_kw(air_c, converter, converter.drain_loss_fraction),
            ),
        )

    def _shown_limits(self, converter: Converter, charge_max_kw: Num, drain_max_kw: Num) -> dict[str, Num]:
        """What the management system tells of them, at the terminals."""
        charge_kw = where(charge_max_kw > 0.0, converter.charge_terminal_kw(charge_max_kw), 0.0)
        return {
            "charge_limit_kw": smaller(charge_kw, self._limit_kw),
            "discharge_limit_kw": clip(converter.drain_terminal_kw(drain_max_kw), 0.0, self._limit_kw),
        }

    def _above_air_k(self, converter: Converter, above_k: Num, course: Course, charging: Flag, hours: float) -> Num:
        """How much warmer than their air the cells are at the end of a step."""
        thermal = cast(Thermal, self.thermal)
        above_k = thermal.steady_k(above_k, converter.heat_kw(course.kw, charging), course.steady_h)
        if self.taper is not None:
            full, empty = self._fades(converter)
            above_k = where(
                charging,
                thermal.faded_k(above_k, course, full.rate_per_h, converter, converter.charge_loss_fraction),
                thermal.faded_k(above_k, course, empty.rate_per_h, converter, converter.drain_loss_fraction),
            )
        return thermal.steady_k(above_k, 0.0, hours - course.running_h)
