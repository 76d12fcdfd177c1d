"""Where the time of a simulated step goes: one line for each phase, for one scenario and for many.

    .venv/bin/python benchmarks/step_profile.py [--site FILE] [--days N] [--step S] [--scenarios 1,256]

The recording of a step is cut where one phase ends and the next begins (an empty call out of the machine code, which
costs a microsecond), and each stretch of machine code and each call is timed by itself.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from pydoc import locate
from typing import Any
from unittest.mock import patch

from threadpoolctl import threadpool_limits

import agents.recording
from agents.assemble import load
from agents.machine import MachineStep
from agents.object_run import ObjectRun
from agents.simulation import surroundings
from agents.step_row import nothing
from twin.clock import stopwatch_s
from twin.scenario import seeds_of
from twin.tape import Tape
from twin.timegrid import TimeGrid

CAMPUS = Path(__file__).parents[1] / "site_configs" / "campus.yaml"
START = datetime(2025, 7, 1, tzinfo=UTC)
CALLS = {"_solve": "power flow", "_solve_again": "power flow", "_observe": "forecasts", "surplus_kwh": "forecasts"}
PHASES = {
    "agents.control.look": "rules and resolver",
    "agents.control.guard": "guard",
    "twin.simulator.SimulatedPlant.apply": "physics",
    "twin.simulator.SimulatedPlant.read": "physics",
    "twin.digital_twin.DigitalTwin.assimilate": "twin",
    "twin.ledger.Ledger.book": "books",
}
"""What begins a phase; it lasts until the next one begins."""


def begin(phase: str) -> Callable[[Any, Any], None]:
    def mark(given: Any, made: Any) -> None:
        del given, made

    mark.__name__ = f"begin {phase}"
    return mark


@contextmanager
def marked() -> Iterator[None]:
    """Recordings made meanwhile are cut at the beginning of each phase."""
    tapes: list[Tape] = []

    def new_tape() -> Tape:
        tapes.append(Tape())
        return tapes[-1]

    def cutting(original: Callable[..., Any], phase: str) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if tapes:
                tapes[-1].call(begin(phase), [], 0)
            return original(*args, **kwargs)

        return wrapped

    with ExitStack() as stack:
        stack.enter_context(patch.object(agents.recording, "Tape", new_tape))
        for target, phase in PHASES.items():
            stack.enter_context(patch(target, cutting(locate(target), phase)))
        yield


def profile(site_path: Path, days: float, step_s: float, scenarios: int) -> dict[str, float]:
    """Phase → microseconds of a step."""
    loaded = load(site_path)
    grid = TimeGrid(start=START, step_s=step_s, steps=round(days * 86400 / step_s))
    around = surroundings(loaded.site, site_path, grid, loaded.rules, seeds_of(range(scenarios)))
    first = ObjectRun(around)
    first.step()
    with marked():
        step = MachineStep(around, first.memory(), nothing)
    spent_s: dict[str, float] = defaultdict(float)
    step.machine.parts = tuple(timed(step, spent_s))
    began_s = stopwatch_s()
    with threadpool_limits(1, user_api="blas"):
        for index in range(1, grid.steps):
            step.step(index)
    whole_s = stopwatch_s() - began_s
    spent_s["weather, clock, memory"] = whole_s - sum(spent_s.values())
    return {phase: seconds / (grid.steps - 1) * 1e6 for phase, seconds in spent_s.items()} | {
        "whole step": whole_s / (grid.steps - 1) * 1e6
    }


def timed(step: MachineStep, spent_s: dict[str, float]) -> Iterator[Callable[[], None]]:
    """The parts of the machine, each adding what it takes to its phase."""
    phase = "physics"
    for part in step.machine.parts:
        name = getattr(getattr(part, "func", None), "__name__", "")
        if name.startswith("begin "):
            phase = name.removeprefix("begin ")
            continue
        yield lap(part, CALLS.get(name, phase), spent_s)


def lap(part: Callable[[], None], phase: str, spent_s: dict[str, float]) -> Callable[[], None]:
    def run() -> None:
        began_s = stopwatch_s()
        part()
        spent_s[phase] += stopwatch_s() - began_s

    return run


def main() -> None:
    options = _options()
    counts = [int(count) for count in options.scenarios.split(",")]
    found = [profile(options.site, options.days, options.step, count) for count in counts]
    print("| phase | " + " | ".join(f"{count} scenarios, µs a step" for count in counts) + " |")
    print("|---|" + "---:|" * len(counts))
    for phase in found[0]:
        print(
            f"| {phase} | "
            + " | ".join(f"{row[phase]:.1f} ({row[phase] / row['whole step']:.0%})" for row in found)
            + " |"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", type=Path, default=CAMPUS)
    parser.add_argument("--days", type=float, default=10.0)
    parser.add_argument("--step", type=float, default=300.0, help="seconds")
    parser.add_argument("--scenarios", default="1,256", help="numbers of scenarios, with commas")
    return parser.parse_args()


if __name__ == "__main__":
    main()
