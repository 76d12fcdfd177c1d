"""`gridhelm check SITE --live`: every link is connected, every point read, and what came held against what can be."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from agents.live_check_doubts import Doubt, Look, Raw, doubts, out_of_range
from twin.clock import Clock
from twin.errors import LinkError
from twin.points import Quality, Reading, Snapshot
from twin.site import Site, load_document
from twin.sun import sun_at
from twin.telemetry.capture import Line, Listener
from twin.telemetry.config import AnyModbusLink
from twin.telemetry.live_plant import LivePlant
from twin.telemetry.map_codec import decode
from twin.telemetry.map_schema import Register
from twin.telemetry.modbus_transport import endpoint_of
from twin.telemetry.register_map import find_map, load_map
from twin.units import UNITS
from twin.yaml_file import Document, read_yaml

CONNECT_S = 5.0
LEAST_READINGS, MOST_READINGS = 2, 15
"""More than two where a device that publishes seldom has not spoken yet."""
SYMBOLS = {
    "kw": "kW",
    "kwh": "kWh",
    "kvar": "kvar",
    "v": "V",
    "a": "A",
    "hz": "Hz",
    "c": "°C",
    "w_m2": "W/m²",
    "m_s": "m/s",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a live check read."""

    snapshot: Snapshot
    raw: Mapping[str, Raw]
    silent: Sequence[str]
    """Links that did not answer, each with where and why."""


