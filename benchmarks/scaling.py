"""How speed, memory and set-up grow with scenarios, buses and devices.

    .venv/bin/python benchmarks/scaling.py [--only AXIS ...] [--repeats N] [--seconds S] [--plots FOLDER | --no-plots]

Every point is a process of its own, which simulates the campus, or the campus with something added, for some seconds
and at least a day. The first two steps, in which the simulation is recorded and translated, are set-up. Seconds are
of a core, since other work on the machine takes none of those. Peak memory is the resident set of that process at its
largest, with all libraries; what they alone take is told below each table.

scenarios    campus, many side by side
buses        campus, and radial feeders of ten buses each on its 20 kV bus, 100 m of cable between them, idle;
             a large network's power flow iterates over loaded buses only, so this tells what the others cost
loaded_buses the same with a small load at each added bus, 300 kW in all: the network and its devices grow together
devices      campus, and on its 20 kV bus as many small loads, PV systems and batteries, 300 kW of each kind in all

Prints Markdown tables and draws them with matplotlib, in an environment of its own outside the repository.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from environments import CACHE, NotToBeHadError, environment

from agents.assemble import load
from agents.simulation import simulate
from twin.devices.battery import Battery
from twin.devices.critical_load import CriticalLoad
from twin.devices.pv import Pv
from twin.network.topology import Bus, Line
from twin.site import Site
from twin.timegrid import TimeGrid

HERE = Path(__file__).resolve().parent
CAMPUS = HERE.parent / "site_configs" / "campus.yaml"
MAIN_BUS = "main_20kv"
GRID = TimeGrid(start=datetime(2025, 1, 1, tzinfo=UTC), step_s=300.0, steps=30 * 288)
PREPARED = 2
DAY_STEPS = 288
"""At least a day is simulated, so that what happens seldom, as a move of a tap changer, is in every figure."""
POINTS: Mapping[str, Sequence[int]] = {
    "scenarios": (1, 4, 16, 64, 256, 1024),
    "buses": (0, 25, 50, 100, 250, 500, 1000),
    "loaded_buses": (0, 25, 50, 100, 250, 500, 1000),
    "devices": (0, 25, 50, 100, 200),
}
"""Wanted sizes; 0 stands for the campus as it is, and the table tells the size that it has."""
FEEDER_BUSES = 10
ADDED_KW = 300.0
"""Of each kind of added device, all together, so that the flow stays that of the campus."""
DRAW = ("matplotlib==3.10.0",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What one process measured."""

    size: int
    steps_per_s: float
    """Of one site, per second of a core: a step of all scenarios counts once for each."""
    set_up_s: float
    """From the loaded site to the end of the second step."""
    peak_mb: float
    libraries_mb: float
    """Peak before the site was built."""


class EnoughError(Exception):
    """The seconds are over."""


def with_buses(site: Site, count: int) -> Site:
    """The campus with idle feeders, `count` buses in all."""
    buses, lines = dict(site.network.buses), dict(site.network.lines)
    before = MAIN_BUS
    for number in range(count - len(site.network.buses)):
        name = f"feeder_{number // FEEDER_BUSES}_{number % FEEDER_BUSES}"
        before = MAIN_BUS if number % FEEDER_BUSES == 0 else before
        buses[name] = Bus(rated_v=buses[MAIN_BUS].rated_v)
        lines[name] = replace(cable(), from_bus=before, to_bus=name)
        before = name
    return replace(site, network=replace(site.network, buses=buses, lines=lines))


def with_loaded_buses(site: Site, count: int) -> Site:
    """The campus with feeders, `count` buses in all, and a small load at each added bus."""
    grown = with_buses(site, count)
    added = [bus for bus in grown.network.buses if bus not in site.network.buses]
    loads = {f"load_{bus}": CriticalLoad(bus=bus, mean_kw=ADDED_KW / len(added)) for bus in added}
    return replace(grown, devices={**site.devices, **loads})


def cable() -> Line:
    """100 m of the campus's field cable, without its capacitance: the flow stays that of the campus."""
    return Line(
        from_bus="", to_bus="", length_m=100, resistance_ohm_per_km=0.161, reactance_ohm_per_km=0.117,
        rated_a=340,
    )  # fmt: skip


def with_devices(site: Site, count: int) -> Site:
    """The campus with small devices of three kinds in turns, `count` devices in all."""
    added = max(count - len(site.devices), 0)
    share_kw = ADDED_KW * len(KINDS) / max(added, 1)
    kinds = itertools.islice(itertools.cycle(KINDS), added)
    devices = {f"added_{number}": kind(share_kw) for number, kind in enumerate(kinds)}
    return replace(site, devices={**site.devices, **devices})


