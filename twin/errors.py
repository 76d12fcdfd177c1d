"""What can go wrong at the border, as one tree.

::

    GridhelmError
    ├── InputError          a person's file or option is wrong; carries `Problem`s, exit code 2
    ├── LinkError           a device, gateway or broker cannot be reached or answers wrongly
    ├── PowerFlowError      the network has no solution
    └── RecordError         the history cannot be written or read

Inside the core nothing of this is raised: there, missing data and refused commands are values.
"""

from __future__ import annotations

from dataclasses import dataclass


class GridhelmError(Exception):
    """Base of everything gridhelm raises on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong in a person's file, with its place and its remedy."""

    file: str
    line: int | None
    """1-based; None where the problem has no line of its own."""
    path: str
    """The key's path, for example `devices.battery.rated_kw`."""
    found: str
    expected: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        where = f" {self.path}:" if self.path else ""
        return f"{place}:{where} found {self.found}, expected {self.expected}"


class InputError(GridhelmError):
    """A person's file or option is wrong."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class LinkError(GridhelmError):
    """A device, gateway or broker cannot be reached or answers wrongly."""


class PowerFlowError(GridhelmError):
    """The network has no solution for these injections."""


class RecordError(GridhelmError):
    """The history cannot be written or read."""
