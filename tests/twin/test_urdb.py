"""Rates of the OpenEI Utility Rate Database: what is read, and what is refused by its name."""

from __future__ import annotations

from datetime import datetime
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from tests.reference.urdb_cases import ALWAYS, HOURS_OF_USE, RATCHET, TIERS, TIME_OF_USE, Rate
from tests.twin.billed import urdb
from twin.tariff import DemandBlock, EnergyBlock, Ratchet
from twin.urdb import UrdbError, tariff_fields, windows

DENVER = ZoneInfo("America/Denver")


def test_any_schedule_comes_back_out_of_its_windows() -> None:
    random = np.random.default_rng(7)
    weekday, weekend = (random.integers(0, 3, (12, 24)) for _ in range(2))
    weekend[[2, 5]] = weekday[[2, 5]]
    for number in range(3):
        found = list(windows(weekday.tolist(), weekend.tolist(), number))
        for month, workday, hour in product(range(1, 13), (True, False), range(24)):
            wanted = (weekday if workday else weekend)[month - 1][hour] == number
            assert sum(item.covers(month, workday, hour + 0.5) for item in found) == wanted


def test_a_rate_becomes_the_words_of_a_tariff() -> None:
    tariff = urdb(TIME_OF_USE)
    assert {period.name: period.price_per_kwh for period in tariff.periods} == {"period 0": 0.05, "period 1": 0.15}
    assert tariff.price_per_kwh(datetime(2025, 7, 1, 13, tzinfo=DENVER)) == pytest.approx(0.15)
    assert tariff.price_per_kwh(datetime(2025, 7, 5, 13, tzinfo=DENVER)) == pytest.approx(0.05), "a Saturday"
    assert tariff.price_per_kwh(datetime(2025, 2, 4, 13, tzinfo=DENVER)) == pytest.approx(0.05), "winter"
    flat = {charge.name: (charge.price_per_kw, charge.applies_in(7)) for charge in tariff.charges}
    assert flat == {"flat 0": (8.0, False), "flat 1": (9.5, True), "period 0": (2.33, True), "period 1": (4.11, True)}
    assert tariff.fixed_monthly_cost == 44.57


def test_tiers_become_blocks() -> None:
    tariff = urdb(TIERS)
    night = next(period for period in tariff.periods if period.name == "period 0")
    assert (night.price_per_kwh, night.blocks) == (
        0.1,
        (EnergyBlock(above_kwh=50000.0, price_per_kwh=0.08), EnergyBlock(above_kwh=250000.0, price_per_kwh=0.05)),
    )
    assert tariff.charges[0].blocks == (
        DemandBlock(above_kw=200.0, price_per_kw=7.0),
        DemandBlock(above_kw=600.0, price_per_kw=9.0),
    )
    assert urdb(HOURS_OF_USE).periods[0].blocks[0] == EnergyBlock(above_use_h=200.0, price_per_kwh=0.07)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"lookbackPercent": 0.9, "lookbackRange": 6}, Ratchet(held_fraction=0.9, look_back_months=6)),
        ({"lookbackPercent": 0.5, "lookbackRange": 0}, Ratchet(held_fraction=0.5)),
        (
            {"lookbackPercent": 0.5, "lookbackRange": 0, "lookbackMonths": [0] * 5 + [1, 1, 1, 1] + [0] * 3},
            Ratchet(held_fraction=0.5, months=(6, 7, 8, 9)),
        ),
        (
            {"lookbackPercent": 0.0, "demandratchetpercentage": [0.35] * 12},
            Ratchet(held_fraction=0.35, look_back_months=11),
        ),
        ({"lookbackPercent": 75}, Ratchet(held_fraction=0.75, look_back_months=11)),
    ],
)  # fmt: skip
def test_a_ratchet_holds_up_the_flat_charges(told: dict[str, Any], expected: Ratchet) -> None:
    tariff = urdb({**RATCHET, **told})
    assert tariff.ratchet == expected
    assert {charge.name: charge.ratchet for charge in tariff.charges} == {"flat 0": True, "period 0": False}


