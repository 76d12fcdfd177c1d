"""`gridhelm record` and `gridhelm replay` on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

SitePath = Annotated[Path, typer.Argument(help="Site file, for example site_configs/campus.yaml.")]


def record(
    site_path: SitePath,
    out: Annotated[Path | None, typer.Option(help="Capture; default runs/<site>.capture.jsonl.gz.")] = None,
    readings: Annotated[int | None, typer.Option(min=1, help="End after so many readings.")] = None,
) -> None:
    """Keep every message that a plant sends, in each control period until interrupted. Commands nothing."""
    from agents.assemble import load
    from agents.capture_run import record_plant

    loaded = load(site_path)
    path = out or Path("runs") / f"{loaded.site.name}.capture.jsonl.gz"
    told = Console(stderr=True, highlight=False, soft_wrap=True)
    with told.status("connecting") as status:
        count = record_plant(loaded, site_path, path, readings=readings, tell=status.update)
    told.print(f"{count} readings in {path}; run the controller on them: gridhelm replay {path} {site_path}")


def replay(
    capture: Annotated[Path, typer.Argument(help="File of `gridhelm record`.")],
    site_path: SitePath,
    history: Annotated[Path | None, typer.Option("--record", help="Keep the cycles in this history file.")] = None,
) -> None:
    """Run the controller in shadow on a capture, on the capture's own clock. The same capture gives the same cycles."""
    from agents.assemble import load
    from agents.capture_run import replay_capture

    console = Console(highlight=False, soft_wrap=True)
    made = replay_capture(load(site_path), site_path, capture, history, console)
    if made.first is None or made.last is None:
        console.print(f"{capture}: no reading is in it")
        raise typer.Exit(1)
    span = f"{made.first:%Y-%m-%dT%H:%M:%SZ} to {made.last:%Y-%m-%dT%H:%M:%SZ}"
    console.print(f"{made.cycle_count} cycles, {span}; {made.command_count} commands, none sent")
