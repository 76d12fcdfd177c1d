"""What a cloudless sky would give each solar device: known for all time, computed a month at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from twin.devices.base import Account
from twin.numeric import FloatArray, Num
from twin.scenario import with_parameters
from twin.site import Site
from twin.timegrid import TimeGrid
from twin.weather import clear_sky_on

CHUNK_DAYS = 32
CHUNKS_KEPT = 3


class ClearSkyTable:
    """`table(grid)` → clear-sky `available_kw` of every solar device, ``(devices, grid.steps, scenarios)``.

    The last axis has one place where `parameters` say nothing of solar devices. The grid has to lie on the
    table's own epoch-aligned intervals of `step_s`.
    """

    def __init__(self, site: Site, step_s: float, parameters: Mapping[str, Num] | None = None) -> None:
        """`parameters`: `<device>.<parameter>` → its value, or one for each scenario."""
        self._location = site.location
        self._solar = {name: device for name, device in site.devices.items() if device.account is Account.PV}
        self._sites, self._site_of = _variants(site, self._solar, parameters or {})
        self._step_s = step_s
        self._rows = round(CHUNK_DAYS * 86400 / step_s)
        self._chunks: dict[int, FloatArray] = {}

    @property
    def devices(self) -> Sequence[str]:
        """Names of the solar devices, in the order of the rows."""
        return tuple(self._solar)

    @property
    def scenarios(self) -> int:
        """Length of the last axis."""
        return 1 if isinstance(self._site_of, slice) else len(self._site_of)

    def __call__(self, grid: TimeGrid) -> FloatArray:
        begin = round(grid.start.timestamp() / self._step_s)
        return self.between(begin, begin + grid.steps)

    def between(self, begin: int, end: int) -> FloatArray:
        """As a call, for the intervals `begin` to before `end`, counted from the epoch."""
        first, last = begin // self._rows, (end - 1) // self._rows
        offset = begin - first * self._rows
        if first == last:
            return self._chunk(first)[:, offset : offset + end - begin, self._site_of]
        chunks = [self._chunk(number) for number in range(first, last + 1)]
        return np.concatenate(chunks, axis=1)[:, offset : offset + end - begin, self._site_of]

    def _chunk(self, number: int) -> FloatArray:
        found = self._chunks.get(number)
        if found is None:
            found = self._chunks[number] = self._computed(number)
            # A process that runs for years keeps the months around now and drops those behind it.
            for old in sorted(self._chunks)[:-CHUNKS_KEPT]:
                del self._chunks[old]
        return found

    def _computed(self, number: int) -> FloatArray:
        found = np.zeros((len(self._solar), self._rows, len(self._sites)))
        if not self._solar:
            return found
        start = datetime.fromtimestamp(number * self._rows * self._step_s, UTC)
        weather = clear_sky_on(TimeGrid(start=start, step_s=self._step_s, steps=self._rows), self._location)
        for row, name in enumerate(self._solar):
            for place, site in enumerate(self._sites):
                found[row, :, place] = site.devices[name].drive(weather, 0)["available_kw"]
        return found


def _variants(
    site: Site, solar: Collection[str], parameters: Mapping[str, Num]
) -> tuple[Sequence[Site], slice | npt.NDArray[np.intp]]:
    """Sites whose solar devices differ, and which of them each scenario is."""
    own = {path: np.atleast_1d(value) for path, value in parameters.items() if path.split(".")[0] in solar}
    if not own:
        return (site,), slice(None)
    rows, site_of = np.unique(np.stack(np.broadcast_arrays(*own.values())), axis=1, return_inverse=True)
    sites = [with_parameters(site, dict(zip(own, map(float, row), strict=True))) for row in rows.T]
    return sites, np.atleast_1d(site_of.reshape(-1))
