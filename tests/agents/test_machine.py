"""Machine code and objects are one simulation: every number of every site's books and rows is the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from agents.assemble import load
from agents.clock_series import clock_series
from agents.simulation import Simulated, simulate
from agents.step_row import step_row
from twin.demand_interval import opening
from twin.ledger import Books
from twin.number_tree import numbers
from twin.numeric import Num
from twin.simulator import PlantStep
from twin.timegrid import TimeGrid

SITE_CONFIGS = Path(__file__).parents[2] / "site_configs"
MONTH_END = TimeGrid(start=datetime(2025, 7, 31, 12, tzinfo=UTC), step_s=300.0, steps=300)
"""A hot afternoon, a night, a billing month's end and a morning."""


class Rows:
    """Keeps every row."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Num]] = []

    def row_of(self, step: PlantStep) -> Mapping[str, Num]:
        return step_row(step)

    def add(self, at: datetime, row: Mapping[str, Num]) -> None:
        self.rows.append({name: np.array(value) for name, value in row.items()})


def run(site: str, policy: str, seeds: range, *, as_machine_code: bool = True) -> tuple[Simulated, Rows]:
    path, rows = SITE_CONFIGS / f"{site}.yaml", Rows()
    loaded = load(path)
    done = simulate(
        loaded.site, path, MONTH_END, loaded.policy(policy), seeds, table=rows, as_machine_code=as_machine_code
    )
    return done, rows


@pytest.mark.parametrize(
    ("site", "policy", "seeds"),
    [
        ("campus", "rules", 1),
        ("campus", "idle", 1),
        ("campus", "rules", 3),
        ("edge", "rules", 1),
        ("island", "rules", 2),
    ],
)
def test_every_row_and_the_books_are_those_of_the_objects(site: str, policy: str, seeds: int) -> None:
    fast, fast_rows = run(site, policy, range(5, 5 + seeds))
    slow, slow_rows = run(site, policy, range(5, 5 + seeds), as_machine_code=False)
    for step, (row, wanted) in enumerate(zip(fast_rows.rows, slow_rows.rows, strict=True)):
        assert row.keys() == wanted.keys()
        for name, value in wanted.items():
            np.testing.assert_allclose(row[name], value, rtol=1e-9, atol=1e-7, err_msg=f"{name} in step {step}")
    same_books(fast.books, slow.books)


def same_books(one: Books, other: Books) -> None:
    for mine, theirs in zip(numbers(one), numbers(other), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-6)


def of_scenarios(books: Books) -> list[Num]:
    """All numbers but the one that is an extreme over all scenarios: what the solver's tolerance leaves."""
    return numbers(replace(books, max_balance_residual_kw=0.0))


def test_scenarios_side_by_side_are_the_scenarios_one_by_one() -> None:
    together, _ = run("campus", "rules", range(3))
    for scenario in range(3):
        alone, _ = run("campus", "rules", range(scenario, scenario + 1))
        one = [np.broadcast_to(number, (3,))[scenario] for number in of_scenarios(together.books)]
        other = [float(number) for number in of_scenarios(alone.books)]
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9 * max(other))


def test_the_same_seeds_give_the_same_bits() -> None:
    first, first_rows = run("campus", "rules", range(2))
    second, second_rows = run("campus", "rules", range(2))
    assert [np.asarray(n).tolist() for n in numbers(first.books)] == [
        np.asarray(n).tolist() for n in numbers(second.books)
    ]
    assert all(
        np.array_equal(mine[name], theirs[name])
        for mine, theirs in zip(first_rows.rows, second_rows.rows, strict=True)
        for name in mine
    )


@pytest.mark.parametrize(
    ("start", "step_s"),
    [
        (datetime(2025, 10, 31, 22, 7, 30, tzinfo=UTC), 300.0),
        (datetime(2025, 11, 1, 3, 55, tzinfo=UTC), 120.0),
        (datetime(2025, 7, 31, 23, tzinfo=UTC), 3600.0),
    ],
)
def test_the_calendar_of_a_run_is_that_of_one_cycle_after_the_other(start: datetime, step_s: float) -> None:
    """Billing months end at local midnight: across the end of summer time and of October, and in odd steps."""
    site, grid = load(SITE_CONFIGS / "campus.yaml").site, TimeGrid(start=start, step_s=step_s, steps=200)
    zone, table = site.location.zone, clock_series(site, grid)
    twin = opening(grid.start, grid.start.astimezone(zone), 900.0)
    ledger = opening(grid.start, grid.start.astimezone(zone), max(900.0, step_s))
    for step in range(grid.steps):
        now, end = grid.at(step), grid.at(step + 1)
        during = ledger.passage(now, end, end.astimezone(zone))
        ledger = ledger.after(0.0, during)
        wanted = [during.old_s, during.new_s, during.rolled, during.month_ended]
        np.testing.assert_allclose(table[step, -4:], np.array(wanted, dtype=float), atol=1e-6)
        if step:
            until = twin.passage(grid.at(step - 1), now, now.astimezone(zone))
            twin = twin.after(0.0, until)
            wanted = [until.old_s, until.new_s, until.rolled, until.month_ended]
            np.testing.assert_allclose(table[step, -8:-4], np.array(wanted, dtype=float), atol=1e-6)
            assert table[step, -9] == pytest.approx(twin.elapsed_s(now), abs=1e-6)
