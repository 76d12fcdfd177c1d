"""What imported energy emits: on average of all plants that feed the grid, and at the margin of one kWh more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge

from twin.devices.base import STRICT
from twin.numeric import FloatArray, Num
from twin.quick import quick
from twin.time_series import SeriesFile


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """Emission factors at one instant, gCO2 per kWh."""

    average_g_per_kwh: Num
    """Of the grid's whole mix: what a footprint is reported with (GHG Protocol, scope 2, location-based)."""
    marginal_g_per_kwh: Num
    """Of the plant that answers one kWh more or less: what shifting load saves."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Carbon:
    """Where emission factors come from: for each of the two a constant or a series, not both."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    average_g_per_kwh: Annotated[float, Ge(0)] | None = None
    average: SeriesFile | None = None
    marginal_g_per_kwh: Annotated[float, Ge(0)] | None = None
    marginal: SeriesFile | None = None
    """Without either, the marginal factor is taken to be the average one."""

    def __post_init__(self) -> None:
        if (self.average_g_per_kwh is None) == (self.average is None):
            raise ValueError("one of average_g_per_kwh and average")
        if self.marginal_g_per_kwh is not None and self.marginal is not None:
            raise ValueError("marginal_g_per_kwh or marginal, not both")
        if any(series is not None and series.unit != "g_per_kwh" for series in (self.average, self.marginal)):
            raise ValueError("series of emission factors with unit: g_per_kwh")

    def emission(self, local: datetime) -> Emission:
        """The factors at an instant."""
        average, marginal = self.emission_series(np.array([local.timestamp()]))[0].tolist()
        return Emission(average_g_per_kwh=average, marginal_g_per_kwh=marginal)

    def emission_series(self, instants_s: FloatArray) -> FloatArray:
        """``(instants, 2)``: both factors at each of many instants, seconds since the epoch."""
        average = _values(self.average_g_per_kwh, self.average, instants_s)
        known = self.marginal_g_per_kwh is not None or self.marginal is not None
        marginal = _values(self.marginal_g_per_kwh, self.marginal, instants_s) if known else average
        return np.column_stack([average, marginal])


def _values(constant: float | None, series: SeriesFile | None, instants_s: FloatArray) -> FloatArray:
    return series.at_each(instants_s) if series is not None else np.full(len(instants_s), constant, dtype=np.float64)
