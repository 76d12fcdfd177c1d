"""A sweep that is ended from outside: by a terminal's Ctrl-C, which all its processes hear, or with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SITE_CONFIGS = Path(__file__).parents[2] / "site_configs"


def begun(out: Path) -> subprocess.Popen[str]:
    """A sweep of many batches by two workers, in a process group of its own."""
    words = ["--days", "5", "--scenarios", "99", "--batch", "1", "--processes", "2", "--out", str(out)]
    return subprocess.Popen(
        [sys.executable, "-m", "agents", "simulate", str(SITE_CONFIGS / "edge.yaml"), *words],
        cwd=SITE_CONFIGS.parent, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip


def group(leader: int) -> list[str]:
    """What still runs of a process group; the dead may lie about where nobody collects them."""
    words = ["ps", "-ww", "-eo", "pgid=,stat=,args="]
    listing = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listing.splitlines()]
    return [args for pgid, state, args in rows if int(pgid) == leader and not state.startswith("Z")]


def wait_for(seen: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60.0
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("working", [False, True], ids=["while workers start", "while workers work"])
def test_ctrl_c_at_a_terminal_ends_all_without_a_traceback(tmp_path: Path, working: bool) -> None:
    process = begun(tmp_path)
    wait_for(lambda: sum("spawn_main" in words for words in group(process.pid)) == 2)
    if working:
        wait_for(lambda: list(tmp_path.glob("scenarios/part-*")))
    os.killpg(process.pid, signal.SIGINT)
    _, words = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in words
    assert not group(process.pid)
    assert not list(tmp_path.rglob(".*"))
    assert bool(list(tmp_path.glob("scenarios/*"))) == working


def test_workers_end_quietly_when_their_parent_is_killed(tmp_path: Path) -> None:
    process = begun(tmp_path)
    wait_for(lambda: list(tmp_path.glob("scenarios/part-*")))
    process.kill()
    _, words = process.communicate(timeout=60)
    wait_for(lambda: not group(process.pid))
    assert "Traceback" not in words
    assert not list(tmp_path.rglob(".*"))
