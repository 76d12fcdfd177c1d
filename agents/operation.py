"""`gridhelm run`: the controller on a plant that somebody else runs, on the wall clock."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console

from agents.alarms import AlarmLog
from agents.assemble import LoadedSite, control_agent, network_estimator
from agents.control import Cycle
from agents.interruption import interruption
from agents.recorder import Recorder
from agents.terminal import live_screen
from agents.view import LiveView
from twin.clock import Clock, SystemClock
from twin.points import Command, Receipt, Snapshot
from twin.telemetry.live_plant import LivePlant
from twin.timegrid import floor_to

CONNECT_S = 10.0


class ShadowPlant:
    """A plant that is read and never written: what shadow mode acts on."""

    def __init__(self, plant: LivePlant) -> None:
        self._plant = plant

    def read(self, now: datetime) -> Snapshot:
        return self._plant.read(now)

    def apply(self, commands: Sequence[Command], now: datetime) -> tuple[Receipt, ...]:
        """Nothing is written, so there is nothing to confirm."""
        del commands, now
        return ()

    def close(self) -> None:
        self._plant.close()


def operate(loaded: LoadedSite, site_path: Path, *, live: bool, history: Path) -> None:
    """Run control cycles until interrupted. Raises `LinkError` when the plant cannot be reached at the start."""
    site, clock = loaded.site, SystemClock()
    with ExitStack() as stack:
        plant = stack.enter_context(closing(LivePlant(site, site_path, clock)))
        plant.connect_or_raise(CONNECT_S)
        history.parent.mkdir(parents=True, exist_ok=True)
        recorder = stack.enter_context(closing(Recorder(history)))
        agent = control_agent(
            site,
            plant if live else ShadowPlant(plant),
            loaded.policy("rules"),
            period_s=site.control.period_s,
            estimator=network_estimator(site),
            record=recorder.append,
        )
        mode = "live" if live else "shadow: writes nothing"
        show = stack.enter_context(display(LiveView(site, mode), f"{site.name}, {mode}; history in {history}"))
        interrupted = stack.enter_context(interruption())
        for instant in ticks(clock, site.control.period_s, interrupted):
            show(agent.cycle(instant))


def ticks(clock: Clock, period_s: float, ended: Callable[[], bool]) -> Iterator[datetime]:
    """Epoch-aligned instants, each when it has come; an instant that was missed is skipped, not made up for."""
    pause = threading.Event()
    while not ended():
        following = floor_to(clock.now(), period_s) + timedelta(seconds=period_s)
        pause.wait(max(0.0, (following - clock.now()).total_seconds()))
        yield following


@contextmanager
def display(view: LiveView, first_words: str) -> Iterator[Callable[[Cycle], None]]:
    """The live view on a terminal; elsewhere a line for each alarm and recovery, after `first_words`."""
    if sys.stdout.isatty():
        with live_screen(view) as show:
            yield show
        return
    console, log_of_alarms = Console(highlight=False, soft_wrap=True), AlarmLog()
    console.print(first_words)

    def show_lines(cycle: Cycle) -> None:
        for line in log_of_alarms.changes(cycle):
            console.print(f"{cycle.now:%Y-%m-%dT%H:%M:%SZ} {line}")

    yield show_lines
