"""Runs a simulation in blocks, on order: what every driver of a peer shares with ours. Standard library only.

A line on standard input is the length of a block in seconds. The answer is one line of JSON on standard output:
how many steps were done, and in how many seconds. Between two blocks the simulation stands still where it is, so that
two programs can take turns. What is needed before a run's first counted step is not on the clock, for nobody.
"""

from __future__ import annotations

import json
import sys
from time import perf_counter


class Blocks:
    """Counts steps and seconds of the block that was ordered, and waits for the next order when it is over."""

    def __init__(self) -> None:
        self._answers, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints is not an answer
        self._wanted_s = self._spent_s = self._from_s = 0.0
        self._steps = 0

    def begin(self) -> None:
        """A run is set up: the clock starts, or goes on."""
        if self._wanted_s == 0.0:
            self._wait()
        self._from_s = perf_counter()

    def done(self, steps: int = 1) -> None:
        """Steps were done since `begin` or the last call. Ends the program when no block is ordered any more."""
        self._steps += steps
        spent_s = self._spent_s + perf_counter() - self._from_s
        if spent_s >= self._wanted_s:
            print(json.dumps({"steps": self._steps, "seconds": spent_s}), file=self._answers, flush=True)
            self._wait()
            self._from_s = perf_counter()

    def end(self) -> None:
        """The run is over, its data used up: the clock stands still until the next `begin`."""
        self._spent_s += perf_counter() - self._from_s

    def _wait(self) -> None:
        order = sys.stdin.readline()
        if not order:
            sys.exit()
        self._wanted_s, self._spent_s, self._steps = float(order), 0.0, 0
