"""What management controllers and GPU exporters tell of the halls: Redfish and DCGM, for `LivePlant`.

Both are read in the background, every few seconds: a controller that takes two seconds to answer does not hold up a
control cycle of one. A reading is therefore as old as it is, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from twin.points import Command, Reading, Receipt
from twin.site import Site
from twin.telemetry.config import Telemetry
from twin.telemetry.dcgm_link import DcgmLink
from twin.telemetry.redfish_link import RedfishLink

if TYPE_CHECKING:
    from twin.telemetry.dcgm import DcgmDevices, DcgmHall
    from twin.telemetry.redfish import RedfishDevices
    from twin.telemetry.redfish_hall import RedfishHall


class ItPower:
    """Every device behind Redfish controllers and DCGM exporters."""

    def __init__(self, site: Site, site_path: Path) -> None:
        """Read what a person wrote. Raises `InputError`; nothing runs before `start`."""
        telemetry: Telemetry = site.telemetry
        links = telemetry.links
        redfish = {name: link for name, link in links.items() if isinstance(link, RedfishLink)}
        dcgm = {name: link for name, link in links.items() if isinstance(link, DcgmLink)}
        self._redfish = _redfish(redfish, site, site_path) if redfish else None
        self._dcgm = _dcgm(dcgm, site_path) if dcgm else None
        self._telemetry = telemetry
        others = {link.device for link in links.values() if not isinstance(link, RedfishLink | DcgmLink)}
        self._shared = others
        """Devices of which something is heard over another link, too."""

    def start(self) -> None:
        for part in (self._redfish, self._dcgm):
            if part is not None:
                part.start()

    def close(self) -> None:
        for part in (self._redfish, self._dcgm):
            if part is not None:
                part.close()

    def _halls(self) -> Iterator[tuple[str, RedfishHall | DcgmHall]]:
        for part in (self._redfish, self._dcgm):
            if part is not None:
                yield from part.halls.items()

    def absent(self) -> Iterator[str]:
        """What cannot be heard, and what was expected there."""
        for device, hall in self._halls():
            if hall.silence is not None:
                yield f"{device}: {hall.silence}; expected: {', '.join(hall.link.points)}"

    def points(self, now: datetime) -> Iterator[tuple[str, str, Reading | str]]:
        """Device, point, and its newest value, or in words why there is none."""
        for device, hall in self._halls():
            max_age_s = self._telemetry.max_age_by_device_s.get(device, self._telemetry.max_age_s)
            for point, found in hall.points(now, max_age_s).items():
                yield device, point, found

    def lost(self) -> Mapping[str, str]:
        """Device → why nothing is heard from it at all: neither here nor over any other link."""
        silences: dict[str, list[str]] = {}
        heard: set[str] = set(self._shared)
        for device, hall in self._halls():
            if hall.silence is None:
                heard.add(device)
            else:
                silences.setdefault(device, []).append(hall.silence)
        return {device: f"{device}: {'; '.join(why)}" for device, why in silences.items() if device not in heard}

    def takes(self, device: str) -> bool:
        """Whether a device takes its commands here."""
        return self._redfish is not None and self._redfish.takes(device)

    def send(self, command: Command, now: datetime) -> Future[Receipt]:
        """Begin to apply a command of a device that takes it here."""
        if self._redfish is None:
            raise RuntimeError("no device takes commands here")
        return self._redfish.send(command, now)

    def receipt(self, command: Command, sent: Future[Receipt]) -> Receipt:
        """What became of it."""
        if self._redfish is None:
            raise RuntimeError("no device takes commands here")
        return self._redfish.receipt(command, sent)


# The HTTP client takes a tenth of a second to load: only a site that needs it pays for it.


def _redfish(links: Mapping[str, RedfishLink], site: Site, site_path: Path) -> RedfishDevices:
    from twin.telemetry.redfish import RedfishDevices

    return RedfishDevices(links, site, site_path)


def _dcgm(links: Mapping[str, DcgmLink], site_path: Path) -> DcgmDevices:
    from twin.telemetry.dcgm import DcgmDevices

    return DcgmDevices(links, site_path)
