"""`gridhelm record` and `gridhelm replay`: keep every message of a plant, and run the controller on it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console

from agents.alarms import AlarmLog
from agents.assemble import LoadedSite, control_agent, network_estimator
from agents.control import Cycle
from agents.interruption import interruption
from agents.operation import CONNECT_S, ticks
from agents.recorder import Recorder
from twin.clock import SystemClock
from twin.errors import LinkError
from twin.telemetry.capture import Capture
from twin.telemetry.live_plant import LivePlant
from twin.telemetry.replay import ReplayPlant


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What became of a replay."""

    cycle_count: int
    first: datetime | None
    last: datetime | None
    command_count: int


def record_plant(
    loaded: LoadedSite, site_path: Path, out: Path, *, readings: int | None, tell: Callable[[str], None]
) -> int:
    """Read the plant once in each control period until interrupted, or `readings` times; how often it was read."""
    site, clock = loaded.site, SystemClock()
    with ExitStack() as stack:
        # A file that cannot be written is told of before anything is connected.
        capture = stack.enter_context(closing(Capture(out, site.name, clock)))
        plant = stack.enter_context(closing(LivePlant(site, site_path, clock, capture)))
        try:
            plant.connect_or_raise(CONNECT_S)
        except LinkError:
            # Nothing is in it, and the next attempt should not find it in its way.
            out.unlink(missing_ok=True)
            raise
        interrupted = stack.enter_context(interruption())
        for instant in ticks(clock, site.control.period_s, lambda: interrupted() or done(capture, readings)):
            lost = plant.read(instant).lost
            tell(f"{capture.reading_count} readings" + (f", lost: {', '.join(lost)}" if lost else ""))
    return capture.reading_count


def done(capture: Capture, readings: int | None) -> bool:
    """Whether as much is captured as was asked for."""
    return readings is not None and capture.reading_count >= readings


def replayed(loaded: LoadedSite, plant: ReplayPlant, record: Callable[[Cycle], None] | None = None) -> Iterator[Cycle]:
    """The cycles that the controller of a site runs on a capture, at the instants of the capture."""
    agent = control_agent(
        loaded.site,
        plant,
        loaded.policy("rules"),
        period_s=loaded.site.control.period_s,
        estimator=network_estimator(loaded.site),
        record=record,
    )
    for instant in plant.instants():
        yield agent.cycle(instant)


def replay_capture(
    loaded: LoadedSite, site_path: Path, capture: Path, history: Path | None, console: Console
) -> Replayed:
    """Run the controller in shadow on a capture, as fast as it goes; a line for each alarm."""
    alarms, count, commands = AlarmLog(), 0, 0
    first: datetime | None = None
    last: datetime | None = None
    with ExitStack() as stack:
        plant = stack.enter_context(closing(ReplayPlant(loaded.site, site_path, capture)))
        recorder = stack.enter_context(closing(Recorder(history))) if history is not None else None
        interrupted = stack.enter_context(interruption())
        for cycle in replayed(loaded, plant, None if recorder is None else recorder.append):
            first, last, count = first or cycle.now, cycle.now, count + 1
            commands += len(cycle.commands)
            for line in alarms.changes(cycle):
                console.print(f"{cycle.now:%Y-%m-%dT%H:%M:%SZ} {line}", markup=False)
            if interrupted():
                break
    return Replayed(cycle_count=count, first=first, last=last, command_count=commands)
