"""Power of a wind turbine by the wind at its hub: from a data sheet by name, from measured points, or by a formula."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from annotated_types import Ge

from twin.devices.base import STRICT
from twin.numeric import FloatArray

STANDARD_KG_M3 = 1.225
"""Density of the air for which data sheets state their curves (IEC 61400-12-1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerCurve:
    """Points of wind speed and power in air of 1.225 kg/m³: straight between them, level after the last, 0 before the
    first. Only its shape counts: the turbine's `rated_kw` sets the scale, so that one curve serves several turbines."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    wind_m_s: tuple[Annotated[float, Ge(0)], ...]
    power_kw: tuple[Annotated[float, Ge(0)], ...]
    """Rises up to its largest value; after it, stall or storm control may lower it."""

    def __post_init__(self) -> None:
        if len(self.wind_m_s) != len(self.power_kw) or len(self.wind_m_s) < 2:
            raise ValueError("wind_m_s and power_kw with the same number of points, two at least")
        if min(self.wind_m_s) < 0.0 or min(self.power_kw) < 0.0:
            raise ValueError("wind_m_s and power_kw of 0 at least")
        if any(later <= earlier for earlier, later in pairwise(self.wind_m_s)):
            raise ValueError("wind_m_s that rises from point to point")
        if max(self.power_kw) <= 0.0:
            raise ValueError("power_kw above 0 at one point at least")
        rising = self.power_kw[: self.power_kw.index(max(self.power_kw)) + 1]
        if any(later < earlier for earlier, later in pairwise(rising)):
            raise ValueError("power_kw that does not fall before its largest value")

    @property
    def rated_m_s(self) -> float:
        """Where the largest power is reached first."""
        return self.wind_m_s[self.power_kw.index(max(self.power_kw))]

    def fraction(self, normal_m_s: FloatArray) -> FloatArray:
        """Of the largest power, at a wind normalised to standard density."""
        power = np.interp(normal_m_s, self.wind_m_s, self.power_kw, left=0.0)
        return np.asarray(power / max(self.power_kw), dtype=np.float64)


MM82 = PowerCurve(
    wind_m_s=(3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0),
    power_kw=(0.0, 64.0, 159.0, 314.0, 511.0, 767.0, 1096.0, 1439.0, 1700.0, 1912.0, 2000.0, 2040.0, 2050.0),
)
"""REpower (later Senvion) MM82, 2,050 kW, which the library lists without a curve.

Source: the maker's curve as compiled by Staffell 2012, Wind turbine power curves.
"""

OWN = {"MM82/2050": MM82}


@lru_cache(maxsize=1)
def _library() -> pd.DataFrame:
    with (files("windpowerlib") / "oedb" / "power_curves.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, index_col="turbine_type")


@lru_cache(maxsize=64)
def power_curve_of(name: str) -> PowerCurve:
    """The curve of a turbine by its name, such as ``MM92/2050``: model, and rated power in kW.

    Source: the open-energy platform's wind turbine library, as windpowerlib 0.2 ships it: 67 turbines from makers'
    data sheets, read from its file. Raises `ValueError` for a name that is not there.
    """
    if name in OWN:
        return OWN[name]
    table = _library()
    if name not in table.index:
        near = get_close_matches(name, [*OWN, *table.index], n=1, cutoff=0.4)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(f"power_curve by the name of a turbine of windpowerlib's library, not {name!r}{hint}")
    points = table.loc[name].dropna()
    return PowerCurve(
        wind_m_s=tuple(points.index.astype(float).tolist()),
        power_kw=tuple((points.to_numpy(dtype=np.float64) / 1000.0).tolist()),
    )


def normal_wind_m_s(hub_m_s: FloatArray, density_kg_m3: FloatArray) -> FloatArray:
    """The wind that carries as much power in standard air: ``v · (ρ / 1.225)^(1/3)``.

    For turbines that pitch their blades. Source: IEC 61400-12-1:2017, 9.1.5.
    """
    return np.asarray(hub_m_s * np.cbrt(density_kg_m3 / STANDARD_KG_M3))


def cubic_fraction(normal_m_s: FloatArray, *, cut_in_m_s: float, rated_m_s: float) -> FloatArray:
    """Power of a pitch-controlled turbine as a fraction of rated power, where no curve is known.

    ``(v³ - v_in³) / (v_rated³ - v_in³)`` from cut-in to rated wind, then 1.

    Source: the cubic curve is common, see Carrillo et al. 2013, doi:10.1016/j.rser.2013.01.012.
    """
    rise = (normal_m_s**3 - cut_in_m_s**3) / (rated_m_s**3 - cut_in_m_s**3)
    return np.clip(rise, 0.0, 1.0)


def running(
    hub_m_s: FloatArray, *, cut_out_m_s: float, restart_m_s: float, step_s: float, memory_s: float
) -> FloatArray:
    """1 where a turbine runs, 0 where a storm has stopped it; time is the last axis.

    It stops at `cut_out_m_s` and starts again below `restart_m_s`. A storm that has neither passed `cut_out_m_s` nor
    died down to `restart_m_s` for `memory_s` is over: so what happens depends on these last hours alone, however a
    run is cut into pieces.

    The hysteresis is common practice; both speeds stand in a turbine's data sheet. The memory is ours.
    """
    index = np.arange(hub_m_s.shape[-1])
    stop = np.maximum.accumulate(np.where(hub_m_s >= cut_out_m_s, index, -1), axis=-1)
    calm = np.maximum.accumulate(np.where(hub_m_s < restart_m_s, index, -1), axis=-1)
    stopped = (stop > calm) & ((index - stop) * step_s <= memory_s)
    return np.where(stopped, 0.0, 1.0)
