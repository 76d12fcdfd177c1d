"""A sweep at the terminal: its progress, its summary, and what went wrong in it."""

from __future__ import annotations

import math
from pathlib import Path

from rich.console import Console

from agents.results import Run, books_of, spread, summary
from agents.sweep import Sweep, SweepResult, batch_size, run_sweep
from agents.sweep_memory import MOST_MB, MOST_SIDE_BY_SIDE, memory_mb
from agents.terminal import progress_bar, report
from twin.clock import stopwatch_s
from twin.devices.grid_connection import GridConnection
from twin.site import Site

INTERRUPTED, FAULTY, FINE = 130, 1, 0
MOST_TOLD = 10
"""Scenarios that were given up, in words; the table has them all."""


def run_and_report(site: Site, sweep: Sweep, json_path: Path | None, *, restart: bool) -> int:
    """Run, print, and say how it ended: an exit code."""
    began_s, console = stopwatch_s(), Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(about_memory(site, sweep), style="yellow", markup=False, end="")
    with progress_bar("simulating", len(sweep.scenarios) * sweep.grid.steps) as progress:
        found = run_sweep(sweep, progress, restart=restart)
    wall_s = stopwatch_s() - began_s
    _tell(found, sweep, console)
    if found.columns and found.columns["energy_cost"].size:
        _summarise(site, sweep, found, wall_s, json_path)
    if found.lost:
        return FAULTY
    return INTERRUPTED if found.interrupted else FAULTY if found.failed else FINE


def _summarise(site: Site, sweep: Sweep, found: SweepResult, wall_s: float, json_path: Path | None) -> None:
    count = found.columns["energy_cost"].size
    run = Run(
        site=site.name, policy=sweep.policy, start=sweep.grid.start, end=sweep.grid.at(found.steps),
        step_s=sweep.grid.step_s, steps=found.steps, scenarios=count, wall_s=wall_s,
    )  # fmt: skip
    books = books_of(found.columns, _currency(site))
    report(summary(run, books) | ({"p10_p50_p90": spread(books)} if count > 1 else {}), json_path)


def _currency(site: Site) -> str:
    grid = site.devices[site.grid] if site.grid else None
    return grid.tariff.currency if isinstance(grid, GridConnection) else "USD"


def about_memory(site: Site, sweep: Sweep) -> str:
    """A line where batches are smaller than they would be, or take more than they should; mostly nothing."""
    size = batch_size(sweep, site)
    if sweep.batch is None and size < min(MOST_SIDE_BY_SIDE, math.ceil(len(sweep.scenarios) / sweep.processes)):
        return f"batches of {size} scenarios: with more, a process would take over {MOST_MB / 1e3:.0f} GB\n"
    needed_mb = memory_mb(site, min(size, len(sweep.scenarios)))
    if sweep.batch is not None and needed_mb > MOST_MB:
        return f"batches of {sweep.batch} scenarios take some {needed_mb / 1e3:.1f} GB in each process\n"
    return ""


def _tell(found: SweepResult, sweep: Sweep, console: Console) -> None:
    for number, why in list(found.failed.items())[:MOST_TOLD]:
        console.print(f"scenario {number} was given up at {why}", style="yellow", markup=False)
    if len(found.failed) > MOST_TOLD:
        console.print(f"... and {len(found.failed) - MOST_TOLD} more; column `failed` of the table has them all")
    for words in found.lost:
        console.print(f"lost: {words}; the same command runs it again", style="red", markup=False)
    if found.interrupted and sweep.out is not None:
        console.print(f"interrupted; the same command goes on in {sweep.out}", style="yellow", markup=False)
