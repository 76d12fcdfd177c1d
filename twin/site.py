"""The site file: read, checked, and turned into frozen data. Wrong input is reported by file, line and key.

This and the register maps are the only places where pydantic is used: where a person's file is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Union, cast, get_type_hints
from zoneinfo import ZoneInfo, available_timezones

from annotated_types import Ge, Gt, Le
from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag, TypeAdapter, ValidationError, create_model

import twin.cooling
import twin.devices
from twin.connection_files import with_files
from twin.devices.base import DEVICES, STRICT, Account, Device
from twin.devices.grid_connection import GridConnection
from twin.errors import InputError, Problem
from twin.network.pandapower_file import NetworkFile, NotANetError, merged, read_net
from twin.network.topology import Topology
from twin.registry import load
from twin.site_checks import cross_check
from twin.telemetry.config import Telemetry
from twin.weather_source import WeatherSource
from twin.yaml_file import Document, read_yaml


def _time_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("an IANA time zone, for example America/New_York")
    return name


TimeZoneName = Annotated[str, AfterValidator(_time_zone)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where the site is."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    latitude_deg: Annotated[float, Ge(-90), Le(90)]
    longitude_deg: Annotated[float, Ge(-180), Le(180)]
    altitude_m: float = 0.0
    time_zone: TimeZoneName
    """IANA name, for tariffs and for the screen; everything else is UTC."""

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """How the control agent runs."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    period_s: Annotated[float, Gt(0)] = 1.0
    """Time from one control cycle to the next."""
    command_validity_s: Annotated[float, Gt(0)] = 5.0
    """A device that hears nothing for this long returns to its safe setpoint."""
    forecast_period_s: Annotated[float, Gt(0)] = 900.0
    forecast_step_s: Annotated[float, Gt(0)] = 900.0
    forecast_horizon_h: Annotated[float, Gt(0), Le(72)] = 36.0
    import_margin_fraction: Annotated[float, Ge(0), Le(0.5)] = 0.02
    """How far below the contracted import the guard keeps the site, for what meters and models miss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulation:
    """How the emulated plant differs from the twin, so that the twin is never tested against itself."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    parameter_error_fraction: Annotated[float, Ge(0), Le(0.2)] = 0.03
    """Standard deviation of efficiencies, impedances and losses around the site file's values."""
    power_noise_fraction: Annotated[float, Ge(0), Le(0.1)] = 0.005
    """Standard deviation of a power meter, of its rated value. Class 0.5 is 0.005."""
    voltage_noise_fraction: Annotated[float, Ge(0), Le(0.1)] = 0.002
    latency_s: Annotated[float, Ge(0)] = 0.0
    """Time from a command's arrival to its taking effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One site, as its file describes it."""

    name: str
    location: Location
    weather: WeatherSource
    network: Topology
    devices: Mapping[str, Device[Any]]
    """Name → device, in the order of the file."""
    grid_forming: str | None = None
    """Device that holds voltage and frequency on a site without a grid connection."""
    control: Control = field(default_factory=Control)
    rules: Sequence[Mapping[str, Any]] = ()
    """Control rules; their keys are checked by `controllers.rules`."""
    telemetry: Telemetry = field(default_factory=Telemetry)
    emulation: Emulation = field(default_factory=Emulation)

    @property
    def grid(self) -> str | None:
        """Name of the grid connection, if there is one."""
        return next((name for name, device in self.devices.items() if device.account is Account.GRID), None)

    @property
    def slack(self) -> str:
        """The device whose power balances the network."""
        return cast(str, self.grid or self.grid_forming)


def _kind_of_network(data: Any) -> str:
    return "file" if isinstance(data, Mapping) and "pandapower" in data else "written"


NETWORK: Any = Annotated[
    Annotated[Topology, Tag("written")] | Annotated[NetworkFile, Tag("file")], Discriminator(_kind_of_network)
]
"""A network in the site file itself, or in a pandapower file that it names."""


@cache
def site_adapter() -> TypeAdapter[Any]:
    """Validator and JSON Schema of a site file, with every registered technology in it."""
    load(twin.devices)
    load(twin.cooling)
    technologies: Any = Annotated[Union[tuple(DEVICES.values())], Field(discriminator="type")]  # noqa: UP007
    hints = get_type_hints(Site, include_extras=True) | {"devices": dict[str, technologies], "network": NETWORK}
    columns: dict[str, Any] = {
        item.name: (hints[item.name], _default(item.default, item.default_factory)) for item in fields(Site)
    }
    return TypeAdapter(create_model("SiteFile", __config__=ConfigDict(extra="forbid"), **columns))


def _default(value: Any, factory: Any) -> Any:
    if factory is not MISSING:
        return Field(default_factory=factory)
    return ... if value is MISSING else value


def load_site(path: Path) -> Site:
    """Read and check a site file. Raises `InputError` with every problem found, each with its line."""
    return load_document(path)[0]


def load_document(path: Path) -> tuple[Site, Document]:
    """As `load_site`, and the document beside it, for checks that need the lines of the file."""
    document = read_yaml(path)
    parsed = document.validate(site_adapter())
    columns = {item.name: getattr(parsed, item.name) for item in fields(Site)}
    if isinstance(parsed.network, NetworkFile):
        columns["network"] = _network_from_file(parsed.network, document, {item.bus for item in _sources(parsed)})
    columns["devices"] = _with_files(parsed.devices, document)
    site = Site(**columns)
    problems = tuple(cross_check(site, document))
    if problems:
        raise InputError(*problems)
    return site, document


def _with_files(devices: Mapping[str, Device[Any]], document: Document) -> Mapping[str, Device[Any]]:
    """The devices with the tariffs and series that grid connections name."""

    def read(name: str, device: GridConnection) -> GridConnection:
        def complain(key: str, found: str, expected: str) -> Problem:
            return document.problem(("devices", name, *key.split(".")), found=found, expected=expected)

        return with_files(device, document.path.parent, complain)

    return {
        name: cast(Device[Any], read(name, device)) if isinstance(device, GridConnection) else device
        for name, device in devices.items()
    }


def _sources(parsed: Any) -> list[Device[Any]]:
    """What may hold the voltage, whatever else is wrong with the file."""
    devices = parsed.devices.items()
    return [device for name, device in devices if device.account is Account.GRID or name == parsed.grid_forming]


def _network_from_file(told: NetworkFile, document: Document, slack_buses: set[str]) -> Topology:
    """The network that a pandapower file and the site file make together; `InputError` names what does not fit."""

    def problem(found: str, expected: str) -> Problem:
        return document.problem(("network", "pandapower"), found=f"{told.pandapower}: {found}", expected=expected)

    try:
        content = read_net(document.path.parent / told.pandapower)
    except (OSError, NotANetError) as error:
        words = str(error.strerror) if isinstance(error, OSError) else str(error)
        raise InputError(problem(words, "a JSON file of pandapower.to_json, beside the site file")) from None
    problems = [problem(*refused) for refused in content.refused]
    if content.slack_bus is not None and slack_buses and content.slack_bus not in slack_buses:
        problems.append(problem(f"the external grid on {content.slack_bus}", f"on {', '.join(sorted(slack_buses))}"))
    if problems:
        raise InputError(*problems)
    try:
        return TypeAdapter(Topology).validate_python(merged(content, told))
    except ValidationError as error:
        raise InputError(
            *(
                problem(f"{'.'.join(map(str, item['loc']))} {item['input']!r:.60}", item["msg"])
                for item in error.errors()
            )
        ) from None
