"""What tells one scenario of a site from another: a seed, parameters, and what is out of service when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np

from twin.devices.base import Device
from twin.numeric import Num
from twin.site import Site
from twin.weather_source import WeatherSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A line, transformer or source of the network that is out of service for a while."""

    element: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One of many runs of the same site."""

    seed: int = 0
    """Of everything random; 0 is the weather file as it stands."""
    weather: WeatherSource | None = None
    """None: that of the site file."""
    parameters: Mapping[str, float] = field(default_factory=dict)
    """`<device>.<parameter>` → its value instead of that in the site file."""
    outages: Sequence[Outage] = ()


def seeds_of(seeds: Sequence[int]) -> tuple[Scenario, ...]:
    """Scenarios that differ by their seeds alone."""
    return tuple(Scenario(seed=seed) for seed in seeds)


def varied(scenarios: Sequence[Scenario]) -> dict[str, Num]:
    """Each parameter that some scenario sets, over all scenarios: a float for one, an array for several."""
    names = dict.fromkeys(name for scenario in scenarios for name in scenario.parameters)
    several = {name: np.array([scenario.parameters[name] for scenario in scenarios]) for name in names}
    return {name: values if len(values) > 1 else float(values[0]) for name, values in several.items()}


def with_parameters(site: Site, parameters: Mapping[str, Any]) -> Site:
    """The site with other parameters of its devices: floats, arrays over scenarios, or symbols.

    They are taken as they are; `agents.scenario_plan` has checked each value.
    """
    devices = dict(site.devices)
    for path, value in parameters.items():
        name, parameter = path.split(".")
        devices[name] = _with(devices[name], parameter, value)
    return replace(site, devices=devices) if parameters else site


def _with(device: Device[Any], parameter: str, value: Any) -> Device[Any]:
    """A copy, past `__post_init__`: what it compares was compared for each value by itself."""
    other = copy(device)
    object.__setattr__(other, parameter, value)
    return other
