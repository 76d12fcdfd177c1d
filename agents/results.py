"""What a run amounts to, as plain data for people, files and scripts; the same for every kind of run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from twin.ledger import ENERGY, Books
from twin.numeric import FloatArray, Num

PLAIN = (
    "peak_import_kw", "energy_cost", "demand_cost", "fuel_cost", "carbon_kg", "pue", "wue_l_per_kwh",
    "fixed_cost", "marginal_carbon_kg", "kwh_per_gpu_h", "unmet_heat_kwh", "over_limit_h", "unbacked_kwh", "wear_cost",
    "min_soc", "max_soc", "equivalent_full_cycles", "delivered_gpu_h", "deferred_gpu_h", "missed_deadlines",
    "max_balance_residual_kw", "longest_import_excess_steps",
)  # fmt: skip
"""Numbers of the books that are columns of their own name."""
SPREAD = ("energy_cost", "demand_cost", "peak_import_kw", "carbon_kg", "pue")
QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was run, beside what came of it."""

    site: str
    policy: str
    start: datetime
    end: datetime
    step_s: float
    steps: int
    scenarios: int
    wall_s: float


def mean(value: Num) -> float:
    """Mean over scenarios."""
    return float(np.mean(value))


def summary(run: Run, books: Books) -> dict[str, Any]:
    """Everything about a run as plain data; numbers are means over the scenarios, extremes are extremes."""
    return {
        "site": run.site,
        "policy": run.policy,
        "start": run.start.isoformat(),
        "end": run.end.isoformat(),
        "step_s": run.step_s,
        "steps": run.steps,
        "energy_kwh": {name: mean(books.energy_kwh[name]) for name in ENERGY},
        "peak_import_kw": float(np.max(books.peak_import_kw)),
        "energy_cost": mean(books.energy_cost),
        "demand_cost": mean(books.demand_cost),
        "fixed_cost": mean(books.fixed_cost),
        "fuel_cost": mean(books.fuel_cost),
        "currency": books.currency,
        "carbon_kg": mean(books.carbon_kg),
        "marginal_carbon_kg": mean(books.marginal_carbon_kg),
        "pue": mean(books.pue),
        "tue": None if books.tue is None else mean(books.tue),
        "wue_l_per_kwh": mean(books.wue_l_per_kwh),
        "kwh_per_gpu_h": mean(books.kwh_per_gpu_h),
        "heat": {"unmet_heat_kwh": mean(books.unmet_heat_kwh), "over_limit_h": mean(books.over_limit_h)},
        "unbacked_kwh": mean(books.unbacked_kwh),
        "battery": {
            "wear_cost": mean(books.wear_cost),
            "min_soc": float(np.min(books.min_soc)),
            "max_soc": float(np.max(books.max_soc)),
            "equivalent_full_cycles": mean(books.equivalent_full_cycles),
        },
        "gpu": {
            "delivered_gpu_h": mean(books.delivered_gpu_h),
            "deferred_gpu_h": mean(books.deferred_gpu_h),
            "missed_deadlines": mean(books.missed_deadlines),
        },
        "violations": {kind: mean(count) for kind, count in sorted(books.violations.items())},
        "balance_residual_kw_max": float(np.max(books.max_balance_residual_kw)),
        "scenarios": run.scenarios,
        "wall_s": round(run.wall_s, 3),
    }


def spread(books: Books) -> dict[str, dict[str, float]]:
    """How far the scenarios lie apart: quantiles of what matters most."""
    return {
        name: {label: float(np.quantile(getattr(books, name), share)) for label, share in QUANTILES.items()}
        for name in SPREAD
    }


def columns_of(books: Books, scenarios: int) -> dict[str, FloatArray]:
    """The books as a table, one row for each scenario; `books_of` reads it back."""
    energy = {f"{name}_kwh": books.energy_kwh[name] for name in ENERGY}
    violations = {f"violations_{kind}_count": count for kind, count in books.violations.items()}
    told = {} if books.tue is None else {"tue": books.tue}
    named = {**energy, **{name: getattr(books, name) for name in PLAIN}, **told, **violations}
    return {name: np.array(np.broadcast_to(value, (scenarios,)), dtype=np.float64) for name, value in named.items()}


def books_of(columns: Mapping[str, FloatArray], currency: str) -> Books:
    """Books over all rows of such a table, or of several such tables together."""
    kinds = [name for name in columns if name.startswith("violations_")]
    return Books(
        energy_kwh={name: columns[f"{name}_kwh"] for name in ENERGY},
        violations={name.removeprefix("violations_").removesuffix("_count"): columns[name] for name in kinds},
        currency=currency,
        tue=columns.get("tue"),
        **{name: columns[name] for name in PLAIN},
    )


def joined(tables: Sequence[Mapping[str, FloatArray]]) -> dict[str, FloatArray]:
    """Several tables of the same columns, one below the other."""
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
