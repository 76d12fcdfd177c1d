"""A person's plan of scenarios: seeds, parameters, weather and outages; every combination is one scenario.

::

    seeds: {first: 0, count: 16}
    vary:
      battery.capacity_kwh: [5000, 10000, 20000]
    weather:
      typical: {format: greensboro}
      year 2019: {format: csv, file: measured.csv, year: 2019}
    outages:
      none: []
      feeder fault:
        - {element: field_cable, from: 2025-07-15T18:00Z, hours: 3}
    random_outages:
      - {element: grid, per_year: 1.2, mean_h: 2}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import Field, TypeAdapter, ValidationError

from twin.devices.base import STRICT
from twin.errors import InputError, Problem
from twin.network.checks import one_of
from twin.outages import interruptions
from twin.scenario import Outage, Scenario
from twin.site import Site
from twin.timegrid import TimeGrid
from twin.weather_source import WeatherSource
from twin.yaml_file import Document, read_yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds:
    """Consecutive seeds."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    first: Annotated[int, Ge(0)] = 0
    count: Annotated[int, Ge(1)] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedOutage:
    """One element out of service for a while."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    element: str
    """A line, a transformer or the grid connection."""
    begins: Annotated[datetime, Field(alias="from")]
    """UTC without an offset."""
    hours: Annotated[float, Gt(0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomOutages:
    """Outages that are drawn for each seed, see `twin.outages`; seed 0 has none."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    element: str
    """A line, a transformer or the grid connection."""
    per_year: Annotated[float, Gt(0), Le(1000)]
    """Mean number: SAIFI."""
    mean_h: Annotated[float, Gt(0)]
    """Mean duration: SAIDI / SAIFI."""


