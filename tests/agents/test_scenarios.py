"""Scenarios that differ in more than their seed are what each would be alone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from agents.assemble import load
from agents.simulation import simulate
from tests.agents.test_machine import of_scenarios
from twin.ledger import Books
from twin.scenario import Scenario
from twin.timegrid import TimeGrid

CAMPUS = Path(__file__).parents[2] / "site_configs" / "campus.yaml"
DAY = TimeGrid(start=datetime(2025, 7, 15, 10, tzinfo=UTC), step_s=300.0, steps=150)
DIFFERENT = (
    Scenario(seed=1),
    Scenario(seed=1, parameters={"battery.capacity_kwh": 2000.0, "battery.initial_soc": 0.2}),
    Scenario(seed=2, parameters={"solar.rated_dc_kw": 6000.0, "grid.contracted_import_kw": 3500.0}),
    Scenario(seed=3, parameters={"genset_1.fuel_cost_per_l": 9.0, "chiller_plant.reference_cop": 4.0}),
)


def books(scenarios: tuple[Scenario, ...], *, as_machine_code: bool = True) -> Books:
    loaded = load(CAMPUS)
    whole = tuple(Scenario(seed=one.seed, parameters=all_of(one)) for one in scenarios)
    done = simulate(loaded.site, CAMPUS, DAY, loaded.policy("rules"), whole, as_machine_code=as_machine_code)
    return done.books


def all_of(scenario: Scenario) -> dict[str, float]:
    """Every parameter that any of them sets, with the site file's value where this one does not."""
    devices = load(CAMPUS).site.devices
    names = [name for other in DIFFERENT for name in other.parameters]
    plain = {name: getattr(devices[name.split(".")[0]], name.split(".")[1]) for name in names}
    return plain | dict(scenario.parameters)


@pytest.mark.parametrize("as_machine_code", [True, False])
def test_parameters_differ_side_by_side(as_machine_code: bool) -> None:
    together = of_scenarios(books(DIFFERENT, as_machine_code=as_machine_code))
    results = []
    for number, scenario in enumerate(DIFFERENT):
        alone = [float(value) for value in of_scenarios(books((scenario,), as_machine_code=as_machine_code))]
        mine = [float(np.broadcast_to(value, (len(DIFFERENT),))[number]) for value in together]
        np.testing.assert_allclose(mine, alone, rtol=1e-9, atol=1e-9 * max(alone))
        results.append(tuple(alone))
    assert len(set(results)) == len(DIFFERENT), "they make a difference"
