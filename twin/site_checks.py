"""What a site file must satisfy beyond the type of each key: names that refer to each other, and sums that fit.

Every check yields the problems it finds, each with its line; none stops at the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from twin.devices.base import Account, Device
from twin.errors import Problem
from twin.network.build import buses_not_supplied
from twin.network.checks import network_problems, one_of
from twin.telemetry.config import (
    AnyModbusLink,
    Link,
    ModbusLink,
    ModbusSerialLink,
    ModbusTlsLink,
    MqttLink,
    SunSpecLink,
    Telemetry,
)
from twin.telemetry.dcgm_link import DcgmLink
from twin.telemetry.redfish_link import RedfishLink
from twin.yaml_file import Document, Key

if TYPE_CHECKING:
    from twin.site import Site

__all__ = ["FORMING", "NAME", "WEATHER", "cross_check", "one_of"]

WEATHER = "weather"
"""The name under which a weather station's points appear; it is not a device of the network."""

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
"""A point is `device.name` and a topic is a path: a name holds neither dots nor slashes."""

FORMING = (Account.BATTERY, Account.GENSET)
"""What can hold voltage and frequency by itself."""


@runtime_checkable
class _Stored(Protocol):
    """A device with a state of charge."""

    min_soc: float
    max_soc: float
    initial_soc: float


def cross_check(site: Site, document: Document) -> Iterator[Problem]:
    """Every contradiction in the file, in the order of its sections."""
    unsound = [*network_problems(site.network, document), *_device_buses(site, document), *_slack(site, document)]
    yield from unsound or _islands(site, document)
    yield from _weather(site, document)
    yield from _devices(site.devices, document)
    yield from _telemetry(site, document)
    yield from _control(site, document)


def _device_buses(site: Site, document: Document) -> Iterator[Problem]:
    for name, device in site.devices.items():
        if device.bus not in site.network.buses:
            yield document.problem(
                ("devices", name, "bus"),
                found=repr(device.bus),
                expected=one_of(device.bus, site.network.buses, "a bus"),
            )


def _slack(site: Site, document: Document) -> Iterator[Problem]:
    grids = [name for name, device in site.devices.items() if device.account is Account.GRID]
    for name in grids[1:]:
        yield document.problem(
            ("devices", name), found=f"a second grid connection beside {grids[0]}", expected="at most one"
        )
    if grids and site.grid_forming is not None:
        yield document.problem(
            ("grid_forming",),
            found=f"{site.grid_forming!r} beside the grid connection {grids[0]}",
            expected="one of the two: the grid holds the voltage where there is one",
        )
    elif site.grid_forming is not None:
        yield from _forming(site.grid_forming, site.devices, document)
    elif not grids:
        yield document.problem(
            ("devices",),
            found="neither a device of type grid_connection nor a key grid_forming",
            expected="one of the two, to hold voltage and frequency",
        )


def _forming(name: str, devices: Mapping[str, Device[Any]], document: Document) -> Iterator[Problem]:
    able = [other for other, device in devices.items() if device.account in FORMING]
    if name not in able:
        yield document.problem(
            ("grid_forming",), found=repr(name), expected=one_of(name, able, "a battery or genset of this file")
        )


def _islands(site: Site, document: Document) -> Iterator[Problem]:
    """Parts without a path to the slack: there the power flow has no solution."""
    islands = buses_not_supplied(site.network, site.devices[site.slack].bus)
    reached = sorted(set(site.network.buses) - set(islands))
    places: dict[str, list[tuple[Key, ...]]] = {bus: [] for bus in islands}
    for name, device in site.devices.items():
        if device.bus in places:
            places[device.bus].append(("devices", name, "bus"))
    for bus, keys_of_devices in places.items():
        for keys in keys_of_devices or [("network", "buses", bus)]:
            yield document.problem(
                keys,
                found=f"{bus}, which no line, transformer or switch joins to {site.slack}",
                expected=f"a bus connected to {', '.join(reached)}",
            )


