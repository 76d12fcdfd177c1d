"""Ours: `simulate` on the campus, its rules in charge, 300 s a step. Argument: how many scenarios side by side."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from blocks import Blocks

from agents.assemble import load
from agents.simulation import simulate
from twin.timegrid import TimeGrid

CAMPUS = Path(__file__).parents[2] / "site_configs" / "campus.yaml"
YEAR = TimeGrid(start=datetime(2025, 1, 1, tzinfo=UTC), step_s=300.0, steps=105_120)
PREPARED = 2
"""The first step is done by the objects and recorded, the second translates it: neither is a step like the others."""


def main() -> None:
    scenarios, loaded, blocks = int(sys.argv[1]), load(CAMPUS), Blocks()

    def stepped(done: int) -> None:
        if done == PREPARED:
            blocks.begin()
        elif done > PREPARED:
            blocks.done()

    while True:
        simulate(loaded.site, CAMPUS, YEAR, loaded.policy("rules"), tuple(range(scenarios)), progress=stepped)
        blocks.end()


if __name__ == "__main__":
    main()