def test_sell_prices_window_and_charges_a_day() -> None:
    selling: Rate = {
        "energyratestructure": [[{"rate": 0.1, "sell": 0.04}]],
        "energyweekdayschedule": ALWAYS,
        "energyweekendschedule": ALWAYS,
        "dgrules": "Net Billing Instantaneous",
        "demandwindow": 30,
        "fixedchargefirstmeter": 2.0,
        "fixedchargeunits": "$/day",
    }
    tariff = urdb(selling)
    at = datetime(2025, 7, 1, 13, tzinfo=DENVER)
    assert tariff.terms(at, at, 7).export_price_per_kwh == 0.04
    assert (tariff.demand_interval_s, tariff.fixed_monthly_cost) == (1800.0, 60.875)


def test_a_response_of_the_service_is_its_one_rate() -> None:
    assert tariff_fields({"items": [TIERS]}, export_is_known=False) == tariff_fields(TIERS, export_is_known=False)


def without(rate: Rate, key: str) -> Rate:
    return {name: value for name, value in rate.items() if name != key}


@pytest.mark.parametrize(
    ("rate", "key", "expected"),
    [
        ({}, "energyratestructure", "a rate of the OpenEI"),
        ({"items": []}, "items", "one rate"),
        ({**TIERS, "coincidentratestructure": [[{"rate": 2.0}]]}, "coincidentratestructure", "not computed"),
        ({**TIERS, "fueladjustmentsmonthly": [0.01] * 12}, "fueladjustmentsmonthly", "not computed"),
        ({**TIERS, "demandreactivepowercharge": 0.3}, "demandreactivepowercharge", "not computed"),
        ({**TIERS, "anything new": "x"}, "anything new", "not computed"),
        ({**TIERS, "flatdemandunit": "hp"}, "flatdemandunit", "kW"),
        ({**TIERS, "flatdemandmonths": [0] * 11}, "flatdemandmonths", "12 numbers from 0 to 0"),
        ({**TIERS, "energyweekdayschedule": [[0] * 24] * 11}, "energyweekdayschedule", "12 rows of 24 numbers"),
        ({**TIERS, "energyweekdayschedule": [[2] * 24] * 12}, "energyweekdayschedule", "from 0 to 1"),
        (without(TIME_OF_USE, "demandweekendschedule"), "demandweekendschedule", "12 rows"),
        ({**TIERS, "dgrules": "Net Metering"}, "dgrules", "export_price_per_kwh"),
        ({**TIERS, "mincharge": 10.0, "minchargeunits": "$/year"}, "minchargeunits", "$/month"),
        ({**TIERS, "fixedchargefirstmeter": "much"}, "fixedchargefirstmeter", "a number"),
        ({**without(RATCHET, "flatdemandstructure"), "flatdemandmonths": []}, "lookbackPercent", "a flat demand"),
        (
            {**RATCHET, "demandratchetpercentage": [0.1] * 6 + [0.2] * 6},
            "demandratchetpercentage",
            "the same in every month",
        ),
    ],
)
def test_what_is_not_computed_is_refused_by_its_name(rate: Rate, key: str, expected: str) -> None:
    with pytest.raises(UrdbError) as caught:
        tariff_fields(rate, export_is_known=False)
    assert caught.value.key == key
    assert expected in caught.value.expected


@pytest.mark.parametrize(
    ("tiers", "key", "expected"),
    [
        ([{"rate": 0.1, "max": 50.0}], "max", "no bound there"),
        ([{"rate": 0.1}, {"rate": 0.2}], "max", "a number above 0 in every tier but the highest"),
        ([{"rate": 0.1, "unit": "kWh daily"}], "unit", "kWh or kWh/kW"),
        ([{"rate": 0.1, "max": 5, "unit": "kWh/kW"}, {"rate": 0.2, "unit": "kWh"}], "unit", "the same in all tiers"),
        ([{"rate": 0.1, "sell": 0.1, "max": 5}, {"rate": 0.2, "sell": 0.0}], "sell", "one for the period"),
        ([{"rate": 0.1, "rebate": 1}], "rebate", "rate, adj, sell, max, unit"),
        ([], "", "a list of tiers"),
        ([{"rate": None}], "rate", "a number"),
    ],
)
def test_tiers_that_say_too_little_or_too_much_are_refused(tiers: list[Rate], key: str, expected: str) -> None:
    rate: Rate = {"energyratestructure": [tiers], "energyweekdayschedule": ALWAYS, "energyweekendschedule": ALWAYS}
    with pytest.raises(UrdbError) as caught:
        tariff_fields(rate, export_is_known=False)
    assert caught.value.key == "energyratestructure[0]" + (f".{key}" if key else "")
    assert expected in caught.value.expected
