"""Puts the parts of the house together for one site and one policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.control import ControlAgent, Cycle
from agents.forecasting import ForecastingAgent
from controllers.base import Rule
from controllers.rules.parse import parse_rules, rules_adapter
from twin.digital_twin import DigitalTwin
from twin.network.estimate import Estimator
from twin.network.power_flow import PowerFlow
from twin.plant import Plant
from twin.site import Site, load_document, site_adapter

MODEL_ERROR_FRACTION = 0.03
"""How well a drawing knows impedances: nameplates and cable tables are good to a few percent."""


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


def load(path: Path) -> LoadedSite:
    """Read a site file with its rules. Raises `InputError` with every problem found."""
    site, document = load_document(path)
    return LoadedSite(site=site, rules=parse_rules(site, document))


def control_agent(
    site: Site,
    plant: Plant,
    policy: Policy,
    *,
    period_s: float,
    estimator: Estimator | None = None,
    on_cycle: Callable[[Cycle], None] | None = None,
) -> ControlAgent:
    """The agent that runs `policy` on `plant`. Without an `estimator`, meters are taken at their word."""
    return ControlAgent(
        site,
        plant,
        policy.rules,
        twin=DigitalTwin(site, estimator),
        forecasting=ForecastingAgent(site),
        period_s=period_s,
        on_cycle=on_cycle,
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
