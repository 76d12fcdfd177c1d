"""Runs the twin as fast as it can: the same agent, rules and guard as on site, on a clock of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, cast

from threadpoolctl import threadpool_limits

from agents.assemble import Policy
from agents.forecasting import ForecastingAgent
from agents.interruption import interruption
from agents.machine import MachineRun
from agents.object_run import ObjectRun
from agents.recording import Surroundings
from agents.results import Run
from agents.step_row import nothing
from controllers.base import Rule
from twin.clock import stopwatch_s
from twin.connection_files import check_covered
from twin.devices.grid_connection import GridConnection
from twin.drives import Drives
from twin.errors import PowerFlowError
from twin.ledger import Books, Ledger, watch_limits
from twin.numeric import Num
from twin.scenario import Scenario, varied, with_parameters
from twin.simulator import PlantStep
from twin.site import Site
from twin.site_network import NetworkInMemory
from twin.timegrid import TimeGrid
from twin.weather import read_weather


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """A finished (or interrupted) simulation."""

    run: Run
    books: Books
    interrupted: bool
    failed: Mapping[int, str]
    """Scenario → when and why it was given up; its numbers in the books mean nothing."""


class Table(Protocol):
    """Keeps something of every step."""

    def row_of(self, step: PlantStep) -> Mapping[str, Num]:
        """What is kept, by name. A pure function of numbers: it may be recorded."""
        ...

    def add(self, at: datetime, row: Mapping[str, Num]) -> None:
        """Take in the row of the step that begins at `at`; its arrays are overwritten by the next step."""
        ...


def surroundings(
    site: Site, site_path: Path, grid: TimeGrid, rules: Sequence[Rule] | None, scenarios: Sequence[Scenario]
) -> Surroundings:
    """All that a simulation of these scenarios over `grid` runs in."""
    sources = dict.fromkeys(scenario.weather for scenario in scenarios)
    weathers = {source: read_weather(source or site.weather, site.location, grid, site_path) for source in sources}
    parameters = varied(scenarios)
    if site.grid is not None:
        check_covered(cast(GridConnection, site.devices[site.grid]), grid.start.timestamp(), grid.end.timestamp())
    return Surroundings(
        site=site,
        parameters=parameters,
        rules=rules,
        step_s=grid.step_s,
        drives=Drives(site, weathers, scenarios),
        network=NetworkInMemory(site, scenarios),
        watch=watch_limits(site),
        forecasting=ForecastingAgent(site, scored=False, parameters=parameters),
    )


def simulate(
    site: Site,
    site_path: Path,
    grid: TimeGrid,
    policy: Policy,
    scenarios: Sequence[Scenario] | Sequence[int] = (0,),
    *,
    table: Table | None = None,
    progress: Callable[[int], None] | None = None,
    as_machine_code: bool = True,
) -> Simulated:
    """Run `policy` on `site` over `grid`, all scenarios (or seeds) side by side.

    The first step is done by plant, agent and ledger themselves, and recorded; the others are run as machine code,
    which gives the same numbers (`as_machine_code` False: all of them by the objects, twenty times slower).
    Ctrl-C ends the run after the current step; the books then cover what was run.
    """
    began_s = stopwatch_s()
    several = [Scenario(seed=item) if isinstance(item, int) else item for item in scenarios]
    around = surroundings(site, site_path, grid, policy.rules, several)
    row_of = nothing if table is None else table.row_of
    done = 0
    try:
        run = MachineRun(around, row_of) if as_machine_code else ObjectRun(around, row_of)
        with interruption() as interrupted, threadpool_limits(1, user_api="blas"):
            while done < grid.steps and not interrupted():
                run.step()
                done += 1
                if table is not None:
                    table.add(grid.at(done - 1), run.row)
                if progress is not None:
                    progress(done)
    except PowerFlowError as error:
        raise PowerFlowError(f"step {done} at {error}") from error
    told = Run(
        site=site.name, policy=policy.name, start=grid.start, end=grid.at(done), step_s=grid.step_s, steps=done,
        scenarios=len(several), wall_s=stopwatch_s() - began_s,
    )  # fmt: skip
    memory = run.memory()
    books = Ledger(with_parameters(site, memory.parameters), tally=memory.tally).close()
    return Simulated(run=told, books=books, interrupted=done < grid.steps, failed=dict(around.network.failed))
