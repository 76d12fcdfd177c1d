"""From a history alone, the same agent comes to the same decisions, bit for bit."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from agents.assemble import LoadedSite, control_agent, load
from agents.recorder import History, Recorder
from twin.points import Command, Outcome, Quality, Reading, Receipt, Snapshot
from twin.simulator import SimulatedPlant, simulated_plant
from twin.timegrid import TimeGrid
from twin.weather import read_weather

SITE = Path(__file__).parents[2] / "site_configs" / "campus.yaml"
GRID = TimeGrid(start=datetime(2025, 7, 1, 17, tzinfo=UTC), step_s=300.0, steps=24)
SILENT = range(8, 12)
"""Cycles in which the battery is lost."""


class NoisyPlant:
    """A simulated plant behind imperfect meters."""

    def __init__(self, plant: SimulatedPlant) -> None:
        self._plant, self._rng, self._reads = plant, random.Random(1), 0

    def read(self, now: datetime) -> Snapshot:
        self._reads += 1
        readings = {
            point: Reading(value=float(reading.value) * self._rng.gauss(1.0, 0.003), at=now, quality=Quality.GOOD)
            for point, reading in self._plant.read(now).readings.items()
        }
        if self._reads - 1 not in SILENT:
            return Snapshot(now=now, readings=readings)
        heard = {point: reading for point, reading in readings.items() if not point.startswith("battery.")}
        return Snapshot(now=now, readings=heard, lost={"battery": "no answer"})

    def apply(self, commands: Sequence[Command], now: datetime) -> tuple[Receipt, ...]:
        return self._plant.apply(commands, now)

    def close(self) -> None:
        self._plant.close()


class RecordedPlant:
    """What a history says was read."""

    def __init__(self, history: History) -> None:
        self._history = history

    def read(self, now: datetime) -> Snapshot:
        return self._history.snapshot(now)

    def apply(self, commands: Sequence[Command], now: datetime) -> tuple[Receipt, ...]:
        return tuple(Receipt(command=item, outcome=Outcome.APPLIED) for item in commands)

    def close(self) -> None:
        """Nothing to release."""


def lived(loaded: LoadedSite, path: Path) -> None:
    site = loaded.site
    plant = simulated_plant(site, read_weather(site.weather, site.location, GRID, SITE))
    recorder = Recorder(path)
    agent = control_agent(site, NoisyPlant(plant), loaded.policy("rules"), period_s=GRID.step_s, record=recorder.append)
    for now in GRID:
        agent.cycle(now)
        plant.advance(GRID.step_s)
    recorder.close()


def test_recorded_cycles_replay_bit_for_bit(tmp_path: Path) -> None:
    loaded, path = load(SITE), tmp_path / "history.sqlite"
    lived(loaded, path)
    history = History(path)
    recorded = list(history.cycles())
    assert [item.now for item in recorded] == list(GRID)
    agent = control_agent(loaded.site, RecordedPlant(history), loaded.policy("rules"), period_s=GRID.step_s)
    for item in recorded:
        again = agent.cycle(item.now)
        assert tuple(again.decision.resolutions) == tuple(item.resolutions)
        assert tuple(again.guarded.clips) == tuple(item.clips)
        assert tuple(again.commands) == tuple(item.commands)
        assert again.rung is item.rung
    history.close()
    assert any(item.commands for item in recorded)
    assert recorded[SILENT[0]].snapshot.lost == {"battery": "no answer"}
