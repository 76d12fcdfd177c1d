"""What each design of a plan of sizes costs, emits and uses in a year: engine and rules are those of a simulation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from agents.assemble import Policy
from agents.results import columns_of
from agents.simulation import simulate
from agents.sizing_plan import Design, SizingPlan
from twin.devices.grid_connection import GridConnection
from twin.numeric import BoolArray, FloatArray
from twin.scenario import Scenario
from twin.timegrid import TimeGrid

YEAR_S = 365.0 * 86400.0
OBJECTIVES = ("cost_per_year", "carbon_t_per_year", "pue", "wue_l_per_kwh")
"""All the less the better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One design under one weather."""

    cooling: str
    weather: str
    scale: Mapping[str, float]
    cost_per_year: float
    """Energy, fuel and demand, and the yearly share of what was bought."""
    capital_cost_per_year: float
    carbon_t_per_year: float
    pue: float
    wue_l_per_kwh: float
    tue: float | None
    """None: the equipment does not tell what of its power reaches compute components."""
    kwh_per_gpu_h: float
    """Energy of the whole facility for each GPU-hour that was delivered."""
    peak_import_kw: float
    missed_jobs: float
    unmet_steps: float
    """In which a limit of the network or of the connection was broken, or load was not served."""
    on_front: bool = False
    """It works, and no other that works under this weather is as good in all objectives and better in one."""

    @property
    def works(self) -> bool:
        """Within every limit, with every load served and no job late."""
        return self.unmet_steps == 0.0 and self.missed_jobs == 0.0

    @property
    def objectives(self) -> tuple[float, ...]:
        return tuple(getattr(self, name) for name in OBJECTIVES)


def sized(
    plan: SizingPlan, designs: Sequence[Design], site_path: Path, grid: TimeGrid, policy: Policy, processes: int
) -> Iterator[Sequence[Outcome]]:
    """The outcomes of each design, as they come, in the order of the designs."""
    work = partial(_outcomes, plan, site_path, grid, policy)
    if processes == 1:
        yield from map(work, designs)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, designs)


def _outcomes(plan: SizingPlan, site_path: Path, grid: TimeGrid, policy: Policy, design: Design) -> Sequence[Outcome]:
    scenarios = [Scenario(weather=source) for source in plan.weather.values()]
    done = simulate(design.site, site_path, grid, policy, scenarios)
    columns = columns_of(done.books, len(scenarios))
    years = grid.steps * grid.step_s / YEAR_S
    capital_cost = _capital_cost_per_year(plan, design)
    return [
        _outcome(design, weather, {key: float(values[place]) for key, values in columns.items()}, years, capital_cost)
        for place, weather in enumerate(plan.weather)
        if place not in done.failed
    ]


def _outcome(
    design: Design, weather: str, row: Mapping[str, float], years: float, capital_cost_per_year: float
) -> Outcome:
    running_cost = (row["energy_cost"] + row["demand_cost"]) / years
    return Outcome(
        cooling=design.cooling,
        weather=weather,
        scale=design.scale,
        cost_per_year=running_cost + capital_cost_per_year,
        capital_cost_per_year=capital_cost_per_year,
        carbon_t_per_year=row["carbon_kg"] / 1000.0 / years,
        pue=row["pue"],
        wue_l_per_kwh=row["wue_l_per_kwh"],
        kwh_per_gpu_h=row["kwh_per_gpu_h"],
        peak_import_kw=row["peak_import_kw"],
        missed_jobs=row["missed_deadlines"] / years,
        tue=row.get("tue"),
        unmet_steps=sum(count for name, count in row.items() if name.startswith("violations_")),
    )


def _capital_cost_per_year(plan: SizingPlan, design: Design) -> float:
    total = 0.0
    for name, price in plan.costs.items():
        present = name in design.site.devices or name == design.cooling
        total += price.cost_per_year(plan.discount_rate_fraction) * design.scale.get(name, 1.0) * present
    return total


def front(objectives: FloatArray) -> BoolArray:
    """Rows of ``(designs, objectives)`` that no other row is as good as in all and better than in one."""
    as_good = (objectives[:, None, :] <= objectives[None, :, :]).all(axis=2)
    better = (objectives[:, None, :] < objectives[None, :, :]).any(axis=2)
    dominated = np.asarray((as_good & better).any(axis=0), dtype=np.bool_)
    return ~dominated


def currency_of(design: Design) -> str:
    """Of its tariff."""
    found = [device for device in design.site.devices.values() if isinstance(device, GridConnection)]
    return found[0].tariff.currency if found else "USD"


def with_fronts(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes, each told whether it is on the front of its weather."""
    marked: list[Outcome] = []
    for weather in dict.fromkeys(outcome.weather for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.weather == weather]
        works: BoolArray = np.array([outcome.works for outcome in own], dtype=np.bool_)
        best: BoolArray = np.zeros(len(own), dtype=np.bool_)
        best[works] = front(np.array([outcome.objectives for outcome in own])[works])
        marked += [replace(outcome, on_front=bool(is_best)) for outcome, is_best in zip(own, best, strict=True)]
    return marked
