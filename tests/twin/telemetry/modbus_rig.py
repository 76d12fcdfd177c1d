"""Modbus devices at the end of a serial line or behind TLS, and certificates for the latter."""

import asyncio
import os
import ssl
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from twin.telemetry.config import ModbusSerialLink, ModbusTlsLink
from twin.telemetry.io_thread import IoThread

Answer = Callable[[int, bytes], bytes | None]
"""Unit id and request, from its function code on → the answer from there on; None: silence."""


def crc(frame: bytes) -> bytes:
    """CRC-16 of Modbus, bit by bit as in the specification's appendix B (Modbus over serial line V1.02)."""
    register = 0xFFFF
    for byte in frame:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0xA001 if register & 1 else 0)
    return register.to_bytes(2, "little")


def all_registers(word: int) -> Answer:
    """A device whose every register reads as `word`, and which takes every write."""

    def answer(unit: int, request: bytes) -> bytes:
        if request[0] in (3, 4):
            return bytes((request[0], 2 * request[4])) + word.to_bytes(2, "big") * request[4]
        return request[:5]

    return answer


class SerialDevices:
    """Whoever is at the other end of a serial line."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[tuple[int, bytes]] = []
        self.garble = False
        self._far, self._near = os.openpty()
        tty.setraw(self._near)
        self.port = os.ttyname(self._near)
        self._heard = b""
        self._io = IoThread("serial-devices")
        self._io.loop.call_soon_threadsafe(self._io.loop.add_reader, self._far, self._on_bytes)

    def _on_bytes(self) -> None:
        self._heard += os.read(self._far, 4096)
        length = 8 if self._heard[1:2] != b"\x10" else 9 + self._heard[6] if len(self._heard) > 6 else 300
        if len(self._heard) < length:
            return
        frame, self._heard = self._heard[:length], b""
        if crc(frame[:-2]) != frame[-2:]:
            return
        self.asked.append((frame[0], frame[1:-2]))
        reply = self.answer(frame[0], frame[1:-2])
        if reply is not None:
            whole = frame[:1] + reply
            check = crc(whole)
            os.write(self._far, whole + (bytes((check[0] ^ 1, check[1])) if self.garble else check))

    def close(self) -> None:
        self._io.loop.call_soon_threadsafe(self._io.loop.remove_reader, self._far)
        self._io.close()
        os.close(self._far)
        os.close(self._near)


@contextmanager
def serial_devices(answer: Answer) -> Iterator[SerialDevices]:
    devices = SerialDevices(answer)
    try:
        yield devices
    finally:
        devices.close()


def serial_link(device: str, map_name: str, port: str, unit_id: int = 1, timeout_s: float = 20.0) -> ModbusSerialLink:
    """Without parity, which a pair of pseudo terminals does not know."""
    return ModbusSerialLink(
        protocol="modbus_rtu",
        serial_port=port,
        parity="none",
        unit_id=unit_id,
        map=map_name,
        device=device,
        timeout_s=timeout_s,
    )


@dataclass(frozen=True)
class Certified:
    """A certificate with its key, and the authority that it comes from; names of files in one folder."""

    folder: Path
    ca: str
    certificate: str
    key: str

    def server_context(self, clients_of: str) -> ssl.SSLContext:
        """A server that shows it, and takes clients of one authority only."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / self.certificate, self.folder / self.key)
        context.load_verify_locations(self.folder / clients_of)
        context.verify_mode = ssl.CERT_REQUIRED
        return context


def certified(folder: Path, name: str, authority: str, host: str = "127.0.0.1") -> Certified:
    """A fresh authority and a certificate from it for `host`."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _certificate(authority, authority, ca_key.public_key(), ca_key, None)
    own = _certificate(name, authority, key.public_key(), ca_key, host)
    files = Certified(folder, f"{authority}.pem", f"{name}.pem", f"{name}.key")
    (folder / files.ca).write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (folder / files.certificate).write_bytes(own.public_bytes(serialization.Encoding.PEM))
    (folder / files.key).write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def _certificate(
    subject: str,
    issuer: str,
    public_key: ec.EllipticCurvePublicKey,
    signer: ec.EllipticCurvePrivateKey,
    host: str | None,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
    )
    if host is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
    return builder.sign(signer, hashes.SHA256())


def tls_link(device: str, map_name: str, port: int, own: Certified, ca: str, verify_host: bool = True) -> ModbusTlsLink:
    return ModbusTlsLink(
        protocol="modbus_tls",
        port=port,
        ca_file=ca,
        certificate_file=own.certificate,
        key_file=own.key,
        map=map_name,
        device=device,
        timeout_s=20.0,
        verify_host=verify_host,
    )


class TlsDevice:
    """A device behind TLS that sends each answer in several records, of so many bytes."""

    def __init__(self, answer: Answer, context: ssl.SSLContext, record_bytes: int) -> None:
        self._answer, self._record_bytes = answer, record_bytes
        self._io = IoThread("tls-device")
        self._server = self._io.run(asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context))
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                header = await reader.readexactly(7)
                pdu = await reader.readexactly(int.from_bytes(header[4:6], "big") - 1)
                reply = self._answer(header[6], pdu) or b""
                frame = header[:4] + (len(reply) + 1).to_bytes(2, "big") + header[6:] + reply
                for start in range(0, len(frame), self._record_bytes):
                    writer.write(frame[start : start + self._record_bytes])
                    await writer.drain()
                    await asyncio.sleep(0.002)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            writer.close()

    def close(self) -> None:
        self._server.close()
        self._io.close()


@contextmanager
def tls_device(answer: Answer, context: ssl.SSLContext, record_bytes: int = 3) -> Iterator[TlsDevice]:
    device = TlsDevice(answer, context, record_bytes)
    try:
        yield device
    finally:
        device.close()
