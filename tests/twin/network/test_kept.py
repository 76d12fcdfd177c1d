from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import twin.network.kept as module
from twin.network.kept import kept


class Builder:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> dict[str, Any]:
        self.times += 1
        return {"matrix": np.array([[1.0 + 2.0j, 1 / 3]]), "places": np.arange(3)}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own."""
    monkeypatch.setattr(module, "_folder", lambda: tmp_path / "networks")
    return tmp_path / "networks"


def test_the_same_question_is_answered_with_the_same_bits_and_built_once() -> None:
    build = Builder()
    first, second = kept("a network", build), kept("a network", build)
    assert build.times == 1
    assert {name: (value.dtype, value.tobytes()) for name, value in first.items()} == {
        name: (value.dtype, value.tobytes()) for name, value in second.items()
    }
    kept("another network", build)
    assert build.times == 2


def test_after_a_change_of_the_source_or_of_a_library_it_is_built_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    build = Builder()
    kept("a network", build)
    monkeypatch.setattr(module, "_made_by", lambda: "pandapower of tomorrow")
    kept("a network", build)
    assert build.times == 2


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut off", b"no archive at all"])
def test_a_damaged_file_is_built_anew_and_replaced(folder: Path, damage: bytes) -> None:
    build = Builder()
    kept("a network", build)
    (file,) = folder.glob("*.npz")
    file.write_bytes(damage)
    kept("a network", build)
    kept("a network", build)
    assert build.times == 2


def test_where_nothing_can_be_written_it_is_built_each_time(folder: Path) -> None:
    folder.parent.joinpath("networks").write_text("a file where the folder should be", encoding="utf-8")
    build = Builder()
    kept("a network", build)
    kept("a network", build)
    assert build.times == 2


def test_the_networks_used_last_stay(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = Builder()
    kept("a network", build)
    (file,) = folder.glob("*.npz")
    monkeypatch.setattr(module, "MOST_BYTES", 2.5 * file.stat().st_size)
    for name in "bcd":
        kept(name, build)
    assert len(list(folder.glob("*"))) == 2
