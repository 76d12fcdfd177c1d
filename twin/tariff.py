"""What a site pays at its connection: prices, blocks, demand charges, ratchet, fixed charges. All in local time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from itertools import product
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, Le

from twin.devices.base import STRICT
from twin.numeric import FloatArray, Num
from twin.tariff_hours import Hours, Moment, by_moment, moment_of
from twin.time_series import SeriesFile

DEMAND_INTERVAL_S = 900.0
"""Over which a meter averages demand, unless somebody says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyBlock:
    """From a certain energy in the billing month on, another price. One of the two bounds is given."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    above_kwh: Annotated[float, Gt(0)] | None = None
    """Bought in the month so far, in all periods together."""
    above_use_h: Annotated[float, Gt(0)] | None = None
    """As `above_kwh`, for each kW of the month's highest demand (kWh/kW, "hours' use"), or of what the ratchet holds
    that is higher."""
    price_per_kwh: float

    def __post_init__(self) -> None:
        if (self.above_kwh is None) == (self.above_use_h is None):
            raise ValueError("one of above_kwh and above_use_h")

    @property
    def bound(self) -> float:
        """By which blocks of one period are in order."""
        return self.above_kwh or self.above_use_h or 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffPeriod(Hours):
    """Hours of the local day that share one energy price. Periods of one name are one period of the bill."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    name: str
    from_hour: Annotated[float, Ge(0), Le(24)]
    to_hour: Annotated[float, Ge(0), Le(24)]
    """Not included. Below `from_hour` the period wraps over midnight; equal to it, it is the whole day."""
    price_per_kwh: float
    """Of the first block. Where the tariff has a price series, this is added to it."""
    export_price_per_kwh: float | None = None
    """Paid for energy sold in these hours; without it, that of the tariff."""
    blocks: tuple[EnergyBlock, ...] = ()
    """In rising order."""

    def __post_init__(self) -> None:
        Hours.__post_init__(self)
        bounds = [block.bound for block in self.blocks]
        if bounds != sorted(set(bounds)) or len({block.above_kwh is None for block in self.blocks}) > 1:
            raise ValueError(f"blocks of period {self.name} in rising order, and all of one kind of bound")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandBlock:
    """From a certain billed demand on, another price."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    above_kw: Annotated[float, Gt(0)]
    price_per_kw: Annotated[float, Ge(0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandCharge:
    """A price on the highest interval average of the billing month within certain hours."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    name: str
    price_per_kw: Annotated[float, Ge(0)]
    hours: tuple[Hours, ...] = ()
    """In which demand counts, by the beginning of the metered interval; empty: always."""
    blocks: tuple[DemandBlock, ...] = ()
    """In rising order."""
    ratchet: bool = False
    """Whether the tariff's ratchet holds up its billed demand."""

    def __post_init__(self) -> None:
        bounds = [block.above_kw for block in self.blocks]
        if bounds != sorted(set(bounds)):
            raise ValueError(f"blocks of demand charge {self.name} in rising order")

    def counts(self, moment: Moment) -> bool:
        """Whether demand of an interval that begins then counts."""
        return not self.hours or any(item.covers(*moment) for item in self.hours)

    def applies_in(self, month: int) -> bool:
        """Whether it is charged at all in a month."""
        return not self.hours or any(not item.months or month in item.months for item in self.hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratchet:
    """Billed demand is at least a part of the highest metered demand, at any hour, of earlier months."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    held_fraction: Annotated[float, Gt(0), Le(1)]
    look_back_months: Annotated[int, Ge(1), Le(23)] = 11
    months: tuple[Annotated[int, Ge(1), Le(12)], ...] = ()
    """Whose peaks are remembered; empty: those of all."""
    before_start_kw: Annotated[float, Ge(0)] = 0.0
    """Highest demand before the run began; counted as of the month before it."""

    def fraction_of(self, month: int) -> float:
        """What is remembered of a month's peak."""
        return self.held_fraction if not self.months or month in self.months else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """All that the calendar decides of a bill, at one instant. Floats, arrays over time, or symbols."""

    price_per_kwh: Num
    """Of the first block."""
    export_price_per_kwh: Num
    period_share: tuple[Num, ...]
    """1 for the period that it is, 0 for the others; nothing where no period has blocks."""
    demand_share: tuple[Num, ...]
    """1 for each demand charge for which the running interval counts."""
    billed_share: tuple[Num, ...]
    """1 for each demand charge that applies in the billing month."""
    remembered_fraction: Num
    """Of the ratchet, for the billing month's own peak."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tariff:
    """What energy and peaks cost, in local time. Equal only to itself, so that prices can be remembered cheaply."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    currency: str = "USD"
    urdb: str | None = None
    """A tariff of the OpenEI Utility Rate Database, a JSON file beside the site file: instead of all prices but those
    of `export_price_per_kwh`, `price` and `export_price`."""
    demand_interval_s: Annotated[float, Gt(0)] = DEMAND_INTERVAL_S
    """Length over which the meter averages demand."""
    demand_charge_per_kw: Annotated[float, Ge(0)] = 0.0
    """For each billing month, on its highest interval average: a demand charge without a name."""
    demand_charges: tuple[DemandCharge, ...] = ()
    """Side by side: each on its own highest interval average."""
    ratchet: Ratchet | None = None
    """For the demand charges that say so."""
    export_price_per_kwh: float | None = None
    """Paid for energy sold, 0 unless given; added to the series `export_price` where there is one."""
    fixed_monthly_cost: Annotated[float, Ge(0)] = 0.0
    """For each billing month that is begun."""
    minimum_monthly_cost: Annotated[float, Ge(0)] = 0.0
    """The least that a billing month comes to: energy bought less energy sold, demand and fixed charges."""
    holidays: tuple[date, ...] = ()
    """Days that count as weekend."""
    periods: tuple[TariffPeriod, ...] = ()
    """The first that fits counts; together they cover every hour of the year. May be left out beside a `price`."""
    price: SeriesFile | None = None
    """A price for each hour, such as that of the day-ahead market. That of the period is added to it."""
    export_price: SeriesFile | None = None
    """What is paid for energy sold, hour by hour."""

    def __post_init__(self) -> None:
        if self.urdb is not None and not self.periods:
            return
        self._check_periods()
        names = [charge.name for charge in self.charges]
        if len(names) > len(set(names)):
            raise ValueError("demand charges of different names")
        if self.ratchet is None and any(charge.ratchet for charge in self.charges):
            raise ValueError("a key ratchet, since a demand charge refers to it")
        if self.ratchet is not None and not any(charge.ratchet for charge in self.charges):
            raise ValueError("a demand charge with ratchet: true, since there is a key ratchet")

    def _check_periods(self) -> None:
        if not self.periods and self.price is not None:
            return
        starts = {0.0, *(h % 24 for period in self.periods for h in (period.from_hour, period.to_hour))}
        for month, workday, hour_h in product(range(1, 13), (True, False), sorted(starts)):
            if not any(period.covers(month, workday, hour_h) for period in self.periods):
                day = "a weekday" if workday else "a weekend day"
                raise ValueError(f"periods that cover every hour; none covers {hour_h:g}:00 on {day} of month {month}")
        kinds: dict[str, tuple[EnergyBlock, ...]] = {}
        for period in self.periods:
            if kinds.setdefault(period.name, period.blocks) != period.blocks:
                raise ValueError(f"the same blocks in all periods named {period.name}")

    @property
    def charges(self) -> tuple[DemandCharge, ...]:
        """All demand charges."""
        return _charges(self)

    @property
    def blocks(self) -> Mapping[str, tuple[float, tuple[EnergyBlock, ...]]]:
        """Period of the bill → price of its first block, and the others; nothing where no period has blocks."""
        return _blocks(self)

    def terms(self, local: datetime, opened: datetime, month: int) -> Terms:
        """What holds at a local instant, in a demand interval that began at `opened`, of a billing month (1…12)."""
        found = _terms(self, moment_of(local, self.holidays), moment_of(opened, self.holidays), month)
        if self.price is not None:
            found = replace(found, price_per_kwh=found.price_per_kwh + self.price.at(local.timestamp()))
        if self.export_price is not None:
            paid = found.export_price_per_kwh + self.export_price.at(local.timestamp())
            found = replace(found, export_price_per_kwh=paid)
        return found

    def price_per_kwh(self, local: datetime) -> float:
        """Price of imported energy at a local instant, in the first block."""
        return float(self.terms(local, local, local.month).price_per_kwh)

    def terms_series(
        self, start_s: FloatArray, opened_s: FloatArray, month: npt.NDArray[np.int64], zone: ZoneInfo
    ) -> FloatArray:
        """As `terms`, for many instants (seconds since the epoch): one row each, numbers in the order of `Terms`."""
        prices = by_moment(start_s, zone, self.holidays, lambda moment: _prices(self, *moment))
        prices[:, 0] += self.price.at_each(start_s) if self.price is not None else 0.0
        prices[:, 1] += self.export_price.at_each(start_s) if self.export_price is not None else 0.0
        counted = by_moment(opened_s, zone, self.holidays, lambda moment: _counted(self, moment))
        of_months = np.array([_of_month(self, number) for number in range(1, 13)])
        return np.column_stack([prices, counted, of_months[month - 1]])


@lru_cache(maxsize=4096)
def _terms(tariff: Tariff, moment: Moment, opened: Moment, month: int) -> Terms:
    """Without the series."""
    row = (*_prices(tariff, *moment), *_counted(tariff, opened), *_of_month(tariff, month))
    first, charges = 2 + len(tariff.blocks), len(tariff.charges)
    return Terms(
        price_per_kwh=row[0],
        export_price_per_kwh=row[1],
        period_share=row[2:first],
        demand_share=row[first : first + charges],
        billed_share=row[first + charges : first + 2 * charges],
        remembered_fraction=row[-1],
    )


@lru_cache(maxsize=64)
def _charges(tariff: Tariff) -> tuple[DemandCharge, ...]:
    flat = DemandCharge(name="", price_per_kw=tariff.demand_charge_per_kw)
    return ((flat,) if tariff.demand_charge_per_kw > 0.0 else ()) + tariff.demand_charges


@lru_cache(maxsize=64)
def _blocks(tariff: Tariff) -> Mapping[str, tuple[float, tuple[EnergyBlock, ...]]]:
    if not any(period.blocks for period in tariff.periods):
        return {}
    return {period.name: (period.price_per_kwh, period.blocks) for period in tariff.periods}


def _prices(tariff: Tariff, month: int, workday: bool, hour_h: float) -> tuple[float, ...]:
    """Price, export price, and the share of each period."""
    general = tariff.export_price_per_kwh if tariff.export_price_per_kwh is not None else 0.0
    period = next((item for item in tariff.periods if item.covers(month, workday, hour_h)), None)
    if period is None:  # only beside a price series
        return (0.0, general)
    export = period.export_price_per_kwh if period.export_price_per_kwh is not None else general
    shares = (1.0 if name == period.name else 0.0 for name in tariff.blocks)
    return (period.price_per_kwh, export, *shares)


def _counted(tariff: Tariff, moment: Moment) -> tuple[float, ...]:
    return tuple(1.0 if charge.counts(moment) else 0.0 for charge in tariff.charges)


def _of_month(tariff: Tariff, month: int) -> tuple[float, ...]:
    applying = (1.0 if charge.applies_in(month) else 0.0 for charge in tariff.charges)
    return (*applying, tariff.ratchet.fraction_of(month) if tariff.ratchet is not None else 0.0)
