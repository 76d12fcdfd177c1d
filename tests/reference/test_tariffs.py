"""Bills against two other computations: NREL's System Advisor Model, and a few lines of pandas on the raw rate."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from tests.reference.urdb_cases import CASES, HOURS, Rate, load_kw
from tests.twin.billed import Billed, site_with, urdb

SAM: Mapping[str, Mapping[str, list[float]]] = {
    "time of use": {
        "energy_cost": [
            13067.7586, 12283.3785, 14942.4948, 16249.9923, 18627.2315, 29837.0083, 31684.8685, 31359.3474, 27301.884,
            16624.2241, 14324.7315, 13494.5647,
        ],
        "demand_cost": [
            5400.0554, 5534.2021, 6013.8298, 6578.8863, 7077.987, 11277.1145, 11435.6719, 11249.402, 10768.6528,
            6503.2985, 5982.5024, 5548.7618,
        ],
        "fixed_cost": [44.57] * 12,
    },
    "tiers": {
        "energy_cost": [
            31003.4109, 28707.7343, 34929.8288, 37687.2812, 44127.9854, 44624.4344, 47450.5967, 47011.2798, 40732.8757,
            39473.4639, 33830.3905, 31178.5251,
        ],
        "demand_cost": [
            3059.2825, 3150.1854, 3475.1993, 3931.8468, 4366.6876, 4578.1091, 4661.3741, 4554.3254, 4280.583, 3865.9909,
            3453.9706, 3160.0516,
        ],
        "fixed_cost": [0.0] * 12,
    },
    "hours of use": {
        "energy_cost": [
            21432.2758, 21299.2871, 24101.9514, 26308.6638, 28991.2142, 30012.9844, 30915.6132, 30278.4178, 28298.6978,
            26342.9527, 23652.4441, 22062.6447,
        ],
        "demand_cost": [0.0] * 12,
        "fixed_cost": [
            5567.7242, 5700.7129, 2898.0486, 691.3362, 0.0, 0.0, 0.0, 0.0, 0.0, 657.0473, 3347.5559, 4937.3553,
        ],
    },
    "ratchet": {
        "energy_cost": [
            13067.7586, 12283.3785, 14942.4948, 16249.9923, 18627.2315, 19312.2266, 20415.7024, 19869.1298, 17887.6153,
            16624.2241, 14324.7315, 13494.5647,
        ],
        "demand_cost": [
            5227.5464, 5357.4077, 5821.7133, 6368.7186, 6851.8751, 7086.7879, 7179.3045, 7060.3615, 6756.2033,
            6461.3741, 6461.3741, 6461.3741,
        ],
        "fixed_cost": [0.0] * 12,
    },
}  # fmt: skip
"""NREL-PySAM 7.1.1.post1, `Utilityrate5` with monthly settlement, by `benchmarks/tariffs.py --sam-cases`, by month.
SAM's year begins on a Monday, without daylight saving: 2018 at a fixed offset. Its minimum is what is missing to it."""


@pytest.mark.parametrize("name", CASES)
def test_bills_are_those_of_nrel_sam(name: str) -> None:
    start = datetime(2018, 1, 1, tzinfo=ZoneInfo("Etc/GMT+7"))
    done = Billed(site_with(urdb(CASES[name]), "Etc/GMT+7"), start, [load_kw(hour) for hour in range(HOURS)])
    for account, expected in SAM[name].items():
        np.testing.assert_allclose(done.of(account), expected, atol=6e-5, err_msg=account)


@pytest.mark.parametrize("name", ["time of use", "tiers"])
def test_bills_of_a_year_with_clock_changes_are_those_of_a_plain_computation(name: str) -> None:
    zone = ZoneInfo("America/Denver")
    hours = pd.date_range("2025-01-01", "2026-01-01", freq="h", tz=zone, inclusive="left")
    load = pd.Series([load_kw(hour) for hour in range(len(hours))], index=hours)
    done = Billed(site_with(urdb(CASES[name])), hours[0].to_pydatetime(), list(map(float, load)))
    expected = [plain_bill(CASES[name], part) for _, part in load.groupby(hours.month)]
    total = np.sum([done.of(account) for account in ("energy_cost", "demand_cost", "fixed_cost")], axis=0)
    np.testing.assert_allclose(total, expected, rtol=1e-9)


def plain_bill(rate: Rate, load: pd.Series) -> float:
    """One month: energy of each period shared out over the tiers of the month's total, and every demand charge."""
    bill, month = rate.get("fixedchargefirstmeter", 0.0), load.index[0].month - 1
    energy = load.groupby(numbers(rate, "energy", load)).sum()
    for period, part in (energy / energy.sum()).items():
        bill += part * stepped(rate["energyratestructure"][period], energy.sum())
    if "demandratestructure" in rate:
        peaks = load.groupby(numbers(rate, "demand", load)).max()
        bill += sum(stepped(rate["demandratestructure"][period], peak) for period, peak in peaks.items())
    flat = rate["flatdemandstructure"][rate["flatdemandmonths"][month]]
    return float(bill + stepped(flat, load.max()))


def numbers(rate: Rate, kind: str, load: pd.Series) -> list[int]:
    days = ("weekday", "weekend")
    return [rate[f"{kind}{days[at.dayofweek >= 5]}schedule"][at.month - 1][at.hour] for at in load.index]


def stepped(tiers: list[dict[str, Any]], amount: float) -> float:
    """What an amount costs, tier by tier."""
    cost, below = 0.0, 0.0
    for tier in tiers:
        top = min(amount, tier.get("max", np.inf))
        cost += max(top - below, 0.0) * (tier.get("rate", 0.0) + tier.get("adj", 0.0))
        below = max(top, below)
    return cost
