"""A wind turbine: from the met mast's wind to power at the terminals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le

from twin.devices.base import DEVICES, STRICT, Account, Drive, Group, Step, Values
from twin.devices.inverter import Reactive, check_rating, fixed_q_kvar, max_kw
from twin.flexibility import Envelope
from twin.noise import Seed, local_weather_noise
from twin.numeric import FloatArray, Num, clip
from twin.weather import Weather

MAST_M = 10.0
STANDARD_KG_M3 = 1.225
GAS_CONSTANT = 287.05
"""Of dry air, J/(kg·K)."""


def hub_wind_m_s(mast_m_s: FloatArray, hub_height_m: float, roughness_length_m: float) -> FloatArray:
    """Wind at hub height from wind at 10 m, by the logarithmic profile of a neutral atmosphere.

    ``v(h) = v(10) · ln(h / z0) / ln(10 / z0)``. Valid within the surface layer, some 100 m.

    Source: Burton et al., Wind Energy Handbook, 2nd ed., eq. 2.13; IEC 61400-1, 6.3.
    """
    return mast_m_s * (math.log(hub_height_m / roughness_length_m) / math.log(MAST_M / roughness_length_m))


def air_density_kg_m3(pressure_kpa: FloatArray, dry_bulb_c: FloatArray, height_m: float) -> FloatArray:
    """Density of dry air `height_m` above the place where the pressure was measured (ideal gas, ISA lapse)."""
    kelvin = dry_bulb_c + 273.15
    aloft_kpa = pressure_kpa * np.exp(-9.80665 * height_m / (GAS_CONSTANT * kelvin))
    return np.asarray(aloft_kpa * 1000.0 / (GAS_CONSTANT * kelvin))


def turbine_fraction(
    hub_m_s: FloatArray, density_kg_m3: FloatArray, *, cut_in_m_s: float, rated_m_s: float, cut_out_m_s: float
) -> FloatArray:
    """Power of a pitch-controlled turbine as a fraction of rated power.

    ``(v³ - v_in³) / (v_rated³ - v_in³)`` from cut-in to rated wind, 1 up to cut-out, else 0, where v
    is the wind normalised to standard density, ``v · (ρ / 1.225)^(1/3)``.

    Source: IEC 61400-12-1, 9.1.5 (density normalisation); the cubic curve is common, see Carrillo et
    al. 2013, doi:10.1016/j.rser.2013.01.012.
    """
    normal_m_s = hub_m_s * np.cbrt(density_kg_m3 / STANDARD_KG_M3)
    rise = (normal_m_s**3 - cut_in_m_s**3) / (rated_m_s**3 - cut_in_m_s**3)
    return np.where(hub_m_s < cut_out_m_s, np.clip(rise, 0.0, 1.0), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindState:
    """It remembers nothing."""


@DEVICES.add("wind")
@dataclass(frozen=True, slots=True, kw_only=True)
class Wind:
    """Generates what the wind offers, up to its limit."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    group: ClassVar[Group | None] = Group.RENEWABLES
    account: ClassVar[Account] = Account.WIND
    setpoint: ClassVar[str | None] = "limit_kw"
    instruments: ClassVar[tuple[str, ...]] = ("available_kw", "limit_kw")
    example: ClassVar[Mapping[str, Any]] = {
        "type": "wind",
        "bus": "field",
        "rated_kw": 2000,
        "hub_height_m": 95,
        "cut_in_m_s": 3,
        "rated_m_s": 12,
        "cut_out_m_s": 25,
        "availability_factor": 0.97,
    }

    type: Literal["wind"] = "wind"
    bus: str
    rated_kw: Annotated[float, Gt(0)]
    hub_height_m: Annotated[float, Gt(1)] = 95.0
    roughness_length_m: Annotated[float, Gt(0), Le(1)] = 0.1
    """Of the ground around: 0.03 open grass, 0.1 farmland, 0.4 suburbs."""
    cut_in_m_s: Annotated[float, Ge(0)] = 3.0
    rated_m_s: Annotated[float, Gt(0)] = 12.0
    """Where the cubic rise reaches rated power. Real curves bend off before, so the value that fits is below the
    data sheet's: 10.8 gives the measured year of four Senvion MM82 to 1%."""
    cut_out_m_s: Annotated[float, Gt(0)] = 25.0
    availability_factor: Annotated[float, Ge(0), Le(1)] = 0.97
    """Share of its possible generation that it is there to give."""
    noise_fraction: Annotated[float, Ge(0), Le(0.9)] = 0.1
    """Largest deviation of the wind from the file, for seeds other than 0."""
    safe_limit_fraction: Annotated[float, Ge(0), Le(1)] = 1.0
    """Generation limit when it hears nothing, of rated power."""
    reactive: Reactive | None = None
    """Reactive power of the inverter; without it 0 kvar."""

    def __post_init__(self) -> None:
        check_rating(self.rated_kw, self.reactive)
        if not self.cut_in_m_s < self.rated_m_s < self.cut_out_m_s:
            raise ValueError("cut_in_m_s < rated_m_s < cut_out_m_s")

    @property
    def serves(self) -> Sequence[str]:
        return ()

    @property
    def free_setpoint(self) -> float:
        return self.rated_kw

    @property
    def safe_setpoint(self) -> float:
        return self.safe_limit_fraction * self.rated_kw

    def initial(self) -> WindState:
        return WindState()

    def drive(self, weather: Weather, seed: Seed) -> Drive:
        mast_m_s = weather.wind_m_s
        noise = local_weather_noise(weather.index, seed=seed, name=f"{self.type}.{self.bus}", period_s=1800.0)
        mast_m_s = mast_m_s * (1.0 + self.noise_fraction * noise)
        fraction = turbine_fraction(
            hub_wind_m_s(mast_m_s, self.hub_height_m, self.roughness_length_m),
            air_density_kg_m3(weather.pressure_kpa, weather.dry_bulb_c, self.hub_height_m),
            cut_in_m_s=self.cut_in_m_s,
            rated_m_s=self.rated_m_s,
            cut_out_m_s=self.cut_out_m_s,
        )
        return {"available_kw": self.rated_kw * self.availability_factor * fraction}

    def step(
        self, state: WindState, setpoint: Num, drive: Values, served: Sequence[Step[Any]], step_s: float
    ) -> Step[WindState]:
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
