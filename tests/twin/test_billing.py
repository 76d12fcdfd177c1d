"""Bills of one connection, computed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from tests.twin.billed import Billed, site_with
from twin.billing import (
    Registers,
    bill_of,
    block_price_per_kwh,
    charge_cost,
    free_demand,
    opening_registers,
)
from twin.carbon import Carbon
from twin.ledger import Books
from twin.numeric import UNBOUNDED, Num
from twin.tariff import DemandBlock, DemandCharge, EnergyBlock, Ratchet, Tariff, TariffPeriod
from twin.tariff_hours import Hours
from twin.time_series import SeriesFile

DENVER = ZoneInfo("America/Denver")
MARCH = datetime(2025, 3, 1, tzinfo=DENVER)
FLAT = TariffPeriod(name="flat", from_hour=0, to_hour=24, price_per_kwh=0.10)
SERIES = SeriesFile(file="x.csv", column="x", unit="per_kwh")
BLOCKS = (EnergyBlock(above_kwh=1000.0, price_per_kwh=0.08), EnergyBlock(above_kwh=3000.0, price_per_kwh=0.12))


def tariff(**told: Any) -> Tariff:
    return Tariff(**{"periods": (FLAT,), **told})


def billed(contract: Tariff, import_kw: Sequence[float], start: datetime = MARCH, step_s: float = 3600.0) -> Books:
    return Billed(site_with(contract), start, import_kw, step_s).books


def months_of(contract: Tariff, peaks_kw: Sequence[float]) -> list[float]:
    """Demand costs of consecutive months from March on, each with its peak on the tenth; metered day by day."""
    days = pd.date_range("2025-03-01", periods=len(peaks_kw), freq="MS").to_period("M")
    imports = [
        peak_kw if day == 9 else 0.0
        for month, peak_kw in zip(days, peaks_kw, strict=True)
        for day in range(month.days_in_month)
    ]
    start = datetime(2025, 3, 1, tzinfo=UTC)
    return Billed(site_with(contract, "Etc/UTC"), start, imports, 86400.0).of("demand_cost")


@pytest.mark.parametrize(
    ("bought_kwh", "cost"),
    [(999.0, 99.9), (1000.0, 100.0), (1001.0, 100.08), (3000.0, 260.0), (3001.0, 260.12), (5000.0, 500.0)],
)
def test_each_kwh_costs_the_price_of_its_block(bought_kwh: float, cost: float) -> None:
    contract = tariff(periods=(with_blocks(),))
    assert billed(contract, [bought_kwh / 4] * 4).energy_cost == pytest.approx(cost)


def with_blocks(name: str = "flat", price: float = 0.10, **hours: Any) -> TariffPeriod:
    return TariffPeriod(**{"from_hour": 0, "to_hour": 24, **hours}, name=name, price_per_kwh=price, blocks=BLOCKS)


def test_blocks_begin_anew_with_each_month() -> None:
    """In the last two hours of March 1,600 kWh, as much in the first two of April: twice 100 + 600 · 0.08."""
    start = datetime(2025, 3, 31, 22, tzinfo=DENVER)
    assert billed(tariff(periods=(with_blocks(),)), [800.0] * 4, start).energy_cost == pytest.approx(2 * 148.0)


def test_hours_of_use_grow_with_the_highest_demand() -> None:
    """10 h at 100 kW and 10 h at 200 kW: the first 5 h · 200 kW at 0.10, the other 2,000 kWh at 0.04."""
    period = TariffPeriod(
        name="flat", from_hour=0, to_hour=24, price_per_kwh=0.10,
        blocks=(EnergyBlock(above_use_h=5.0, price_per_kwh=0.04),),
    )  # fmt: skip
    assert billed(tariff(periods=(period,)), [100.0] * 10 + [200.0] * 10).energy_cost == pytest.approx(100.0 + 80.0)


def test_marginal_prices_of_a_month_add_up_to_its_bill() -> None:
    """Two periods with blocks, bought in small steps: each at what the next kWh costs then."""
    day = with_blocks("day", 0.20, from_hour=8, to_hour=20)
    contract, step_kwh = tariff(periods=(day, with_blocks("night"))), 0.5
    paid: Num = 0.0
    energy = [0.0, 0.0]
    for number in range(8000):
        now = int(number % 24 >= 8)
        middle = [value + (step_kwh / 2 if place == now else 0.0) for place, value in enumerate(energy)]
        share = (float(now == 0), float(now == 1))
        paid += step_kwh * ((0.20, 0.10)[now] + block_price_per_kwh(contract, filled(contract, middle), share))
        energy[now] += step_kwh
    spent = energy[0] * 0.20 + energy[1] * 0.10
    assert paid == pytest.approx(spent + bill_of(contract, filled(contract, energy)).blocks_cost, rel=1e-6)


def filled(contract: Tariff, energy_kwh: Sequence[float]) -> Registers:
    return replace(opening_registers(contract), energy_kwh=tuple(energy_kwh))


def test_demand_charges_stand_side_by_side() -> None:
    """Weekday afternoons of summer at 12, any hour at 5, and from 400 kW on at 8."""
    afternoon = Hours(months=(6, 7, 8), weekdays_only=True, from_hour=14, to_hour=18)
    contract = tariff(
        demand_charge_per_kw=2.0,
        demand_charges=(
            DemandCharge(name="afternoon", price_per_kw=12.0, hours=(afternoon,)),
            DemandCharge(name="any", price_per_kw=5.0, blocks=(DemandBlock(above_kw=400.0, price_per_kw=8.0),)),
        ),
    )
    friday = datetime(2025, 6, 6, 12, tzinfo=DENVER)
    done = billed(contract, [500.0, 100.0, 300.0, 200.0], friday)
    assert done.demand_cost == pytest.approx(500 * 2 + 300 * 12 + 400 * 5 + 100 * 8)
    saturday = billed(contract, [500.0, 100.0, 300.0, 200.0], friday + timedelta(days=1))
    assert saturday.demand_cost == pytest.approx(500 * 2 + 400 * 5 + 100 * 8)


def test_an_interval_that_the_last_step_opened_counts_as_if_it_ended_then() -> None:
    """Ten minutes a step: half of the second belongs to the first quarter of the hour, half to the second."""
    contract = tariff(demand_charge_per_kw=1.0)
    assert billed(contract, [0.0, 900.0], step_s=600.0).demand_cost == pytest.approx(900.0 * 5 / 15)
    end_of_march = datetime(2025, 3, 31, 23, 45, tzinfo=DENVER)
    both_months = billed(contract, [0.0, 900.0], end_of_march, step_s=600.0)
    assert both_months.demand_cost == pytest.approx(2 * 900.0 * 5 / 15)


def test_a_holiday_counts_as_a_weekend() -> None:
    noon = datetime(2025, 7, 4, 12, tzinfo=DENVER)
    weekday = TariffPeriod(name="weekday", weekdays_only=True, from_hour=0, to_hour=24, price_per_kwh=0.3)
    assert billed(tariff(periods=(weekday, FLAT)), [100.0], noon).energy_cost == pytest.approx(30.0)
    free = tariff(periods=(weekday, FLAT), holidays=(date(2025, 7, 4),))
    assert billed(free, [100.0], noon).energy_cost == pytest.approx(10.0)
    rest = TariffPeriod(name="rest", weekends_only=True, from_hour=0, to_hour=24, price_per_kwh=0.05)
    assert billed(tariff(periods=(rest, weekday), holidays=free.holidays), [100.0], noon).energy_cost == pytest.approx(
        5.0
    )


def test_a_ratchet_holds_billed_demand_up_for_eleven_months_over_the_end_of_a_year() -> None:
    charge = DemandCharge(name="any", price_per_kw=10.0, ratchet=True)
    contract = tariff(demand_charges=(charge,), ratchet=Ratchet(held_fraction=0.8))
    peaks = [1000.0] + [500.0] * 10 + [500.0, 500.0]
    assert months_of(contract, peaks) == pytest.approx([10_000.0] + [8000.0] * 11 + [5000.0])


def test_a_ratchet_may_remember_some_months_alone_and_what_was_before() -> None:
    charge = DemandCharge(name="any", price_per_kw=10.0, ratchet=True)
    summer = tariff(demand_charges=(charge,), ratchet=Ratchet(held_fraction=0.5, months=(6, 7, 8)))
    assert months_of(summer, [1000.0, 100.0, 100.0, 800.0, 100.0]) == pytest.approx(
        [10_000.0, 1000.0, 1000.0, 8000.0, 4000.0]
    ), "March to July"
    before = Ratchet(held_fraction=0.5, look_back_months=2, before_start_kw=600.0)
    known = tariff(demand_charges=(charge,), ratchet=before)
    assert months_of(known, [100.0, 100.0, 100.0]) == pytest.approx([3000.0, 3000.0, 1000.0])


def test_fixed_charges_and_the_minimum_are_of_each_month_begun() -> None:
    contract = tariff(fixed_monthly_cost=40.0, minimum_monthly_cost=100.0)
    start = datetime(2025, 3, 31, 22, tzinfo=DENVER)
    done = billed(contract, [400.0, 400.0, 100.0], start)
    assert done.fixed_cost == pytest.approx(40.0 + 40.0 + (100.0 - 40.0 - 10.0))
    ends_with_march = billed(contract, [400.0, 400.0], start)
    assert ends_with_march.fixed_cost == pytest.approx(40.0), "April is not begun"


def test_energy_sold_is_paid_for_at_the_price_of_its_period() -> None:
    noon = TariffPeriod(name="noon", from_hour=11, to_hour=14, price_per_kwh=0.2, export_price_per_kwh=0.01)
    contract = tariff(periods=(noon, FLAT), export_price_per_kwh=0.05)
    start = datetime(2025, 3, 1, 10, tzinfo=DENVER)
    assert billed(contract, [-100.0, -100.0], start).energy_cost == pytest.approx(-5.0 - 1.0)


def test_carbon_is_booked_on_average_and_at_the_margin() -> None:
    site = site_with(tariff(), carbon=Carbon(average_g_per_kwh=400.0, marginal_g_per_kwh=700.0))
    books = Billed(site, MARCH, [100.0, -50.0]).books
    assert books.carbon_kg == pytest.approx(40.0)
    assert books.marginal_carbon_kg == pytest.approx(70.0)
    plain = Billed(site_with(tariff()), MARCH, [100.0]).books
    assert plain.carbon_kg == plain.marginal_carbon_kg == pytest.approx(39.0), "as carbon_g_per_kwh of the connection"


@pytest.mark.parametrize(("day", "hours"), [((2025, 3, 9), 23), ((2025, 11, 2), 25)])
def test_a_day_of_clock_change_costs_what_its_hours_cost(day: tuple[int, int, int], hours: int) -> None:
    """Night until 6: five hours in spring, seven in autumn."""
    night = TariffPeriod(name="night", from_hour=0, to_hour=6, price_per_kwh=0.05)
    done = billed(tariff(periods=(night, FLAT)), [100.0] * hours, datetime(*day, tzinfo=DENVER))
    assert done.energy_cost == pytest.approx(5.0 * (hours - 18) + 10.0 * 18)
    assert done.energy_kwh["import"] == pytest.approx(100.0 * hours)


def test_the_binding_demand_charge_is_the_lowest_of_those_that_count_now() -> None:
    contract = tariff(
        demand_charges=(
            DemandCharge(name="any", price_per_kw=5.0),
            DemandCharge(name="peak", price_per_kw=12.0, hours=(Hours(from_hour=14, to_hour=18),)),
        )
    )
    registers = replace(opening_registers(contract), peaks_kw=(900.0, 600.0))
    at_peak, off_peak = free_demand(contract, registers, (1.0, 1.0)), free_demand(contract, registers, (1.0, 0.0))
    assert (at_peak.free_kw, at_peak.price_per_kw) == (600.0, 12.0)
    assert (off_peak.free_kw, off_peak.price_per_kw) == (900.0, 5.0)
    assert free_demand(contract, registers, (0.0, 0.0)).free_kw == UNBOUNDED
    level = replace(registers, peaks_kw=(600.0, 600.0))
    assert free_demand(contract, level, (1.0, 1.0)).price_per_kw == 17.0


def test_bills_of_scenarios_are_those_of_each() -> None:
    charge = DemandCharge(name="any", price_per_kw=5.0, blocks=(DemandBlock(above_kw=400.0, price_per_kw=8.0),))
    np.testing.assert_allclose(charge_cost(charge, np.array([300.0, 500.0])), [1500.0, 2800.0])
    contract = tariff(periods=(with_blocks(),), demand_charges=(charge,), minimum_monthly_cost=200.0)
    series = [np.array([500.0, 1500.0]), np.array([-200.0, 2500.0])]
    together = Billed(site_with(contract), MARCH, series).books
    for scenario in range(2):
        alone = billed(contract, [float(values[scenario]) for values in series])
        for name in ("energy_cost", "demand_cost", "fixed_cost"):
            assert np.broadcast_to(getattr(together, name), (2,))[scenario] == pytest.approx(getattr(alone, name)), name


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"periods": ()}, "periods that cover every hour"),
        ({"demand_charges": (DemandCharge(name="a", price_per_kw=1.0),) * 2}, "demand charges of different names"),
        ({"demand_charges": (DemandCharge(name="a", price_per_kw=1.0, ratchet=True),)}, "a key ratchet"),
        ({"ratchet": Ratchet(held_fraction=0.5)}, "a demand charge with ratchet: true"),
        ({"periods": (with_blocks("flat", to_hour=12), FLAT)}, "the same blocks in all periods named flat"),
    ],
)
def test_an_impossible_tariff_is_refused(told: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        tariff(**told)


def test_impossible_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="one of above_kwh and above_use_h"):
        EnergyBlock(price_per_kwh=0.1)
    with pytest.raises(ValueError, match="blocks of period flat in rising order"):
        TariffPeriod(name="flat", from_hour=0, to_hour=24, price_per_kwh=0.1, blocks=BLOCKS[::-1])
    with pytest.raises(ValueError, match="blocks of demand charge any in rising order"):
        DemandCharge(name="any", price_per_kw=1.0, blocks=(DemandBlock(above_kw=4.0, price_per_kw=8.0),) * 2)
    with pytest.raises(ValueError, match="weekdays_only or weekends_only, not both"):
        Hours(weekdays_only=True, weekends_only=True)
    with pytest.raises(ValueError, match="one of average_g_per_kwh and average"):
        Carbon()
    with pytest.raises(ValueError, match="marginal_g_per_kwh or marginal, not both"):
        Carbon(average_g_per_kwh=1.0, marginal_g_per_kwh=1.0, marginal=SERIES)
    with pytest.raises(ValueError, match="unit: g_per_kwh"):
        Carbon(average=SERIES)
