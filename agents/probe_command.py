"""`gridhelm probe` on the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from agents.probe_address import EXAMPLE
from twin.errors import InputError, Problem

WIDTH = 140


def probe(
    address: Annotated[
        str,
        typer.Argument(
            help=f"{EXAMPLE}, modbus-rtu-over-tcp://… or sunspec://…; without unit, all likely ones are tried."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Write the draft of a map here; else to the screen.")] = None,
    timeout_s: Annotated[float, typer.Option("--timeout", min=0.05, max=10.0, help="Seconds to wait.")] = 0.5,
    pause_s: Annotated[float, typer.Option("--pause", min=0.0, max=5.0, help="Seconds between requests.")] = 0.02,
    limit_s: Annotated[float, typer.Option("--limit", min=1.0, help="Seconds in all, at most.")] = 120.0,
    samples: Annotated[int, typer.Option(min=1, max=20, help="How often all is read, to see what moves.")] = 3,
    apart_s: Annotated[float, typer.Option("--apart", min=0.0, max=60.0, help="Seconds between those.")] = 1.0,
) -> None:
    """Show what stands behind an address, and begin a register map of it. Reads only."""
    from agents.probe import Pace
    from agents.probe import probe as look
    from agents.probe_address import probe_address

    where = probe_address(address)
    told = Console(stderr=True, highlight=False)
    pace = Pace(timeout_s=timeout_s, pause_s=pause_s, limit_s=limit_s, samples=samples, apart_s=apart_s)
    with told.status("connecting") as status:
        text = look(where, wide(Console(highlight=False)), status.update, pace)
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        problem = Problem(
            file=str(out), line=None, path="--out", found=str(error.strerror), expected="a file that can be written"
        )
        raise InputError(problem) from None
    told.print(f"draft in {out}; decide what is unknown in it, then: gridhelm map check {out}")


def wide(console: Console) -> Console:
    """A console that does not squeeze the table where nobody looks at a screen: into a file or another program."""
    if not console.is_terminal:
        console.width = WIDTH
    return console
