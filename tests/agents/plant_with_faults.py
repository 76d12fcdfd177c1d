"""A simulated site with a controller, whose devices can be made to fall silent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from agents.assemble import control_agent, load
from agents.control import ControlAgent, Cycle
from twin.drives import Drives
from twin.points import Command, Outcome, Receipt, Snapshot
from twin.simulator import SimulatedPlant
from twin.site_network import NetworkInMemory
from twin.timegrid import TimeGrid
from twin.weather import read_weather

CAMPUS = Path(__file__).resolve().parents[2] / "site_configs" / "campus.yaml"
STEP_S = 300.0
AFTERNOON = datetime(2025, 7, 15, 18, tzinfo=UTC)
"""14:00 at the site, when energy becomes dear."""


class PlantWithFaults(SimulatedPlant):
    """Devices in `silent` are neither heard nor reached; those in `refusing` answer no."""

    silent: frozenset[str] = frozenset()
    refusing: frozenset[str] = frozenset()

    def read(self, now: datetime) -> Snapshot:
        seen = super().read(now)
        readings = {name: item for name, item in seen.readings.items() if name.split(".")[0] not in self.silent}
        return Snapshot(now=now, readings=readings, lost={name: f"{name}: unplugged" for name in self.silent})

    def apply(self, commands: Sequence[Command], now: datetime) -> tuple[Receipt, ...]:
        super().apply([item for item in commands if item.device not in self.silent | self.refusing], now)
        return tuple(self._receipt(command) for command in commands)

    def _receipt(self, command: Command) -> Receipt:
        if command.device in self.refusing:
            return Receipt(command=command, outcome=Outcome.REJECTED, detail="not now")
        return Receipt(command=command, outcome=Outcome.APPLIED, read_back=command.value)


def campus(
    policy: str = "rules", record: Callable[[Cycle], None] | None = None
) -> tuple[PlantWithFaults, ControlAgent]:
    """The campus on a hot afternoon, and an agent that runs its rules."""
    loaded = load(CAMPUS)
    grid = TimeGrid(start=AFTERNOON, step_s=STEP_S, steps=288)
    weather = read_weather(loaded.site.weather, loaded.site.location, grid, CAMPUS)
    plant = PlantWithFaults(loaded.site, Drives(loaded.site, {None: weather}), NetworkInMemory(loaded.site))
    return plant, control_agent(loaded.site, plant, loaded.policy(policy), period_s=STEP_S, record=record)
