"""How fast a SunSpec device is found and read whole, against pysunspec2, and whether both read the same.

    .venv/bin/python benchmarks/sunspec.py [rounds]

A child process serves one device with every model that we know, two of each repeating group. Ours goes through
`Gateway` as in live operation; pysunspec2, the SunSpec Alliance's own client, runs in an environment of its own
and does its `scan`. Both begin with nothing known and end with every point of every model, scaled. What is
compared is the processor time of the client, which a busy machine does not stretch as it does the clock's.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from environments import CACHE, environment

from twin.telemetry.modbus import Gateway, Unit
from twin.telemetry.register_map import Register, RegisterMap
from twin.telemetry.sunspec_codec import Contents, value_places
from twin.telemetry.sunspec_device import SunSpecDevice
from twin.telemetry.sunspec_discovery import RawContents, discover, read_all
from twin.telemetry.sunspec_exchange import over_modbus, run_async
from twin.telemetry.sunspec_model import HEADER_REGISTERS, Model, filling_size, known_models, layout, load_model
from twin.telemetry.sunspec_server import ServedSunSpec, served
from twin.telemetry.sunspec_types import TEXTS, Scalar

REQUIREMENTS = ("pysunspec2==1.3.7", "pyserial==3.5")
PEER = Path(__file__).parent / "peers" / "run_pysunspec2.py"
REPETITIONS = 2
TIMEOUT_S = 5.0
HOST = "127.0.0.1"

Device = Mapping[int, Sequence[Contents | RawContents]]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    python = environment("pysunspec2", REQUIREMENTS, CACHE)
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    child = multiprocessing.Process(target=serve, args=(port,), daemon=True)
    child.start()
    try:
        ours, ours_ms = asyncio.run(read_by_us(port, rounds))
        done = subprocess.run([python, PEER, str(port), str(rounds)], capture_output=True, text=True, check=True)
    finally:
        child.kill()
        child.join()
    theirs = json.loads(done.stdout)
    tell(ours, ours_ms, theirs)


def tell(ours: Device, ours_ms: Sequence[float], theirs: Mapping[str, Any]) -> None:
    compared = [
        (held.values.get(path), theirs["points"][f"{model_id} {path}"])
        for model_id, (held, *_) in ours.items()
        if isinstance(held, Contents)
        for path in [place.path for place in value_places(held.places)]
    ]
    same = sum(left == right for left, right in compared)
    print(f"{len(ours)} models, {len(compared)} points, of which {same} read the same by both")
    for name, timings_ms in (("gridhelm", ours_ms), ("pysunspec2", theirs["ms"])):
        middle, least = statistics.median(timings_ms), min(timings_ms)
        print(f"{name:12}{middle:8.1f} ms of processor time (median of {len(timings_ms)}, least {least:.1f})")


def serve(port: int) -> None:
    models = [load_model(model_id) for model_id in known_models()]
    device = SunSpecDevice(models, [some_values(model) for model in models], datetime(2026, 6, 1, tzinfo=UTC))

    async def run() -> None:
        await served(HOST, port, [ServedSunSpec(1, device)]).open()
        await asyncio.Event().wait()

    asyncio.run(run())


def some_values(model: Model) -> dict[str, Scalar]:
    """Every point with some value that is not its sentinel."""
    total = HEADER_REGISTERS + model.fixed_count + REPETITIONS * filling_size(model)
    places = layout(model, total if filling_size(model) else 65536, lambda _: REPETITIONS)
    values: dict[str, Scalar] = {}
    for place in value_places(places):
        kind = place.point.kind
        values[place.path] = "text" if kind in TEXTS else 0 if kind == "sunssf" else REPETITIONS
    return values


async def read_by_us(port: int, rounds: int) -> tuple[Device, list[float]]:
    gateway = Gateway(HOST, port)
    mark = Register(table="holding", address=40000, type="uint16", min=0, max=65535)
    registers = RegisterMap(title="any SunSpec device", address_base=0, points={"mark": mark})
    unit = Unit(device="device", unit_id=1, timeout_s=TIMEOUT_S, registers=registers, gateway=gateway)
    gateway.start()
    while unit.down:
        await asyncio.sleep(0.01)
    answer = over_modbus(partial(gateway.request, timeout_s=TIMEOUT_S), 1)
    timings_ms: list[float] = []
    for _ in range(rounds):
        since_s = time.process_time()
        found = await run_async(discover(), answer)
        contents = await run_async(read_all(found), answer)
        timings_ms.append(1000 * (time.process_time() - since_s))
    gateway.close()
    return contents, timings_ms


if __name__ == "__main__":
    main()
