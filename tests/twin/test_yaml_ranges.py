from __future__ import annotations

from pathlib import Path

import pytest

from twin.errors import InputError
from twin.yaml_file import Document, read_yaml


def read(folder: Path, *lines: str) -> Document:
    path = folder / "file.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_yaml(path)


def test_a_key_with_a_range_stands_for_many_and_its_value_follows(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "plain: 1",
        "hall_<09..11>:",
        "  bus: hall_<09..11>_400v",
        "  serves: [a_<09..11>, b]",
        "  x_<09..11>: {deep: '<09..11>'}",
        "other: {n_<1..2>: 5}",
    )
    assert list(found.data) == ["plain", "hall_09", "hall_10", "hall_11", "other"]
    assert found.data["hall_10"]["bus"] == "hall_10_400v"
    assert list(found.data["hall_11"]["serves"]) == ["a_11", "b"]
    assert found.data["hall_09"]["x_09"]["deep"] == "09"
    assert dict(found.data["other"]) == {"n_1": 5, "n_2": 5}


def test_every_key_has_the_line_that_was_written(tmp_path: Path) -> None:
    found = read(tmp_path, "a: 1", "h_<1..3>:", "  bus: b", "  list:", "    - x", "    - {k_<1..3>: 2}")
    assert found.line(["h_2"]) == 2
    assert found.line(["h_3", "bus"]) == 3
    assert found.line(["h_1", "list", 1]) == 6
    assert found.line(["h_1", "list", 1, "k_1"]) == 6


@pytest.mark.parametrize(
    ("lines", "line", "found"),
    [
        (["a: 1", "h_<1..3>: {bus: 'b_<1..4>'}"], 2, "b_<1..4> below a key with <1..3>"),
        (["h_<3..1>: 1"], 1, "more than one range, or one that falls"),
        (["h_<1..2>_<3..4>: 1"], 1, "more than one range, or one that falls"),
        (["h_<1..3>: 1", "h_2: 1"], 1, "h_2, which is there already"),
        (["h_2: 1", "h_<1..3>: 1"], 2, "h_2, which is there already"),
        (["h_<1..2>:", "  a_<1..2>: 1", "  a_1: 2"], 3, "a_1, which is there already"),
        (["h_<1..2>:", "  bus: main", "  other: b_<1..4>"], 3, "b_<1..4> below a key with <1..2>"),
        (["h_<1..2>:", "  serves:", "    - a", "    - b_<1..4>"], 4, "b_<1..4> below a key with <1..2>"),
        (["h_<1..2>:", "  c_<1..4>: 1"], 2, "c_<1..4> below a key with <1..2>"),
        (["h_<1..1000000000>: 1"], 1, "a range of 1000000000 keys"),
    ],
)
def test_a_range_that_cannot_be_meant_is_told_with_its_line(
    tmp_path: Path, lines: list[str], line: int, found: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, *lines)
    (problem,) = caught.value.problems
    assert (problem.line, problem.found) == (line, found)


def test_what_is_no_range_stays(tmp_path: Path) -> None:
    assert dict(read(tmp_path, "a_<x>: <1,2>").data) == {"a_<x>": "<1,2>"}


def test_what_a_merge_brings_along_is_expanded_too_and_has_a_line(tmp_path: Path) -> None:
    found = read(tmp_path, "base: &base {bus: main, deep: 1}", "halls:", "  <<: *base", "  h_<1..2>:", "    <<: *base")
    assert found.data["halls"]["h_2"] == {"bus": "main", "deep": 1}
    assert found.data["halls"]["deep"] == 1
    assert found.line(["halls", "h_2"]) == 4
    assert found.line(["halls", "h_2", "bus"]) is not None
    assert found.line(["halls", "bus"]) is not None
