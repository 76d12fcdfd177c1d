"""What a cloudless sky would give each solar device: known for all time, computed a month at a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np

from twin.devices.base import Account
from twin.numeric import FloatArray
from twin.site import Site
from twin.timegrid import TimeGrid
from twin.weather import clear_sky_on

CHUNK_DAYS = 32


class ClearSkyTable:
    """`table(grid)` → for each solar device its clear-sky `available_kw` on an epoch-aligned grid."""

    def __init__(self, site: Site, step_s: float) -> None:
        self._site = site
        self._solar = {name: device for name, device in site.devices.items() if device.account is Account.PV}
        self._step_s = step_s
        self._rows = round(CHUNK_DAYS * 86400 / step_s)
        self._chunks: dict[int, Mapping[str, FloatArray]] = {}

    def __call__(self, grid: TimeGrid) -> Mapping[str, FloatArray]:
        begin = round(grid.start.timestamp() / self._step_s)
        first, last = begin // self._rows, (begin + grid.steps - 1) // self._rows
        chunks = [self._chunk(number) for number in range(first, last + 1)]
        offset = begin - first * self._rows
        return {
            f"{name}.available_kw": np.concatenate([chunk[name] for chunk in chunks])[offset : offset + grid.steps]
            for name in self._solar
        }

    def _chunk(self, number: int) -> Mapping[str, FloatArray]:
        if number not in self._chunks:
            start = datetime.fromtimestamp(number * self._rows * self._step_s, UTC)
            weather = clear_sky_on(TimeGrid(start=start, step_s=self._step_s, steps=self._rows), self._site.location)
            self._chunks[number] = {
                name: device.drive(weather, 0)["available_kw"] for name, device in self._solar.items()
            }
        return self._chunks[number]
