"""The links of a site led through fault proxies: one for each gateway, one for the broker."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from twin.site import Site
from twin.telemetry.config import Link, ModbusLink, MqttLink, SunSpecLink
from twin.telemetry.fault_proxy import Fault, FaultProxy
from twin.telemetry.io_thread import IoThread

BROKER = "broker"
"""The name under which all MQTT links are drilled together: they share one connection."""
STAMP = re.compile(rb'("at": ?")(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is drilled at a time: one Modbus link, or all that comes through the broker."""

    name: str
    protocol: str
    devices: tuple[str, ...]
    neighbours: tuple[str, ...]
    """Devices that share its connection."""
    unit_id: int | None
    timeout_s: float


class SkewingProxy(FaultProxy):
    """A proxy that can also set the clock of those who publish through it: it alters the stamps of their states."""

    skew_s = 0.0

    def _garbled(self, data: bytes, spared: int) -> bytes:
        if self.skew_s:
            data = STAMP.sub(self._skewed, data)
        return super()._garbled(data, spared)

    def _skewed(self, found: re.Match[bytes]) -> bytes:
        # As long as it was: MQTT counts the bytes of a message in front of it.
        at = datetime.fromisoformat(found[2].decode()) + timedelta(seconds=self.skew_s)
        return found[1] + at.strftime("%Y-%m-%dT%H:%M:%S").encode()


class Proxies:
    """Everything between a controller and its plant, with faults on request."""

    def __init__(self, site: Site) -> None:
        self._io = IoThread("gridhelm-drill")
        self._by_place: dict[tuple[str, int], SkewingProxy] = {}
        self._place_of: dict[str, tuple[str, int]] = {}
        self.targets = tuple(_targets(site))
        self.site = site

    def open(self) -> Site:
        """Open every proxy; returns the site whose links lead through them."""
        telemetry = self.site.telemetry
        links: dict[str, Link] = {name: self._led(name, link) for name, link in telemetry.links.items()}
        broker = telemetry.broker
        if broker is not None and any(target.name == BROKER for target in self.targets):
            port = self._proxy(BROKER, broker.host, broker.port, framed=False)
            broker = replace(broker, host="127.0.0.1", port=port)
        return replace(self.site, telemetry=replace(telemetry, links=links, broker=broker))

    def _led(self, name: str, link: Link) -> Link:
        if not isinstance(link, ModbusLink | SunSpecLink):
            return link
        framed = link.protocol != "modbus_rtu_over_tcp"
        return replace(link, host="127.0.0.1", port=self._proxy(name, link.host, link.port, framed=framed))

    def _proxy(self, name: str, host: str, port: int, *, framed: bool) -> int:
        self._place_of[name] = host, port
        if (host, port) not in self._by_place:
            proxy = self._by_place[host, port] = SkewingProxy(host, port, framed=framed)
            self._io.run(proxy.open())
        return self._by_place[host, port].port

    def set(self, target: Target, fault: Fault, skew_s: float = 0.0) -> None:
        """From now on this goes wrong with the target's connection."""
        proxy = self._by_place[self._place_of[target.name]]

        async def change() -> None:
            proxy.fault, proxy.skew_s = fault, skew_s

        self._io.run(change())

    def requests(self, target: Target) -> Callable[[], int]:
        """Counts the writes that went towards the target's unit since now."""
        proxy = self._by_place[self._place_of[target.name]]
        before = len(proxy.requests)

        def writes() -> int:
            newest = proxy.requests[before:]
            return sum(request[6] == target.unit_id and request[7] in (5, 6, 15, 16) for request in newest)

        return writes

    def close(self) -> None:
        """End every connection."""
        for proxy in self._by_place.values():
            self._io.run(proxy.close())
        self._io.close()


def _targets(site: Site) -> Iterator[Target]:
    links = site.telemetry.links
    places = {
        name: (link.host, link.port) for name, link in links.items() if isinstance(link, ModbusLink | SunSpecLink)
    }
    for name, link in links.items():
        if isinstance(link, ModbusLink | SunSpecLink):
            sharing = [
                links[other].device for other, place in places.items() if place == places[name] and other != name
            ]
            yield Target(
                name=name,
                protocol=link.protocol,
                devices=(link.device,),
                neighbours=tuple(sharing),
                unit_id=link.unit_id,
                timeout_s=link.timeout_s,
            )
    published = tuple(link.device for link in links.values() if isinstance(link, MqttLink))
    if published and site.telemetry.broker is not None:
        yield Target(name=BROKER, protocol="mqtt", devices=published, neighbours=(), unit_id=None, timeout_s=1.0)


def not_drilled(links: Mapping[str, Link]) -> Iterator[str]:
    """Links that no proxy can stand in front of, each with the reason."""
    for name, link in links.items():
        if not isinstance(link, ModbusLink | SunSpecLink | MqttLink):
            yield f"{name}: {link.protocol} is not drilled: only what runs over plain TCP can be led through a proxy"
