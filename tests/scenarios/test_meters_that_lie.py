"""Meters that lie plausibly: found by the balance of all, and no command follows them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from agents.assemble import load
from agents.control import Cycle
from agents.demo import rig
from controllers.fallback import Rung
from tests.scenarios.running_site import AFTERNOON, PERIOD_S, RunningSite, on_free_ports
from tests.twin.telemetry.telemetry_rig import (
    NOON,
    TinyDevice,
    controlling,
    free_port,
    modbus,
    read_until,
    serving,
    site_of,
    snapshot,
)
from twin.points import Quality
from twin.telemetry.config import ModbusLink
from twin.telemetry.fault_proxy import Fault, FaultProxy
from twin.telemetry.io_thread import IoThread
from twin.timegrid import TimeGrid

pytestmark = pytest.mark.sockets
FOUND_CYCLES = 10
GARBLED_KW = 5000.7
GARBLED_WORD = 0x459C
"""Two of these are `GARBLED_KW` as a float of 32 bits: plausible, and far beyond the contract."""


async def put(proxy: FaultProxy, fault: Fault) -> None:
    proxy.fault = fault


@contextmanager
def proxied(links: dict[str, ModbusLink], name: str) -> Iterator[tuple[dict[str, ModbusLink], FaultProxy, IoThread]]:
    """The links, of which one leads through a proxy."""
    io, link = IoThread("faults"), links[name]
    proxy = FaultProxy(link.host, link.port)
    io.run(proxy.open())
    try:
        yield links | {name: replace(link, port=proxy.port)}, proxy, io
    finally:
        io.run(proxy.close())
        io.close()


@pytest.mark.parametrize("name", ["grid", "battery"])
def test_a_frozen_meter_with_fresh_stamps_is_bad_within_ten_cycles_of_a_movement(name: str) -> None:
    maps = {"grid": "grid_meter", "battery": "battery_inverter", "office": "load_meter"}
    links = {device: modbus(device, map_name, free_port()) for device, map_name in maps.items()}
    devices = {device: TinyDevice(1000.0) for device in maps}
    noise, truth = random.Random(5), {"battery": 300.0, "office": 200.0}

    def shown(cycles: int) -> dict[str, dict[str, float]]:
        powers = truth | {"grid": sum(truth.values())}
        return {device: {"p_kw": power_kw + noise.gauss(0, 2.0), "v_pu": 1.0} for device, power_kw in powers.items()}

    with (
        proxied(links, name) as (asked, proxy, io),
        serving(site_of(links, devices)) as server,
        controlling(site_of(asked, devices, grid="grid")) as plant,
    ):
        server.show(snapshot(**shown(0)))
        read_until(plant, lambda image: not image.lost)
        bad_after = None
        for cycle in range(1, 40):
            now = NOON + timedelta(seconds=cycle)
            if cycle == 12:
                io.run(put(proxy, Fault(frozen=True)))
            if cycle == 20:
                truth["battery"] -= 400.0
            server.show(snapshot(now, **shown(cycle)))
            reading = plant.read(now).readings[f"{name}.p_kw"]
            assert reading.at == now, "its stamps are fresh all the time"
            if cycle < 20:
                assert reading.quality is Quality.GOOD, "a value that stands still is believed while all do"
            elif bad_after is None and reading.quality is Quality.BAD:
                assert "frozen" in reading.reason
                bad_after = cycle - 20
                io.run(put(proxy, Fault()))
        assert bad_after is not None
        assert bad_after < FOUND_CYCLES
        assert reading.quality is Quality.GOOD, "it is believed again"


@contextmanager
def campus(path: Path) -> Iterator[tuple[RunningSite, FaultProxy, IoThread]]:
    """The whole campus, with the connection's meter behind a proxy."""
    loaded = load(path)
    modbus_links = {name: link for name, link in loaded.site.telemetry.links.items() if isinstance(link, ModbusLink)}
    with ExitStack() as stack:
        links, proxy, io = stack.enter_context(proxied(modbus_links, "grid_meter"))
        telemetry = replace(loaded.site.telemetry, links={**loaded.site.telemetry.links, **links})
        site = replace(loaded.site, telemetry=telemetry)
        grid = TimeGrid(start=AFTERNOON, step_s=PERIOD_S, steps=8640)
        pair = stack.enter_context(rig(site, path, grid, loaded.policy("rules"), seed=1))
        yield RunningSite(rig=pair, period=timedelta(seconds=PERIOD_S), truth={}), proxy, io


def commands(cycle: Cycle) -> dict[str, float]:
    return {command.point: float(command.value) for command in cycle.commands}


def test_one_garbled_value_of_the_grid_meter_moves_no_command(tmp_path: Path) -> None:
    """5 MW where the contract ends at 3.9: were it believed, the battery would go from 1.3 to its whole 2.5 MW."""
    with campus(on_free_ports("campus.yaml", tmp_path)) as (plant, proxy, io):
        plant.until(lambda cycle: cycle.rung is Rung.FULL, "a quiet start")
        quiet = [plant.cycle() for _ in range(15)]
        assert all(not _doubted(cycle) for cycle in quiet), "noise is not doubted"
        io.run(put(proxy, Fault(words=GARBLED_WORD)))
        garbled = plant.cycle()
        io.run(put(proxy, Fault()))
        reading = garbled.snapshot.readings["grid.p_kw"]
        assert reading.quality is Quality.SUSPECT
        assert f"{GARBLED_KW:.0f} kW do not agree" in reading.reason
        before, after = commands(quiet[-1]), commands(garbled)
        assert before.keys() == after.keys()
        for point, value in after.items():
            usual = max(abs(commands(b)[point] - commands(a)[point]) for a, b in itertools.pairwise(quiet))
            assert abs(value - before[point]) <= 2 * usual + 50.0, point
        assert not _doubted(plant.run(3))


def _doubted(cycle: Cycle) -> list[str]:
    return [name for name, reading in cycle.snapshot.readings.items() if reading.quality is not Quality.GOOD]
