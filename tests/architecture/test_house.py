"""What must not stand in any published file, and what every checkout must hold."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source_tree import PACKAGES, ROOT, tracked_files

INDEX_ADDRESS = re.compile(
    r"https?://[^\s\"']*(?:/simple\b|pypi|pythonhosted|artifactory|nexus)|--(?:extra-)?index-url|--find-links|--trusted-host",
    re.IGNORECASE,
)
MACHINE_PATH = re.compile(r"(?<![\w.~/-])/(?:home|root|Users|work|mnt|media|private)/[A-Za-z0-9_.-]+")


def lines(path: Path) -> Iterator[tuple[str, str]]:
    try:
        text = (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    yield from ((f"{path}:{number}", line) for number, line in enumerate(text.splitlines(), start=1))


def hits(pattern: re.Pattern[str]) -> list[str]:
    here = Path(__file__).relative_to(ROOT)
    return [place for path in tracked_files() if path != here for place, line in lines(path) if pattern.search(line)]


def test_no_address_of_a_package_index_is_published() -> None:
    assert INDEX_ADDRESS.search("--index-url x")
    assert not hits(INDEX_ADDRESS)


def test_no_path_of_one_machine_is_published() -> None:
    assert MACHINE_PATH.search("in /home/someone/x")
    assert not hits(MACHINE_PATH)


def test_pins_are_plain_versions() -> None:
    pins = [line for _, line in lines(Path("constraints.txt")) if line and not line.startswith("#")]
    assert pins
    assert not [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", pin)]


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    pinned = {line.split("==")[0] for _, line in lines(Path("constraints.txt"))}
    assert {normal(re.split(r"[^\w.-]", name)[0]) for name in wanted} <= {normal(name) for name in pinned}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_package_of_the_house_is_listed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    present = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for package in PACKAGES
        for file in (ROOT / package).rglob("__init__.py")
    }
    assert set(listed) == present