def _weather(site: Site, document: Document) -> Iterator[Problem]:
    source, keys = site.weather, ("weather", "file")
    if source.format == "greensboro":
        if source.file is not None:
            yield document.problem(
                keys, found=repr(source.file), expected="no file for greensboro: it comes with the program"
            )
    elif source.file is None:
        yield document.problem(keys, found="nothing", expected=f"the path of the {source.format} file")
    elif not (document.path.parent / source.file).is_file():
        yield document.problem(keys, found=repr(source.file), expected="an existing file, beside the site file")


def _devices(devices: Mapping[str, Device[Any]], document: Document) -> Iterator[Problem]:
    for name, device in devices.items():
        if not NAME.fullmatch(name) or name == WEATHER:
            yield document.problem(
                ("devices", name),
                found=repr(name),
                expected=f"a name of letters, digits, - and _, other than {WEATHER}",
            )
        for position, served in enumerate(device.serves):
            if served not in devices:
                yield document.problem(
                    ("devices", name, "serves", position),
                    found=repr(served),
                    expected=one_of(served, [other for other in devices if other != name], "a device"),
                )
        if isinstance(device, _Stored):
            yield from _soc(name, device, document)
    yield from _cycle(devices, document)


def _soc(name: str, device: _Stored, document: Document) -> Iterator[Problem]:
    if not device.min_soc <= device.initial_soc <= device.max_soc:
        yield document.problem(
            ("devices", name, "initial_soc"),
            found=f"{device.initial_soc:g}",
            expected=f"from min_soc {device.min_soc:g} to max_soc {device.max_soc:g}",
        )


def _cycle(devices: Mapping[str, Device[Any]], document: Document) -> Iterator[Problem]:
    try:
        TopologicalSorter({name: device.serves for name, device in devices.items()}).prepare()
    except CycleError as error:
        circle = [*reversed(error.args[1])]
        yield document.problem(
            ("devices", circle[0], "serves"),
            found=f"a circle: {' serves '.join(circle)}",
            expected="no device that serves itself, directly or through others",
        )


def _telemetry(site: Site, document: Document) -> Iterator[Problem]:
    telemetry, known = site.telemetry, [*site.devices, WEATHER]
    for name, link in telemetry.links.items():
        if link.device not in known:
            yield document.problem(
                ("telemetry", "links", name, "device"),
                found=repr(link.device),
                expected=one_of(link.device, known, "a device"),
            )
    for device in telemetry.max_age_by_device_s:
        if device not in known:
            yield document.problem(
                ("telemetry", "max_age_by_device_s", device),
                found=repr(device),
                expected=one_of(device, known, "a device"),
            )
    yield from _links(telemetry, document)
    yield from _redfish(site, document)


def _links(telemetry: Telemetry, document: Document) -> Iterator[Problem]:
    modbus = {name: link for name, link in telemetry.links.items() if isinstance(link, ModbusLink | ModbusTlsLink)}
    serial = {name: link for name, link in telemetry.links.items() if isinstance(link, ModbusSerialLink)}
    mqtt = {name: link for name, link in telemetry.links.items() if isinstance(link, MqttLink)}
    for alike in (AnyModbusLink | SunSpecLink | MqttLink, RedfishLink, DcgmLink):
        named = {name: link.device for name, link in telemetry.links.items() if isinstance(link, alike)}
        yield from _distinct(named, "device", document)
    yield from _shown_once(telemetry.links, document)
    yield from _distinct(
        {name: f"{link.serial_port} unit_id {link.unit_id}" for name, link in serial.items()}, "unit_id", document
    )
    sunspec = {name: link for name, link in telemetry.links.items() if isinstance(link, SunSpecLink)}
    yield from _distinct(
        {name: f"{link.host}:{link.port} unit_id {link.unit_id}" for name, link in (modbus | sunspec).items()},
        "port",
        document,
    )
    yield from _alike({name: (f"{link.host}:{link.port}", link.protocol) for name, link in modbus.items()}, document)
    yield from _alike({name: (link.serial_port, _settings(link)) for name, link in serial.items()}, document)
    yield from _distinct({name: link.topic for name, link in mqtt.items()}, "topic", document)
    for name, link in mqtt.items():
        if telemetry.broker is None:
            yield document.problem(
                ("telemetry", "links", name, "protocol"),
                found="mqtt without a broker",
                expected="a key telemetry.broker with host and port",
            )
        if not all(NAME.fullmatch(part) for part in link.topic.split("/")):
            yield document.problem(
                ("telemetry", "links", name, "topic"),
                found=repr(link.topic),
                expected="words of letters, digits, - and _ with / between them, without wildcards",
            )
    for name, unit in modbus.items():
        if telemetry.broker and (unit.host, unit.port) == (telemetry.broker.host, telemetry.broker.port):
            yield document.problem(
                ("telemetry", "links", name, "port"),
                found=f"{unit.host}:{unit.port}, the address of the broker",
                expected="an address of its own",
            )


