"""All halls of a site whose GPUs are read from DCGM exporters, scraped by a thread of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import httpx

from twin.clock import stopwatch_s
from twin.numeric import first
from twin.points import Quality, Reading
from twin.telemetry.dcgm_link import DcgmLink
from twin.telemetry.dcgm_text import Gpu, UnusableTextError, read_metrics
from twin.telemetry.http_address import short_name
from twin.telemetry.http_exchange import SilentError, ask, http_client, password, trusted
from twin.telemetry.io_thread import IoThread
from twin.telemetry.many_parts import Part, mean, named, total

AT_ONCE = 32
"""Exporters that are scraped at the same time."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
W_PER_KW = 1000.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A GPU as it was shown last."""

    gpu: Gpu
    known: Gpu
    """With the last number of each figure that it once had and now has not."""
    heard_s: float
    """On the stopwatch."""
    moved_s: float
    """When its energy counter was last seen to move, or could not be judged."""


class Exporter:
    """One exporter, and the task that keeps scraping it."""

    def __init__(self, address: str, link: DcgmLink, client: httpx.AsyncClient, credentials: tuple[str, str] | None):
        self.name = short_name(address)
        self.down: str | None = "nothing heard yet"
        """Why nothing is heard from it; None while it answers."""
        self.seen: Mapping[str, Seen] = {}
        """Every GPU that it ever showed; one that it no longer shows keeps its last values."""
        self.scraped_s = 0.0
        self._address, self._link, self._client, self._credentials = address, link, client, credentials

    async def keep(self, turn: asyncio.Semaphore) -> None:
        """Scrape for ever; more and more seldom while it is down."""
        pause_s = FIRST_PAUSE_S
        while True:
            async with turn:
                await self.scrape()
            await asyncio.sleep(self._link.poll_s if self.down is None else pause_s)
            pause_s = FIRST_PAUSE_S if self.down is None else min(2 * pause_s, LONGEST_PAUSE_S)

    async def scrape(self) -> None:
        """Ask it once."""
        try:
            self._take(await self._text())
        except (SilentError, UnusableTextError) as error:
            self.down = str(error)
        except Exception as error:
            log.exception("%s: unexpected failure while it was scraped", self.name)
            self.down = f"internal error: {error!r}"

    async def _text(self) -> str:
        timeout_s = self._link.timeout_s
        answer = await ask(self._client, "GET", self._address, timeout_s=timeout_s, credentials=self._credentials)
        if answer.status != 200:
            raise SilentError(f"answers with status {answer.status}")
        return answer.body.decode("utf-8", errors="replace")

    def _take(self, text: str) -> None:
        shown, now_s = read_metrics(text, self.name), stopwatch_s()
        fresh = {key: _noted(gpu, self.seen.get(key), now_s) for key, gpu in shown.items()}
        self.seen = {**self.seen, **fresh}
        self.scraped_s, self.down = now_s, None


def _noted(gpu: Gpu, before: Seen | None, now_s: float) -> Seen:
    still = before is not None and gpu.energy_kwh is not None and gpu.energy_kwh == before.gpu.energy_kwh
    return Seen(
        gpu=gpu,
        known=gpu if before is None else _filled(gpu, before.known),
        heard_s=now_s,
        moved_s=before.moved_s if still and before is not None else now_s,
    )


def _filled(gpu: Gpu, known: Gpu) -> Gpu:
    return replace(
        gpu,
        power_w=known.power_w if gpu.power_w is None else gpu.power_w,
        energy_kwh=known.energy_kwh if gpu.energy_kwh is None else gpu.energy_kwh,
        utilisation=known.utilisation if gpu.utilisation is None else gpu.utilisation,
        sm_clock_hz=known.sm_clock_hz if gpu.sm_clock_hz is None else gpu.sm_clock_hz,
    )


class DcgmHall:
    """All GPUs of one device."""

    def __init__(self, link: DcgmLink, exporters: Sequence[Exporter]) -> None:
        self.link = link
        self.exporters = exporters

    @property
    def silence(self) -> str | None:
        """Why nothing at all is heard from it; None while one exporter answers."""
        if any(exporter.down is None for exporter in self.exporters):
            return None
        return "DCGM: " + named({exporter.name: str(exporter.down) for exporter in self.exporters})

    def points(self, now: datetime, max_age_s: float) -> dict[str, Reading | str]:
        """What the link asks for, or in words why there is none."""
        link = self.link

        def power(factor: float, host_kw: float) -> Reading | str:
            parts, fraction = self.parts(now, lambda gpu: gpu.power_w), link.max_missing_fraction
            found = total(parts, now, max_age_s=max_age_s, max_missing_fraction=fraction)
            return found if isinstance(found, str) else replace(found, value=factor * first(found.value) + host_kw)

        host_kw = link.gpu_count * link.host_w_per_gpu / W_PER_KW + link.other_kw
        ways: dict[str, Callable[[], Reading | str]] = {
            "p_kw": lambda: power(1.0 / W_PER_KW, host_kw),
            "gpu_kw": lambda: power(1.0 / W_PER_KW, 0.0),
            "gpu_kwh": lambda: self._energy(now, max_age_s),
            "gpu_utilisation": lambda: self._mean(now, max_age_s, lambda gpu: gpu.utilisation),
            "sm_clock_hz": lambda: self._mean(now, max_age_s, lambda gpu: gpu.sm_clock_hz),
        }
        return {point: ways[point]() for point in link.points}

    def _energy(self, now: datetime, max_age_s: float) -> Reading | str:
        """A counter: with one GPU missing, its sum would run backwards."""
        found = total(self.parts(now, lambda gpu: gpu.energy_kwh), now, max_age_s=max_age_s, max_missing_fraction=0.0)
        return found.reason if isinstance(found, Reading) and found.quality is Quality.BAD else found

    def _mean(self, now: datetime, max_age_s: float, value: Callable[[Gpu], float | None]) -> Reading | str:
        return mean(self.parts(now, value), now, max_age_s=max_age_s) or "no GPU shows it"

    def parts(self, now: datetime, value: Callable[[Gpu], float | None]) -> list[Part]:
        """Every GPU that should be there: those that were seen, and those that never were."""
        now_s = stopwatch_s()
        parts = [
            self._part(exporter, seen, now, now_s, value)
            for exporter in self.exporters
            for seen in exporter.seen.values()
        ]
        never = {exporter.name: exporter.down or "shows fewer" for exporter in self.exporters if not exporter.seen}
        why = named(never) or "no exporter shows it"
        return parts + [
            Part(name=f"unseen GPU {index}", reason=why) for index in range(len(parts), self.link.gpu_count)
        ]

    def _part(
        self, exporter: Exporter, seen: Seen, now: datetime, now_s: float, value: Callable[[Gpu], float | None]
    ) -> Part:
        gpu = seen.gpu
        age_s = now_s - seen.heard_s if gpu.stamp_s is None else now.timestamp() - gpu.stamp_s
        frozen_s = seen.heard_s - seen.moved_s
        reason = ""
        if exporter.down is not None:
            reason = f"exporter {exporter.name}: {exporter.down}"
        elif seen.heard_s < exporter.scraped_s:
            reason = "its exporter no longer shows it"
        elif value(gpu) is None:
            reason = "its exporter shows no number for it"
        elif frozen_s > 2 * self.link.collect_s and (gpu.power_w or 0.0) > 0.0:
            reason = f"draws power while its energy counter stands still for more than {2 * self.link.collect_s:g} s"
        return Part(name=gpu.name, value=value(seen.known), age_s=max(0.0, age_s), reason=reason)


class DcgmDevices:
    """Every device whose GPUs are read from exporters."""

    def __init__(self, links: Mapping[str, DcgmLink], site_path: Path) -> None:
        self._clients: list[httpx.AsyncClient] = []
        self._keepers: list[asyncio.Task[None]] = []
        self.halls = {link.device: self._hall(name, link, site_path) for name, link in links.items()}
        self._io: IoThread | None = None

    def start(self) -> None:
        """Begin to scrape, in a thread of its own."""
        self._io = IoThread("gridhelm-dcgm")
        self._io.run(self._start())

    def _hall(self, name: str, link: DcgmLink, site_path: Path) -> DcgmHall:
        keys = f"telemetry.links.{name}"
        client = http_client(trusted(link.ca_file, site_path, keys))
        self._clients.append(client)
        credentials = None
        if link.username is not None and link.password_file is not None:
            credentials = (link.username, password(link.password_file, site_path, keys))
        return DcgmHall(link, [Exporter(address, link, client, credentials) for address in link.exporters])

    async def _start(self) -> None:
        turn = asyncio.Semaphore(AT_ONCE)
        for hall in self.halls.values():
            self._keepers += [asyncio.create_task(exporter.keep(turn)) for exporter in hall.exporters]

    def points(self, device: str, now: datetime, max_age_s: float) -> Mapping[str, Reading | str]:
        """The newest of each point, or in words why there is none."""
        return self.halls[device].points(now, max_age_s)

    def close(self) -> None:
        """End the thread."""
        if self._io is not None:
            self._io.run(self._close())
            self._io.close()

    async def _close(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*(client.aclose() for client in self._clients))
