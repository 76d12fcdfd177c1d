"""How fast peers simulate, against ours: their main loop and ours in turns, on the same machine, in the same minutes.

    .venv/bin/python benchmarks/peers.py [--only NAME ...] [--rounds N] [--block SECONDS] [--cache FOLDER]

Each peer gets an environment of its own under the cache folder, with the version that is pinned here; making them needs
a package index once, and minutes. Peer, ours with one scenario, and ours with many then run in turns, a block each, so
that whatever else the machine does slows all of them. What a run needs before its first step is not counted, for
nobody. A round gives a ratio; told are the median over the rounds and, in brackets, the smallest and the largest.
Prints Markdown tables. A peer that cannot be had is listed with the reason, and not counted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile
from typing import Self

from environments import CACHE, NotToBeHadError, environment, last_words

from agents.assemble import load
from twin.devices.gpu_cluster import GpuCluster

DRIVERS = Path(__file__).resolve().parent / "peers"
CAMPUS = DRIVERS.parents[1] / "site_configs" / "campus.yaml"
MANY = 256
"""Scenarios side by side, a number that fits a parameter sweep."""
WARM_UP_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is worked out in a step."""

    step_s: int
    network: str
    cooling: str = "none"
    gpus: str = "none"
    battery: str = "none"
    control: str

    @property
    def cells(self) -> tuple[str, ...]:
        return f"{self.step_s} s", self.network, self.cooling, self.gpus, self.battery, self.control


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One main loop of a peer."""

    name: str
    argument: str
    content: Content
    sites: int = 1
    """Sites, each with its own load and storage, that one step advances; a step of ten sites counts as ten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A program that simulates microgrids, data centres or grids."""

    name: str
    requirements: Sequence[str]
    driver: str
    cases: Sequence[Case]


def ours() -> Content:
    """What is in a step of the campus, counted in its file."""
    loaded = load(CAMPUS)
    halls = [device for device in loaded.site.devices.values() if isinstance(device, GpuCluster)]
    workloads = sum(len(hall.workloads) for hall in halls)
    return Content(
        step_s=300,
        network=f"AC power flow, {len(loaded.site.network.buses)} buses",
        cooling="chillers, towers, dry coolers",
        gpus=f"{len(halls)} halls with {workloads} workloads",
        battery="efficiency, limits, standby",
        control=f"forecasts, {len(loaded.policy('rules').rules)} rules, guard, books",
    )


BENCHMARK_0 = "efficiency, limits, wear cost"
CHOSEN = (
    Peer(
        name="python-microgrid 1.4",
        requirements=(
            "python-microgrid==1.4", "numpy==1.26.4", "pandas==2.2.3", "scipy==1.13.1", "cvxpy==1.4.4", "cvxopt==1.3.3",
        ),
        driver="run_python_microgrid.py",
        cases=(
            Case(
                name="environment",
                argument="env",
                content=Content(step_s=3600, network="sum of power", battery=BENCHMARK_0, control="actions given"),
            ),
            Case(
                name="shipped rules",
                argument="rules",
                content=Content(step_s=3600, network="sum of power", battery=BENCHMARK_0, control="priority list"),
            ),
        ),
    ),
    Peer(
        name="CityLearn 3.0.2",
        requirements=("citylearn==3.0.2", "torch==2.13.0"),
        driver="run_citylearn.py",
        cases=(
            Case(
                name="17 buildings",
                argument="",
                sites=17,
                content=Content(
                    step_s=3600, network="sum of power", battery="efficiency curves", control="actions given"
                ),
            ),
        ),
    ),
    Peer(
        name="Vessim 0.16.0",
        requirements=("vessim==0.16.0",),
        driver="run_vessim.py",
        cases=tuple(
            Case(
                name=name,
                argument=str(sites),
                sites=sites,
                content=Content(
                    step_s=300, network="sum of power", gpus="a constant", battery="limits", control="default policy"
                ),
            )
            for name, sites in (("1 microgrid", 1), ("10 microgrids", 10))
        ),
    ),
    Peer(
        name="Grid2Op 1.12.6",
        requirements=("grid2op==1.12.6", "lightsim2grid==1.2.0", "pandapower==3.5.6", "numba==0.68.1"),
        driver="run_grid2op.py",
        cases=tuple(
            Case(
                name=engine,
                argument=engine,
                content=Content(step_s=300, network="AC power flow, 14 buses", control="actions given"),
            )
            for engine in ("lightsim2grid", "pandapower")
        ),
    ),
)  # fmt: skip
NOT_COUNTED: Mapping[str, str] = {
    "SustainDC": "not published as a package; lives in a repository only",
    "ExaDigiT RAPS": "not published as a package; lives in a repository only",
    "OpenG2G 0.2.0": "its package holds neither a feeder nor a trace; both lie in its repository and on a data hub",
}


class Runner:
    """A driver that runs in an environment of its own, and does a block on order."""

    def __init__(self, python: Path, driver: str, argument: str) -> None:
        command = [str(python), "-W", "ignore", str(DRIVERS / driver), argument]
        self._words = TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed when the runner ends
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self._words, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._words.close()

    def steps_per_s(self, block_s: float) -> float:
        """Speed over the next block. Raises `NotToBeHadError` with the last words of a driver that has ended."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(f"{block_s}\n")
            stdin.flush()
            answer = stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self._process.wait()
            self._words.seek(0)
            raise NotToBeHadError(last_words(self._words.read()))
        block = json.loads(answer)
        return float(block["steps"] / block["seconds"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Steps of one site per second: a peer's, ours alone, and ours with many scenarios, one after the other."""

    theirs: float
    alone: float
    many: float


def rounds(peer: Peer, case: Case, ours: Sequence[Runner], options: argparse.Namespace) -> Iterator[Round]:
    """Blocks in turns, after a short one of each that is not counted."""
    folder = peer.driver.removeprefix("run_").removesuffix(".py")
    python = environment(folder, peer.requirements, options.cache)
    with Runner(python, peer.driver, case.argument) as theirs:
        for runner in (theirs, *ours):
            runner.steps_per_s(WARM_UP_S)
        for _ in range(options.rounds):
            speeds = [runner.steps_per_s(options.block) for runner in (theirs, *ours)]
            yield Round(theirs=speeds[0] * case.sites, alone=speeds[1], many=speeds[2] * MANY)


def spread(values: Sequence[float]) -> str:
    """Median, smallest and largest."""
    middle, least, most = (ratio(value) for value in (median(values), min(values), max(values)))
    return f"{middle} ({least} to {most})"


def ratio(value: float) -> str:
    """One decimal; two where the peer is the faster, for one would round too much away."""
    return f"{value:,.1f}" if value >= 1.0 else f"{value:.2f}"


def row(name: str, content: Content, seen: Sequence[Round]) -> str:
    speeds = (
        f"{median([seen_round.theirs for seen_round in seen]):,.0f}",
        spread([seen_round.alone / seen_round.theirs for seen_round in seen]),
        spread([seen_round.many / seen_round.theirs for seen_round in seen]),
    )
    return table_row(name, *content.cells, *speeds)


def table_row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def measured(options: argparse.Namespace) -> tuple[list[str], list[Round], dict[str, str]]:
    """Rows of the peers, every round that was run, and who could not be had, with the reason."""
    rows, all_rounds, missing = [], [], dict(NOT_COUNTED)
    python = Path(sys.executable)
    with Runner(python, "run_gridhelm.py", "1") as alone, Runner(python, "run_gridhelm.py", str(MANY)) as many:
        for peer in chosen(options.only):
            for case in peer.cases:
                try:
                    seen = list(rounds(peer, case, (alone, many), options))
                except NotToBeHadError as error:
                    missing[f"{peer.name}, {case.name}"] = str(error)
                    continue
                all_rounds += seen
                rows.append(row(f"{peer.name}, {case.name}", case.content, seen))
    return rows, all_rounds, missing


def chosen(only: Sequence[str]) -> Iterator[Peer]:
    return (peer for peer in CHOSEN if not only or any(part.lower() in peer.name.lower() for part in only))


def tables(rows: Sequence[str], seen: Sequence[Round], missing: Mapping[str, str]) -> Iterator[str]:
    heads = ("program", "step", "network", "cooling", "GPUs", "battery", "control", "steps of a site per s")
    yield table_row(*heads, "ours faster, 1 scenario", f"ours faster, {MANY} scenarios")
    yield table_row(*["---"] * 7, *["---:"] * 3)
    yield from rows
    if seen:
        speeds_of = {"1 scenario": [item.alone for item in seen], f"{MANY} scenarios": [item.many for item in seen]}
        for name, speeds in speeds_of.items():
            yield table_row(f"gridhelm, {name}", *ours().cells, f"{median(speeds):,.0f}", "", "")
    yield ""
    yield from (f"- Not counted: {name} ({reason})" for name, reason in missing.items())


def main() -> None:
    print("\n".join(tables(*measured(_options()))))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=(), help="parts of the names of peers")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--block", type=float, default=2.0, help="seconds that each runs before it is the next's turn")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of the peers' environments")
    return parser.parse_args()


if __name__ == "__main__":
    main()
