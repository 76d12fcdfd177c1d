"""All halls of a site that are reached over Redfish, kept by a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path

import httpx

from twin.points import Command, Outcome, Reading, Receipt
from twin.site import Site
from twin.telemetry.http_exchange import http_client, password, trusted
from twin.telemetry.io_thread import IoThread
from twin.telemetry.redfish_controller import Controller
from twin.telemetry.redfish_hall import SETPOINT, RedfishHall
from twin.telemetry.redfish_link import RedfishLink
from twin.telemetry.redfish_node import Board

AT_ONCE = 64
"""Controllers that are read at the same time: a thousand TLS handshakes at once would stop everything else."""
MARGIN_S = 1.0


class RedfishDevices:
    """Every device behind Redfish, read in the background: nobody waits for a controller to read it."""

    def __init__(self, links: Mapping[str, RedfishLink], site: Site, site_path: Path) -> None:
        clients = {name: http_client(trusted(link.ca_file, site_path, _keys(name))) for name, link in links.items()}
        secrets = {name: password(link.password_file, site_path, _keys(name)) for name, link in links.items()}
        self._io: IoThread | None = None
        self._clients = list(clients.values())
        self._keepers: list[asyncio.Task[None]] = []
        self.halls = {link.device: _hall(link, clients[name], secrets[name], site) for name, link in links.items()}

    def start(self) -> None:
        """Begin to read, in a thread of its own."""
        self._io = IoThread("gridhelm-redfish")
        self._io.run(self._start())

    async def _start(self) -> None:
        turn = asyncio.Semaphore(AT_ONCE)
        for hall in self.halls.values():
            self._keepers += [asyncio.create_task(board.keep(turn)) for board in hall.boards]

    def takes(self, device: str) -> bool:
        """Whether a device takes its commands here."""
        return device in self.halls and self.halls[device].link.left_in_force

    def points(self, device: str, now: datetime, max_age_s: float) -> Mapping[str, Reading | str]:
        """The newest of each point, or in words why there is none."""
        return self.halls[device].points(now, max_age_s)

    def send(self, command: Command, now: datetime) -> Future[Receipt]:
        """Begin to share a command out."""
        if self._io is None:
            raise RuntimeError("not started")
        hall = self.halls[command.device]
        return asyncio.run_coroutine_threadsafe(hall.apply(command, now), self._io.loop)

    def receipt(self, command: Command, sent: Future[Receipt]) -> Receipt:
        """What became of it; waits no longer than the link says."""
        try:
            return sent.result(self.halls[command.device].link.receipt_s + MARGIN_S)
        except TimeoutError:
            return Receipt(command=command, outcome=Outcome.LOST, detail="Redfish: no receipt in time")

    def close(self) -> None:
        """Return every limit that was commanded to its safe setpoint, and end the thread."""
        if self._io is not None:
            self._io.run(self._close())
            self._io.close()

    async def _close(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*(hall.close() for hall in self.halls.values()))
        await asyncio.gather(*(client.aclose() for client in self._clients))


def _keys(name: str) -> str:
    return f"telemetry.links.{name}"


def _hall(link: RedfishLink, client: httpx.AsyncClient, secret: str, site: Site) -> RedfishHall:
    boards = [
        Board(
            Controller(address, client, (link.username, secret), session=link.session, timeout_s=link.timeout_s),
            link.chassis,
            link.poll_s,
        )
        for address in link.controllers
    ]
    device = site.devices[link.device]
    safe_kw = device.safe_setpoint if device.setpoint == SETPOINT else device.rated_kw
    return RedfishHall(link, boards, rated_kw=device.rated_kw, safe_kw=safe_kw)
