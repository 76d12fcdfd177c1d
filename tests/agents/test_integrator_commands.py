"""The integrator's commands as they are typed: exit codes, and words for what is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agents.__main__ import main
from tests.agents.test_probe import foreign
from tests.scenarios.running_site import SITES, on_free_ports

pytestmark = pytest.mark.sockets
EDGE = str(SITES / "edge.yaml")


def typed(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["gridhelm", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_a_probe_writes_its_draft(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / "draft.yaml"
    with foreign() as port:
        address = f"modbus://127.0.0.1:{port}?unit=1&from=8&to=24&table=holding"
        assert typed(monkeypatch, "probe", address, "--out", str(out), "--pause", "0", "--apart", "0") == 0
    assert "frequency_hz: {table: holding, address: 18, type: float32" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["probe", "modbus://host?unit=999"], "a unit id from 0 to 255"),
        (["drill", EDGE, "--link", "upss"], "did you mean ups?"),
        (["drill", EDGE, "--fault", "blackhole"], "did you mean black_hole?"),
        (["replay", EDGE, EDGE], "no gridhelm capture"),
    ],
)
def test_wrong_words_end_with_2_and_say_what_is_expected(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert typed(monkeypatch, *words) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_plant_that_is_not_there_is_told_of_and_leaves_no_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("agents.capture_run.CONNECT_S", 0.2)
    path, out = on_free_ports("edge.yaml", tmp_path), tmp_path / "capture.jsonl.gz"
    assert typed(monkeypatch, "record", str(path), "--out", str(out)) == 2
    assert "the plant cannot be reached" in capsys.readouterr().err
    assert not out.exists()


def test_a_live_check_of_a_dead_plant_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("agents.live_check.CONNECT_S", 0.2)
    monkeypatch.setattr("agents.live_check.MOST_READINGS", 1)
    assert typed(monkeypatch, "check", str(on_free_ports("edge.yaml", tmp_path)), "--live") == 1
    assert "battery: does not answer" in capsys.readouterr().out
