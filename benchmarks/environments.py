"""Environments for what a benchmark needs and the product does not: one folder each, outside the repository."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

CACHE = Path.home() / ".cache" / "gridhelm-peers"
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")


class NotToBeHadError(Exception):
    """Something cannot be installed or does not run, with the reason."""


def environment(name: str, requirements: Sequence[str], cache: Path) -> Path:
    """The interpreter of the environment `name`, which is made when it is missing or has other pins."""
    folder = cache / name
    python, stamp, pins = folder / "bin" / "python", folder / "installed.txt", "\n".join(requirements)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == pins:
        return python
    print(f"installing {', '.join(requirements)} ...", file=sys.stderr)
    venv.create(folder, with_pip=True, clear=True)
    done = subprocess.run([python, *PIP, *requirements], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotToBeHadError(last_words(done.stderr))
    stamp.write_text(pins, encoding="utf-8")
    return python


def last_words(text: str) -> str:
    """The line that most likely tells why: the last that names an error, else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no reason told"]
    told = [line for line in lines if "error" in line.lower()]
    return (told or lines)[-1][:200]
