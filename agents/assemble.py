"""Puts the parts of the house together for one site and one policy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.control import ControlAgent, Cycle
from agents.forecasting import ForecastingAgent
from controllers.base import Rule
from controllers.rules.parse import parse_rules, rules_adapter
from twin.devices.base import Device
from twin.digital_twin import DigitalTwin
from twin.errors import InputError, Problem
from twin.network.estimate import Estimator
from twin.network.power_flow import PowerFlow
from twin.plant import Plant
from twin.site import Site, load_document, site_adapter
from twin.telemetry.config import AnyModbusLink, SunSpecLink
from twin.telemetry.register_map import RegisterMap, load_map
from twin.telemetry.sunspec_devices import TELLS
from twin.yaml_file import Document, Key

MODEL_ERROR_FRACTION = 0.03
"""How well a drawing knows impedances: nameplates and cable tables are good to a few percent."""


_Shown = tuple[Sequence[Key], Collection[str]]
"""Where a link stands in the file, and the points that it shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What steers a site: a name for the record, and rules. Without rules nothing is commanded."""

    name: str
    rules: Sequence[Rule] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSite:
    """A site file, wholly checked."""

    site: Site
    rules: Sequence[Rule]

    def policy(self, name: str) -> Policy:
        """`rules` as the site file lists them, or `idle`."""
        return Policy(name=name, rules=None if name == "idle" else self.rules)


def load(path: Path, *, with_links: bool = True) -> LoadedSite:
    """Read a site file with its rules, and the register maps of its links. Raises `InputError` with every problem.

    Without links, the maps are not read: a simulation does without, and reading them takes a quarter of its start.
    """
    site, document = load_document(path)
    problems = tuple(link_problems(site, document)) if with_links else ()
    if problems:
        raise InputError(*problems)
    return LoadedSite(site=site, rules=parse_rules(site, document))


def link_problems(site: Site, document: Document) -> Iterator[Problem]:
    """What is wrong with the register maps, and what the twin needs of a device that its links do not show."""
    read: dict[str, RegisterMap] = {}
    shown: dict[str, list[_Shown]] = {}
    unread: set[str] = set()
    for name, link in site.telemetry.links.items():
        keys, device = ("telemetry", "links", name), site.devices.get(link.device)
        if isinstance(link, SunSpecLink):
            # What of it the device has is known when it is connected.
            yield from _points_missing(device, TELLS, document, (*keys, "protocol"))
            continue
        if not isinstance(link, AnyModbusLink):
            shown.setdefault(link.device, []).append(((*keys, "points"), link.points))
            continue
        try:
            registers = read.get(link.map) or load_map(link.map, document.path)
        except InputError as error:
            yield from (_placed(problem, document, (*keys, "map")) for problem in error.problems)
            unread.add(link.device)
            continue
        read[link.map] = registers
        shown.setdefault(link.device, []).append(((*keys, "map"), registers.points))
        yield from _foreign_setpoint(device, registers, document, (*keys, "map"))
    for name, parts in shown.items():
        if name not in unread:
            together = {point for _, points in parts for point in points}
            yield from _points_missing(site.devices.get(name), together, document, parts[0][0])
            yield from _twice(name, parts, document)


def _twice(device: str, parts: Sequence[_Shown], document: Document) -> Iterator[Problem]:
    """What registers show must not come over another link, too: which of the two would be believed?"""
    by_map = {point for keys, points in parts if keys[-1] == "map" for point in points}
    for keys, points in parts:
        if keys[-1] != "map" and (both := sorted(by_map & set(points))):
            found = f"{', '.join(both)} of {device}, which its register map shows already"
            yield document.problem(keys, found=found, expected="each point of a device over one link")


def _placed(problem: Problem, document: Document, keys: Sequence[Key]) -> Problem:
    """A map's own problem as it is; one about its name gets the line of the link."""
    if problem.file != str(document.path):
        return problem
    return document.problem(keys, found=problem.found, expected=problem.expected)


def _points_missing(
    device: Device[Any] | None, shown: Collection[str], document: Document, keys: Sequence[Key]
) -> Iterator[Problem]:
    missing = [point for point in ("p_kw", *device.instruments) if point not in shown] if device else []
    if missing:
        yield document.problem(
            keys, found=f"nothing that shows {', '.join(missing)}", expected="every point that the twin needs of it"
        )


def _foreign_setpoint(
    device: Device[Any] | None, registers: RegisterMap, document: Document, keys: Sequence[Key]
) -> Iterator[Problem]:
    takes, steered_by = registers.setpoint, device.setpoint if device else None
    if takes is not None and steered_by is not None and takes.name != steered_by:
        yield document.problem(keys, found=f"a setpoint {takes.name}", expected=f"the setpoint {steered_by}")


def control_agent(
    site: Site,
    plant: Plant,
    policy: Policy,
    *,
    period_s: float,
    estimator: Estimator | None = None,
    record: Callable[[Cycle], None] | None = None,
) -> ControlAgent:
    """The agent that runs `policy` on `plant`. Without an `estimator`, meters are taken at their word."""
    return ControlAgent(
        site,
        plant,
        policy.rules,
        twin=DigitalTwin(site, estimator),
        forecasting=ForecastingAgent(site),
        period_s=period_s,
        record=record,
    )


def network_estimator(site: Site) -> Estimator:
    """The state estimation of a site's network; takes a second or more to build."""
    rated_kw: dict[str, float] = {}
    for name, device in site.devices.items():
        if name != site.slack:
            rated_kw[device.bus] = rated_kw.get(device.bus, 0.0) + device.rated_kw
    power_flow = PowerFlow(site.network, site.devices[site.slack].bus)
    return Estimator(power_flow, rated_kw, model_error_fraction=MODEL_ERROR_FRACTION)


def site_schema() -> dict[str, Any]:
    """JSON Schema of a site file, rules included."""
    schema = site_adapter().json_schema()
    rules = rules_adapter().json_schema(ref_template="#/$defs/{model}")
    schema.setdefault("$defs", {}).update(rules.pop("$defs", {}))
    schema["properties"]["rules"] = rules
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "gridhelm site file"} | schema
