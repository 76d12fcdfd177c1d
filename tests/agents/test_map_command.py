"""`gridhelm map` as people call it."""

import json
import sys
from pathlib import Path

import pytest

from agents.__main__ import main

METER = """\
title: a meter
address_base: 0
points:
  p_kw: {table: input, address: 0, type: int32, into_device: positive, min: -1, max: 1}
"""


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["gridhelm", "map", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_sound_maps_are_told_and_faults_of_all_others_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, first, second = (tmp_path / f"{name}.yaml" for name in ("good", "first", "second"))
    good.write_text(METER)
    first.write_text(METER.replace("into_device: positive, ", ""))
    second.write_text(METER.replace("int32", "int33"))
    assert call(monkeypatch, "check", str(good)) == 0
    assert "a meter: p_kw" in capsys.readouterr().out
    assert call(monkeypatch, "check", str(good), str(first), str(second)) == 2
    said = capsys.readouterr().err
    assert "first.yaml:4: points.p_kw: found p_kw without its sign" in said
    assert "second.yaml:4: points.p_kw.type" in said


def test_the_schema_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "schema") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "gridhelm register map"


def test_a_map_goes_to_home_assistant_and_comes_back_as_a_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own, theirs, draft = tmp_path / "own.yaml", tmp_path / "theirs.yaml", tmp_path / "draft.yaml"
    own.write_text(METER)
    assert call(monkeypatch, "export", str(own), "--host", "10.0.0.5", "--out", str(theirs)) == 0
    assert call(monkeypatch, "import", "home-assistant", str(theirs), "--out", str(draft)) == 0
    assert call(monkeypatch, "check", str(draft)) == 2
    assert "the sign of p_kw undecided" in capsys.readouterr().err
    draft.write_text(draft.read_text().replace("unknown", "positive"))
    assert call(monkeypatch, "check", str(draft)) == 0


def test_what_cannot_be_read_or_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(METER)
    assert call(monkeypatch, "import", "modpoll", str(tmp_path / "none.csv")) == 2
    assert call(monkeypatch, "export", str(own), "--out", str(tmp_path / "no" / "folder.yaml")) == 2
    assert "a file that can be written" in capsys.readouterr().err
