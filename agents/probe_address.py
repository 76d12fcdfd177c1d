"""The address of a device to probe, as a person writes it: `modbus://host:port?unit=1&table=holding&from=0&to=200`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args
from urllib.parse import parse_qsl, urlsplit

from twin.errors import InputError, Problem
from twin.telemetry.map_types import Table
from twin.yaml_file import did_you_mean

Scheme = Literal["modbus", "modbus-rtu-over-tcp", "sunspec"]
SCHEMES = get_args(Scheme)
TABLES = cast(tuple[Table, ...], get_args(Table))
KEYS = ("unit", "table", "from", "to")
DEFAULT_PORT = 502
LAST_ADDRESS = 0xFFFF
MOST_REGISTERS = 10_000
"""Of one look; at a polite pace it takes minutes."""
EXAMPLE = "modbus://192.168.1.10:502?unit=1&table=holding&from=0&to=200"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeAddress:
    """Where to look, and at what."""

    scheme: Scheme
    host: str
    port: int
    units: tuple[int, ...]
    """Empty: whoever answers."""
    tables: tuple[Table, ...]
    addresses: range

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"


def probe_address(text: str) -> ProbeAddress:
    """Read an address. Raises `InputError` with what is expected instead."""
    parts = urlsplit(text)
    if parts.scheme not in SCHEMES:
        hint = did_you_mean(parts.scheme, SCHEMES)
        raise _problem(text, f"{' or '.join(f'{scheme}://' for scheme in SCHEMES)} in front, as in {EXAMPLE}{hint}")
    if not parts.hostname:
        raise _problem(text, f"a host, as in {EXAMPLE}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for key, value in options.items():
        if key not in KEYS:
            raise _problem(f"{key}={value}", f"{', '.join(KEYS)}{did_you_mean(key, KEYS)}")
    return ProbeAddress(
        scheme=cast(Scheme, parts.scheme),
        host=parts.hostname,
        port=_port(parts.netloc, text),
        units=_units(options.get("unit")),
        tables=_tables(options.get("table")),
        addresses=_addresses(options),
    )


def _port(netloc: str, text: str) -> int:
    try:
        port = urlsplit(f"//{netloc}").port
    except ValueError:
        raise _problem(text, "a port from 1 to 65535 after the host") from None
    return DEFAULT_PORT if port is None else port


def _units(text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    first, dash, last = text.partition("-")
    if first.isdigit() and (last.isdigit() or not dash):
        units = range(int(first), int(last or first) + 1)
        if units and units[-1] <= 255:
            return tuple(units)
    raise _problem(f"unit={text}", "a unit id from 0 to 255, or several as in unit=1-20")


def _tables(text: str | None) -> tuple[Table, ...]:
    if text is None:
        return ("holding", "input")
    if text not in TABLES:
        raise _problem(f"table={text}", f"{', '.join(TABLES)}{did_you_mean(text, TABLES)}")
    return (text,)


def _addresses(options: Mapping[str, str]) -> range:
    start, stop = _register(options, "from", 0), _register(options, "to", -1)
    if stop < 0:
        stop = min(start + 200, LAST_ADDRESS + 1)
    if not start < stop or stop - start > MOST_REGISTERS:
        raise _problem(f"from={start}&to={stop}", f"from below to, and at most {MOST_REGISTERS} registers at a time")
    return range(start, stop)


def _register(options: Mapping[str, str], key: str, default: int) -> int:
    text = options.get(key)
    if text is None:
        return default
    if not text.isdigit() or int(text) > LAST_ADDRESS + 1:
        raise _problem(f"{key}={text}", "the number of a register as it stands in the request, 0 to 65535")
    return int(text)


def _problem(found: str, expected: str) -> InputError:
    return InputError(Problem(file="command line", line=None, path="ADDRESS", found=found, expected=expected))
