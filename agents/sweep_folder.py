"""The folder of a sweep: what lies in it, and that only one command works in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from twin.errors import InputError, Problem

MANIFEST, WHOLE = "manifest.json", "scenarios.parquet"
FOLDERS, PARTS = ("steps", "scenarios"), ("part-*.parquet", ".part-*.parquet.part")


@contextmanager
def folder_of(out: Path) -> Iterator[None]:
    """The folder, made where there is none, and no other command's until the end.

    Raises `InputError` where it cannot be had. The lock is one on the folder itself, so that no file is left of it, and
    it ends with its process, however that ends. Windows has none of the kind, so two commands are not told apart there.
    """
    _make(out)
    if sys.platform == "win32":
        yield
        return
    import fcntl

    held = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise refused(out, "another command at work in it", "that to end first, or another folder") from None
    try:
        yield
    finally:
        os.close(held)


def _make(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise refused(out, "a file", "a folder")
    try:
        for folder in FOLDERS:
            (out / folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refused(out, f"that it cannot be made ({error.strerror})", "a folder that can be written") from None


def left_in(out: Path) -> Sequence[Path]:
    """What a sweep leaves, finished or not, and nothing else; its manifest last."""
    parts = [path for folder in FOLDERS for one in PARTS for path in sorted((out / folder).glob(one))]
    return parts + [path for name in (WHOLE, MANIFEST) if (path := out / name).exists()]


def refused(path: Path, found: str, expected: str) -> InputError:
    """Why a folder is not taken."""
    return InputError(Problem(file=str(path), line=None, path="", found=found, expected=expected))
