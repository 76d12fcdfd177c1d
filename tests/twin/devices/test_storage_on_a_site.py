"""The edge site with every key of battery, engine and supply told: it balances, and is one with its machine code."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from agents.assemble import load
from agents.simulation import Simulated, simulate
from agents.step_row import step_row
from twin.numeric import Num
from twin.simulator import PlantStep
from twin.timegrid import TimeGrid

EDGE = Path(__file__).parents[3] / "site_configs" / "edge.yaml"
NIGHT = TimeGrid(start=datetime(2025, 7, 2, 5, tzinfo=UTC), step_s=300.0, steps=20)
LOST = {"start": "2025-07-02T06:00:00Z", "end": "2025-07-02T06:10:00Z"}
LOST_STEPS = [12, 13]
TOLD: Mapping[str, Mapping[str, Any]] = {
    "battery": {
        "no_load_losses_kw": 0.4,
        "square_losses_fraction": 0.028,
        "string_count": 5,
        "available_string_count": 4,
        "taper": {"charge_above_soc": 0.7, "discharge_below_soc": 0.5},
        "thermal": {"heat_capacity_kwh_per_k": 0.2, "conductance_kw_per_k": 0.4, "min_air_c": 10},
        "wear": {"replacement_cost_per_kwh": 180, "life_cycles": 6000},
    },
    "genset": {
        "type": "genset",
        "bus": "main_480v",
        "rated_kw": 40,
        "ramp_kw_per_s": 5,
        "cooldown_s": 300,
        "service_interval_h": 250,
        "starting": {"success_fraction": 0.9},
        "out_of_service": [LOST],
        "fuel_no_load_l_per_h": 1,
        "fuel_slope_l_per_kwh": 0.25,
    },
    "pdu": {
        "type": "pdu",
        "bus": "hall_480v",
        "serves": ["hall"],
        "rated_kw": 60,
        "no_load_losses_kw": 0.1,
        "square_losses_fraction": 0.014,
    },
    "ups": {
        "serves": ["hall", "pdu"],
        "eco": {"no_load_losses_kw": 0.2, "proportional_losses_fraction": 0.009},
        "reserve": {"capacity_kwh": 15, "recharge_kw": 4},
        "input_lost": [LOST],
    },
}


class Rows:
    """Keeps every row."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Num]] = []

    def row_of(self, step: PlantStep) -> Mapping[str, Num]:
        return step_row(step)

    def add(self, at: datetime, row: Mapping[str, Num]) -> None:
        self.rows.append({name: np.array(value) for name, value in row.items()})


@pytest.fixture(scope="module")
def site_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without the meters of the site, whose maps show less."""
    yaml = YAML(typ="safe")
    told = yaml.load(EDGE)
    told.pop("telemetry", None)
    for name, keys in TOLD.items():
        told["devices"][name] = {**told["devices"].get(name, {}), **keys}
    path = tmp_path_factory.mktemp("site") / "edge.yaml"
    yaml.dump(told, path)
    return path


def run(path: Path, *, as_machine_code: bool) -> tuple[Simulated, Rows]:
    loaded, rows = load(path), Rows()
    done = simulate(
        loaded.site, path, NIGHT, loaded.policy("rules"), range(2), table=rows, as_machine_code=as_machine_code
    )
    return done, rows


def test_it_runs_balances_and_is_the_same_as_machine_code(site_path: Path) -> None:
    fast, fast_rows = run(site_path, as_machine_code=True)
    _, slow_rows = run(site_path, as_machine_code=False)
    for step, (row, wanted) in enumerate(zip(fast_rows.rows, slow_rows.rows, strict=True)):
        for name, value in wanted.items():
            np.testing.assert_allclose(row[name], value, rtol=1e-9, atol=1e-7, err_msg=f"{name} in step {step}")
    assert np.max(fast.books.max_balance_residual_kw) < 1e-5
    assert [step for step, row in enumerate(fast_rows.rows) if np.all(row["ups.p_kw"] < 0.0)] == LOST_STEPS
    out = [step for step, row in enumerate(fast_rows.rows) if np.all(row["genset.available_fraction"] == 0.0)]
    assert out == LOST_STEPS
    assert np.all(fast_rows.rows[LOST_STEPS[-1]]["ups.soc"] < 1.0)
