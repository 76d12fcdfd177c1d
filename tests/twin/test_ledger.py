from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast

import numpy as np
import pytest

from tests.properties.random_run import random_run, site_and_weather
from twin.devices.base import Step
from twin.devices.grid_connection import GridConnection
from twin.ledger import ENERGY, Books, Ledger
from twin.network.power_flow import FlowResult
from twin.numeric import Num, first
from twin.simulator import PlantStep
from twin.site import Site

SUMMER_NOON = datetime(2025, 7, 1, 16, tzinfo=UTC)


def site() -> Site:
    return site_and_weather("campus")[0]


def contract() -> GridConnection:
    return cast(GridConnection, site().devices["grid"])


def step_of(start: datetime, import_kw: Num, step_s: float = 900.0, **p_kw: float) -> PlantStep:
    """A step in which the devices named do something and all others nothing."""
    network = site().network
    steps: dict[str, Step[object]] = {
        name: Step(state=None, p_kw=p_kw.get(name, 0.0), points={"soc": 0.5, "running": 0.0}, amounts={"fuel_l": 0.0})
        for name in site().devices
        if name != "grid"
    }
    flow = FlowResult(
        slack_p_kw=import_kw,
        slack_q_kvar=0.0,
        losses_kw=20.0,
        v_pu=np.ones(len(network.buses)),
        branch_p_kw=np.zeros(len(network.lines) + len(network.transformers)),
        loading_fraction=np.zeros(len(network.lines) + len(network.transformers)),
        unaccounted_kw=np.zeros(len(network.buses)),
    )
    return PlantStep(
        start=start, step_s=step_s, steps=steps, flow=flow, import_kw=import_kw, unserved_kw=0.0,
        balance_residual_kw=0.0,
    )  # fmt: skip


def books_of(*steps: PlantStep) -> Books:
    ledger = Ledger(site())
    for step in steps:
        ledger.book(step)
    return ledger.close()


def test_energy_is_booked_by_account_as_unsigned_kilowatt_hours() -> None:
    books = books_of(
        step_of(SUMMER_NOON, 1000.0, solar=-400.0, turbine=-200.0, battery=500.0, hall_a=800.0, ups_a=40.0),
        step_of(SUMMER_NOON, -600.0, genset_1=-300.0, battery=-700.0, hall_a=800.0, chiller_plant=120.0, office=80.0),
    )
    assert books.energy_kwh == pytest.approx(
        {
            "import": 250.0, "export": 150.0, "pv": 100.0, "wind": 50.0, "genset": 75.0, "battery_charge": 125.0,
            "battery_discharge": 175.0, "it": 400.0, "cooling": 30.0, "ups_losses": 10.0, "network_losses": 10.0,
            "other": 20.0,
        }
    )  # fmt: skip
    assert books.pue == pytest.approx((400 + 30 + 10 + 10) / 400), "offices are left out"


def test_each_hour_is_bought_at_its_own_local_price_and_sold_at_the_export_price() -> None:
    """12:00 in New York is mid peak, 14:00 is on peak, and Saturday has no peak."""
    hours = [step_of(SUMMER_NOON + timedelta(hours=number), 1000.0, 3600.0) for number in (0, 2, 98)]
    assert books_of(*hours).energy_cost == pytest.approx(1000 * (0.087 + 0.168 + 0.087))
    sold = books_of(step_of(SUMMER_NOON, -500.0, 3600.0))
    assert sold.energy_cost == pytest.approx(-500 * 0.032)
    assert sold.carbon_kg == 0.0


def test_each_billing_month_pays_for_its_own_highest_interval() -> None:
    """31 July 23:45 in New York belongs to July though it is August in UTC; the quarters of an hour average."""
    last = datetime(2025, 8, 1, 3, 45, tzinfo=UTC)
    quiet = step_of(last - timedelta(hours=1), 500.0)
    peak = [step_of(last + timedelta(minutes=5 * number), value, 300.0) for number, value in enumerate((900, 0, 2100))]
    august = step_of(last + timedelta(minutes=15), 700.0)
    books = books_of(quiet, *peak, august)
    rate = contract().tariff.demand_charge_per_kw
    assert books.demand_cost == pytest.approx((1000.0 + 700.0) * rate)
    assert books.peak_import_kw == 2100.0


def test_steps_longer_than_the_demand_interval_are_their_own_interval() -> None:
    books = books_of(step_of(SUMMER_NOON, 800.0, 3600.0), step_of(SUMMER_NOON + timedelta(hours=1), 600.0, 3600.0))
    assert books.demand_cost == pytest.approx(800.0 * contract().tariff.demand_charge_per_kw)


def test_limits_are_violated_beyond_them_and_runs_of_excess_are_counted() -> None:
    limit_kw, export_kw = contract().contracted_import_kw, contract().export_limit_kw
    imports = [limit_kw, limit_kw + 1, limit_kw + 1, limit_kw - 1, limit_kw + 1, -export_kw, -export_kw - 1]
    books = books_of(*(step_of(SUMMER_NOON, float(value)) for value in imports))
    assert (books.violations["import_limit"], books.violations["export_limit"]) == (3.0, 1.0)
    assert books.longest_import_excess_steps == 2
    assert {"under_voltage", "over_voltage", "line_loading", "transformer_loading", "unserved"} <= set(books.violations)


def test_fuel_costs_money_and_carbon() -> None:
    step = step_of(SUMMER_NOON, 0.0, genset_1=-1000.0)
    burning = Step(state=None, p_kw=-1000.0, points={}, amounts={"fuel_l": 100.0})
    books = books_of(
        PlantStep(
            start=step.start, step_s=step.step_s, steps={**step.steps, "genset_1": burning}, flow=step.flow,
            import_kw=0.0, unserved_kw=0.0, balance_residual_kw=0.0,
        )
    )  # fmt: skip
    assert books.fuel_cost == pytest.approx(105.0)
    assert books.energy_cost == pytest.approx(105.0)
    assert books.carbon_kg == pytest.approx(268.0)


def test_books_over_scenarios_are_those_of_each_scenario() -> None:
    together = random_run("campus", 11, (0, 1, 2)).books
    for scenario in range(3):
        alone = random_run("campus", 11, (scenario,)).books
        for name in ENERGY:
            mine = np.broadcast_to(together.energy_kwh[name], (3,))[scenario]
            assert mine == pytest.approx(first(alone.energy_kwh[name]), rel=1e-9), name
        for field in ("energy_cost", "demand_cost", "carbon_kg", "pue", "wue_l_per_kwh", "delivered_gpu_h", "min_soc"):
            mine = np.broadcast_to(getattr(together, field), (3,))[scenario]
            assert mine == pytest.approx(first(getattr(alone, field)), rel=1e-9), field


def test_efficiency_ratios_lie_where_such_sites_lie() -> None:
    """The range of facts for liquid and rear-door cooling: a PUE between 1.1 and 1.4."""
    books = random_run("campus", 2).books
    assert 1.1 < first(books.pue) < 1.4
    assert 0.1 < first(books.wue_l_per_kwh) < 2.0
