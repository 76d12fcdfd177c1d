"""A photovoltaic plant: from the weather to power at the inverters' terminals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pvlib
from annotated_types import Ge, Gt, Le, Lt

from twin.devices.base import DEVICES, STRICT, Account, Drive, Group, Step, Values
from twin.devices.inverter import Reactive, check_rating, fixed_q_kvar, max_kw
from twin.devices.pv_modules import (
    Mounting,
    Soiling,
    age_factor,
    modules_kw,
    plane_irradiance_w_m2,
    soiling_loss_fraction,
)
from twin.flexibility import Envelope
from twin.noise import Seed, local_weather_noise
from twin.numeric import FloatArray, Num, clip, where
from twin.sun import sun_over
from twin.weather import Weather


def dc_to_ac_kw(dc_kw: FloatArray, rated_kw: float, inverter_efficiency: float) -> FloatArray:
    """AC power by the part-load law of PVWatts version 5, clipped at rated power.

    Source: Dobos, NREL/TP-6A20-62641 (2014), eq. 9 to 11, as `pvlib.inverter.pvwatts`.
    """
    ac_kw = pvlib.inverter.pvwatts(dc_kw, rated_kw / inverter_efficiency, eta_inv_nom=inverter_efficiency)
    return np.clip(np.asarray(ac_kw, dtype=np.float64), 0.0, rated_kw)


@dataclass(frozen=True, slots=True, kw_only=True)
class PvState:
    """It remembers nothing."""


@DEVICES.add("pv")
@dataclass(frozen=True, slots=True, kw_only=True)
class Pv:
    """Generates what the sun offers, up to its limit."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    group: ClassVar[Group | None] = Group.RENEWABLES
    account: ClassVar[Account] = Account.PV
    setpoint: ClassVar[str | None] = "limit_kw"
    instruments: ClassVar[tuple[str, ...]] = ("available_kw", "limit_kw")
    example: ClassVar[Mapping[str, Any]] = {
        "type": "pv",
        "bus": "roof",
        "rated_dc_kw": 1200,
        "rated_kw": 1000,
        "tilt_deg": 25,
        "azimuth_deg": 180,
        "losses_fraction": 0.12,
        "night_kw": 0.5,
    }

    type: Literal["pv"] = "pv"
    bus: str
    rated_dc_kw: Annotated[float, Gt(0)]
    """Modules at standard test conditions."""
    rated_kw: Annotated[float, Gt(0)]
    """Inverters, at their terminals."""
    tilt_deg: Annotated[float, Ge(0), Le(90)]
    azimuth_deg: Annotated[float, Ge(0), Lt(360)] = 180.0
    """Clockwise from north; 180 looks south."""
    losses_fraction: Annotated[float, Ge(0), Lt(1)] = 0.14
    """Wiring, mismatch, downtime; dirt and age too, unless they are given below."""
    power_drop_fraction_per_k: Annotated[float, Ge(0), Le(0.01)] = 0.0035
    """Power lost for each kelvin of cell temperature above 25 °C."""
    inverter_efficiency: Annotated[float, Gt(0.5), Le(1)] = 0.96
    """At rated power."""
    night_kw: Annotated[float, Ge(0)] = 0.0
    """What the inverters draw while there is no sun."""
    albedo_fraction: Annotated[float, Ge(0), Le(1)] = 0.2
    incidence_loss_factor: Annotated[float, Ge(0), Le(0.2)] = 0.0
    """How much more the glass reflects of slanting light (ASHRAE's b0): 0.05 is usual, 0 leaves it to the losses."""
    low_light_loss_fraction: Annotated[float, Ge(0), Le(0.1)] = 0.0
    """Of rated power, missing at 200 W/m²: 0.005 to 0.015 for crystalline silicon."""
    mounting: Mounting = "freestanding"
    """How well air cools the modules; insulated: close to a roof."""
    soiling: Soiling | None = None
    """Dirt that settles until the modules are washed; without it, dirt is one of the losses."""
    commissioned: date | None = None
    """From when the modules age."""
    degradation_fraction_per_year: Annotated[float, Ge(0), Le(0.1)] = 0.0
    """Of the power when new, lost every year since they were commissioned; 0.005 is the median of 2,000 plants."""
    noise_fraction: Annotated[float, Ge(0), Lt(1)] = 0.2
    """Largest deviation from the weather file by passing clouds, for seeds other than 0."""
    safe_limit_fraction: Annotated[float, Ge(0), Le(1)] = 1.0
    """Generation limit when it hears nothing, of rated power."""
    reactive: Reactive | None = None
    """Reactive power of the inverter; without it 0 kvar."""

    def __post_init__(self) -> None:
        check_rating(self.rated_kw, self.reactive)
        if not 0.0 <= self.tilt_deg <= 90.0:
            raise ValueError(f"tilt_deg from 0 (flat) to 90 (upright), not {self.tilt_deg:g}")
        if self.night_kw > self.rated_kw:
            raise ValueError(f"night_kw of rated_kw at most, not {self.night_kw:g} and {self.rated_kw:g}")
        if self.degradation_fraction_per_year > 0.0 and self.commissioned is None:
            raise ValueError("commissioned beside degradation_fraction_per_year: the day from which modules age")

    @property
    def serves(self) -> Sequence[str]:
        return ()

    @property
    def free_setpoint(self) -> float:
        return self.rated_kw

    @property
    def safe_setpoint(self) -> float:
        return self.safe_limit_fraction * self.rated_kw

    def initial(self) -> PvState:
        return PvState()

    def drive(self, weather: Weather, seed: Seed) -> Drive:
        """Available AC power: light that enters the glass, less dirt; modules, less age and losses; inverters."""
        sun = sun_over(weather.grid, weather.latitude_deg, weather.longitude_deg)
        entered_w_m2 = plane_irradiance_w_m2(
            weather,
            sun,
            tilt_deg=self.tilt_deg,
            azimuth_deg=self.azimuth_deg,
            albedo_fraction=self.albedo_fraction,
            incidence_loss_factor=self.incidence_loss_factor,
        )
        noise = local_weather_noise(weather.index, seed=seed, name=f"{self.type}.{self.bus}", period_s=900.0)
        entered_w_m2 = entered_w_m2 * (1.0 + self.noise_fraction * noise) * self._clean_fraction(weather)
        dc_kw = modules_kw(
            entered_w_m2,
            weather,
            rated_dc_kw=self.rated_dc_kw,
            power_drop_fraction_per_k=self.power_drop_fraction_per_k,
            low_light_loss_fraction=self.low_light_loss_fraction,
            mounting=self.mounting,
        )
        dc_kw = dc_kw * (1.0 - self.losses_fraction) * self._age_factor(weather)
        return {"available_kw": dc_to_ac_kw(dc_kw, self.rated_kw, self.inverter_efficiency)}

    def _clean_fraction(self, weather: Weather) -> Num:
        return 1.0 if self.soiling is None else 1.0 - soiling_loss_fraction(weather.index, self.soiling)

    def _age_factor(self, weather: Weather) -> Num:
        if self.commissioned is None:
            return 1.0
        return age_factor(weather.index, self.commissioned, self.degradation_fraction_per_year)

    def step(
        self, state: PvState, setpoint: Num, drive: Values, served: Sequence[Step[Any]], step_s: float
    ) -> Step[PvState]:
        available_kw, limit_kw = drive["available_kw"], clip(setpoint, 0.0, max_kw(self.rated_kw, self.reactive))
        p_kw = where(available_kw > 0.0, 0.0 - clip(available_kw, 0.0, limit_kw), self.night_kw)
        return Step(
            state=state,
            p_kw=p_kw,
            q_kvar=fixed_q_kvar(p_kw, self.reactive),
            points={"available_kw": available_kw, "limit_kw": limit_kw},
        )

    def flexibility(self, values: Values) -> Envelope:
        available_kw, most_kw = values["available_kw"], max_kw(self.rated_kw, self.reactive)
        lit = available_kw > 0.0
        return Envelope(
            min_p_kw=where(lit, 0.0 - clip(available_kw, 0.0, most_kw), self.night_kw),
            max_p_kw=where(lit, 0.0, self.night_kw),
        )
