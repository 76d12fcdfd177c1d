"""Runs the emulated plant: on the wall clock for a person's own controller, or stepped over a pipe."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

from agents.interruption import interruption
from agents.results import Run, summary
from twin.clock import Clock, stopwatch_s
from twin.emulator import Emulator
from twin.numeric import first
from twin.site import Site
from twin.timegrid import TimeGrid, floor_to

HORIZON_DAYS = 400
"""How long a wall-clock emulation may run; typical-year weather for all of it is computed at the start."""
WEATHER_STEP_S = 300.0


def emulate_on_wall_clock(site: Site, site_path: Path, clock: Clock, seed: int, ready: Callable[[], None]) -> None:
    """Serve the plant in real time until interrupted."""
    start = floor_to(clock.now(), WEATHER_STEP_S)
    steps = round(HORIZON_DAYS * 86400 / WEATHER_STEP_S)
    emulator = Emulator(site, site_path, TimeGrid(start=start, step_s=WEATHER_STEP_S, steps=steps), seed)
    emulator.start()
    ready()
    period_s, instant = site.control.period_s, floor_to(clock.now(), 1.0)
    try:
        with interruption() as interrupted:
            while instant < emulator.end and not interrupted():
                instant = instant + timedelta(seconds=period_s)
                time.sleep(max(0.0, (instant - clock.now()).total_seconds()))
                emulator.advance_to(instant)
    finally:
        emulator.stop()


class PipedEmulation:
    """Obeys the orders of `agents.conductor` until it is told to quit or its input ends."""

    def __init__(self, emulator: Emulator, site: Site, grid: TimeGrid) -> None:
        self._emulator, self._site, self._grid = emulator, site, grid
        self._began_s = stopwatch_s()

    def run(self, orders: IO[str] = sys.stdin, answers: IO[str] = sys.stdout) -> None:
        self._emulator.start()
        for line in orders:
            order = json.loads(line)
            answers.write(json.dumps(self._obey(order)) + "\n")
            answers.flush()
            if "quit" in order:
                return
        self._emulator.stop()

    def _obey(self, order: Mapping[str, Any]) -> Mapping[str, Any]:
        server = self._emulator.server
        match order:
            case {"advance_to": text}:
                truth = self._emulator.advance_to(datetime.fromisoformat(text))
                return {"v_pu": truth.v_pu, "branch_p_kw": truth.branch_p_kw}
            case {"kill": "broker"}:
                server.kill_broker()
            case {"restore": "broker"}:
                server.restore_broker()
            case {"kill": str(link)}:
                server.kill(link)
            case {"restore": str(link)}:
                server.restore(link)
            case {"quit": _}:
                return self._final()
        return {}

    def _final(self) -> Mapping[str, Any]:
        grid, now = self._grid, self._emulator.now
        books = self._emulator.stop()
        run = Run(
            site=self._site.name, policy="", start=grid.start, end=now, step_s=grid.step_s,
            steps=round((now - grid.start).total_seconds() / grid.step_s), scenarios=1,
            wall_s=stopwatch_s() - self._began_s,
        )  # fmt: skip
        return summary(run, books) | {"longest_import_excess_steps": int(first(books.longest_import_excess_steps))}
