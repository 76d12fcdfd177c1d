"""Reads another tool's file and begins a register map from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from twin.errors import InputError, Problem
from twin.telemetry.map_draft import Draft, draft_text
from twin.telemetry.map_home_assistant import from_home_assistant
from twin.telemetry.map_modpoll import from_modpoll
from twin.telemetry.map_sunspec import from_sunspec
from twin.telemetry.map_telegraf import from_telegraf
from twin.yaml_file import read_yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A draft as a file, and what the other file had that it has not."""

    text: str
    left_out: tuple[str, ...]


FROM_TEXT: dict[str, tuple[Callable[[str, str], Draft], str]] = {
    "telegraf": (from_telegraf, "a Telegraf configuration with inputs.modbus"),
    "modpoll": (from_modpoll, "a modpoll configuration: device, poll and ref rows"),
}


def import_map(origin: str, path: Path, title: str, address: int) -> Imported:
    """A draft from `path`; `address` is that of a SunSpec model. Raises `InputError`."""
    if origin == "home-assistant":
        expected = "a Home Assistant configuration with modbus hubs"
        data = read_yaml(path).data
        made = _made(path, expected, lambda: from_home_assistant(data, title))
    elif origin == "sunspec":
        text = _text(path)
        made = _made(path, "a SunSpec model definition", lambda: from_sunspec(text, title, address))
    else:
        begin, expected = FROM_TEXT[origin]
        text = _text(path)
        made = _made(path, expected, lambda: begin(text, title))
    return Imported(text=draft_text(made), left_out=made.left_out)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            Problem(file=str(path), line=None, path="", found=str(error), expected="a readable text file")
        ) from None


def _made(path: Path, expected: str, begin: Callable[[], Draft]) -> Draft:
    try:
        return begin()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        found = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(Problem(file=str(path), line=None, path="", found=found, expected=expected)) from None
