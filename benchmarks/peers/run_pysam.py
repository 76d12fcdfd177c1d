"""Bills of NREL's System Advisor Model: reads cases as JSON from the standard input, prints twelve bills of each.

A case is `{"rate": a URDB rate, "load_kw": one value for each hour (or part of it) of a year that begins on a Monday}`.
SAM has neither leap days nor daylight saving.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import PySAM.Utilityrate5 as Utilityrate

NONE = 1e38
CHARGES = ("ec_charge", "dc_fixed", "dc_tou", "fixed", "minimum")


def price(tier: dict[str, Any]) -> float:
    return float(tier.get("rate", 0.0) + tier.get("adj", 0.0))


def energy(rate: dict[str, Any]) -> list[list[float]]:
    return [
        [period, number, tier.get("max", NONE), float(tier.get("unit", "kWh") == "kWh/kW"), price(tier), 0.0]
        for period, tiers in enumerate(rate["energyratestructure"], start=1)
        for number, tier in enumerate(tiers, start=1)
    ]


def demand(structure: list[list[dict[str, Any]]], places: list[tuple[int, int]]) -> list[list[float]]:
    """Rows of the tiers of each (place, number in the structure)."""
    return [
        [place, number, tier.get("max", NONE), price(tier)]
        for place, index in places
        for number, tier in enumerate(structure[index], start=1)
    ]


def schedule(rows: list[list[int]]) -> list[list[int]]:
    return [[number + 1 for number in row] for row in rows]


def variables(rate: dict[str, Any]) -> dict[str, Any]:
    nothing, whole = [[{"rate": 0.0}]], [[0] * 24] * 12
    tou, flat = rate.get("demandratestructure", nothing), rate.get("flatdemandstructure", nothing)
    found = {
        "en_electricity_rates": 1,
        "ur_metering_option": 0,
        "ur_monthly_fixed_charge": rate.get("fixedchargefirstmeter", 0.0),
        "ur_monthly_min_charge": rate.get("mincharge", 0.0),
        "ur_annual_min_charge": 0.0,
        "ur_ec_sched_weekday": schedule(rate["energyweekdayschedule"]),
        "ur_ec_sched_weekend": schedule(rate["energyweekendschedule"]),
        "ur_ec_tou_mat": energy(rate),
        "ur_dc_enable": 1,
        "ur_dc_sched_weekday": schedule(rate.get("demandweekdayschedule", whole)),
        "ur_dc_sched_weekend": schedule(rate.get("demandweekendschedule", whole)),
        "ur_dc_tou_mat": demand(tou, [(index + 1, index) for index in range(len(tou))]),
        "ur_dc_flat_mat": demand(flat, list(enumerate(rate.get("flatdemandmonths", [0] * 12)))),
        "ur_nm_yearend_sell_rate": 0.0,
        "ur_sell_eq_buy": 0,
        "rate_escalation": [0.0],
        "ur_en_ts_buy_rate": 0,
        "ur_en_ts_sell_rate": 0,
    }
    if rate.get("lookbackPercent"):
        found["ur_enable_billing_demand"] = 1
        found["ur_billing_demand_minimum"] = 0.0
        found["ur_billing_demand_lookback_period"] = rate.get("lookbackRange", 11)
        found["ur_billing_demand_lookback_percentages"] = [[100.0 * rate["lookbackPercent"], 1]] * 12
        found["ur_dc_billing_demand_periods"] = [[index + 1, 1] for index in range(len(tou))]
        found["ur_yearzero_usage_peaks"] = [0.0] * 12
    return found


def bills(case: dict[str, Any]) -> dict[str, list[float]]:
    model, load_kw = Utilityrate.new(), case["load_kw"]
    model.assign(
        {
            "ElectricityRates": variables(case["rate"]),
            "Lifetime": {"analysis_period": 1, "inflation_rate": 0.0, "system_use_lifetime_output": 0},
            "SystemOutput": {"gen": [0.0] * len(load_kw), "degradation": [0.0]},
            "Load": {"load": load_kw, "load_escalation": [0.0]},
        }
    )
    model.execute(0)
    return {name: list(getattr(model.Outputs, f"year1_monthly_{name}_without_system")) for name in CHARGES}


if __name__ == "__main__":
    print(json.dumps([bills(case) for case in json.load(sys.stdin)]))
