"""What one control cycle costs at the border to the plant, over real sockets and between two processes.

    .venv/bin/python benchmarks/telemetry_cycle.py [cycles]

Serves the devices of `site_configs/campus.yaml` from a child process, on free ports, and goes through the cycle
of the headless demo: the plant shows an instant, the controller reads every link, writes a command to every
device that takes one, and reads it back. The measure is one bare pymodbus read of each block of registers in
the same run, all gateways at once: what the library needs when nobody asks for age, quality or receipts.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from pymodbus.client import AsyncModbusTcpClient

from twin.clock import SteppedClock, stopwatch_s
from twin.points import Command, Outcome, Reading, Snapshot
from twin.site import Site, load_site
from twin.telemetry.config import ModbusLink, MqttLink
from twin.telemetry.device_server import PlantServer
from twin.telemetry.live_plant import LivePlant
from twin.telemetry.register_map import Block, blocks, load_map

SITE_PATH = Path(__file__).parents[1] / "site_configs" / "campus.yaml"
START = datetime(2026, 6, 1, tzinfo=UTC)
PERIOD_S = 10.0
VALIDITY_S = 30.0
WARM_UP_CYCLES = 20
CONNECT_S = 20.0
PARTS = ("show", "read", "apply")
PLAUSIBLE = {"soc": 0.5, "v_pu": 1.0, "running": 1.0}
PLAUSIBLE_OTHERWISE = 25.0

T = TypeVar("T")


def main() -> None:
    cycles = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    site = on_free_ports(load_site(SITE_PATH))
    with served(site) as plant_shows:
        clock = SteppedClock(START)
        plant = LivePlant(site, SITE_PATH, clock)
        try:
            plant_shows(START)
            plant.connect_or_raise(CONNECT_S)
            with bare_reader(site) as bare_read_ms:
                timings_ms = run_cycles(plant, clock, site, plant_shows, bare_read_ms, cycles)
        finally:
            plant.close()
    report(site, timings_ms)


def run_cycles(
    plant: LivePlant,
    clock: SteppedClock,
    site: Site,
    plant_shows: Callable[[datetime], float],
    bare_read_ms: Callable[[], float],
    cycles: int,
) -> Sequence[Mapping[str, float]]:
    """Milliseconds of each part in each cycle. Fails when a device is lost or a command is not confirmed."""
    timings_ms = []
    for cycle in range(1, WARM_UP_CYCLES + cycles + 1):
        now = START + timedelta(seconds=cycle * PERIOD_S)
        parts = {"show": plant_shows(now)}
        clock.move_to(now)
        snapshot, parts["read"] = timed(plant.read, now)
        receipts, parts["apply"] = timed(plant.apply, commands(site, now, cycle), now)
        parts["bare"] = bare_read_ms()
        bad = [item for item in receipts if item.outcome is not Outcome.APPLIED]
        if snapshot.lost or bad:
            raise SystemExit(f"cycle {cycle}: lost {dict(snapshot.lost)}, not confirmed {bad}")
        timings_ms.append(parts)
    return timings_ms[WARM_UP_CYCLES:]


def timed(call: Callable[..., T], *arguments: Any) -> tuple[T, float]:
    """What a call returns, and how many milliseconds it took."""
    began_s = stopwatch_s()
    result = call(*arguments)
    return result, (stopwatch_s() - began_s) * 1000


def commands(site: Site, now: datetime, cycle: int) -> Sequence[Command]:
    """A fresh value for every device that can be reached and steered."""
    reachable = {link.device for link in site.telemetry.links.values()}
    return [
        Command(
            device=name,
            setpoint=device.setpoint,
            value=device.rated_kw / 2 + cycle % 100,
            valid_until=now + timedelta(seconds=VALIDITY_S),
        )
        for name, device in site.devices.items()
        if device.setpoint is not None and name in reachable
    ]


@contextmanager
def bare_reader(site: Site) -> Iterator[Callable[[], float]]:
    """Reads every block of registers once with pymodbus alone; tells how many milliseconds it took."""
    gateways = blocks_by_gateway(site)
    with asyncio.Runner() as runner:
        clients = runner.run(connect_all(gateways))

        async def read_once() -> float:
            began_s = stopwatch_s()
            await asyncio.gather(*(read_all(clients[address], reads) for address, reads in gateways.items()))
            return (stopwatch_s() - began_s) * 1000

        yield lambda: runner.run(read_once())
        for client in clients.values():
            client.close()


async def connect_all(addresses: Iterable[tuple[str, int]]) -> Mapping[tuple[str, int], AsyncModbusTcpClient]:
    clients = {(host, port): AsyncModbusTcpClient(host, port=port) for host, port in addresses}
    await asyncio.gather(*(client.connect() for client in clients.values()))
    return clients


async def read_all(client: AsyncModbusTcpClient, reads: Sequence[tuple[int, Block]]) -> None:
    for unit_id, block in reads:
        read = client.read_holding_registers if block.table == "holding" else client.read_input_registers
        await read(block.start, count=block.count, device_id=unit_id)


def blocks_by_gateway(site: Site) -> Mapping[tuple[str, int], Sequence[tuple[int, Block]]]:
    gateways: dict[tuple[str, int], list[tuple[int, Block]]] = {}
    for link in site.telemetry.links.values():
        if isinstance(link, ModbusLink):
            reads = [(link.unit_id, block) for block in blocks(load_map(link.map, SITE_PATH).points)]
            gateways.setdefault((link.host, link.port), []).extend(reads)
    return gateways


def on_free_ports(site: Site) -> Site:
    """The same site where nobody else listens."""
    used = {link.port for link in site.telemetry.links.values() if isinstance(link, ModbusLink)}
    with ExitStack() as probes:
        free = {port: free_port(probes) for port in used}
        broker = site.telemetry.broker and replace(site.telemetry.broker, port=free_port(probes))
    links = {
        name: replace(link, port=free[link.port]) if isinstance(link, ModbusLink) else link
        for name, link in site.telemetry.links.items()
    }
    return replace(site, telemetry=replace(site.telemetry, links=links, broker=broker))


def free_port(probes: ExitStack) -> int:
    probe = probes.enter_context(closing(socket.socket()))
    probe.bind(("127.0.0.1", 0))
    return int(probe.getsockname()[1])


@contextmanager
def served(site: Site) -> Iterator[Callable[[datetime], float]]:
    """The plant in a process of its own; what comes out lets it show an instant, and tells the milliseconds."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(site, theirs), daemon=True)
    process.start()

    def plant_shows(now: datetime) -> float:
        ours.send(now)
        return float(ours.recv())

    try:
        yield plant_shows
    finally:
        ours.send(None)
        process.join()


