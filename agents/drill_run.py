"""Puts a drill together: plant or emulator, proxies, the controller in its pace; and tells what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from agents.assemble import LoadedSite, control_agent, network_estimator
from agents.conductor import emulated_site
from agents.control import Cycle
from agents.drill import Drill, Verdict
from agents.drill_faults import NAMES, DrillFault, faults_for
from agents.drill_proxies import BROKER, Proxies, Target
from agents.interruption import interruption
from agents.operation import CONNECT_S, ShadowPlant, ticks
from twin.clock import SystemClock
from twin.errors import InputError, Problem
from twin.site import Site
from twin.telemetry.config import MqttLink
from twin.telemetry.live_plant import LivePlant
from twin.timegrid import floor_to
from twin.yaml_file import did_you_mean

EMULATED_HOURS = 8.0
SEED = 1

Plan = Sequence[tuple[Target, DrillFault]]


def planned(site: Site, targets: Sequence[Target], link: str | None, fault: str | None) -> Plan:
    """What is to be drilled. Raises `InputError` for a link or fault that there is not."""
    links = site.telemetry.links
    known = [*links, *(target.name for target in targets if target.name == BROKER)]
    if link is not None and link not in known:
        raise _unknown("--link", link, known)
    if fault is not None and fault not in NAMES:
        raise _unknown("--fault", fault, NAMES)
    wanted = BROKER if link is not None and isinstance(links.get(link), MqttLink) else link
    max_age_s = max([site.telemetry.max_age_s, *site.telemetry.max_age_by_device_s.values()])
    return [
        (target, item)
        for target in targets
        if wanted in (None, target.name)
        for item in faults_for(target, site.control.period_s, max_age_s)
        if fault in (None, item.name)
    ]


def _unknown(option: str, found: str, known: Sequence[str]) -> InputError:
    expected = f"one of {', '.join(known)}{did_you_mean(found, known)}"
    return InputError(Problem(file="command line", line=None, path=option, found=repr(found), expected=expected))


def run_drill(
    loaded: LoadedSite,
    site_path: Path,
    *,
    link: str | None,
    fault: str | None,
    most_s: float | None,
    emulated: bool,
    live: bool,
    tell: Callable[[str], None],
) -> Iterator[Verdict]:
    """Drill a plant on the wall clock. Raises `LinkError` when it cannot be reached at the start."""
    site, clock = loaded.site, SystemClock()
    with ExitStack() as stack:
        proxies = stack.enter_context(closing(Proxies(site)))
        plan = planned(site, proxies.targets, link, fault)
        advance = stack.enter_context(_emulated(site, site_path)) if emulated else None
        led = proxies.open()
        plant = stack.enter_context(closing(LivePlant(led, site_path, clock)))
        plant.connect_or_raise(CONNECT_S)
        agent = control_agent(
            site,
            plant if live else ShadowPlant(plant),
            loaded.policy("rules"),
            period_s=site.control.period_s,
            estimator=network_estimator(site),
        )
        interrupted = stack.enter_context(interruption())

        def cycles() -> Iterator[Cycle]:
            for instant in ticks(clock, site.control.period_s, lambda: False):
                if advance is not None:
                    advance(instant)
                yield agent.cycle(instant)

        drill = Drill(site, proxies, cycles(), period_s=site.control.period_s)
        for number, (target, item) in enumerate(plan, start=1):
            if interrupted():
                return
            tell(f"{number} of {len(plan)}: {target.name}, {item.name}")
            yield drill.run(target, item, most_s)


@contextmanager
def _emulated(site: Site, site_path: Path) -> Iterator[Callable[[datetime], object]]:
    """The emulator in a process of its own; yields what moves its time."""
    start = floor_to(SystemClock().now(), 1.0)
    steps = round(EMULATED_HOURS * 3600 / site.control.period_s)
    with emulated_site(site_path, start=start, step_s=site.control.period_s, steps=steps, seed=SEED) as emulator:
        emulator.await_open()
        emulator.advance_to(start + timedelta(seconds=site.control.period_s))
        yield emulator.advance_to


def table_of(verdicts: Sequence[Verdict]) -> Table:
    """For people."""
    table = Table(title="drill", title_justify="left", pad_edge=False)
    for head in ("link", "fault", "noticed after s", "back after s", "worst cycle ms", "result"):
        table.add_column(head, justify="right" if head.endswith((" s", " ms")) else "left")
    for item in verdicts:
        passed = f"[green]passed[/]{', ' + item.remark if item.remark else ''}"
        result = passed if item.passed else f"[red]failed[/]: {escape('; '.join(item.failures))}"
        shown = [_seconds(item.detected_s), _seconds(item.recovered_s), f"{item.worst_cycle_ms:.0f}"]
        table.add_row(item.link, item.fault, *shown, result)
    return table


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def as_json(verdicts: Sequence[Verdict]) -> list[Mapping[str, Any]]:
    """For programs."""
    return [{**asdict(item), "passed": item.passed} for item in verdicts]
