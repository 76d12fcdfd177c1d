"""The connection to the public grid: its contract, its tariff, and the price of each hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import product
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from annotated_types import Ge, Gt, Le

from twin.devices.base import DEVICES, STRICT, Account, Drive, Group, Step, Values
from twin.noise import Seed
from twin.numeric import FloatArray, Num
from twin.timegrid import TimeGrid
from twin.weather import Weather

HourOfDay = Annotated[float, Ge(0), Le(24)]
Month = Annotated[int, Ge(1), Le(12)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffPeriod:
    """Hours of the local day that share one energy price."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    name: str
    months: tuple[Month, ...] = ()
    """Months in which it applies; empty: all of them."""
    weekdays_only: bool = False
    """True: Monday to Friday, by the local date of the hour itself."""
    from_hour: HourOfDay
    to_hour: HourOfDay
    """Not included. Below `from_hour` the period wraps over midnight; equal to it, it is the whole day."""
    price_per_kwh: float

    def covers(self, month: int, weekday: bool, hour_h: float) -> bool:
        """Whether a local hour of the day lies in this period."""
        if (self.months and month not in self.months) or (self.weekdays_only and not weekday):
            return False
        if self.from_hour < self.to_hour:
            return self.from_hour <= hour_h < self.to_hour
        return hour_h >= self.from_hour or hour_h < self.to_hour


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tariff:
    """What energy and peaks cost, in local time. Equal only to itself, so that prices can be remembered cheaply."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    currency: str = "USD"
    demand_interval_s: Annotated[float, Gt(0)] = 900.0
    """Length over which the meter averages demand."""
    demand_charge_per_kw: Annotated[float, Ge(0)] = 0.0
    """For each billing month, on its highest interval average."""
    export_price_per_kwh: float = 0.0
    """Paid for energy sold."""
    periods: tuple[TariffPeriod, ...]
    """The first that fits counts; together they cover every hour of the year."""

    def __post_init__(self) -> None:
        starts = {0.0, *(h % 24 for period in self.periods for h in (period.from_hour, period.to_hour))}
        for month, weekday, hour_h in product(range(1, 13), (True, False), sorted(starts)):
            if not any(period.covers(month, weekday, hour_h) for period in self.periods):
                day = "a weekday" if weekday else "a weekend day"
                raise ValueError(f"periods that cover every hour; none covers {hour_h:g}:00 on {day} of month {month}")

    def price_per_kwh(self, local: datetime) -> float:
        """Price of imported energy at a local instant."""
        return _price_per_kwh(self, local.month, local.weekday() < 5, local.hour + local.minute / 60.0)

    def price_series(self, grid: TimeGrid, zone: ZoneInfo) -> FloatArray:
        """Price of imported energy at the beginning of each interval of `grid`."""
        local = (grid.index() - timedelta(seconds=grid.step_s / 2)).tz_convert(zone)
        month, weekday, hour_h = local.month, local.dayofweek < 5, local.hour + local.minute / 60.0
        price_per_kwh = np.empty(grid.steps)
        for period in reversed(self.periods):
            price_per_kwh[_covered(period, month, weekday, hour_h)] = period.price_per_kwh
        return price_per_kwh


@lru_cache(maxsize=4096)
def _price_per_kwh(tariff: Tariff, month: int, weekday: bool, hour_h: float) -> float:
    return next(period.price_per_kwh for period in tariff.periods if period.covers(month, weekday, hour_h))


def _covered(period: TariffPeriod, month: pd.Index[int], weekday: Any, hour_h: Any) -> Any:
    """`TariffPeriod.covers` for many instants at once."""
    after, before = np.asarray(hour_h >= period.from_hour), np.asarray(hour_h < period.to_hour)
    hours = after & before if period.from_hour < period.to_hour else after | before
    days = np.asarray(weekday) if period.weekdays_only else True
    return hours & days & (np.isin(month, period.months) if period.months else True)


@dataclass(frozen=True, slots=True, kw_only=True)
class GridState:
    """The connection remembers nothing; its meter's demand interval belongs to the twin."""


@DEVICES.add("grid_connection")
@dataclass(frozen=True, slots=True, kw_only=True)
class GridConnection:
    """The point of connection; its power is what the network leaves over."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    group: ClassVar[Group | None] = None
    account: ClassVar[Account] = Account.GRID
    setpoint: ClassVar[str | None] = None
    instruments: ClassVar[tuple[str, ...]] = ()
    example: ClassVar[Mapping[str, Any]] = {
        "type": "grid_connection",
        "bus": "pcc",
        "rated_kw": 1000,
        "contracted_import_kw": 800,
        "export_limit_kw": 500,
        "tariff": {"periods": [{"name": "flat", "from_hour": 0, "to_hour": 24, "price_per_kwh": 0.1}]},
        "carbon_g_per_kwh": 400,
    }

    type: Literal["grid_connection"] = "grid_connection"
    bus: str
    rated_kw: Annotated[float, Gt(0)]
    """Thermal rating of the connection."""
    contracted_import_kw: Annotated[float, Gt(0)]
    """Import that may not be exceeded."""
    export_limit_kw: Annotated[float, Ge(0)]
    """Export that may not be exceeded."""
    tariff: Tariff
    carbon_g_per_kwh: Annotated[float, Ge(0)] = 0.0
    """Emission factor of imported energy."""

    @property
    def serves(self) -> Sequence[str]:
        return ()

    @property
    def free_setpoint(self) -> float:
        return 0.0

    @property
    def safe_setpoint(self) -> float:
        return 0.0

    def initial(self) -> GridState:
        return GridState()

    def drive(self, weather: Weather, seed: Seed) -> Drive:
        return {}

    def step(
        self,
        state: GridState,
        setpoint: Num,
        drive: Values,
        served: Sequence[Step[Any]],
        step_s: float,
    ) -> Step[GridState]:
        return Step(state=state, p_kw=0.0)

    def flexibility(self, values: Values) -> None:
        return None
