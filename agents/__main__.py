"""The command line: `gridhelm demo | run | emulate | simulate | size | check | schema | map`, and for integrators
`gridhelm probe | record | replay | drill`.

Exit codes: 0 done, 1 the site or the run has a fault that is reported, 2 wrong input, or a link or
history file that cannot be had (nothing was started), 130 interrupted.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from agents.capture_command import record, replay
from agents.drill_command import drill
from agents.map_command import map_app
from agents.probe_command import probe
from agents.terminal import hidden_progress, live_screen, report, served_devices
from twin.errors import GridhelmError, InputError, LinkError, Problem, RecordError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(map_app, name="map")
for command in (probe, record, replay, drill):
    app.command()(command)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

CAMPUS = Path("site_configs/campus.yaml")

SitePath = Annotated[Path, typer.Argument(help="Site file, for example site_configs/campus.yaml.")]
JsonPath = Annotated[Path | None, typer.Option("--json", help="Write the summary of the run to this file.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random; the same seed gives the same run.")]


class PolicyName(StrEnum):
    """What steers the site."""

    RULES = "rules"
    IDLE = "idle"


class Mode(StrEnum):
    """Whether commands are written to the plant."""

    SHADOW = "shadow"
    LIVE = "live"


class ClockName(StrEnum):
    """What moves the emulated plant's time."""

    WALL = "wall"
    PIPE = "pipe"


