"""An hour of nonsense on the wire: flipped bytes, faults and garbage, for every map of the house.

Each round takes one map, serves it with random registers from an asyncio server behind the fault proxy, and polls it
through a random fault. Held all the time: nothing raises, nothing out of its range counts as good, and memory does
not grow. Three kinds of rounds: 0.2 % flipped bytes, any fault of the proxy, and replies that are plain garbage.

    .venv/bin/python benchmarks/modbus_fuzz.py [--seconds 3600] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import repository_root  # noqa: F401
from pymodbus.constants import ExcCodes

from twin.clock import SystemClock
from twin.points import Quality
from twin.site import Site
from twin.telemetry.config import ModbusLink, Telemetry
from twin.telemetry.fault_proxy import Fault, FaultProxy
from twin.telemetry.io_thread import IoThread, stop_accepting
from twin.telemetry.live_plant import LivePlant
from twin.telemetry.register_map import HOUSE_MAPS

POLLS_PER_ROUND = 40
TIMEOUT_S = 0.03
MOST_GROWTH_KB = 20_000
RECOVERY_S = 5.0
FLIPPED = Fault(garbled_fraction=0.002)


class Device:
    """Answers any read with random registers, or with garbage, and confirms any write."""

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.garbage = chance, False
        self.server: asyncio.Server | None = None

    async def open(self) -> int:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self.server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self.server is not None:
            await stop_accepting(self.server)
            self.server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                header = await reader.readexactly(7)
                body = await reader.readexactly(int.from_bytes(header[4:6], "big") - 1)
                writer.write(self._reply(header, body))
        writer.close()

    def _reply(self, header: bytes, body: bytes) -> bytes:
        if self.garbage:
            noise = self.chance.randbytes(self.chance.randrange(1, 400))
            # Half of it looks like an answer for some bytes.
            return header[: self.chance.randrange(8)] + noise
        count = int.from_bytes(body[3:5], "big")
        bits = body[0] in (1, 2)
        content = body[:5] if body[0] > 4 else self.chance.randbytes(-(-count // 8) if bits else 2 * count)
        pdu = content if body[0] > 4 else bytes((body[0], len(content))) + content
        return header[:4] + (len(pdu) + 1).to_bytes(2, "big") + header[6:] + pdu


def any_fault(chance: random.Random) -> Fault:
    return chance.choice(
        (
            Fault(delay_s=chance.random() * 0.06),
            Fault(black_hole=True),
            Fault(reset=True),
            Fault(refused=True),
            Fault(half_open=True),
            Fault(frozen=True),
            Fault(names_next_unit=True),
            Fault(garbled_fraction=chance.random()),
            Fault(cut_byte_count=chance.randrange(1, 9)),
            Fault(extra_register_count=chance.randrange(-3, 4)),
            Fault(split_byte_count=chance.randrange(1, 9)),
            Fault(words=chance.randrange(65536)),
            Fault(exception=chance.choice(list(ExcCodes))),
        )
    )


class Fuzz:
    """Rounds, and what was seen in them."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.chance, self.folder = random.Random(seed), folder
        self.seen: Counter[str] = Counter()
        self.io = IoThread("fuzz")
        self.device = Device(self.chance)
        self.proxy = FaultProxy("127.0.0.1", self.io.run(self.device.open()))
        self.io.run(self.proxy.open())

    def close(self) -> None:
        self.io.run(self.proxy.close())
        self.io.run(self.device.close())
        self.io.close()

    def round(self, kind: str, map_name: str) -> None:
        """One map through one kind of nonsense, and then its recovery."""
        link = ModbusLink(
            protocol="modbus_tcp", port=self.proxy.port, map=map_name, device="device", timeout_s=TIMEOUT_S
        )
        site = SimpleNamespace(telemetry=Telemetry(links={"link": link}), devices={}, grid=None)
        with closing(LivePlant(cast(Site, site), self.folder / "site.yaml", SystemClock())) as live:
            for poll in range(POLLS_PER_ROUND):
                if poll % 10 == 0:
                    self._set(kind)
                self._poll(live, kind)
            self._set("none")
            end_s = time.perf_counter() + RECOVERY_S
            while live.read(datetime.now(UTC)).lost and time.perf_counter() < end_s:
                time.sleep(0.005)
            lost = live.read(datetime.now(UTC)).lost
            # Random registers may all be implausible, which is no fault of the link.
            if any("no answer" in reason or "connect" in reason for reason in lost.values()):
                self.seen["not recovered"] += 1
                print(f"{map_name} after {kind}: {lost}")

    def _set(self, kind: str) -> None:
        fault = {"flipped": FLIPPED, "faults": any_fault(self.chance)}.get(kind, Fault())

        async def change() -> None:
            self.proxy.fault, self.device.garbage = fault, kind == "garbage"

        self.io.run(change())

    def _poll(self, live: LivePlant, kind: str) -> None:
        image = live.read(datetime.now(UTC))
        self.seen[f"{kind}: polls"] += 1
        self.seen[f"{kind}: lost"] += bool(image.lost)
        for name, reading in image.readings.items():
            point = live._modbus.units["device"].registers.points[name.partition(".")[2]]
            good = reading.quality is Quality.GOOD
            self.seen[f"{kind}: good values"] += good
            if good and not point.min <= float(reading.value) <= point.max:
                self.seen["good and out of range"] += 1
        if any("internal error" in reason for reason in image.lost.values()):
            self.seen["internal errors"] += 1
            print(image.lost)


def rss_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    maps = sorted(path.stem for path in HOUSE_MAPS.glob("*.yaml"))
    rounds, settled_kb = 0, 0
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as name, closing(Fuzz(options.seed, Path(name))) as fuzz:
        while time.perf_counter() - began_s < options.seconds:
            for map_name in maps:
                fuzz.round(("flipped", "faults", "garbage")[rounds % 3], map_name)
                rounds += 1
            # What is loaded once is loaded by then.
            settled_kb = settled_kb or rss_kb()
    growth_kb = rss_kb() - settled_kb
    print(f"{rounds} rounds of {len(maps)} maps in {time.perf_counter() - began_s:.0f} s\n")
    print("| | |\n|---|---|")
    for what, count in sorted(fuzz.seen.items()):
        print(f"| {what} | {count} |")
    print(f"| memory grown since the first turn | {growth_kb} kB |")
    wrong = sum(fuzz.seen[what] for what in ("good and out of range", "internal errors", "not recovered"))
    sys.exit(1 if wrong or growth_kb > MOST_GROWTH_KB else 0)


if __name__ == "__main__":
    main()
