"""Runs the twin as fast as it can: the same agent, rules and guard as on site, on a clock of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agents.assemble import Policy, control_agent
from agents.interruption import interruption
from agents.results import Run
from agents.step_table import StepTable
from twin.clock import stopwatch_s
from twin.errors import PowerFlowError
from twin.ledger import Books, Ledger
from twin.simulator import simulated_plant
from twin.site import Site
from twin.timegrid import TimeGrid
from twin.weather import read_weather


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """A finished (or interrupted) simulation."""

    run: Run
    books: Books
    interrupted: bool


def simulate(
    site: Site,
    site_path: Path,
    grid: TimeGrid,
    policy: Policy,
    seeds: Sequence[int] = (0,),
    *,
    table: StepTable | None = None,
    progress: Callable[[int], None] | None = None,
) -> Simulated:
    """Run `policy` on `site` over `grid`, one scenario for each seed, all at once.

    Ctrl-C ends the run after the current step; the books then cover what was run.
    """
    began_s = stopwatch_s()
    plant = simulated_plant(site, read_weather(site.weather, site.location, grid, site_path), seeds)
    agent = control_agent(site, plant, policy, period_s=grid.step_s)
    ledger, done = Ledger(site), 0
    try:
        with interruption() as interrupted:
            while done < grid.steps and not interrupted():
                agent.cycle(plant.now)
                step = plant.advance(grid.step_s)
                ledger.book(step)
                done += 1
                if table is not None:
                    table.add(step)
                if progress is not None:
                    progress(done)
    except PowerFlowError as error:
        raise PowerFlowError(f"step {done} at {plant.now:%Y-%m-%d %H:%M} UTC: {error}") from error
    end: datetime = plant.now
    run = Run(
        site=site.name, policy=policy.name, start=grid.start, end=end, step_s=grid.step_s,
        steps=round((end - grid.start).total_seconds() / grid.step_s), scenarios=len(seeds),
        wall_s=stopwatch_s() - began_s,
    )  # fmt: skip
    return Simulated(run=run, books=ledger.close(), interrupted=done < grid.steps)
