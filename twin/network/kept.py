"""Matrices of networks that were built before, kept in the user's cache folder.

Importing pandapower, building a net and solving it take half of the start of a simulation, and give the same
matrices each time. What is kept is bound to the network, to the versions of pandapower and NumPy, and to the source
of this package; whatever is missing, damaged or not writable is built anew.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from platformdirs import user_cache_path

Arrays = Mapping[str, Any]

MOST_BYTES = 200e6
"""Of all that is kept: the networks used last stay."""


def kept(question: str, build: Callable[[], Arrays]) -> Arrays:
    """The arrays that `build` gives, or gave to the same question before. The same bits either way."""
    path = _folder() / f"{_digest(question)}.npz"
    with suppress(OSError, ValueError, EOFError, zipfile.BadZipFile):
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            found = dict(file)
        os.utime(path)
        return found
    arrays = build()
    with suppress(OSError):
        _write(path, arrays)
    return arrays


def _folder() -> Path:
    return user_cache_path("gridhelm") / "networks"


def _digest(question: str) -> str:
    return hashlib.sha256(f"{question}\n{_made_by()}".encode()).hexdigest()


@cache
def _made_by() -> str:
    source = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return f"{version('pandapower')} {version('numpy')} {hashlib.sha256(source).hexdigest()}"


def _write(path: Path, arrays: Arrays) -> None:
    """Whole or not at all, whoever else writes it at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
    _drop_oldest(path.parent)


def _drop_oldest(folder: Path) -> None:
    total = 0
    for path in sorted(folder.glob("*.npz"), key=lambda item: item.stat().st_mtime, reverse=True):
        total += path.stat().st_size
        if total > MOST_BYTES:
            path.unlink(missing_ok=True)
