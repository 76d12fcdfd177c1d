"""Many Modbus devices at once: what polling costs, how old values are, and whether a period is ever missed.

The devices answer from another process: a small asyncio server, one port each, always with the same registers, so
that what is measured is our side. Readings go all the way: blocks, decoding, ranges, snapshot.

    .venv/bin/python benchmarks/modbus_load.py [--seconds 20]
"""

from __future__ import annotations

import argparse
import asyncio
import math
import multiprocessing
import sys
import tempfile
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import repository_root  # noqa: F401

from twin.clock import SystemClock
from twin.points import Quality, Snapshot
from twin.site import Site
from twin.telemetry import modbus_devices
from twin.telemetry.config import ModbusLink, Telemetry
from twin.telemetry.live_plant import LivePlant
from twin.telemetry.map_schema import Register, RegisterMap

PERIOD_S = 1.0
REGISTERS = 100
CONNECT_S = 30.0
DEAD_UNIT = 3


@dataclass(frozen=True)
class Result:
    """What one run came to, each in the unit of its name."""

    core_share: float
    p99_age_s: float
    longest_poll_s: float
    missed_periods: int
    missing_values: int


def serve(ports: int, pipe: Connection) -> None:
    """Answer on so many ports until told to end; a message silences unit 3 from then on."""
    asyncio.run(_serve(ports, pipe))