def serve(site: Site, orders: Connection[Any, Any]) -> None:
    server, points = PlantServer(site, SITE_PATH), instruments(site)
    server.start()
    try:
        while (now := orders.recv()) is not None:
            snapshot = plausible(points, now)
            began_s = stopwatch_s()
            server.show(snapshot)
            orders.send((stopwatch_s() - began_s) * 1000)
            server.take_commands()
    finally:
        server.stop()


def instruments(site: Site) -> Sequence[tuple[str, str]]:
    """Device and point of everything that is read."""
    return [
        (link.device, point)
        for link in site.telemetry.links.values()
        for point in (link.points if isinstance(link, MqttLink) else load_map(link.map, SITE_PATH).points)
    ]


def plausible(points: Sequence[tuple[str, str]], now: datetime) -> Snapshot:
    """Something for every instrument to show."""
    readings = {
        f"{device}.{point}": Reading(value=PLAUSIBLE.get(point, PLAUSIBLE_OTHERWISE), at=now)
        for device, point in points
    }
    return Snapshot(now=now, readings=readings)


def report(site: Site, timings_ms: Sequence[Mapping[str, float]]) -> None:
    bare_ms = statistics.fmean(cycle["bare"] for cycle in timings_ms)
    reads = sum(len(reads) for reads in blocks_by_gateway(site).values())
    print(f"{len(site.telemetry.links)} links, {len(commands(site, START, 0))} commands, {len(timings_ms)} cycles")
    print(f"{'':32}{'mean ms':>9}{'median ms':>11}{'x limit':>9}")
    for name in PARTS:
        print_line(name, [cycle[name] for cycle in timings_ms], bare_ms)
    print_line("whole cycle at the border", [sum(cycle[name] for name in PARTS) for cycle in timings_ms], bare_ms)
    print_line(f"limit: {reads} bare pymodbus reads", [cycle["bare"] for cycle in timings_ms], bare_ms)


def print_line(name: str, timings_ms: Sequence[float], bare_ms: float) -> None:
    mean_ms = statistics.fmean(timings_ms)
    print(f"{name:32}{mean_ms:9.2f}{statistics.median(timings_ms):11.2f}{mean_ms / bare_ms:9.2f}")


if __name__ == "__main__":
    main()
