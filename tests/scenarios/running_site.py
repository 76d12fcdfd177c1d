"""A site on free ports, run by the real emulator process and the real control agent over loopback."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agents.alarms import alarms
from agents.assemble import load
from agents.control import Cycle
from agents.demo import Rig, rig
from tests.twin.telemetry.telemetry_rig import free_port
from twin.timegrid import TimeGrid

SITES = Path(__file__).resolve().parents[2] / "site_configs"
PERIOD_S = 10.0
AFTERNOON = datetime(2025, 7, 15, 20, tzinfo=UTC)
"""16:00 at the site: dear energy, hot, and the contract is nearly reached."""
PATIENCE_CYCLES = 3000
"""Links come back after seconds of real time, in which many cycles of the stepped clock pass."""


def on_free_ports(name: str, folder: Path) -> Path:
    """A copy of a site file whose every port is free."""
    text = (SITES / name).read_text(encoding="utf-8")
    for port in sorted(set(re.findall(r"port: (\d+)", text))):
        text = text.replace(f"port: {port}", f"port: {free_port()}")
    shutil.copytree(SITES / "maps", folder / "maps")
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@dataclass
class RunningSite:
    """Both processes, moved one control period at a time."""

    rig: Rig
    period: timedelta
    truth: Mapping[str, Any]

    def cycle(self) -> Cycle:
        cycle, self.truth = self.rig.tick(self.rig.clock.now() + self.period)
        return cycle

    def run(self, cycles: int) -> Cycle:
        """Several cycles; the last one."""
        for _ in range(cycles - 1):
            self.cycle()
        return self.cycle()

    def until(self, condition: Callable[[Cycle], bool], what: str) -> Cycle:
        """Cycles until one fulfils `condition`."""
        for _ in range(PATIENCE_CYCLES):
            cycle = self.cycle()
            if condition(cycle):
                return cycle
        raise AssertionError(f"not within {PATIENCE_CYCLES} cycles: {what}; standing: {alarms(cycle)}")


@contextmanager
def running(
    path: Path, start: datetime = AFTERNOON, record: Callable[[Cycle], None] | None = None, seed: int = 1
) -> Iterator[RunningSite]:
    loaded = load(path)
    grid = TimeGrid(start=start, step_s=PERIOD_S, steps=8640)
    with rig(loaded.site, path, grid, loaded.policy("rules"), seed=seed, record=record) as pair:
        yield RunningSite(rig=pair, period=timedelta(seconds=PERIOD_S), truth={})
