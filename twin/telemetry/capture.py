"""A capture: every message that came from a plant, as it came, in a file from which it can be replayed.

The file is JSON lines in gzip (`zcat` shows it), appended to and flushed once in each reading of the plant: what was
read before a crash is there, whatever happened. Instants are microseconds since the epoch. The lines:

- ``{"gridhelm_capture": 1, "site": name, "at": instant}``: the first.
- ``{"at", "modbus": place, "unit", "table", "address", "count", "words": [...]}``: a reply, or instead of `words`
  ``"refused"`` or ``"silent"`` with the reason. ``"look"``: it was a look at a silent device, not a poll.
- ``{"at", "modbus": place, "unit", "table", "address", "written": [...]}``: a write that was confirmed, or
  ``"refused"`` or ``"silent"``.
- ``{"at", "poll": device}``: what is polled of this device comes next. ``{"at", "fail": device, "why"}``: it is lost.
- ``{"at", "mqtt": device, "payload", "retained"}``: a state as it was published, as text.
- ``{"at", "read": instant, "down": {device: why}, "broker_down": why or null}``: the reading of the plant for this
  instant is complete; all lines since the one before belong to it.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from twin.clock import Clock
from twin.errors import RecordError
from twin.telemetry.modbus import RefusedError, SilentError, Unit, Value
from twin.telemetry.sunspec_devices import SunSpecUnit

FORMAT = 1
GZIP = 31
"""`wbits` by which zlib writes and reads the format of gzip."""
READ_AT_ONCE_BYTES = 1 << 16
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

Line = dict[str, Any]
Request = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a Modbus request asks, told by the request itself."""

    table: str
    address: int
    count: int
    unit_id: int
    words: tuple[int, ...] | None = None

    @property
    def key(self) -> tuple[int, str, int, int]:
        return self.unit_id, self.table, self.address, self.count


class Describer:
    """Stands in for a Modbus client, and says what it was asked instead of asking it."""

    def read_holding_registers(self, address: int, *, count: int, device_id: int) -> Asked:
        return Asked("holding", address, count, device_id)

    def read_input_registers(self, address: int, *, count: int, device_id: int) -> Asked:
        return Asked("input", address, count, device_id)

    def read_coils(self, address: int, *, count: int, device_id: int) -> Asked:
        return Asked("coil", address, count, device_id)

    def read_discrete_inputs(self, address: int, *, count: int, device_id: int) -> Asked:
        return Asked("discrete", address, count, device_id)

    def write_register(self, address: int, value: int, *, device_id: int) -> Asked:
        return Asked("holding", address, 1, device_id, (value,))

    def write_registers(self, address: int, values: list[int], *, device_id: int) -> Asked:
        return Asked("holding", address, len(values), device_id, tuple(values))

    def write_coil(self, address: int, value: bool, *, device_id: int) -> Asked:
        return Asked("coil", address, 1, device_id, (int(value),))

    def write_coils(self, address: int, values: list[bool], *, device_id: int) -> Asked:
        return Asked("coil", address, len(values), device_id, tuple(map(int, values)))


def described(call: Callable[[Any], Any]) -> Asked:
    """What a request asks."""
    return cast(Asked, call(Describer()))


