"""The 100 MW site: several hundred buses, and a feed that is lost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.assemble import load
from agents.simulation import simulate
from agents.step_row import step_row
from twin.numeric import Num, first
from twin.scenario import Outage, Scenario
from twin.simulator import PlantStep
from twin.timegrid import TimeGrid

HYPERSCALE = Path(__file__).parents[2] / "site_configs" / "hyperscale.yaml"
MORNING = TimeGrid(start=datetime(2025, 7, 15, 12, tzinfo=UTC), step_s=900.0, steps=12)
LOST = range(4, 8)


class Unserved:
    """Keeps what no source reached, and what one hall's coolers drew."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, float]] = []

    def row_of(self, step: PlantStep) -> Mapping[str, Num]:
        return {name: step_row(step)[name] for name in ("unserved_kw", "cooling_01.p_kw", "pod_01_1.p_kw")}

    def add(self, at: datetime, row: Mapping[str, Num]) -> None:
        unserved_kw, cooling_kw, pod_kw = (first(value) for value in row.values())
        assert pod_kw > 0.0
        self.rows.append((unserved_kw, cooling_kw))


def test_pods_of_a_hall_that_loses_a_feed_go_over_to_the_other_and_what_has_one_feed_is_told() -> None:
    loaded, kept = load(HYPERSCALE), Unserved()
    assert len(loaded.site.network.buses) > 300
    outage = Outage(element="cable_01_a", start=MORNING.at(LOST.start), end=MORNING.at(LOST.stop))
    scenario = Scenario(seed=1, outages=(outage,))
    done = simulate(loaded.site, HYPERSCALE, MORNING, loaded.policy("rules"), [scenario], table=kept)
    for step, (unserved_kw, cooling_kw) in enumerate(kept.rows):
        assert unserved_kw == pytest.approx(cooling_kw if step in LOST else 0.0, abs=1e-6)
    assert first(done.books.max_balance_residual_kw) < 1e-9 * 120_000
    violations = done.books.violations
    assert violations["import_limit"] == violations["transformer_loading"] == 0.0
    assert violations["unserved"] == len(LOST)
