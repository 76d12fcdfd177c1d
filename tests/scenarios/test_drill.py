"""The drill on an emulated plant: faults are noticed, contained and over; and a controller that sleeps is failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from agents.assemble import control_agent, load
from agents.conductor import emulated_site
from agents.control import ControlAgent, Cycle
from agents.demo import CONNECT_S
from agents.drill import Drill, Watch
from agents.drill_faults import DrillFault
from agents.drill_proxies import BROKER, Proxies, Target
from agents.drill_run import as_json, planned, table_of
from agents.operation import ShadowPlant
from tests.scenarios.running_site import AFTERNOON, SITES, on_free_ports
from twin.clock import SteppedClock
from twin.errors import InputError
from twin.site import Site, load_site
from twin.telemetry.fault_proxy import Fault
from twin.telemetry.live_plant import LivePlant

pytestmark = pytest.mark.sockets
PERIOD_S = 1.0


class Rig:
    """An emulated site led through proxies, its clock moved by one period in each cycle."""

    def __init__(self, site: Site, proxies: Proxies, cycles: Iterator[Cycle]) -> None:
        self.proxies, self.site, self.cycles = proxies, site, cycles
        self.drill = Drill(site, proxies, cycles, period_s=PERIOD_S)

    def target(self, name: str) -> Target:
        return next(target for target in self.proxies.targets if target.name == name)

    def fault(self, link: str, name: str) -> tuple[Target, DrillFault]:
        ((target, fault),) = planned(self.site, self.proxies.targets, link, name)
        # A loaded machine may be slow: what is tested is that it happens, not how soon.
        return target, replace(fault, within_s=30.0)


@contextmanager
def rig(path: Path) -> Iterator[Rig]:
    loaded, clock = load(path), SteppedClock(AFTERNOON)
    with (
        emulated_site(path, start=AFTERNOON, step_s=PERIOD_S, steps=5000, seed=1) as emulator,
        closing(Proxies(loaded.site)) as proxies,
    ):
        emulator.await_open()
        with closing(LivePlant(proxies.open(), path, clock)) as plant:
            plant.connect_or_raise(CONNECT_S)
            agent: ControlAgent = control_agent(
                loaded.site, ShadowPlant(plant), loaded.policy("rules"), period_s=PERIOD_S
            )

            def cycles() -> Iterator[Cycle]:
                while True:
                    clock.move_to(clock.now() + timedelta(seconds=PERIOD_S))
                    emulator.advance_to(clock.now())
                    yield agent.cycle(clock.now())

            yield Rig(loaded.site, proxies, cycles())


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig(on_free_ports("edge.yaml", tmp_path_factory.mktemp("site"))) as running:
        yield running


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ("solar_inverter", "black_hole"),
        ("solar_inverter", "reset"),
        ("ups", "black_hole"),
        ("battery_inverter", "half_open"),
        ("battery_inverter", "reboot"),
        ("grid_meter", "garble"),
        ("hall", "clock_behind"),
        ("weather_station", "clock_ahead"),
        (BROKER, "reboot"),
        (BROKER, "garble"),
    ],
)
def test_a_fault_is_noticed_contained_and_over(edge: Rig, link: str, fault: str) -> None:
    verdict = edge.drill.run(*edge.fault(link, fault))
    slow = [failure for failure in verdict.failures if "a cycle took" not in failure]
    assert not slow
    assert verdict.detected_s is not None
    assert verdict.recovered_s is not None


def test_what_cannot_be_noticed_is_said_and_not_failed(edge: Rig) -> None:
    target, fault = edge.fault("dry_cooler", "frozen")
    verdict = edge.drill.run(target, replace(fault, within_s=0.1))
    assert verdict.detected_s is not None or verdict.remark


def test_a_fault_that_nobody_notices_fails(edge: Rig) -> None:
    harmless = DrillFault(name="nothing", fault=Fault(), within_s=0.1)
    verdict = edge.drill.run(edge.target("ups"), harmless)
    assert verdict.failures == ("not noticed within 0.1 s",)
    assert not verdict.passed
    assert as_json([verdict])[0]["passed"] is False
    assert table_of([verdict]).row_count == 1


def test_a_neighbour_that_suffers_fails(edge: Rig) -> None:
    """Two units behind one gateway: what is done to both, but named for one, is held against the controller."""
    fault = DrillFault(name="both", fault=Fault(black_hole=True), within_s=30.0)
    verdict = edge.drill.run(edge.target("ups"), fault)
    assert any("suffered too" in failure for failure in verdict.failures)


def test_a_command_to_a_lost_device_fails(edge: Rig) -> None:
    cycle = next(edge.cycles)
    lost = replace(cycle, snapshot=replace(cycle.snapshot, lost={cycle.commands[0].device: "silent"}))
    watch = Watch(edge.target("ups"), frozenset())
    watch.see(lost)
    assert watch.commanded == {cycle.commands[0].device}


def test_what_is_drilled_is_planned_and_unknown_names_are_refused() -> None:
    site = load_site(SITES / "edge.yaml")
    with closing(Proxies(site)) as proxies:
        everything = planned(site, proxies.targets, None, None)
        assert {target.name for target, _ in everything} >= {"ups", "solar_inverter", BROKER}
        assert {target.name for target, _ in planned(site, proxies.targets, "hall", None)} == {BROKER}
        with pytest.raises(InputError, match="did you mean ups"):
            planned(site, proxies.targets, "upss", None)
        with pytest.raises(InputError, match="black_hole"):
            planned(site, proxies.targets, None, "blackhole")
