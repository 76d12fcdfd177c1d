"""What a person at a terminal sees of a run: progress, the live screen, the summary."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from twin.clock import stopwatch_s

if TYPE_CHECKING:
    from agents.control import Cycle
    from agents.view import LiveView
    from twin.site import Site
    from twin.timegrid import TimeGrid

REFRESH_S = 0.1
"""A person cannot read faster; drawing more often would only slow the run."""


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error with the time left; yields what to call with how much is done, and of how much."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task, drawn_s = progress.add_task(what, total=total), [0.0]

        def show(done: int, of: int) -> None:
            if stopwatch_s() - drawn_s[0] > REFRESH_S or done == of:
                progress.update(task, completed=done, total=of)
                drawn_s[0] = stopwatch_s()

        yield show


@contextmanager
def hidden_progress(grid: TimeGrid) -> Iterator[Callable[[Cycle], None]]:
    """A progress bar in place of the live view."""
    with progress_bar("running", grid.steps - 1) as show:
        yield lambda cycle: show(round((cycle.now - grid.start).total_seconds() / grid.step_s), grid.steps - 1)


@contextmanager
def live_screen(view: LiveView) -> Iterator[Callable[[Cycle], None]]:
    """The live view, redrawn as often as a person can read."""
    drawn_s = [-1.0]
    first_words = Text("starting; the first cycle follows in a few seconds ...")
    with Live(first_words, console=Console(), auto_refresh=False, vertical_overflow="crop") as live:

        def show(cycle: Cycle) -> None:
            frame = view.frame(cycle)
            if stopwatch_s() - drawn_s[0] > REFRESH_S:
                live.update(frame, refresh=True)
                drawn_s[0] = stopwatch_s()

        yield show


def report(result: Mapping[str, Any], json_path: Path | None) -> None:
    """Print the summary for a person, and write it where a program will read it."""
    if json_path is not None:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    Console(highlight=False).print(summary_table(result))


def summary_table(result: Mapping[str, Any]) -> Table:
    """The figures of a run, flat."""
    table = Table(title=f"{result['site']} · {result['policy']}", title_justify="left", show_header=False)
    for key, value in result.items():
        if isinstance(value, Mapping):
            words = ", ".join(f"{name} {number(item)}" for name, item in value.items() if item)
            table.add_row(key, words or "none")
        elif key not in ("site", "policy"):
            table.add_row(key, number(value))
    return table


def number(value: Any) -> str:
    """A number with as many digits as a person wants to read."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, Mapping):
        return " · ".join(number(item) for item in value.values())
    return str(value)


def served_devices(site: Site) -> Table:
    """Where each emulated device is found."""
    from twin.telemetry.config import ModbusLink, MqttLink

    table = Table(title=f"{site.name} is served; Ctrl-C ends it", title_justify="left")
    for head in ("link", "device", "address"):
        table.add_column(head)
    broker = site.telemetry.broker
    for name, link in site.telemetry.links.items():
        if isinstance(link, ModbusLink):
            table.add_row(name, link.device, f"modbus tcp {link.host}:{link.port} unit {link.unit_id}, map {link.map}")
        elif broker is not None and isinstance(link, MqttLink):
            table.add_row(name, link.device, f"mqtt {broker.host}:{broker.port} {broker.topic_prefix}/{link.topic}/#")
    return table