def _settings(link: ModbusSerialLink) -> str:
    return f"{link.baud} baud, parity {link.parity}, {link.stop_bits} stop bits"


def _alike(manners: Mapping[str, tuple[str, str]], document: Document) -> Iterator[Problem]:
    """A problem for each link that speaks to a place in another manner than the first link that names it."""
    first: dict[str, tuple[str, str]] = {}
    for name, (place, manner) in manners.items():
        owner, known = first.setdefault(place, (name, manner))
        if manner != known:
            yield document.problem(
                ("telemetry", "links", name, "protocol"),
                found=f"{manner} at {place}, where link {owner} has {known}",
                expected="one manner of speaking at one place",
            )


def _shown_once(links: Mapping[str, Link], document: Document) -> Iterator[Problem]:
    """A problem for each point of a device that a second link shows, too. What registers show is in their map."""
    owners: dict[tuple[str, str], str] = {}
    for name, link in links.items():
        for point in () if isinstance(link, AnyModbusLink | SunSpecLink) else link.points:
            owner = owners.setdefault((link.device, point), name)
            if owner != name and not (isinstance(link, MqttLink) and isinstance(links[owner], MqttLink)):
                yield document.problem(
                    ("telemetry", "links", name, "points"),
                    found=f"{point} of {link.device}, which link {owner} shows already",
                    expected="each point of a device over one link",
                )


def _redfish(site: Site, document: Document) -> Iterator[Problem]:
    """Redfish has no dead-man: whoever steers by it alone must have said so."""
    links = site.telemetry.links
    with_dead_man = {link.device for link in links.values() if isinstance(link, AnyModbusLink | SunSpecLink | MqttLink)}
    for name, link in links.items():
        device = site.devices.get(link.device)
        if not isinstance(link, RedfishLink):
            continue
        if link.device == WEATHER:
            yield document.problem(
                ("telemetry", "links", name, "device"),
                found=repr(link.device),
                expected=one_of(link.device, [*site.devices], "a device with power"),
            )
        if device is None or link.left_in_force:
            continue
        if device.setpoint is not None and link.device not in with_dead_man:
            yield document.problem(
                ("telemetry", "links", name),
                found=f"{link.device}, which only Redfish could steer, and Redfish has no dead-man",
                expected="left_in_force: true if its limit may stay when gridhelm dies, or a link with a dead-man",
            )


def _distinct(values: Mapping[str, str], key: str, document: Document) -> Iterator[Problem]:
    """A problem for each link whose value another link has already, naming the line of both."""
    owners: dict[str, str] = {}
    for name, value in values.items():
        owner = owners.setdefault(value, name)
        if owner != name:
            line = document.line(("telemetry", "links", owner, key))
            yield document.problem(
                ("telemetry", "links", name, key),
                found=f"{value}, which link {owner} (line {line}) has already",
                expected="one link for each device, and an address or topic for each link",
            )


def _control(site: Site, document: Document) -> Iterator[Problem]:
    control = site.control
    if control.command_validity_s <= control.period_s:
        yield document.problem(
            ("control", "command_validity_s"),
            found=f"{control.command_validity_s:g} s",
            expected=f"more than period_s, {control.period_s:g} s: a command must outlive its cycle",
        )
