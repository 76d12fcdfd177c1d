"""The history as a file: whose it is, who may write it, and what to say when it cannot be used.

Nothing here opens the file but through SQLite. Closing a file of one's own would silently drop the
locks that SQLite holds on it in the same process, and with them the safety of what is being written.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from twin.errors import RecordError

APPLICATION_ID = 0x67686C6D
"""`ghlm`, in the header of the file: it is ours."""
VERSION = 1
WAIT_S = 1.0
"""For another process that only just opens or closes the file."""

TABLES = (
    "CREATE TABLE layout (id INTEGER PRIMARY KEY, points TEXT NOT NULL)",
    "CREATE TABLE pattern (id INTEGER PRIMARY KEY, words BLOB NOT NULL)",
    "CREATE TABLE forecast (id INTEGER PRIMARY KEY, issued_at INTEGER NOT NULL, body BLOB NOT NULL)",
    """CREATE TABLE cycle (
        id INTEGER PRIMARY KEY,
        now INTEGER NOT NULL,
        layout INTEGER NOT NULL REFERENCES layout,
        pattern INTEGER NOT NULL REFERENCES pattern,
        forecast INTEGER REFERENCES forecast,
        readings BLOB NOT NULL,
        words BLOB NOT NULL
    )""",
    "CREATE INDEX cycle_now ON cycle (now)",
)

REMEDIES = {
    "file is not a database": "is not a gridhelm history and was left as it is; name another file",
    "database is locked": "another process holds it; end that one, or name another file",
    "database or disk is full": "the disk is full; free some space",
    "attempt to write a readonly database": "it may not be written; check its permissions",
    "unable to open database file": "it cannot be opened; check that its folder exists and may be written",
    "disk I/O error": "the disk does not work, or the file was removed while it was open",
    "database disk image is malformed": "it is damaged; keep a copy, and name another file",
}
"""What SQLite says → what it means for a person, and what to do."""


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system say into a `RecordError` that names the file and what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise RecordError(f"{path}: {REMEDIES.get(str(error), str(error))}") from error
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}; check the path and its permissions") from error


def open_database(path: Path, options: str) -> sqlite3.Connection:
    """A connection without transactions of its own."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, timeout=WAIT_S, isolation_level=None)


def occupied(path: Path) -> bool:
    """Whether there is anything in the file. Raises `RecordError` where nobody can tell."""
    with told(path):
        if path.is_dir():
            raise RecordError(f"{path}: is a folder; name a file in it")
        try:
            return path.stat().st_size > 0
        except FileNotFoundError:
            return False


def check_ours(path: Path) -> None:
    """See that a file is a history of a known version, without touching it. Raises `RecordError` otherwise."""
    if not occupied(path):
        raise RecordError(f"{path}: no such history file")
    with told(path), closing(open_database(path, "mode=ro&immutable=1")) as connection:
        (identity,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    if identity != APPLICATION_ID:
        raise RecordError(f"{path}: {REMEDIES['file is not a database']}")
    if version > VERSION:
        raise RecordError(
            f"{path}: was written by a newer gridhelm (format {version}, this one knows {VERSION});"
            " update, or name another file"
        )


def open_for_recording(path: Path) -> sqlite3.Connection:
    """Open a history, or create one, with a log beside it. Raises `RecordError`."""
    with told(path), ExitStack() as undo:
        connection = open_database(path, "mode=rwc")
        undo.callback(connection.close)
        _prepare(connection)
        undo.pop_all()
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables:
        # Before the log is begun: an identity in the file itself is seen by whoever finds it after a crash.
        for statement in TABLES:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={VERSION}")
    connection.execute("COMMIT")
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise OSError(0, "no log can be kept beside it, as on a network drive")
    connection.execute("PRAGMA synchronous=NORMAL")


class Claim:
    """The right to write a history, held by one process at a time and given back by its end, however it ends."""

    def __init__(self, path: Path) -> None:
        """Raises `RecordError` if somebody else has it."""
        self._path = path.with_name(path.name + ".lock")
        with told(path):
            self._file = self._locked(path)

    def _locked(self, path: Path) -> int:
        while True:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_still(self._path, file):
                    return file
            except BlockingIOError:
                os.close(file)
                words = "another recorder is writing it; stop that one, or name another file"
                raise RecordError(f"{path}: {words}") from None
            # Its last holder removed it between our opening and our locking it.
            os.close(file)

    def release(self) -> None:
        """Give it back, and tidy up."""
        self._path.unlink(missing_ok=True)
        os.close(self._file)


def _is_still(path: Path, file: int) -> bool:
    """Whether an open file is the one that `path` names now."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False
