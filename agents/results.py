"""The summary of a run: what `--json` holds, the same keys for every kind of run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from twin.ledger import ENERGY, Books
from twin.numeric import Num


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
        "fuel_cost": mean(books.fuel_cost),
        "currency": books.currency,
        "carbon_kg": mean(books.carbon_kg),
        "pue": mean(books.pue),
        "wue_l_per_kwh": mean(books.wue_l_per_kwh),
        "battery": {
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
        "balance_residual_kw_max": books.max_balance_residual_kw,
        "scenarios": run.scenarios,
        "wall_s": round(run.wall_s, 3),
    }


def by_scenario(books: Books, scenarios: int) -> list[dict[str, float]]:
    """One flat row per scenario, for a table file."""
    columns = _columns(books)
    spread = {name: np.broadcast_to(np.asarray(value, dtype=float), (scenarios,)) for name, value in columns.items()}
    return [{"scenario": k} | {name: float(value[k]) for name, value in spread.items()} for k in range(scenarios)]


def _columns(books: Books) -> Mapping[str, Num]:
    energy = {f"{name}_kwh": books.energy_kwh[name] for name in ENERGY}
    violations = {f"violations_{kind}_count": count for kind, count in books.violations.items()}
    plain = (
        "peak_import_kw", "energy_cost", "demand_cost", "fuel_cost", "carbon_kg", "pue", "wue_l_per_kwh",
        "min_soc", "max_soc", "equivalent_full_cycles", "delivered_gpu_h", "deferred_gpu_h", "missed_deadlines",
    )  # fmt: skip
    return {**energy, **{name: getattr(books, name) for name in plain}, **violations}
