"""What carries Modbus: TCP, RTU frames over TCP, TLS, a serial line. One endpoint is one connection.

pymodbus is told here what each needs. Its frames of TLS are those of TCP; it takes whatever one record brings for
a whole frame, and fails when a reply comes in two: so TLS is read with the framer of TCP.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import serial
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient, AsyncModbusTlsClient
from pymodbus.client.base import ModbusBaseClient
from pymodbus.framer import FramerSocket, FramerType
from pymodbus.pdu import DecodePDU

from twin.errors import InputError, Problem
from twin.telemetry.config import AnyModbusLink, ModbusLink, ModbusSerialLink, ModbusTlsLink

PARITY = {"even": "E", "odd": "O", "none": "N"}
OURS: dict[str, Any] = {"retries": 0, "reconnect_delay": 0}
"""pymodbus would repeat requests, writes too, and wait up to 300 s between connections."""
REFUSALS = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNKNOWN_CA", "CERTIFICATE_UNKNOWN", "CERTIFICATE_EXPIRED")

UNANSWERED = "closed by the device before its first answer, as by one that refuses our certificate"


@dataclass(frozen=True, slots=True)
class TcpEndpoint:
    """A host and a port; `rtu`: with the frames of a serial line."""

    host: str
    port: int
    rtu: bool = False

    @property
    def place(self) -> str:
        """As people look it up."""
        return f"Modbus {'RTU over TCP ' if self.rtu else ''}{self.host}:{self.port}"

    @property
    def numbers_requests(self) -> bool:
        """Whether a late answer can be told from the one that is awaited."""
        return not self.rtu

    def client(self, timeout_s: float) -> ModbusBaseClient:
        """A client that is not connected yet."""
        framer = FramerType.RTU if self.rtu else FramerType.SOCKET
        return AsyncModbusTcpClient(self.host, port=self.port, framer=framer, timeout=timeout_s, **OURS)

    async def attempt(self) -> None:
        """Connect and leave. Raises what is wrong there, which pymodbus keeps to itself."""
        await _open_and_leave(self.host, self.port, None)


@dataclass(frozen=True, slots=True)
class TlsEndpoint:
    """A host and a port, with the files of certificates."""

    host: str
    port: int
    ca: Path
    certificate: Path
    key: Path
    verify_host: bool = True

    @property
    def place(self) -> str:
        """As people look it up."""
        return f"Modbus TLS {self.host}:{self.port}"

    @property
    def numbers_requests(self) -> bool:
        """Whether a late answer can be told from the one that is awaited."""
        return True

    def context(self) -> ssl.SSLContext:
        """Who we are and whom we believe. Raises `OSError` where a file cannot be used."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.check_hostname = self.verify_host
        context.load_cert_chain(str(self.certificate), str(self.key))
        return context

    def client(self, timeout_s: float) -> ModbusBaseClient:
        """A client that is not connected yet. Raises `OSError` where a file cannot be used."""
        client = AsyncModbusTlsClient(self.host, port=self.port, sslctx=self.context(), timeout=timeout_s, **OURS)
        client.ctx.framer = FramerSocket(DecodePDU(False))
        return client

    async def attempt(self) -> None:
        """Connect and leave. Raises what is wrong there."""
        await _open_and_leave(self.host, self.port, self.context())


@dataclass(frozen=True, slots=True)
class SerialEndpoint:
    """A serial port with its settings."""

    serial_port: str
    baud: int
    parity: str
    stop_bits: int

    @property
    def place(self) -> str:
        """As people look it up."""
        return f"Modbus RTU {self.serial_port} {self.baud} 8{PARITY[self.parity]}{self.stop_bits}"

    @property
    def numbers_requests(self) -> bool:
        """Whether a late answer can be told from the one that is awaited."""
        return False

    def client(self, timeout_s: float) -> ModbusBaseClient:
        """A client that is not connected yet."""
        return AsyncModbusSerialClient(
            self.serial_port,
            baudrate=self.baud,
            parity=PARITY[self.parity],
            stopbits=self.stop_bits,
            timeout=timeout_s,
            **OURS,
        )

    async def attempt(self) -> None:
        """Open it and leave. Raises what is wrong there."""
        serial.Serial(self.serial_port, self.baud, exclusive=True).close()


Endpoint = TcpEndpoint | TlsEndpoint | SerialEndpoint


def endpoint_of(link: AnyModbusLink, site_path: Path) -> Endpoint:
    """Where a link leads. Raises `InputError` for certificates that cannot be used."""
    if isinstance(link, ModbusLink):
        return TcpEndpoint(link.host, link.port, rtu=link.protocol == "modbus_rtu_over_tcp")
    if isinstance(link, ModbusSerialLink):
        return SerialEndpoint(link.serial_port, link.baud, link.parity, link.stop_bits)
    return _tls(link, site_path)


def _tls(link: ModbusTlsLink, site_path: Path) -> TlsEndpoint:
    files = (link.ca_file, link.certificate_file, link.key_file)
    ca, certificate, key = (site_path.parent / name for name in files)
    endpoint = TlsEndpoint(link.host, link.port, ca, certificate, key, link.verify_host)
    try:
        endpoint.context()
    except OSError as error:
        raise InputError(
            Problem(
                file=str(site_path),
                line=None,
                path="telemetry.links",
                found=f"{', '.join(files)} of the link to {link.device}, of which one cannot be used: {error}",
                expected="ca_file, certificate_file, key_file as PEM beside the site file, the key without passphrase",
            )
        ) from None
    return endpoint


def why_closed(endpoint: Endpoint, error: Exception | None, answered: bool) -> str:
    """Why a connection ended, in plain words. TLS 1.3 tells of a refused certificate only after it is open."""
    reason = getattr(error, "reason", None) or ""
    if any(refusal in reason for refusal in REFUSALS):
        return f"the device refuses our certificate ({reason.lower().replace('_', ' ')})"
    if isinstance(endpoint, TlsEndpoint) and not answered:
        return UNANSWERED
    return "connection closed by the other side"


async def why_not(endpoint: Endpoint, timeout_s: float) -> str:
    """Why nothing can be reached there: pymodbus only says that it could not."""
    try:
        await asyncio.wait_for(endpoint.attempt(), timeout_s)
    except TimeoutError:
        return f"no connection within {timeout_s:g} s"
    except ssl.SSLCertVerificationError as error:
        return f"the device's certificate is not to be trusted: {error.verify_message}"
    except OSError as error:
        if isinstance(error, ConnectionResetError):
            return why_closed(endpoint, error, answered=False)
        return "connection refused" if isinstance(error, ConnectionRefusedError) else str(error) or repr(error)
    return "connection failed"


async def _open_and_leave(host: str, port: int, context: ssl.SSLContext | None) -> None:
    _, writer = await asyncio.open_connection(host, port, ssl=context)
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()