async def _serve(ports: int, pipe: Connection) -> None:
    silent: set[int] = set()

    async def device(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                request = await reader.readexactly(12)
                count = request[11]
                if request[6] not in silent:
                    length = (3 + 2 * count).to_bytes(2, "big")
                    head = request[:4] + length + request[6:8] + bytes((2 * count,))
                    writer.write(head + bytes((0, 100)) * count)
        writer.close()

    servers = [await asyncio.start_server(device, "127.0.0.1", 0) for _ in range(ports)]
    pipe.send([server.sockets[0].getsockname()[1] for server in servers])
    loop = asyncio.get_running_loop()
    while True:
        message = await loop.run_in_executor(None, pipe.recv)
        if message is None:
            return
        silent.update(message)


POINTS = {
    f"r{at}_kw": Register(table="holding", address=at, type="uint16", into_device="positive", min=0, max=65535)
    for at in range(REGISTERS)
}
HUNDRED = RegisterMap(title="a hundred registers", address_base=0, points=POINTS)


class Devices:
    """The other process."""

    def __init__(self, ports: int, silent: set[int] | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, far = context.Pipe()
        self._process = context.Process(target=serve, args=(ports, far), daemon=True)
        self._process.start()
        self.ports: list[int] = self.pipe.recv()
        if silent:
            self.pipe.send(silent)

    def close(self) -> None:
        self.pipe.send(None)
        self._process.join(5.0)


def plant(links: dict[str, ModbusLink], folder: Path) -> LivePlant:
    site = SimpleNamespace(telemetry=Telemetry(links=dict(links)), devices={}, grid=None)
    return LivePlant(cast(Site, site), folder / "site.yaml", SystemClock())


def links_to(ports: list[int], units_per_port: int) -> dict[str, ModbusLink]:
    return {
        f"d{port}_{unit}": ModbusLink(
            protocol="modbus_tcp", port=port, unit_id=unit, map="hundred", device=f"d{port}_{unit}"
        )
        for port in ports
        for unit in range(1, units_per_port + 1)
    }


def run(live: LivePlant, expected: int, seconds: float, spared: str = "") -> Result:
    """Poll once a second; `spared`: the device whose silence is not counted as missing."""
    ages: list[float] = []
    longest_s, missed, missing = 0.0, 0, 0
    before: Snapshot | None = None
    began_s, spent_s = time.perf_counter(), 0.0
    periods = int(seconds / PERIOD_S)
    for period in range(periods):
        due_s = began_s + period * PERIOD_S
        time.sleep(max(due_s - time.perf_counter(), 0.0))
        polled_s, now, began_cpu_s = time.perf_counter(), datetime.now(UTC), time.process_time()
        image = live.read(now)
        took_s, spent_s = time.perf_counter() - polled_s, spent_s + time.process_time() - began_cpu_s
        done = datetime.now(UTC)
        longest_s, missed = max(longest_s, took_s), missed + (polled_s + took_s > due_s + PERIOD_S)
        good = [name for name, reading in image.readings.items() if reading.quality is Quality.GOOD]
        missing += expected - len(good) if not spared else sum(f"{spared}." not in name for name in good) - expected
        if before is not None:
            # As old as a value ever gets: just before the next one is there.
            ages += [(done - before.readings[name].at).total_seconds() for name in good if name in before.readings]
        before = image
    ages.sort()
    return Result(
        core_share=spent_s / (periods * PERIOD_S),
        p99_age_s=ages[math.ceil(0.99 * len(ages)) - 1],
        longest_poll_s=longest_s,
        missed_periods=missed,
        missing_values=abs(missing),
    )


def many(count: int, seconds: float, folder: Path) -> Result:
    with closing(Devices(count)) as devices:
        links = links_to(devices.ports, 1)
        with closing(plant(links, folder)) as live:
            live.connect_or_raise(CONNECT_S)
            return run(live, count * REGISTERS, seconds)


def one_dead(seconds: float, folder: Path, *, from_the_start: bool) -> tuple[Result, float]:
    """Ten units behind one gateway, one of them silent; and how long the others took to be there."""
    with closing(Devices(1, {DEAD_UNIT} if from_the_start else None)) as devices:
        links = links_to(devices.ports, 10)
        dead = f"d{devices.ports[0]}_{DEAD_UNIT}"
        began_s = time.perf_counter()
        with closing(plant(links, folder)) as live:
            alive = len(links) - 1 if from_the_start else len(links)
            while len(live.read(datetime.now(UTC)).lost) > len(links) - alive:
                time.sleep(0.01)
            there_s = time.perf_counter() - began_s
            if not from_the_start:
                devices.pipe.send({DEAD_UNIT})
            return run(live, 9 * REGISTERS, seconds, spared=dead), there_s


def row(name: str, result: Result, target: str, met: bool) -> bool:
    print(
        f"| {name} | {100 * result.core_share:.1f} % | {result.p99_age_s:.3f} s | {result.longest_poll_s:.3f} s"
        f" | {result.missed_periods} | {result.missing_values} | {target} | {'met' if met else 'MISSED'} |"
    )
    return met


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each row is measured")
    seconds, met = parser.parse_args().seconds, []
    # A map in a file may only name points that the twin knows, which are fewer than a hundred.
    modbus_devices.load_map = lambda *_: HUNDRED
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{REGISTERS} registers each, once a second, {seconds:g} s a row\n")
        print("| | of one core | p99 age | longest poll | periods missed | values missing | target | |")
        print("|---|---|---|---|---|---|---|---|")
        fifty = many(50, seconds, folder)
        good = fifty.core_share < 0.05 and fifty.p99_age_s < 1.2
        met.append(row("50 devices", fifty, "below 5 % of a core, p99 age below 1.2 s", good))
        crowd = many(500, seconds, folder)
        whole = crowd.missed_periods == 0 and crowd.missing_values == 0
        met.append(row("500 devices", crowd, "no period missed, no value missing", whole))
        for from_the_start in (True, False):
            result, there_s = one_dead(seconds, folder, from_the_start=from_the_start)
            when = "from the start" if from_the_start else "in the middle"
            quick = result.longest_poll_s < PERIOD_S and there_s < PERIOD_S and result.missing_values == 0
            title = f"10 units behind one gateway, one dead {when}; the others there after {there_s:.2f} s"
            met.append(row(title, result, "below one period for the others", quick))
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