Values = Annotated[tuple[float, ...], MinLen(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioPlan:
    """What the file says."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    seeds: Seeds = field(default_factory=Seeds)
    vary: Mapping[str, Values] = field(default_factory=dict)
    """`<device>.<parameter>` → values."""
    weather: Mapping[str, WeatherSource] = field(default_factory=dict)
    """Cases by name; a file lies beside the plan. Without any, the weather of the site."""
    outages: Mapping[str, tuple[PlannedOutage, ...]] = field(default_factory=lambda: {"none": ()})
    """Cases by name; a case without an outage is one, too."""
    random_outages: tuple[RandomOutages, ...] = ()
    """Beside those of every case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedScenario:
    """A scenario with the words that tell it from the others."""

    scenario: Scenario
    label: Mapping[str, str | float]
    """Columns of a table: `seed`, each parameter that varies, `weather` and `outages`."""


def read_plan(path: Path, site: Site, grid: TimeGrid | None = None) -> tuple[PlannedScenario, ...]:
    """Every scenario of a plan, seeds varying fastest. Raises `InputError` with every problem, each with its line.

    Random outages are drawn over the time of the run, `grid`; without it there are none.
    """
    document = read_yaml(path)
    plan = document.validate(TypeAdapter(ScenarioPlan))
    problems = (
        *_parameter_problems(plan, site, document),
        *weather_problems(plan.weather, document),
        *_outage_problems(plan, site, document),
    )
    if problems:
        raise InputError(*problems)
    weathers = {name: beside(path, source) for name, source in plan.weather.items()}
    return tuple(_combinations(plan, weathers, grid))


def planned_seeds(seeds: Sequence[int]) -> tuple[PlannedScenario, ...]:
    """Scenarios that differ by their seeds alone."""
    return tuple(PlannedScenario(scenario=Scenario(seed=seed), label={"seed": seed}) for seed in seeds)


def _combinations(
    plan: ScenarioPlan, weathers: Mapping[str, WeatherSource], grid: TimeGrid | None
) -> Iterator[PlannedScenario]:
    seeds = range(plan.seeds.first, plan.seeds.first + plan.seeds.count)
    for name, sky, values, seed in product(plan.outages, weathers or ("",), product(*plan.vary.values()), seeds):
        parameters = dict(zip(plan.vary, values, strict=True))
        outages = tuple(_outage(item) for item in plan.outages[name])
        label: dict[str, str | float] = {"seed": seed, **parameters}
        if sky:
            label["weather"] = sky
        if len(plan.outages) > 1 or outages:
            label["outages"] = name
        outages += tuple(_drawn(plan.random_outages, seed, grid)) if grid is not None else ()
        scenario = Scenario(seed=seed, weather=weathers.get(sky), parameters=parameters, outages=outages)
        yield PlannedScenario(scenario=scenario, label=label)


def beside(plan: Path, source: WeatherSource) -> WeatherSource:
    """`source` with the whole path of its file, which lies beside the plan."""
    return source if source.file is None else replace(source, file=str(plan.parent.resolve() / source.file))


def _outage(item: PlannedOutage) -> Outage:
    start = item.begins.replace(tzinfo=UTC) if item.begins.tzinfo is None else item.begins.astimezone(UTC)
    return Outage(element=item.element, start=start, end=start + timedelta(hours=item.hours))


def _drawn(told: Sequence[RandomOutages], seed: int, grid: TimeGrid) -> Iterator[Outage]:
    for item in told:
        for one in interruptions(
            item.element, seed, grid.start, grid.end, rate_per_year=item.per_year, mean_h=item.mean_h
        ):
            yield Outage(element=item.element, start=one.start, end=one.end)


def _parameter_problems(plan: ScenarioPlan, site: Site, document: Document) -> Iterator[Problem]:
    for path, values in plan.vary.items():
        name, _, parameter = path.partition(".")
        device = site.devices.get(name)
        if device is None:
            yield document.problem(("vary", path), found=repr(name), expected=one_of(name, site.devices, "a device"))
            continue
        able = [item.name for item in fields(device) if type(getattr(device, item.name)) is float]  # type: ignore[arg-type]
        if parameter not in able:
            expected = one_of(parameter, able, f"a parameter of {name} that is a number with fractions")
            yield document.problem(("vary", path), found=repr(parameter), expected=expected)
            continue
        yield from _value_problems(device, path, parameter, values, document)


def _value_problems(
    device: Any, path: str, parameter: str, values: Sequence[float], document: Document
) -> Iterator[Problem]:
    """Each value as the site file would be read with it."""
    adapter, row = TypeAdapter(type(device)), {item.name: getattr(device, item.name) for item in fields(device)}
    for place, value in enumerate(values):
        try:
            adapter.validate_python(row | {parameter: value})
        except ValidationError as error:
            words = error.errors()[0]["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            yield document.problem(("vary", path, place), found=f"{value:g}", expected=words)


def weather_problems(weather: Mapping[str, WeatherSource], document: Document) -> Iterator[Problem]:
    """Files that are not there, of the part `weather` of a document."""
    for name, source in weather.items():
        expected = f"the path of a file in the format {source.format}, beside the plan"
        if source.format != "greensboro" and source.file is None:
            yield document.problem(("weather", name), found="no file", expected=expected)
        elif source.file is not None and not (document.path.parent / source.file).is_file():
            yield document.problem(("weather", name, "file"), found=f"no file {source.file}", expected=expected)


def _outage_problems(plan: ScenarioPlan, site: Site, document: Document) -> Iterator[Problem]:
    known = [*site.network.lines, *site.network.transformers, site.slack]
    named: list[tuple[tuple[str | int, ...], str]] = [
        (("outages", name, place, "element"), item.element)
        for name, items in plan.outages.items()
        for place, item in enumerate(items)
    ]
    named += [(("random_outages", place, "element"), item.element) for place, item in enumerate(plan.random_outages)]
    for keys, element in named:
        if element not in known:
            expected = one_of(element, known, "a line, a transformer or the source of the network")
            yield document.problem(keys, found=repr(element), expected=expected)
