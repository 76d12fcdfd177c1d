"""What rules are told of prices: those of the next kWh and of the next kW, now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.twin.billed import site_with
from twin.carbon import Carbon
from twin.digital_twin import DigitalTwin
from twin.numeric import UNBOUNDED
from twin.points import Reading, Snapshot
from twin.state import GridState
from twin.tariff import DemandCharge, EnergyBlock, Ratchet, Tariff, TariffPeriod
from twin.tariff_hours import Hours

MIDNIGHT = datetime(2025, 7, 31, tzinfo=UTC)
BLOCKS = (EnergyBlock(above_kwh=1000.0, price_per_kwh=0.08),)


def tariff(**told: Any) -> Tariff:
    period = TariffPeriod(name="flat", from_hour=0, to_hour=24, price_per_kwh=0.10, blocks=BLOCKS)
    return Tariff(**{"periods": (period,), **told})


def seen(contract: Tariff, import_kw: list[float], carbon: Carbon | None = None) -> list[GridState]:
    """The connection at the end of each quarter of an hour, in UTC, after the import of the quarter."""
    twin, found, counter_kwh = DigitalTwin(site_with(contract, "Etc/UTC", carbon)), list[GridState](), 0.0
    for number, value in enumerate([0.0, *import_kw]):
        now = MIDNIGHT + timedelta(minutes=15 * number)
        counter_kwh += value / 4
        readings = {
            "grid.p_kw": Reading(value=value, at=now),
            "grid.import_kwh": Reading(value=counter_kwh, at=now),
        }
        grid = twin.assimilate(Snapshot(now=now, readings=readings)).grid
        assert grid is not None
        found.append(grid)
    return found


def test_the_price_is_that_of_the_next_kwh() -> None:
    prices = [grid.price_per_kwh for grid in seen(tariff(), [1600.0] * 3)]
    assert prices == pytest.approx([0.10, 0.10, 0.10, 0.08]), "400 kWh a quarter, and 1,000 at the lower bound"


def test_blocks_begin_anew_with_the_month() -> None:
    prices = [grid.price_per_kwh for grid in seen(tariff(), [3200.0] * 96)]
    assert prices[1:3] == pytest.approx([0.10, 0.08])
    assert prices[-1] == pytest.approx(0.10), "the first of August"


def test_the_demand_peak_is_that_of_the_period_that_runs() -> None:
    peak = DemandCharge(name="peak", price_per_kw=12.0, hours=(Hours(from_hour=1, to_hour=2),))
    states = seen(tariff(demand_charges=(peak,)), [500.0] * 4 + [300.0, 200.0, 0.0, 0.0])
    assert states[3].free_demand_kw == UNBOUNDED, "nothing is charged before one o'clock"
    assert (states[4].free_demand_kw, states[4].demand_price_per_kw) == (0.0, 12.0)
    assert [state.free_demand_kw for state in states[5:8]] == pytest.approx([300.0] * 3)
    assert states[8].free_demand_kw == UNBOUNDED


def test_a_ratchet_makes_demand_free_below_it() -> None:
    charge = DemandCharge(name="any", price_per_kw=10.0, ratchet=True)
    contract = tariff(demand_charges=(charge,), ratchet=Ratchet(held_fraction=0.8, before_start_kw=1000.0))
    assert seen(contract, [100.0])[-1].free_demand_kw == pytest.approx(800.0)


def test_emissions_are_told_on_average_and_at_the_margin() -> None:
    (state, *_) = seen(tariff(), [0.0], Carbon(average_g_per_kwh=300.0, marginal_g_per_kwh=600.0))
    assert (state.carbon_g_per_kwh, state.marginal_carbon_g_per_kwh) == (300.0, 600.0)
