"""A person's question of size: which devices in which sizes, which cooling, under which weather, at which prices.

::

    scale:                          # multiples of the site file; 0 leaves the device out
      battery: [0, 1, 2]
      solar: [1, 3]
    cooling:                        # cases: devices put in the place of those of the same name; null takes one away
      as built: {}
      dry coolers:
        chiller_plant: {type: dry_cooler, bus: cooling_480v, serves: [hall_a], ...}
    weather:
      Greensboro: {format: greensboro}
    costs:                          # of a device as large as in the site file, or of a case of `cooling`
      battery: {capital_cost: 2900000, lifetime_years: 15, upkeep_cost_per_year: 30000}
    discount_rate_fraction: 0.07
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, MinLen
from pydantic import TypeAdapter

from agents.scenario_plan import beside, weather_problems
from twin.devices.base import DEVICES, STRICT, Device
from twin.errors import InputError, Problem
from twin.network.checks import one_of
from twin.scaling import grows, scaled
from twin.site import Site
from twin.weather_source import WeatherSource
from twin.yaml_file import Document, did_you_mean, read_yaml

Sizes = Annotated[tuple[Annotated[float, Ge(0)], ...], MinLen(1)]
Case = Mapping[str, Device[Any] | None]
"""Devices by name, instead of those of the site file; None: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a device costs to have."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    capital_cost: Annotated[float, Ge(0)] = 0.0
    """Bought and installed."""
    lifetime_years: Annotated[float, Gt(0)] = 20.0
    upkeep_cost_per_year: Annotated[float, Ge(0)] = 0.0

    def cost_per_year(self, discount_rate_fraction: float) -> float:
        """Capital as an annuity over its life, and upkeep.

        Annuity ``r / (1 - (1 + r)^-n)``; Short, Packey & Holt 1995, NREL/TP-462-5173, capital recovery factor.
        """
        rate, years = discount_rate_fraction, self.lifetime_years
        share = rate / (1.0 - (1.0 + rate) ** -years) if rate > 0.0 else 1.0 / years
        return self.capital_cost * share + self.upkeep_cost_per_year


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """What the file says."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    scale: Mapping[str, Sizes] = field(default_factory=dict)
    cooling: Mapping[str, Mapping[str, dict[str, Any] | None]] = field(default_factory=dict)
    weather: Mapping[str, WeatherSource] = field(default_factory=dict)
    costs: Mapping[str, Price] = field(default_factory=dict)
    discount_rate_fraction: Annotated[float, Ge(0)] = 0.07


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """One site that could be built."""

    cooling: str
    """Case of the plan."""
    scale: Mapping[str, float]
    site: Site


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingPlan:
    """What is tried: every size of every device, with every case of cooling, under every weather."""

    scale: Mapping[str, tuple[float, ...]]
    cooling: Mapping[str, Case]
    weather: Mapping[str, WeatherSource | None]
    """None: that of the site file."""
    costs: Mapping[str, Price]
    discount_rate_fraction: float


def read_sizing(path: Path, site: Site) -> SizingPlan:
    """Read a plan of sizes for `site`. Raises `InputError` with every problem, each with its line."""
    document = read_yaml(path)
    told = document.validate(TypeAdapter(_File))
    cooling = {name: dict(_devices(document, name, case)) for name, case in told.cooling.items()}
    problems = (*_problems(told, site, document), *weather_problems(told.weather, document))
    if problems:
        raise InputError(*problems)
    return SizingPlan(
        scale=told.scale,
        cooling=cooling or {"as built": {}},
        weather={name: beside(path, source) for name, source in told.weather.items()} or {"of the site file": None},
        costs=told.costs,
        discount_rate_fraction=told.discount_rate_fraction,
    )


def _devices(
    document: Document, name: str, case: Mapping[str, Mapping[str, Any] | None]
) -> Iterator[tuple[str, Device[Any] | None]]:
    for device, config in case.items():
        keys = ("cooling", name, device)
        if config is None:
            yield device, None
            continue
        kind = str(config.get("type"))
        if kind not in DEVICES:
            expected = "type: one of " + ", ".join(DEVICES) + did_you_mean(kind, DEVICES)
            raise InputError(document.problem((*keys, "type"), found=repr(kind), expected=expected))
        yield device, document.validate(TypeAdapter(DEVICES[kind]), keys)


def _problems(told: _File, site: Site, document: Document) -> Iterator[Problem]:
    known = dict.fromkeys([*site.devices, *(name for case in told.cooling.values() for name in case)])
    for name in told.scale:
        if name not in site.devices:
            yield document.problem(("scale", name), found=repr(name), expected=one_of(name, site.devices, "a device"))
        elif not grows(site.devices[name]):
            yield document.problem(("scale", name), found=repr(name), expected="a device that is told in kW or kWh")
    for name in told.costs:
        if name not in known and name not in told.cooling:
            expected = one_of(name, [*known, *told.cooling], "a device, or a case of cooling")
            yield document.problem(("costs", name), found=repr(name), expected=expected)
    for case, devices in told.cooling.items():
        for name, config in devices.items():
            if config is not None and config.get("bus") not in site.network.buses:
                expected = one_of(str(config.get("bus")), site.network.buses, "a bus of the site")
                yield document.problem(("cooling", case, name, "bus"), found=repr(config.get("bus")), expected=expected)


def designs_of(plan: SizingPlan, site: Site) -> tuple[Design, ...]:
    """Every design of the plan. Raises `InputError` for one that leaves out what another device needs."""
    found = []
    for cooling, case in plan.cooling.items():
        for sizes in product(*plan.scale.values()):
            scale = dict(zip(plan.scale, sizes, strict=True))
            found.append(Design(cooling=cooling, scale=scale, site=_designed(site, case, scale)))
    return tuple(found)


def _designed(site: Site, case: Case, scale: Mapping[str, float]) -> Site:
    devices = {**site.devices, **case}
    for name, size in scale.items():
        device = devices.get(name)
        devices[name] = scaled(device, size) if device is not None and size > 0.0 else None
    left = {name: device for name, device in devices.items() if device is not None}
    needed = {site.slack, *(name for device in left.values() for name in device.serves)}
    if missing := sorted(needed - set(left)):
        words = f"{', '.join(missing)}, which the network or another device needs"
        raise InputError(Problem(file="plan of sizes", line=None, path="", found="a design without", expected=words))
    return replace(site, devices=left)