class Listener:
    """Hears what comes over a plant's links. May be called from the threads of all of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._lines: list[Line] = []
        self._gateways: set[int] = set()
        self.reading_count = 0

    def watch(self, unit: Unit | SunSpecUnit) -> None:
        """Hear what is asked of a unit's connection, and what becomes of the unit, from now on."""
        gateway = unit.gateway
        if id(gateway) not in self._gateways:
            self._gateways.add(id(gateway))
            gateway.request = self._listening(gateway.place, gateway.request)  # type: ignore[method-assign]
        poll: Callable[..., Awaitable[Mapping[str, Value]]] = unit.poll
        fail = unit.fail

        async def polled(*given: Any) -> Mapping[str, Value]:
            self._add(poll=unit.device)
            return await poll(*given)

        def failed(reason: str) -> None:
            self._add(fail=unit.device, why=reason)
            fail(reason)

        unit.poll, unit.fail = polled, failed  # type: ignore[method-assign]

    def _listening(self, place: str, request: Request) -> Any:
        async def heard(call: Callable[[Any], Any], *given: Any, **named: Any) -> Any:
            asked = described(call)
            line: Line = {"modbus": place, "unit": asked.unit_id, "table": asked.table, "address": asked.address}
            line |= {"count": asked.count} | ({"look": True} if named.get("look") else {})
            try:
                words = await request(call, *given, **named)
            except RefusedError as error:
                self._add(**line, refused=str(error))
                raise
            except SilentError as error:
                self._add(**line, silent=str(error))
                raise
            self._add(**line, **({"words": list(words)} if asked.words is None else {"written": asked.words}))
            return words

        return heard

    def hear(self, device: str, payload: bytes, retained: bool) -> None:
        """A state that a device published."""
        self._add(mqtt=device, payload=payload.decode("utf-8", "replace"), retained=retained)

    def end_reading(self, now: datetime, down: Mapping[str, str], broker_down: str | None) -> None:
        """The reading for `now` is complete."""
        self._add(read=(now - EPOCH) // MICROSECOND, down=dict(down), broker_down=broker_down)
        self.reading_count += 1

    def take(self) -> list[Line]:
        """What was heard since the last call."""
        with self._lock:
            lines, self._lines = self._lines, []
        return lines

    def _add(self, **line: Any) -> None:
        at = (self._clock.now() - EPOCH) // MICROSECOND
        with self._lock:
            self._lines.append({"at": at, **line})


class Capture(Listener):
    """Writes what it hears into a file."""

    def __init__(self, path: Path, site: str, clock: Clock) -> None:
        """Begin a new file. Raises `RecordError` where there is one already, or where none can be written."""
        super().__init__(clock)
        self._path, self._packer = path, zlib.compressobj(wbits=GZIP)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("xb")
        except FileExistsError:
            raise RecordError(f"{path}: is there already; a capture is never written over, name another file") from None
        except OSError as error:
            raise RecordError(f"{path}: {error.strerror}; check the path and its permissions") from None
        self._add(gridhelm_capture=FORMAT, site=site)
        self._write()

    def end_reading(self, now: datetime, down: Mapping[str, str], broker_down: str | None) -> None:
        """The reading for `now` is complete: keep it, for good once this returns. Raises `RecordError`."""
        super().end_reading(now, down, broker_down)
        self._write()

    def _write(self) -> None:
        lines = (json.dumps(line, separators=(",", ":"), ensure_ascii=False) for line in self.take())
        text = "".join(f"{line}\n" for line in lines)
        packed = self._packer.compress(text.encode()) + self._packer.flush(zlib.Z_SYNC_FLUSH)
        try:
            self._file.write(packed)
            self._file.flush()
        except OSError as error:
            raise RecordError(f"{self._path}: {error.strerror}; free some space, and begin a new capture") from None

    def close(self) -> None:
        """Finish the file. A second call does nothing."""
        if self._file.closed:
            return
        try:
            self._write()
            self._file.write(self._packer.flush())
        finally:
            self._file.close()


def lines_of(path: Path) -> Iterator[Line]:
    """The lines of a capture; one that a crash cut off, and what would come after it, is left out.

    Raises `RecordError` for a file that is no capture.
    """
    try:
        lines = _lines(path)
        head = next(lines, {})
    except (OSError, zlib.error, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else "is no gridhelm capture"
        raise RecordError(f"{path}: {words}; `gridhelm record SITE --out FILE` makes one") from None
    if head.get("gridhelm_capture") != FORMAT:
        raise RecordError(f"{path}: is no gridhelm capture of format {FORMAT}; name another file")
    yield head
    yield from lines


def _lines(path: Path) -> Iterator[Line]:
    unpacker, rest = zlib.decompressobj(wbits=GZIP), b""
    with path.open("rb") as file:
        while packed := file.read(READ_AT_ONCE_BYTES):
            *whole, rest = (rest + unpacker.decompress(packed)).split(b"\n")
            yield from (json.loads(line) for line in whole)
