"""Connections to a plant, as a person writes them in the site file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le
from pydantic import Field

from twin.devices.base import STRICT
from twin.telemetry.dcgm_link import DcgmLink
from twin.telemetry.redfish_link import RedfishLink

Port = Annotated[int, Ge(1), Le(65535)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusUnit:
    """One device that speaks Modbus, whatever carries it. Links that name the same endpoint share one connection."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    unit_id: Annotated[int, Ge(0), Le(255)] = 1
    map: str
    """Name of a register map in `site_configs/maps/` (without `.yaml`), or a path beside the site file."""
    device: str
    """The device of the twin that the registers belong to."""
    timeout_s: Annotated[float, Gt(0), Le(1)] = 0.5
    """How long an answer is awaited. What is silent for so long is left to the background."""
    pause_s: Annotated[float, Ge(0), Le(1)] = 0.0
    """What the device or its gateway needs between two requests; 25 ms serves many. The map may ask for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusLink(ModbusUnit):
    """Modbus TCP; or the frames of a serial line over TCP, as plain serial-to-Ethernet converters pass them on."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    protocol: Literal["modbus_tcp", "modbus_rtu_over_tcp"]
    host: str = "127.0.0.1"
    port: Port


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusTlsLink(ModbusUnit):
    """Modbus/TCP Security: Modbus TCP inside TLS, with a certificate on both sides. Files are beside the site file."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    protocol: Literal["modbus_tls"]
    host: str = "127.0.0.1"
    port: Port = 802
    ca_file: str
    """Certificates (PEM) of the authorities that the device's certificate may come from."""
    certificate_file: str
    """Our own certificate (PEM), which the device demands."""
    key_file: str
    """The key of our own certificate (PEM, without a passphrase)."""
    verify_host: bool = True
    """False for devices whose certificate does not name the host under which they are reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusSerialLink(ModbusUnit):
    """Modbus RTU on a serial line (RS-485)."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    protocol: Literal["modbus_rtu"]
    serial_port: str
    """As the operating system names it: `/dev/ttyUSB0`, `COM3`."""
    baud: Literal[1200, 2400, 4800, 9600, 14400, 19200, 28800, 38400, 57600, 115200] = 19200
    parity: Literal["even", "odd", "none"] = "even"
    stop_bits: Literal[1, 2] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SunSpecLink:
    """A SunSpec device over Modbus TCP: it tells itself what its registers mean, so that there is no map."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    protocol: Literal["sunspec"]
    host: str = "127.0.0.1"
    port: Port = 502
    unit_id: Annotated[int, Ge(0), Le(255)] = 1
    device: str
    """The device of the twin that it is."""
    meter_import: Literal["positive", "negative"] | None = None
    """Of a meter: the sign that it gives to power flowing into the site. Without it, its powers are not believed."""
    timeout_s: Annotated[float, Gt(0), Le(1)] = 0.5
    pause_s: Annotated[float, Ge(0), Le(1)] = 0.0
    """What the device needs between two requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttLink:
    """One device that publishes its points as JSON under a topic, and takes commands there.

    `<topic>/state` carries ``{"at": ISO instant, "<point>": number, …}``;
    `<topic>/command` takes ``{"id", "setpoint", "value", "valid_until"}``;
    `<topic>/receipt` answers ``{"id", "outcome", "value", "detail"}``.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    protocol: Literal["mqtt"]
    topic: str
    """Below the broker's `topic_prefix`, without wildcards."""
    device: str
    points: tuple[str, ...]
    """The points expected in each message; one that is missing in it is bad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """The MQTT broker of the site."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    host: str = "127.0.0.1"
    port: Port = 1883
    topic_prefix: str = "gridhelm"
    embedded: bool = False
    """True: the emulator runs a broker of its own on this port, for a machine without one."""
    username: str | None = None
    password_file: str | None = None


AnyModbusLink = ModbusLink | ModbusTlsLink | ModbusSerialLink
Link = Annotated[
    ModbusLink | ModbusTlsLink | ModbusSerialLink | SunSpecLink | MqttLink | RedfishLink | DcgmLink,
    Field(discriminator="protocol"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """How the plant is read and commanded."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    broker: Broker | None = None
    max_age_s: Annotated[float, Gt(0)] = 30.0
    """An older value is stale: it is no longer relied on."""
    power_sigma_fraction: Annotated[float, Gt(0), Le(0.1)] = 0.005
    """Standard deviation of a power meter, of the device's rated power. Class 0.5 is 0.005."""
    voltage_sigma_fraction: Annotated[float, Gt(0), Le(0.1)] = 0.002
    """Standard deviation of a voltage reading, of the rated voltage."""
    links: Mapping[str, Link] = field(default_factory=dict)
    """Name of the link → how to reach it."""
    max_age_by_device_s: Mapping[str, Annotated[float, Gt(0)]] = field(default_factory=dict)
    """Device → its own `max_age_s`, for one that speaks seldom."""
