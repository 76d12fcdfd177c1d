"""What a cloudless sky would give each solar device: known for all time, computed a month at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from twin.devices.base import Account
from twin.numeric import FloatArray
from twin.site import Site
from twin.timegrid import TimeGrid
from twin.weather import clear_sky_on

CHUNK_DAYS = 32
CHUNKS_KEPT = 3


class ClearSkyTable:
    """`table(grid)` → clear-sky `available_kw` of every solar device, shape ``(devices, grid.steps)``.

    The grid has to lie on the table's own epoch-aligned intervals of `step_s`.
    """

    def __init__(self, site: Site, step_s: float) -> None:
        self._location = site.location
        self._solar = {name: device for name, device in site.devices.items() if device.account is Account.PV}
        self._step_s = step_s
        self._rows = round(CHUNK_DAYS * 86400 / step_s)
        self._chunks: dict[int, FloatArray] = {}

    @property
    def devices(self) -> Sequence[str]:
        """Names of the solar devices, in the order of the rows."""
        return tuple(self._solar)

    def __call__(self, grid: TimeGrid) -> FloatArray:
        begin = round(grid.start.timestamp() / self._step_s)
        return self.between(begin, begin + grid.steps)

    def between(self, begin: int, end: int) -> FloatArray:
        """As a call, for the intervals `begin` to before `end`, counted from the epoch."""
        first, last = begin // self._rows, (end - 1) // self._rows
        offset = begin - first * self._rows
        if first == last:
            return self._chunk(first)[:, offset : offset + end - begin]
        chunks = [self._chunk(number) for number in range(first, last + 1)]
        return np.concatenate(chunks, axis=1)[:, offset : offset + end - begin]

    def _chunk(self, number: int) -> FloatArray:
        found = self._chunks.get(number)
        if found is None:
            found = self._chunks[number] = self._computed(number)
            # A process that runs for years keeps the months around now and drops those behind it.
            for old in sorted(self._chunks)[:-CHUNKS_KEPT]:
                del self._chunks[old]
        return found

    def _computed(self, number: int) -> FloatArray:
        if not self._solar:
            return np.zeros((0, self._rows))
        start = datetime.fromtimestamp(number * self._rows * self._step_s, UTC)
        weather = clear_sky_on(TimeGrid(start=start, step_s=self._step_s, steps=self._rows), self._location)
        return np.stack([device.drive(weather, 0)["available_kw"] for device in self._solar.values()])
