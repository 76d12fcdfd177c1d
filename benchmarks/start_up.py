"""How long `gridhelm simulate` takes from the key press to its answer, for a run of three steps.

Measured in turns with what it stands on: Python importing pandas and pvlib, which no simulation can do without.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from twin.clock import stopwatch_s

ROOT = Path(__file__).parents[1]
LIMIT_S = 3.0
SIMULATE = ["-m", "agents", "simulate", "site_configs/campus.yaml", "--days", "0.01"]
LIBRARIES = ["-c", "import pandas, pvlib, pyarrow, llvmlite"]


def took_s(arguments: list[str], environment: Mapping[str, str]) -> float:
    """Wall time of a Python process."""
    began_s = stopwatch_s()
    subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env={**os.environ, **environment}, check=True, capture_output=True
    )
    return stopwatch_s() - began_s


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as cache:
        own = {"XDG_CACHE_HOME": cache}
        took_s(SIMULATE, {})
        first_s = took_s(SIMULATE, own)
        turns = [(took_s(LIBRARIES, own), took_s(SIMULATE, own)) for _ in range(repeats)]
    libraries_s, again_s = (sorted(column) for column in zip(*turns, strict=True))
    print("| start of `gridhelm simulate`, campus | least, s | median, s |\n|---|---:|---:|")
    print(f"| importing pandas, pvlib, pyarrow and llvmlite alone | {libraries_s[0]:.2f} | {median(libraries_s):.2f} |")
    print(f"| a network that was simulated before | {again_s[0]:.2f} | {median(again_s):.2f} |")
    print(f"| a network that is new here | {first_s:.2f} | {first_s:.2f} |")
    return 0 if median(again_s) < LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
