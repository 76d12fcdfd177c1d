"""Rates in the form of the OpenEI Utility Rate Database, and a year of load, to compare bills on."""

from __future__ import annotations

import math
from typing import Any

Rate = dict[str, Any]
HOURS = 8760
ALWAYS = [[0] * 24] * 12


def load_kw(hour: int) -> float:
    """A day's and a year's course with something irregular on top, from 100 to 750 kW."""
    day, year = math.sin(2 * math.pi * (hour % 24 - 8) / 24), math.sin(2 * math.pi * (hour - 2500) / HOURS)
    return 400.0 + 120.0 * day + 100.0 * year + (hour * 7919) % 101


def table(number: int, hours: range, months: range = range(12)) -> list[list[int]]:
    """12 rows of 24 zeros, with a number in some hours of some months."""
    return [[number if hour in hours and month in months else 0 for hour in range(24)] for month in range(12)]


SUMMER = range(5, 9)
TIME_OF_USE: Rate = {
    "energyratestructure": [[{"rate": 0.02, "adj": 0.03, "unit": "kWh"}], [{"rate": 0.11, "adj": 0.04, "unit": "kWh"}]],
    "energyweekdayschedule": table(1, range(12, 20), SUMMER),
    "energyweekendschedule": ALWAYS,
    "demandratestructure": [[{"rate": 2.33}], [{"rate": 4.11}]],
    "demandweekdayschedule": table(1, range(14, 20), SUMMER),
    "demandweekendschedule": ALWAYS,
    "flatdemandstructure": [[{"rate": 5.0, "adj": 3.0}], [{"rate": 9.5}]],
    "flatdemandmonths": [0] * 5 + [1] * 4 + [0] * 3,
    "fixedchargefirstmeter": 44.57,
    "fixedchargeunits": "$/month",
}
"""Two periods, two seasons, a flat demand charge of either season beside two by time of use."""
TIERS: Rate = {
    "energyratestructure": [
        [{"rate": 0.1, "max": 50000}, {"rate": 0.08, "max": 250000}, {"rate": 0.05}],
        [{"rate": 0.2, "max": 50000}, {"rate": 0.15, "max": 250000}, {"rate": 0.22}],
    ],
    "energyweekdayschedule": table(1, range(8, 20)),
    "energyweekendschedule": ALWAYS,
    "flatdemandstructure": [[{"rate": 4.0, "max": 200}, {"rate": 7.0, "max": 600}, {"rate": 9.0}]],
    "flatdemandmonths": [0] * 12,
}
"""Energy and demand cost more or less by the block."""
HOURS_OF_USE: Rate = {
    "energyratestructure": [
        [
            {"rate": 0.12, "max": 200, "unit": "kWh/kW"},
            {"rate": 0.07, "max": 400, "unit": "kWh/kW"},
            {"rate": 0.03, "unit": "kWh/kW"},
        ]
    ],
    "energyweekdayschedule": ALWAYS,
    "energyweekendschedule": ALWAYS,
    "mincharge": 27000.0,
    "minchargeunits": "$/month",
}
"""Blocks that grow with the month's peak, and a minimum that some months do not reach."""
RATCHET: Rate = {
    "energyratestructure": [[{"rate": 0.05}]],
    "energyweekdayschedule": ALWAYS,
    "energyweekendschedule": ALWAYS,
    "demandratestructure": [[{"rate": 0.0}]],
    "demandweekdayschedule": ALWAYS,
    "demandweekendschedule": ALWAYS,
    "flatdemandstructure": [[{"rate": 10.0}]],
    "flatdemandmonths": [0] * 12,
    "lookbackPercent": 0.9,
    "lookbackRange": 11,
}
"""Billed demand is at least 90 % of the highest of the eleven months before."""
CASES = {"time of use": TIME_OF_USE, "tiers": TIERS, "hours of use": HOURS_OF_USE, "ratchet": RATCHET}
