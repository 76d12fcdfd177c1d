"""`gridhelm map`: check the register map of a device, begin one from another tool's file, or hand one on."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from twin.errors import InputError, Problem

map_app = typer.Typer(no_args_is_help=True, help="Register maps of Modbus devices.")
notes = Console(stderr=True, highlight=False, soft_wrap=True)

OutPath = Annotated[Path | None, typer.Option("--out", help="Write here instead of to the screen.")]


class Origin(StrEnum):
    """Whose file is imported."""

    TELEGRAF = "telegraf"
    HOME_ASSISTANT = "home-assistant"
    MODPOLL = "modpoll"
    SUNSPEC = "sunspec"


@map_app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Register maps, for example site_configs/maps/ups.yaml.")],
) -> None:
    """Check register maps; every fault with its line and what is expected."""
    from twin.telemetry.register_map import read_map

    problems: list[Problem] = []
    for path in files:
        try:
            registers = read_map(path)
        except InputError as error:
            problems += error.problems
            continue
        steered = f", steered by {registers.setpoint.name}" if registers.setpoint is not None else ""
        typer.echo(f"{path}: {registers.title}: {', '.join(registers.points)}{steered}")
    if problems:
        raise InputError(*problems)


@map_app.command()
def schema() -> None:
    """Print the JSON Schema of a register map, for editors."""
    from twin.telemetry.register_map import map_schema

    sys.stdout.write(json.dumps(map_schema(), indent=2) + "\n")


@map_app.command("import")
def import_(
    origin: Annotated[Origin, typer.Argument(help="Whose file it is.")],
    file: Annotated[Path, typer.Argument(help="The file of the other tool.")],
    title: Annotated[str | None, typer.Option(help="What kind of device it is; default: the file's name.")] = None,
    address: Annotated[
        int, typer.Option(min=0, max=65535, help="Holding register of the model's ID; for sunspec.")
    ] = 40002,
    out: OutPath = None,
) -> None:
    """Begin a register map from a file of Telegraf, Home Assistant or modpoll, or from a SunSpec model."""
    from twin.telemetry.map_import import import_map

    made = import_map(origin.value, file, title or file.stem, address)
    _write(made.text, out)
    _tell(made.left_out)


@map_app.command()
def export(
    file: Annotated[Path, typer.Argument(help="A register map.")],
    host: Annotated[str, typer.Option(help="Where the device is.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 502,
    unit_id: Annotated[int, typer.Option(min=0, max=255)] = 1,
    out: OutPath = None,
) -> None:
    """Hand a register map on to Home Assistant, as YAML for its configuration."""
    from twin.telemetry.map_to_home_assistant import to_home_assistant
    from twin.telemetry.register_map import read_map

    made = to_home_assistant(read_map(file), name=file.stem, host=host, port=port, unit_id=unit_id)
    _write(made.text, out)
    _tell(made.left_out)


def _write(text: str, out: Path | None) -> None:
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


def _tell(left_out: Sequence[str]) -> None:
    for reason in left_out:
        notes.print(f"[yellow]left out[/] {escape(reason)}")
