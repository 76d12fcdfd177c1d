"""The SunSpec part of `gridhelm probe`: models, points with units, and the lines for the site file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from agents.probe_address import ProbeAddress
from twin.telemetry.bus_scan import Bus, Told
from twin.telemetry.map_draft import scalar
from twin.telemetry.sunspec_codec import Contents, named, value_places
from twin.telemetry.sunspec_control import Device
from twin.telemetry.sunspec_discovery import Found, RawContents, discover, read_all
from twin.telemetry.sunspec_exchange import over_modbus, run_async
from twin.telemetry.sunspec_model import ModelId
from twin.telemetry.sunspec_points import METERS, told
from twin.telemetry.sunspec_points import Told as Says

STEERING: Mapping[ModelId, str] = {
    704: "power, reactive power and a limit of generation",
    123: "a limit of generation",
    124: "charging and discharging",
}


async def probe_sunspec(bus: Bus, address: ProbeAddress, unit_id: int, console: Console, tell: Told) -> str:
    """Print the models of one unit; returns the link for a site file. Raises `LinkError`."""
    answer = over_modbus(bus.request, unit_id)
    tell(f"unit {unit_id}: looking for SunS and its models")
    found = await run_async(discover(), answer)
    tell(f"unit {unit_id}: reading {len(found.models)} models")
    held = await run_async(read_all(found), answer)
    console.print(f"unit {unit_id}: SunSpec at holding register {found.address}, {len(found.models)} models")
    for problem in found.problems:
        console.print(f"  [yellow]{escape(problem)}[/]", soft_wrap=True)
    for contents in (item for items in held.values() for item in items):
        _show(contents, console)
    readable = {key: items[0] for key, items in held.items() if isinstance(items[0], Contents)}
    says = told(readable.values())
    _show_told(says, console)
    return "".join(f"{line}\n" for line in _site_lines(address, unit_id, found, readable, says))


def _show(contents: Contents | RawContents, console: Console) -> None:
    if isinstance(contents, RawContents):
        console.print(f"{contents.found.name}: {escape(contents.reason)}", soft_wrap=True)
        return
    title = f"model {contents.model.id} {contents.model.group.name} at {contents.address}"
    grid = Grid(title=title, title_justify="left", pad_edge=False)
    for head in ("address", "point", "value", "unit"):
        grid.add_column(head)
    for place in value_places(contents.places):
        value = contents.values.get(place.path)
        if value is not None and place.point.kind != "sunssf":
            shown = f"{value:.10g}" if isinstance(value, float) else named(place.point, value)
            grid.add_row(str(contents.address + place.start), place.path, escape(shown), place.point.unit or "")
    console.print(grid)
    absent = [path for path in contents.absent if contents.places[path].point.kind != "sunssf"]
    if absent:
        console.print(f"  not implemented: {', '.join(absent)}", soft_wrap=True)
    for problem in contents.problems:
        console.print(f"  [yellow]{escape(problem)}[/]", soft_wrap=True)


def _show_told(says: Says, console: Console) -> None:
    console.print("what the twin takes from it, positive into the device:")
    for name, value in says.values.items():
        console.print(f"  {name} {value:.6g}")
    for name, reason in says.absent.items():
        console.print(f"  {name} [yellow]has no value: {escape(reason)}[/]", soft_wrap=True)


def _site_lines(address: ProbeAddress, unit_id: int, found: Found, held: Device, says: Says) -> Iterator[str]:
    """A draft of the link, with what is still to be decided as a comment."""
    common = held[1].values if 1 in held else {}
    names = [str(common[key]) for key in ("Mn", "Md", "SN") if common.get(key)]
    yield f"# {' '.join(names) or 'SunSpec device'}: models {', '.join(str(model.id) for model in found.models)}"
    steering = [f"model {key}: {what}" for key, what in STEERING.items() if key in held]
    yield (
        f"# it can be steered by {'; '.join(steering)}" if steering else "# it cannot be steered by a model known here"
    )
    yield "telemetry:"
    yield "  links:"
    keys = f"protocol: sunspec, host: {scalar(address.host)}, port: {address.port}, unit_id: {unit_id}"
    meters = [key for key in METERS if key in held]
    if meters:
        yield f"    # model {meters[0]} does not say which sign import has; W is now {held[meters[0]].number('W')}."
        yield "    # meter_import: positive, if that is the sign while the site takes power; else negative"
        keys += ", meter_import: unknown"
    yield f"    device_{unit_id}: {{{keys}, device: name_of_the_device}}"
    yield f"    # it tells: {', '.join(says.values)}"
