"""A photovoltaic plant: from the weather to power at the inverters' terminals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pvlib
from annotated_types import Ge, Gt, Le, Lt

from twin.devices.base import DEVICES, STRICT, Account, Drive, Group, Step, Values
from twin.devices.inverter import Reactive, check_rating, fixed_q_kvar, max_kw
from twin.flexibility import Envelope
from twin.noise import Seed, local_weather_noise
from twin.numeric import FloatArray, Num, clip
from twin.sun import Sun, sun_over
from twin.weather import Weather


def plane_irradiance_w_m2(
    weather: Weather, sun: Sun, *, tilt_deg: float, azimuth_deg: float, albedo_fraction: float
) -> FloatArray:
    """Irradiance on a tilted plane, with the circumsolar diffuse model of Hay and Davies (1980).

    Source: `pvlib.irradiance.get_total_irradiance`; Hay & Davies, Proc. First Canadian Solar
    Radiation Data Workshop, 1980. Nothing is received when the sun is below the horizon.
    """
    total = pvlib.irradiance.get_total_irradiance(
        tilt_deg,
        azimuth_deg,
        sun.zenith_deg,
        sun.azimuth_deg,
        weather.dni_w_m2,
        weather.ghi_w_m2,
        weather.dhi_w_m2,
        dni_extra=sun.extra_w_m2,
        albedo=albedo_fraction,
        model="haydavies",
    )
    return np.where(sun.zenith_deg < 90.0, np.maximum(total["poa_global"], 0.0), 0.0)


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
    """Soiling, wiring, mismatch, downtime."""
    power_drop_fraction_per_k: Annotated[float, Ge(0), Le(0.01)] = 0.0035
    """Power lost for each kelvin of cell temperature above 25 °C."""
    inverter_efficiency: Annotated[float, Gt(0.5), Le(1)] = 0.96
    """At rated power."""
    albedo_fraction: Annotated[float, Ge(0), Le(1)] = 0.2
    noise_fraction: Annotated[float, Ge(0), Lt(1)] = 0.2
    """Largest deviation from the weather file by passing clouds, for seeds other than 0."""
    safe_limit_fraction: Annotated[float, Ge(0), Le(1)] = 1.0
    """Generation limit when it hears nothing, of rated power."""
    reactive: Reactive | None = None
    """Reactive power of the inverter; without it 0 kvar."""

    def __post_init__(self) -> None:
        check_rating(self.rated_kw, self.reactive)

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
        """Available AC power; PVsyst cell temperature and PVWatts modules."""
        sun = sun_over(weather.grid, weather.latitude_deg, weather.longitude_deg)
        plane_w_m2 = plane_irradiance_w_m2(
            weather, sun, tilt_deg=self.tilt_deg, azimuth_deg=self.azimuth_deg, albedo_fraction=self.albedo_fraction
        )
        noise = local_weather_noise(weather.index, seed=seed, name=f"{self.type}.{self.bus}", period_s=900.0)
        plane_w_m2 = plane_w_m2 * (1.0 + self.noise_fraction * noise)
        cell_c = pvlib.temperature.pvsyst_cell(plane_w_m2, weather.dry_bulb_c, weather.wind_m_s)
        dc_kw = pvlib.pvsystem.pvwatts_dc(plane_w_m2, cell_c, self.rated_dc_kw, -self.power_drop_fraction_per_k)
        dc_kw = np.maximum(dc_kw, 0.0) * (1.0 - self.losses_fraction)
        return {"available_kw": dc_to_ac_kw(dc_kw, self.rated_kw, self.inverter_efficiency)}

    def step(
        self, state: PvState, setpoint: Num, drive: Values, served: Sequence[Step[Any]], step_s: float
    ) -> Step[PvState]:
        available_kw, limit_kw = drive["available_kw"], clip(setpoint, 0.0, max_kw(self.rated_kw, self.reactive))
        p_kw = 0.0 - clip(available_kw, 0.0, limit_kw)
        return Step(
            state=state,
            p_kw=p_kw,
            q_kvar=fixed_q_kvar(p_kw, self.reactive),
            points={"available_kw": available_kw, "limit_kw": limit_kw},
        )

    def flexibility(self, values: Values) -> Envelope:
        most_kw = max_kw(self.rated_kw, self.reactive)
        return Envelope(min_p_kw=0.0 - clip(values["available_kw"], 0.0, most_kw), max_p_kw=0.0)
