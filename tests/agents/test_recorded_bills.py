"""The bill of a recorded run is that of the objects, whatever the tariff holds; and rules see the same prices."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pytest

from agents.assemble import load
from agents.simulation import Simulated, simulate
from tests.reference.urdb_cases import RATCHET, TIERS, TIME_OF_USE, Rate
from tests.twin.billed import CAMPUS, urdb
from twin.carbon import Carbon
from twin.devices.grid_connection import GridConnection
from twin.errors import InputError
from twin.number_tree import numbers
from twin.site import Site
from twin.tariff import Ratchet, Tariff
from twin.time_series import ReadSeries
from twin.timegrid import TimeGrid

NEW_YEAR = TimeGrid(start=datetime(2026, 1, 1, 1, tzinfo=UTC), step_s=900.0, steps=36)
"""A billing year's end in New York at 05:00 UTC."""
SUMMER_TIME_ENDS = TimeGrid(start=datetime(2025, 10, 31, 20, tzinfo=UTC), step_s=3600.0, steps=40)
"""The end of October, and the hour that comes twice two days later."""


def series(unit: Any, begin: datetime, values: list[float], **told: Any) -> ReadSeries:
    return ReadSeries(
        file="x.csv", column="x", unit=unit, begin_s=begin.timestamp(), step_s=3600.0, values=np.array(values), **told
    )


def everything(**changed: Any) -> Tariff:
    """Blocks, several demand charges, ratchet, minimum and fixed charges at once, on top of an hourly price."""
    rate: Rate = {
        **TIME_OF_USE,
        "energyratestructure": [
            [{"rate": 0.02, "max": 9000}, {"rate": 0.05, "max": 21000}, {"rate": 0.01}],
            [{"rate": 0.04, "max": 12000}, {"rate": 0.07}],
        ],
        "energyweekdayschedule": TIERS["energyweekdayschedule"],
        "flatdemandstructure": [[{"rate": 5.0, "max": 900}, {"rate": 8.0}], [{"rate": 9.5}]],
        "lookbackPercent": 0.8,
        "mincharge": 90000.0,
    }
    tariff = urdb(rate, ratchet=Ratchet(held_fraction=0.8, before_start_kw=3100.0))
    hourly = [0.03 + 0.001 * (hour * 37 % 90) for hour in range(24 * 30)]
    prices = series("per_kwh", datetime(2025, 10, 20, tzinfo=UTC), hourly, outside="repeat")
    return replace(tariff, price=prices, export_price=prices, **changed)


def hours_of_use() -> Tariff:
    rate: Rate = {
        **RATCHET,
        "energyratestructure": [[{"rate": 0.2, "max": 5, "unit": "kWh/kW"}, {"rate": 0.1, "unit": "kWh/kW"}]],
    }
    return urdb(rate)


CARBON = Carbon(
    average=series(
        "g_per_kwh", datetime(2025, 10, 1, tzinfo=UTC), [200.0 + hour % 24 for hour in range(168)], outside="repeat"
    ),
    marginal_g_per_kwh=650.0,
)


def with_tariff(tariff: Tariff, carbon: Carbon | None) -> Site:
    site = load(CAMPUS).site
    grid = replace(cast(GridConnection, site.devices["grid"]), tariff=tariff, carbon=carbon, carbon_g_per_kwh=0.0)
    return replace(site, devices={**site.devices, "grid": grid})


def run(site: Site, grid: TimeGrid, seeds: range, *, as_machine_code: bool) -> Simulated:
    return simulate(site, CAMPUS, grid, load(CAMPUS).policy("rules"), seeds, as_machine_code=as_machine_code)


@pytest.mark.parametrize(
    ("tariff", "grid", "seeds"),
    [
        (everything(demand_interval_s=1800.0), NEW_YEAR, 1),
        (everything(), SUMMER_TIME_ENDS, 3),
        (hours_of_use(), NEW_YEAR, 2),
    ],
)
def test_a_recorded_bill_is_that_of_the_objects(tariff: Tariff, grid: TimeGrid, seeds: int) -> None:
    site = with_tariff(tariff, CARBON)
    fast = run(site, grid, range(4, 4 + seeds), as_machine_code=True).books
    slow = run(site, grid, range(4, 4 + seeds), as_machine_code=False).books
    for mine, theirs in zip(numbers(fast), numbers(slow), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-6)
    assert np.all(np.asarray(fast.demand_cost) > 0.0)
    assert np.all(np.asarray(fast.carbon_kg) < np.asarray(fast.marginal_carbon_kg))


def test_a_run_beyond_the_rows_of_a_price_file_is_refused_unless_it_may_repeat() -> None:
    tariff = everything()
    short = replace(tariff, price=series("per_kwh", datetime(2025, 10, 20, tzinfo=UTC), [0.1] * 300))
    with pytest.raises(InputError, match=r"x\.csv: found rows from 2025-10-20 00:00 to 2025-11-01 12:00 UTC"):
        run(with_tariff(short, None), NEW_YEAR, range(1), as_machine_code=True)
