"""What acts on the devices of a site from outside, for every step of a run and every scenario.

Worked out block by block, so that a year of hundreds of scenarios takes no more memory than a week of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from twin.devices.base import Device, LooksBack, Values
from twin.noise import Seed
from twin.numeric import FloatArray
from twin.scenario import Scenario, with_parameters
from twin.site import Site
from twin.units import SECONDS_PER_HOUR
from twin.weather import Weather, part_of
from twin.weather_source import WeatherSource

Weathers = Mapping[WeatherSource | None, Weather]
"""Source, as a scenario names it → the weather; None: that of the site."""

BLOCK_BYTES = 48e6
"""Of one block; while it is made, some three times as much is needed."""


class Drives:
    """Series of all devices, over the intervals of the weather's grid."""

    def __init__(self, site: Site, weathers: Weathers, scenarios: Sequence[Scenario] = (Scenario(),)) -> None:
        """`weathers`: that of every scenario, all on one grid."""
        self._weathers, self._alike = weathers, _alike(site, scenarios)
        self._some_weather = next(iter(weathers.values()))
        self.grid, self.scenarios = self._some_weather.grid, len(scenarios)
        self._devices = {name: device for name, device in site.devices.items() if device.drive(self._glimpse(), 0)}
        self.names = tuple(
            (name, key) for name, device in self._devices.items() for key in device.drive(self._glimpse(), 0)
        )
        """Of each series: its device, and its name there."""
        row_bytes = 8.0 * max(len(self.names), 1) * self.scenarios
        self._block_steps = max(min(int(BLOCK_BYTES / row_bytes), self.grid.steps), 1)
        look_back_h = max((d.looks_back_h for d in self._devices.values() if isinstance(d, LooksBack)), default=0.0)
        self._look_back_steps = math.ceil(look_back_h * SECONDS_PER_HOUR / self.grid.step_s) + 1
        self._first, self._block = 0, np.empty((0, len(self.names), self.scenarios))

    def _glimpse(self) -> Weather:
        return part_of(self._some_weather, 0, 1)

    def row(self, index: int) -> FloatArray:
        """``(series, scenarios)`` in the order of `names`; after the end, those of the last interval."""
        index = min(index, self.grid.steps - 1)
        if not 0 <= index - self._first < len(self._block):
            self._first = index - index % self._block_steps
            self._block = self._made(self._first, min(self._block_steps, self.grid.steps - self._first))
        row: FloatArray = self._block[index - self._first]
        return row

    def at(self, index: int) -> Mapping[str, Values]:
        """Device → its series at one interval: floats for one scenario, arrays for several."""
        row = self.row(index)
        values = row[:, 0].tolist() if self.scenarios == 1 else list(row)
        found: dict[str, dict[str, float | FloatArray]] = {}
        for (device, key), value in zip(self.names, values, strict=True):
            found.setdefault(device, {})[key] = value
        return found

    def _made(self, first: int, steps: int) -> FloatArray:
        before = min(self._look_back_steps, first)
        weathers = {
            source: part_of(weather, first - before, before + steps) for source, weather in self._weathers.items()
        }
        block = np.empty((steps, len(self.names), self.scenarios))
        place = 0
        for name in self._devices:
            for columns, source, seeds, variant in self._alike:
                series = list(variant[name].drive(weathers[source], seeds).values())
                for row, values in enumerate(series, start=place):
                    block[:, row, columns] = np.atleast_2d(values)[:, before:].T
            place += len(series)
        return block


Alike = tuple[npt.NDArray[np.intp], WeatherSource | None, Seed, Mapping[str, Device[Any]]]
"""Scenarios, their weather, their seeds, and the devices that they share."""


def _alike(site: Site, scenarios: Sequence[Scenario]) -> list[Alike]:
    """Scenarios with the same weather and the same parameters, together."""
    groups: dict[tuple[WeatherSource | None, tuple[tuple[str, float], ...]], list[int]] = {}
    for number, scenario in enumerate(scenarios):
        groups.setdefault((scenario.weather, tuple(sorted(scenario.parameters.items()))), []).append(number)
    return [
        (
            np.array(members),
            source,
            _seed([scenarios[number].seed for number in members]),
            with_parameters(site, dict(values)).devices,
        )
        for (source, values), members in groups.items()
    ]


def _seed(seeds: Sequence[int]) -> Seed:
    return seeds[0] if len(seeds) == 1 else seeds