KINDS: Sequence[Callable[[float], CriticalLoad | Pv | Battery]] = (
    lambda share_kw: CriticalLoad(bus=MAIN_BUS, mean_kw=share_kw, daily_swing_fraction=0.3),
    lambda share_kw: Pv(bus=MAIN_BUS, rated_dc_kw=1.15 * share_kw, rated_kw=share_kw, tilt_deg=25, azimuth_deg=180),
    lambda share_kw: Battery(bus=MAIN_BUS, rated_kw=share_kw, capacity_kwh=4 * share_kw),
)


GROW: Mapping[str, Callable[[Site, int], Site]] = {
    "scenarios": lambda site, _: site,
    "buses": with_buses,
    "loaded_buses": with_loaded_buses,
    "devices": with_devices,
}
SIZE: Mapping[str, Callable[[Site, int], int]] = {
    "scenarios": lambda _, count: count,
    "buses": lambda site, _: len(site.network.buses),
    "loaded_buses": lambda site, _: len(site.network.buses),
    "devices": lambda site, _: len(site.devices),
}


def measured(axis: str, size: int, seconds: float) -> Point:
    """Simulate for so many seconds after set-up, in this process."""
    libraries_mb, loaded = peak_mb(), load(CAMPUS)
    site = GROW[axis](loaded.site, size)
    seeds = tuple(range(size if axis == "scenarios" else 1))
    began_s = cpu_s()
    ended_s: list[float] = []
    """When each step was over."""

    def stepped(steps: int) -> None:
        ended_s.append(cpu_s())
        if steps > PREPARED + DAY_STEPS and ended_s[-1] - ended_s[PREPARED - 1] >= seconds:
            raise EnoughError

    with suppress(EnoughError):
        simulate(site, CAMPUS, GRID, loaded.policy("rules"), seeds, progress=stepped)
    prepared_s = ended_s[PREPARED - 1]
    return Point(
        size=SIZE[axis](site, size),
        steps_per_s=(len(ended_s) - PREPARED) * len(seeds) / (ended_s[-1] - prepared_s),
        set_up_s=prepared_s - began_s,
        peak_mb=peak_mb(),
        libraries_mb=libraries_mb,
    )


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def cpu_s() -> float:
    """Spent by this process, which does its steps on one core. Other work on the machine takes none of it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def points(axis: str, options: argparse.Namespace) -> list[Point]:
    """The whole axis several times over, so that what else the machine does hits every size; the median of each."""
    seen: dict[int, list[Point]] = {size: [] for size in POINTS[axis]}
    for _, size in itertools.product(range(options.repeats), POINTS[axis]):
        seen[size] += in_a_process(axis, size, options.seconds)
    return [middle(several) for several in seen.values() if several]


def in_a_process(axis: str, size: int, seconds: float) -> Iterator[Point]:
    """One that fails is told, and left out."""
    command = [sys.executable, __file__, "--point", axis, str(size), "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{axis} {size}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
    else:
        yield Point(**json.loads(done.stdout))


def middle(several: Sequence[Point]) -> Point:
    """The median of each figure."""
    rows = [asdict(point) for point in several]
    return Point(**{name: median(row[name] for row in rows) for name in rows[0]})


def table(axis: str, seen: Sequence[Point]) -> Iterator[str]:
    name = axis.replace("_", " ")
    yield f"| {name} | steps of a site per CPU s | steps per CPU s | set-up, CPU s | peak memory, MB |"
    yield "| ---: | ---: | ---: | ---: | ---: |"
    for point in seen:
        sites = point.size if axis == "scenarios" else 1
        speeds = f"{point.steps_per_s:,.0f} | {point.steps_per_s / sites:,.0f}"
        yield f"| {point.size:.0f} | {speeds} | {point.set_up_s:.1f} | {point.peak_mb:,.0f} |"
    yield ""
    yield f"Of the memory, {max(point.libraries_mb for point in seen):,.0f} MB are libraries."
    yield ""


def draw(axis: str, seen: Sequence[Point], folder: Path) -> None:
    """One SVG for an axis, or a word on why there is none."""
    told = json.dumps({"axis": axis, "points": [asdict(point) for point in seen], "file": f"{folder / axis}.svg"})
    try:
        python = environment("plots", DRAW, CACHE)
    except NotToBeHadError as error:
        print(f"no plot of {axis}: {error}", file=sys.stderr)
        return
    subprocess.run([python, HERE / "plots" / "draw.py"], input=told, text=True, check=True)


def main() -> None:
    options = _options()
    if options.point:
        axis, size = options.point
        print(json.dumps(asdict(measured(axis, int(size), options.seconds))))
        return
    for axis in options.only or POINTS:
        seen = points(axis, options)
        print("\n".join(table(axis, seen)), flush=True)
        if not options.no_plots:
            draw(axis, seen, options.plots)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=tuple(POINTS), default=())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="simulated for each point, without set-up")
    parser.add_argument("--plots", type=Path, default=HERE / "plots", help="folder of the drawings")
    parser.add_argument("--no-plots", action="store_true")
    parser.add_argument("--point", nargs=2, metavar=("AXIS", "SIZE"), help="measure one point here, print it as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
