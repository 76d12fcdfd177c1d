"""What may happen to a history: a killed process, a second writer, a foreign file, a full disk."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agents.recorder import History, Recorder
from agents.recorder_file import VERSION, Claim
from tests.agents.recorder_cycles import NOON, SECOND, cycle, snapshot
from twin.errors import RecordError

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def recording(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that records until it is killed."""
    command = [sys.executable, "-m", "tests.agents.recorder_cycles", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def say(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_what_was_appended_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    with recording(path) as process:
        while int(say(process)) < 60:
            pass
        os.kill(process.pid, signal.SIGKILL)
        assert process.stdout is not None
        last = max([60, *(int(line) for line in process.stdout.read().splitlines() if line)])
        assert process.wait(10) == -signal.SIGKILL
    history = History(path)
    kept = list(history.cycles())
    history.close()
    assert len(kept) in (last + 1, last + 2), "killed between keeping a cycle and saying so: one more at most"
    assert [item.snapshot for item in kept] == [snapshot(k) for k in range(len(kept))]

    recorder = Recorder(path)
    recorder.append(cycle(1000))
    recorder.close()
    history = History(path)
    assert len(list(history.cycles())) == len(kept) + 1
    history.close()


def test_a_second_recorder_is_refused_and_a_reader_is_not(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    with recording(path) as process:
        assert say(process) == "0\n"
        with pytest.raises(RecordError, match=r"history\.sqlite: another recorder is writing it; stop that one"):
            Recorder(path)
        history = History(path)
        assert history.snapshot(NOON) == snapshot(0)
        history.close()
        assert process.poll() is None, "the first one goes on"
    Recorder(path).close()


def test_readers_that_come_and_go_in_any_process_leave_the_log_of_the_recorder_alone(tmp_path: Path) -> None:
    """SQLite tidies the log up when the last reader leaves; it must not take a reader for the last one."""
    path = tmp_path / "history.sqlite"
    recorder = Recorder(path)
    recorder.append(cycle(0))
    History(path).close()
    count = f"from pathlib import Path; from agents.recorder import History; h = History(Path({str(path)!r}))"
    command = [sys.executable, "-c", f"{count}; print(len(list(h.cycles()))); h.close()"]
    assert subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout == "1\n"
    recorder.append(cycle(1))
    assert subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout == "2\n"
    recorder.close()


def test_a_claim_that_was_removed_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, lock, calls = tmp_path / "history.sqlite", fcntl.flock, list[int]()

    def late(file: int, how: int) -> None:
        if not calls:
            path.with_name("history.sqlite.lock").unlink()
        calls.append(how)
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    claim = Claim(path)
    assert len(calls) == 2
    with pytest.raises(RecordError, match="another recorder is writing it"):
        Claim(path)
    claim.release()
    Claim(path).release()


def other_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE ours (x)")
    connection.close()


def newer_history(path: Path) -> None:
    Recorder(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version={VERSION + 1}")
    connection.close()


FOREIGN: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda path: path.write_text("my notes\n" * 100), "is not a gridhelm history and was left as it is"),
    "short": (lambda path: path.write_text("x"), "is not a gridhelm history"),
    "other database": (other_database, "is not a gridhelm history"),
    "newer": (newer_history, f"written by a newer gridhelm \\(format {VERSION + 1}, this one knows {VERSION}\\)"),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("opener", [Recorder, History])
def test_a_file_that_is_not_ours_is_left_untouched(tmp_path: Path, kind: str, opener: type[Recorder | History]) -> None:
    path, (make, words) = tmp_path / "notes.txt", FOREIGN[kind]
    make(path)
    before = path.read_bytes()
    with pytest.raises(RecordError, match=f"notes.txt: .*{words}"):
        opener(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_an_empty_file_becomes_a_history(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    path.touch()
    Recorder(path).close()
    History(path).close()


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"missing/history\.sqlite: No such file or directory; check the path"):
        Recorder(tmp_path / "missing" / "history.sqlite")


def test_a_folder_is_no_history(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="is a folder; name a file in it"):
        Recorder(tmp_path)


def test_a_path_through_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match="Not a directory; check the path"):
        Recorder(tmp_path / "file" / "history.sqlite")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    Recorder(path).close()
    path.chmod(0o444)
    with pytest.raises(RecordError, match="check its permissions"):
        Recorder(path)


def test_a_history_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no such history file"):
        History(tmp_path / "history.sqlite")
    assert not list(tmp_path.iterdir())


def test_an_instant_without_a_cycle_is_told(tmp_path: Path) -> None:
    Recorder(tmp_path / "history.sqlite").close()
    history = History(tmp_path / "history.sqlite")
    with pytest.raises(RecordError, match="no cycle at 2025-07-01T12:00:00"):
        history.snapshot(NOON)
    history.close()


def test_a_full_disk_is_told_and_nothing_is_half_written(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    recorder = Recorder(path)
    recorder.append(cycle(0))
    pages = recorder._connection.execute("PRAGMA page_count").fetchone()[0]
    recorder._connection.execute(f"PRAGMA max_page_count={pages + 1}")
    with pytest.raises(RecordError, match=r"history\.sqlite: the disk is full; free some space"):  # noqa: PT012
        for k in range(1, 50):
            kept = k
            recorder.append(cycle(k))
    recorder._connection.execute("PRAGMA max_page_count=100000")
    recorder.append(cycle(100))
    recorder.close()
    history = History(path)
    assert [item.now for item in history.cycles()] == [NOON + k * SECOND for k in (*range(kept), 100)]
    history.close()


def test_a_damaged_history_is_told(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    recorder = Recorder(path)
    for k in range(30):
        recorder.append(cycle(k))
    recorder.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    history = History(path)
    with pytest.raises(RecordError, match="damaged"):
        list(history.cycles())
    history.close()


def test_closing_twice_does_no_harm(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "history.sqlite")
    recorder.close()
    recorder.close()