def live_check(
    site_path: Path,
    console: Console,
    *,
    clock: Clock,
    connect_s: float | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> bool:
    """Print every point, and every doubt with the line of its map; True without a doubt."""
    site, document = load_document(site_path)
    seen = read_twice(site, site_path, clock, CONNECT_S if connect_s is None else connect_s, pause)
    console.print(_points(seen.snapshot))
    look = Look(values=_usable(seen.snapshot), raw=seen.raw, elevation_deg=elevation_deg(site, seen.snapshot.now))
    found = [*_unread(site, seen), *doubts(site, look)]
    places = dict(_places(site, document))
    for doubt in found:
        _tell(doubt, places, console)
    count = len(found)
    words = f"{count} doubt{'s' if count != 1 else ''}" if count else "every link answers, and everything fits together"
    console.print(f"{site_path}: {words}")
    return not found


def read_twice(site: Site, site_path: Path, clock: Clock, connect_s: float, pause: Callable[[float], None]) -> Seen:
    """Connect to whatever answers within `connect_s`, and read it in two control periods."""
    heard, silent = Listener(clock), list[str]()
    with closing(LivePlant(site, site_path, clock, heard)) as plant:
        try:
            plant.connect_or_raise(connect_s)
        except LinkError as error:
            silent = [line.strip() for line in str(error).splitlines()[1:-1]]
        snapshot = plant.read(clock.now())
        for reading_count in range(1, MOST_READINGS):
            if reading_count >= LEAST_READINGS and not _waits(snapshot):
                break
            pause(min(site.control.period_s, 1.0))
            snapshot = plant.read(clock.now())
        raw = dict(_raw(site, site_path, heard.take()))
    return Seen(snapshot=snapshot, raw=raw, silent=silent)


def _waits(snapshot: Snapshot) -> bool:
    """Whether something was heard that is only doubtful yet, such as a message that the broker had kept."""
    return any(reading.quality is Quality.SUSPECT for reading in snapshot.readings.values())


def elevation_deg(site: Site, now: datetime) -> float:
    """Of the sun above the horizon."""
    sun = sun_at(pd.DatetimeIndex([now]), site.location.latitude_deg, site.location.longitude_deg)
    return 90.0 - float(sun.zenith_deg[0])


def _usable(snapshot: Snapshot) -> dict[str, float]:
    good = {point: reading for point, reading in snapshot.readings.items() if reading.quality is not Quality.BAD}
    return {point: float(reading.value) for point, reading in good.items()}


def _raw(site: Site, site_path: Path, lines: Sequence[Line]) -> Iterator[tuple[str, Raw]]:
    """The words behind each point that is one register."""
    image: dict[tuple[str, int, str], dict[int, int]] = {}
    for line in lines:
        held = image.setdefault((line.get("modbus", ""), line.get("unit", 0), line.get("table", "")), {})
        held |= enumerate(line.get("words", ()), start=line.get("address", 0))
    for link in site.telemetry.links.values():
        if not isinstance(link, AnyModbusLink):
            continue
        place = endpoint_of(link, site_path).place
        for name, point in load_map(link.map, site_path).points.items():
            if not isinstance(point, Register) or point.table not in ("holding", "input"):
                continue
            unit_id = link.unit_id if point.unit_id is None else point.unit_id
            held = image.get((place, unit_id, point.table), {})
            if all(address in held for address in point.addresses):
                yield f"{link.device}.{name}", Raw(register=point, held=held, exponent=_exponent(point, held))


def _exponent(point: Register, held: Mapping[int, int]) -> float:
    if point.scale_factor is None or point.scale_factor.address not in held:
        return 0.0
    return decode(point.scale_factor.field, [held[point.scale_factor.address]]) or 0.0


def _unread(site: Site, seen: Seen) -> Iterator[Doubt]:
    """Links that are silent, points that never came, and values that are not good."""
    for words in seen.silent:
        device, _, why = words.partition(": ")
        yield Doubt(point=device, found=f"does not answer: {why}")
    lost = {words.partition(":")[0] for words in seen.silent} | set(seen.snapshot.lost)
    for name, why in seen.snapshot.lost.items():
        if not any(words.startswith(f"{name}:") for words in seen.silent):
            yield Doubt(point=name, found=why)
    yield from _not_good(seen, lost)
    linked = {link.device for link in site.telemetry.links.values()}
    for owner, needs in site.devices.items():
        needed = [short for short in ("p_kw", *needs.instruments) if f"{owner}.{short}" not in seen.snapshot.readings]
        if needed and owner in linked - lost:
            yield Doubt(point=owner, found=f"never said {', '.join(needed)}, which the twin needs of it")


def _not_good(seen: Seen, lost: Collection[str]) -> Iterator[Doubt]:
    """Values that are not to be relied on; those of one device with one reason are told of together."""
    alike: dict[tuple[str, str], list[str]] = {}
    for point, reading in seen.snapshot.readings.items():
        device = point.partition(".")[0]
        if reading.quality is not Quality.GOOD and device not in lost:
            alike.setdefault((device, reading.reason), []).append(point)
    for (device, reason), points in alike.items():
        if len(points) == 1:
            yield out_of_range(points[0], reason, seen.raw.get(points[0]))
        else:
            names = ", ".join(point.partition(".")[2] for point in points)
            yield Doubt(point=device, found=f"{names}: {reason}")


def _places(site: Site, document: Document) -> Iterator[tuple[str, str]]:
    """Point, or device → file and line where a person corrects it."""
    maps: dict[Path, Document] = {}
    for name, link in site.telemetry.links.items():
        yield link.device, f"{document.path}:{document.line(('telemetry', 'links', name))}"
        if not isinstance(link, AnyModbusLink):
            continue
        path = find_map(link.map, document.path)
        written = maps.setdefault(path, read_yaml(path))
        for point in load_map(link.map, document.path).points:
            yield f"{link.device}.{point}", f"{path}:{written.line(('points', point))}"


def _tell(doubt: Doubt, places: Mapping[str, str], console: Console) -> None:
    place = places.get(doubt.point) or places.get(doubt.point.partition(".")[0], "")
    console.print(f"[red]doubt[/] {escape(f'{place}: ' if place else '')}{escape(doubt.point)}: {escape(doubt.found)}")
    for change in doubt.would_fit:
        point = change.partition(" ")[0]
        where = f" at {places[point]}" if point in places and point != doubt.point else ""
        console.print(f"      would fit: {escape(change)}{escape(where)}")


def _points(snapshot: Snapshot) -> Grid:
    grid = Grid(title=f"read at {snapshot.now:%Y-%m-%dT%H:%M:%SZ}", title_justify="left", pad_edge=False)
    for head in ("point", "value", "unit", "age s", "quality"):
        grid.add_column(head, justify="right" if head in ("value", "age s") else "left")
    for point, reading in snapshot.readings.items():
        grid.add_row(point, f"{float(reading.value):,.6g}", _unit(point), _age(snapshot, reading), _quality(reading))
    return grid


def _unit(point: str) -> str:
    suffix = max((unit for unit in UNITS if point.endswith(("_" + unit, "." + unit))), key=len, default="")
    return SYMBOLS.get(suffix, suffix)


def _age(snapshot: Snapshot, reading: Reading) -> str:
    return f"{(snapshot.now - reading.at).total_seconds():.1f}"


def _quality(reading: Reading) -> str:
    colour = {Quality.GOOD: "green", Quality.SUSPECT: "yellow", Quality.BAD: "red"}[reading.quality]
    return f"[{colour}]{reading.quality.value}[/]"
