"""The files of the house and their syntax trees, for the tests that hold its rules."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("twin", "controllers", "agents")


@cache
def source_files() -> tuple[Path, ...]:
    """Every Python file of the three packages, relative to the root."""
    return tuple(sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py")))


@cache
def all_files() -> tuple[Path, ...]:
    """As `source_files`, and the tests and benchmarks."""
    others = (path.relative_to(ROOT) for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
    return (*source_files(), *sorted(others))


@cache
def tracked_files() -> tuple[Path, ...]:
    """Every file that git would publish: tracked, or new and not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return tuple(Path(name) for name in names if name and (ROOT / name).is_file())


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=str(path))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a file imports, wherever in the file; relative imports as `.name`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def inside(path: Path, places: tuple[str, ...]) -> bool:
    """Whether `path` is one of `places`, or below one of them that ends in `/`."""
    name = path.as_posix()
    return any(name.startswith(place) if place.endswith("/") else name == place for place in places)
