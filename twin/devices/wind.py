"""A wind turbine: from the met mast's wind to power at the terminals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from twin.devices.base import DEVICES, STRICT, Account, Drive, Group, Step, Values
from twin.devices.inverter import Reactive, check_rating, fixed_q_kvar, max_kw
from twin.devices.power_curve import PowerCurve, cubic_fraction, normal_wind_m_s, power_curve_of, running
from twin.flexibility import Envelope
from twin.noise import Seed, local_weather_noise
from twin.numeric import FloatArray, Num, clip
from twin.units import SECONDS_PER_HOUR
from twin.weather import Weather

MAST_M = 10.0
"""Height of the wind in weather files."""
GAS_CONSTANT = 287.05
"""Of dry air, J/(kg·K)."""
STORM_MEMORY_H = 12.0
"""How long a stopped turbine waits, at most, for the wind to fall to its restart speed."""


def hub_wind_m_s(
    mast_m_s: FloatArray, hub_height_m: float, roughness_length_m: float, mast_height_m: float = MAST_M
) -> FloatArray:
    """Wind at hub height from wind at the mast's, by the logarithmic profile of a neutral atmosphere.

    ``v(h) = v(h0) · ln(h / z0) / ln(h0 / z0)``. Valid within the surface layer, some 100 m.

    Source: Burton et al., Wind Energy Handbook, 2nd ed., eq. 2.13; IEC 61400-1, 6.3.
    """
    return mast_m_s * (math.log(hub_height_m / roughness_length_m) / math.log(mast_height_m / roughness_length_m))


def sheared_wind_m_s(
    mast_m_s: FloatArray, hub_height_m: float, shear_exponent: float, mast_height_m: float = MAST_M
) -> FloatArray:
    """Wind at hub height from wind at the mast's, by the power law ``v(h) = v(h0) · (h / h0)^α``.

    Valid between some 10 m and 200 m; α is 0.14 over open land, 0.2 by the design standard, 0.1 over water.

    Source: the normal wind profile model of IEC 61400-1.
    """
    return mast_m_s * float((hub_height_m / mast_height_m) ** shear_exponent)


def air_density_kg_m3(pressure_kpa: FloatArray, dry_bulb_c: FloatArray, height_m: float) -> FloatArray:
    """Density of dry air `height_m` above the place where the pressure was measured (ideal gas, ISA lapse)."""
    kelvin = dry_bulb_c + 273.15
    aloft_kpa = pressure_kpa * np.exp(-9.80665 * height_m / (GAS_CONSTANT * kelvin))
    return np.asarray(aloft_kpa * 1000.0 / (GAS_CONSTANT * kelvin))


@dataclass(frozen=True, slots=True, kw_only=True)
class WindState:
    """It remembers nothing: what a storm did to it follows from the wind of the hours before."""


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
    shear_exponent: Annotated[float, Ge(0), Le(0.6)] | None = None
    """With it, the wind rises from 10 m to the hub by the power law instead of the logarithm of the roughness."""
    speed_up_factor: Annotated[float, Gt(0), Le(3)] = 1.0
    """Wind at the turbine's place, as a multiple of that of the weather file: above 1 on a hill, below 1 in a wood."""
    power_curve: str | PowerCurve | None = None
    """A turbine's name, such as MM92/2050, or points; without one, a cubic rise from cut_in_m_s to rated_m_s."""
    cut_in_m_s: Annotated[float, Ge(0)] = 3.0
    rated_m_s: Annotated[float, Gt(0)] = 12.0
    """Where the cubic rise reaches rated power. Real curves bend off before, so the value that fits is below the
    data sheet's: 10.8 gives the measured year of four Senvion MM82 to 1%. Without effect beside a power_curve."""
    cut_out_m_s: Annotated[float, Gt(0)] = 25.0
    restart_m_s: Annotated[float, Gt(0)] | None = None
    """After a storm it starts again below this wind, or 12 h after the last gust at the latest; else below
    cut_out_m_s."""
    wake_loss_fraction: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Power that turbines upwind take from the wind; above rated wind, less is lost."""
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
        if self.power_curve is None and not self.cut_in_m_s < self.rated_m_s < self.cut_out_m_s:
            raise ValueError("cut_in_m_s < rated_m_s < cut_out_m_s")
        curve = self.curve
        if curve is not None and not curve.rated_m_s < self.cut_out_m_s:
            raise ValueError(
                f"cut_out_m_s above the wind at which power_curve is largest, "
                f"not {self.cut_out_m_s:g} and {curve.rated_m_s:g}"
            )
        if self.restart_m_s is not None and self.restart_m_s > self.cut_out_m_s:
            raise ValueError(f"restart_m_s of cut_out_m_s at most, not {self.restart_m_s:g} and {self.cut_out_m_s:g}")

    @property
    def curve(self) -> PowerCurve | None:
        """Its power curve, or None for the cubic rise."""
        return power_curve_of(self.power_curve) if isinstance(self.power_curve, str) else self.power_curve

    @property
    def looks_back_h(self) -> float:
        """A storm so long ago may still hold it."""
        return 0.0 if self.restart_m_s is None else STORM_MEMORY_H

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
        noise = local_weather_noise(weather.index, seed=seed, name=f"{self.type}.{self.bus}", period_s=1800.0)
        hub_m_s = self.hub_m_s(weather.wind_m_s * (1.0 + self.noise_fraction * noise))
        density_kg_m3 = air_density_kg_m3(weather.pressure_kpa, weather.dry_bulb_c, self.hub_height_m)
        return {"available_kw": self.available_kw(hub_m_s, density_kg_m3, weather.grid.step_s)}

    def hub_m_s(self, mast_m_s: FloatArray, mast_height_m: float = MAST_M) -> FloatArray:
        """Wind at its hub from the weather file's."""
        if self.shear_exponent is None:
            aloft_m_s = hub_wind_m_s(mast_m_s, self.hub_height_m, self.roughness_length_m, mast_height_m)
        else:
            aloft_m_s = sheared_wind_m_s(mast_m_s, self.hub_height_m, self.shear_exponent, mast_height_m)
        return aloft_m_s * self.speed_up_factor

    def available_kw(self, hub_m_s: FloatArray, density_kg_m3: FloatArray, step_s: float) -> FloatArray:
        """Power that the wind at its hub offers in each interval of `step_s`; time is the last axis.

        A wake takes the fraction `wake_loss_fraction` of the power in the wind, so its speed falls by the cube root.
        """
        normal_m_s = normal_wind_m_s(hub_m_s, density_kg_m3) * (1.0 - self.wake_loss_fraction) ** (1.0 / 3.0)
        curve = self.curve
        if curve is None:
            fraction = cubic_fraction(normal_m_s, cut_in_m_s=self.cut_in_m_s, rated_m_s=self.rated_m_s)
        else:
            fraction = curve.fraction(normal_m_s)
        up = running(
            hub_m_s,
            cut_out_m_s=self.cut_out_m_s,
            restart_m_s=self.cut_out_m_s if self.restart_m_s is None else self.restart_m_s,
            step_s=step_s,
            memory_s=STORM_MEMORY_H * SECONDS_PER_HOUR,
        )
        return self.rated_kw * self.availability_factor * fraction * up

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
