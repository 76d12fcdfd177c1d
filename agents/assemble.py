"""Puts the parts of the house together for one site and one policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.clear_sky_table import ClearSkyTable
from agents.control import ControlAgent, Cycle
from agents.forecasting import ForecastingAgent, SignalSpec
from controllers import rules as rule_files
from controllers.base import Rule
from twin.devices.base import Account, Group
from twin.digital_twin import DigitalTwin
from twin.network.estimate import Estimator
from twin.network.power_flow import PowerFlow
from twin.plant import Plant
from twin.site import Site, load_document, site_adapter


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What steers a site: a name for the record, and rules. `idle` has none, and commands nothing."""

    name: str
    rules: Sequence[Rule]
    steers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSite:
    """A site file, wholly checked."""

    site: Site
    rules: Sequence[Rule]

    def policy(self, name: str) -> Policy:
        """`rules` as the site file lists them, or `idle`."""
        steers = name != "idle"
        return Policy(name=name, rules=self.rules if steers else (), steers=steers)


def load(path: Path) -> LoadedSite:
    """Read a site file with its rules. Raises `InputError` with every problem found."""
    site, document = load_document(path)
    return LoadedSite(site=site, rules=rule_files.parse(document))


def site_schema() -> dict[str, Any]:
    """JSON Schema of a site file, rules included."""
    schema = site_adapter().json_schema()
    rules = rule_files.adapter().json_schema(ref_template="#/$defs/{model}")
    schema.setdefault("$defs", {}).update(rules.pop("$defs", {}))
    schema["properties"]["rules"] = rules
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "gridhelm site file"} | schema