def instant(text: str, option: str) -> datetime:
    """An ISO 8601 date or time; without an offset it is UTC."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            Problem(file="command line", line=None, path=option, found=repr(text), expected="an ISO 8601 date or time")
        ) from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def steps_over(days: float, step_s: float) -> int:
    """Steps of a run: at least one."""
    steps = round(days * 86400 / step_s)
    if steps < 1:
        expected = f"at least one step of {step_s:g} s"
        raise InputError(Problem(file="command line", line=None, path="--days", found=f"{days:g}", expected=expected))
    return steps


@app.command()
def simulate(
    site_path: SitePath,
    start: Annotated[str, typer.Option(help="First instant, ISO 8601; UTC without an offset.")] = "2025-07-01",
    days: Annotated[float, typer.Option(min=0.001, help="Length of the run.")] = 7.0,
    step_s: Annotated[float, typer.Option("--step", min=1.0, help="Seconds of one step.")] = 300.0,
    policy: Annotated[PolicyName, typer.Option(help="What steers the site.")] = PolicyName.RULES,
    scenarios: Annotated[int, typer.Option(min=1, help="Scenarios side by side, seeds SEED, SEED + 1 …")] = 1,
    plan: Annotated[Path | None, typer.Option(help="Scenarios from a file: seeds, parameters, outages.")] = None,
    seed: Seed = 0,
    processes: Annotated[int, typer.Option(min=1, help="Processes that share the scenarios.")] = 1,
    batch: Annotated[int | None, typer.Option(min=1, help="Scenarios side by side in one process.")] = None,
    json_path: JsonPath = None,
    out: Annotated[Path | None, typer.Option(help="Folder for Parquet files; the same command goes on there.")] = None,
    every_s: Annotated[
        float | None, typer.Option("--every", help="Seconds in a row of the step table; 0: none.")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Delete what an earlier run left in the folder.")] = False,
) -> None:
    """Run a policy on the twin as fast as it goes, for one or many scenarios."""
    from agents.assemble import load
    from agents.scenario_plan import planned_seeds, read_plan
    from agents.step_table import steps_in
    from agents.sweep import Sweep
    from agents.sweep_report import run_and_report
    from twin.timegrid import TimeGrid

    loaded = load(site_path, with_links=False)
    grid = TimeGrid(start=instant(start, "--start"), step_s=step_s, steps=steps_over(days, step_s))
    sweep = Sweep(
        site_path=site_path,
        loaded=loaded,
        policy=policy.value,
        grid=grid,
        scenarios=planned_seeds(range(seed, seed + scenarios)) if plan is None else read_plan(plan, loaded.site, grid),
        out=out,
        every=0 if every_s == 0 else steps_in(every_s or step_s, step_s),
        batch=batch,
        processes=processes,
    )
    raise typer.Exit(run_and_report(loaded.site, sweep, json_path, restart=restart))


@app.command()
def size(
    site_path: SitePath,
    plan: Annotated[Path, typer.Argument(help="Which sizes, which cooling, which weather, at which costs.")],
    start: Annotated[str, typer.Option(help="First instant, ISO 8601; UTC without an offset.")] = "2025-01-01",
    days: Annotated[float, typer.Option(min=1.0, help="Length of each run; figures are for a year.")] = 365.0,
    step_s: Annotated[float, typer.Option("--step", min=1.0, help="Seconds of one step.")] = 3600.0,
    processes: Annotated[int, typer.Option(min=1, help="Processes that share the designs.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Folder for all designs and a drawing of the front.")] = None,
) -> None:
    """Try sizes and cooling technologies of a site, and show which are best in cost, carbon, PUE and water."""
    from agents.assemble import load
    from agents.sizing_plan import read_sizing
    from agents.sizing_report import size_and_report
    from twin.timegrid import TimeGrid

    loaded = load(site_path, with_links=False)
    grid = TimeGrid(start=instant(start, "--start"), step_s=step_s, steps=steps_over(days, step_s))
    asked = read_sizing(plan, loaded.site)
    code = size_and_report(asked, loaded.site, site_path, grid, loaded.policy("rules"), processes=processes, out=out)
    raise typer.Exit(code)


@app.command()
def demo(
    site_path: Annotated[Path, typer.Argument(help="Site file.")] = CAMPUS,
    headless: Annotated[bool, typer.Option("--headless", help="No live view; end after --hours.")] = False,
    hours: Annotated[float, typer.Option(min=0.01, help="Simulated hours.")] = 24.0,
    period_s: Annotated[float, typer.Option("--period", min=1.0, help="Control period in simulated seconds.")] = 10.0,
    start: Annotated[str, typer.Option(help="First instant, ISO 8601.")] = "2025-07-15T04:00",
    policy: Annotated[PolicyName, typer.Option(help="What steers the site.")] = PolicyName.RULES,
    seed: Seed = 1,
    json_path: JsonPath = None,
    record: Annotated[Path | None, typer.Option(help="Keep the history of every cycle in this SQLite file.")] = None,
) -> None:
    """Watch a controller run an emulated microgrid over real sockets, on an accelerated clock."""
    from agents.assemble import load
    from agents.demo import run_demo
    from agents.view import LiveView
    from twin.timegrid import TimeGrid

    loaded = load(site_path)
    grid = TimeGrid(start=instant(start, "--start"), step_s=period_s, steps=round(hours * 3600 / period_s))
    shown = hidden_progress(grid) if headless else live_screen(LiveView(loaded.site, f"demo, {period_s:.0f} s a cycle"))
    with shown as on_cycle:
        result = run_demo(
            loaded.site, site_path, grid, loaded.policy(policy.value), seed=seed, record=record, on_cycle=on_cycle
        )
    report(result, json_path)
    raise typer.Exit(0 if result["steps"] == grid.steps else 130)


@app.command()
def run(
    site_path: SitePath,
    mode: Annotated[Mode, typer.Option(help="shadow: read, decide, record, write nothing. live: command.")] = (
        Mode.SHADOW
    ),
    record: Annotated[Path | None, typer.Option(help="History file; default runs/<site>.sqlite.")] = None,
) -> None:
    """Run the controller on a real (or emulated) plant until interrupted."""
    from agents.assemble import load
    from agents.operation import operate

    loaded = load(site_path)
    history = record or Path("runs") / f"{loaded.site.name}.sqlite"
    operate(loaded, site_path, live=mode is Mode.LIVE, history=history)


@app.command()
def emulate(
    site_path: SitePath,
    clock: Annotated[ClockName, typer.Option(help="wall: real time. pipe: orders on standard input.")] = ClockName.WALL,
    start: Annotated[str, typer.Option(help="First instant; with --clock pipe.")] = "2025-07-15T04:00",
    step_s: Annotated[float, typer.Option("--step", help="Seconds of one step; with --clock pipe.")] = 10.0,
    steps: Annotated[int, typer.Option(help="Number of steps; with --clock pipe.")] = 8640,
    seed: Seed = 1,
) -> None:
    """Serve the plant of a site as real Modbus TCP and MQTT devices."""
    from agents.assemble import load
    from agents.emulation import PipedEmulation, emulate_on_wall_clock
    from twin.clock import SystemClock
    from twin.emulator import Emulator
    from twin.timegrid import TimeGrid

    site = load(site_path).site
    if clock is ClockName.PIPE:
        grid = TimeGrid(start=instant(start, "--start"), step_s=step_s, steps=steps)
        PipedEmulation(Emulator(site, site_path, grid, seed), site, grid).run()
        return
    emulate_on_wall_clock(site, site_path, SystemClock(), seed, lambda: Console().print(served_devices(site)))


@app.command()
def check(
    site_path: SitePath,
    export: Annotated[
        Path | None, typer.Option(help="Write the network with all loads at rated power to this pandapower JSON file.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Read every point of the plant too, and say what is odd.")
    ] = False,
) -> None:
    """Check a site file, build its network and load it at rated power; with --live, its meters too. Reads only."""
    from agents.check import check_site
    from agents.live_check import live_check
    from twin.clock import SystemClock

    console = Console(highlight=False, soft_wrap=True)
    healthy = check_site(site_path, console, export)
    if live:
        healthy &= live_check(site_path, console, clock=SystemClock())
    raise typer.Exit(0 if healthy else 1)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a site file, for editors."""
    from agents.assemble import site_schema

    sys.stdout.write(json.dumps(site_schema(), indent=2) + "\n")


def main() -> None:
    """Entry point: every known failure becomes words and an exit code."""
    try:
        app()
    except InputError as error:
        for problem in error.problems:
            errors.print(f"[red]error[/] {escape(str(problem))}")
        sys.exit(2)
    except (LinkError, RecordError) as error:
        errors.print(f"[red]error[/] {escape(str(error))}")
        sys.exit(2)
    except GridhelmError as error:
        errors.print(f"[red]error[/] {escape(str(error))}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
