"""A site under random commands: whatever is asked of it, physics has to hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np

from twin.ledger import Books, Ledger
from twin.numeric import Num, largest_magnitude
from twin.points import Command
from twin.simulator import PlantStep, SimulatedPlant, simulated_plant
from twin.site import Site, load_site
from twin.timegrid import TimeGrid
from twin.weather import Weather, read_weather

SITES = ("campus", "edge", "island")
GRID = TimeGrid(start=datetime(2025, 6, 30, 18, tzinfo=UTC), step_s=900.0, steps=96)
"""Through a night, a month's end and a day."""
LANES = 3
SITE_CONFIGS = Path(__file__).parents[2] / "site_configs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A run and all its steps."""

    site: Site
    steps: Sequence[PlantStep]
    books: Books

    @property
    def peak_kw(self) -> float:
        """Highest power of any device in any step."""
        return max(largest_magnitude(done.p_kw) for step in self.steps for done in step.steps.values())

    def total_kwh(self, name: str) -> Num:
        """A power of `PlantStep`, summed up over the run."""
        total: Num = 0.0
        for step in self.steps:
            total = total + getattr(step, name) * step.step_s / 3600.0
        return total


@cache
def site_and_weather(name: str) -> tuple[Site, Weather]:
    path = SITE_CONFIGS / f"{name}.yaml"
    site = load_site(path)
    return site, read_weather(site.weather, site.location, GRID, path)


def random_commands(plant: SimulatedPlant, rng: np.random.Generator, lanes: Sequence[int]) -> list[Command]:
    """A command for about half of what can be steered, valid for some steps or hardly for one.

    Each lane has its own values, and the same ones whichever lanes are run beside it.
    """
    commands: list[Command] = []
    for name, device in plant.site.devices.items():
        if device.setpoint is None or name == plant.site.grid_forming or rng.random() < 0.5:
            continue
        lowest = -1.2 if device.setpoint == "p_kw" else -0.1
        value = rng.uniform(lowest, 1.2, LANES)[list(lanes)] * device.rated_kw
        until = plant.now + timedelta(seconds=float(rng.uniform(100.0, 8 * GRID.step_s)))
        one = float(value[0]) if len(lanes) == 1 else value
        commands.append(Command(device=name, setpoint=device.setpoint, value=one, valid_until=until))
    return commands


def random_run(name: str, seed: int, lanes: Sequence[int] = (0,)) -> Finished:
    rng, plant = np.random.default_rng(seed), simulated_plant(*site_and_weather(name), lanes)
    ledger, steps = Ledger(plant.site), list[PlantStep]()
    for _ in range(GRID.steps):
        plant.apply(random_commands(plant, rng, lanes), plant.now)
        steps.append(plant.advance(GRID.step_s))
        ledger.book(steps[-1])
    return Finished(site=plant.site, steps=steps, books=ledger.close())
