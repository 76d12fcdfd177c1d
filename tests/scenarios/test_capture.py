"""A plant's messages are kept, and the controller decides on them again what it decided then."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from agents.assemble import control_agent, load, network_estimator
from agents.capture_run import replayed
from agents.conductor import emulated_site
from agents.control import Cycle
from agents.demo import CONNECT_S
from tests.scenarios.running_site import AFTERNOON, on_free_ports
from tests.scenarios.test_sunspec_links import Devices, order, site_file
from tests.twin.telemetry.telemetry_rig import NOON
from twin.clock import SteppedClock
from twin.errors import LinkError, RecordError
from twin.points import Snapshot
from twin.site import load_site
from twin.telemetry.capture import Capture, lines_of
from twin.telemetry.live_plant import LivePlant
from twin.telemetry.replay import ReplayPlant
from twin.timegrid import TimeGrid

pytestmark = pytest.mark.sockets
PERIOD_S = 60.0
HOUR = TimeGrid(start=AFTERNOON, step_s=PERIOD_S, steps=61)


def captured_hour(path: Path, capture_path: Path) -> list[Cycle]:
    """An hour of an emulated site in live control; a meter is unplugged in its middle, and back later."""
    loaded, clock, cycles = load(path), SteppedClock(HOUR.start), list[Cycle]()
    with (
        emulated_site(path, start=HOUR.start, step_s=PERIOD_S, steps=HOUR.steps, seed=1) as emulator,
        closing(Capture(capture_path, "edge", clock)) as capture,
    ):
        emulator.await_open()
        with closing(LivePlant(loaded.site, path, clock, capture)) as plant:
            plant.connect_or_raise(CONNECT_S)
            agent = control_agent(
                loaded.site, plant, loaded.policy("rules"), period_s=loaded.site.control.period_s,
                estimator=network_estimator(loaded.site),
            )  # fmt: skip
            for step in range(1, HOUR.steps):
                if step in (20, 24):
                    {20: emulator.kill, 24: emulator.restore}[step]("grid_meter")
                emulator.advance_to(HOUR.at(step))
                clock.move_to(HOUR.at(step))
                cycles.append(agent.cycle(HOUR.at(step)))
    return cycles


def thought(cycle: Cycle) -> Cycle:
    """A cycle without what came of its commands, and how long it took."""
    return replace(cycle, receipts=(), timings_ms={})


def test_an_emulated_hour_replays_to_the_same_cycles(tmp_path: Path) -> None:
    path, capture = on_free_ports("edge.yaml", tmp_path), tmp_path / "hour.jsonl.gz"
    cycles = captured_hour(path, capture)
    assert any(cycle.snapshot.lost for cycle in cycles)
    assert any(cycle.commands for cycle in cycles)
    loaded = load(path)
    with closing(ReplayPlant(loaded.site, path, capture)) as plant:
        again = list(replayed(loaded, plant))
    assert len(again) == len(cycles) == HOUR.steps - 1
    for then, now in zip(cycles, again, strict=True):
        assert now.snapshot == then.snapshot
        assert now.commands == then.commands
        assert (now.rung, now.guarded, now.forecast is None) == (then.rung, then.guarded, then.forecast is None)


@pytest.fixture
def sunspec_capture(tmp_path: Path) -> tuple[Path, Path, list[Snapshot]]:
    """Three SunSpec devices, one command, a plug that is pulled and put back."""
    capture_path = tmp_path / "sunspec.jsonl.gz"
    with closing(Devices()) as devices:
        devices.open()
        path = site_file(tmp_path, devices.port, ", meter_import: negative")
        site, clock = load_site(path), SteppedClock(NOON)
        seen: list[Snapshot] = []
        with (
            closing(Capture(capture_path, site.name, clock)) as capture,
            closing(LivePlant(site, path, clock, capture)) as plant,
        ):
            plant.connect_or_raise(CONNECT_S)

            def read() -> Snapshot:
                clock.move_to(clock.now() + timedelta(seconds=1))
                seen.append(plant.read(clock.now()))
                return seen[-1]

            read()
            plant.apply([replace(order("solar", "limit_kw", 9.0), valid_until=clock.now() + timedelta(hours=1))], NOON)
            read()
            devices.unplug()
            while len(read().lost) < 3:
                pass
            devices.open()
            while read().lost:
                pass
    return path, capture_path, seen


def replay_all(path: Path, capture: Path) -> list[Snapshot]:
    with closing(ReplayPlant(load_site(path), path, capture)) as plant:
        return [plant.read(instant) for instant in plant.instants()]


def test_sunspec_devices_replay_too(sunspec_capture: tuple[Path, Path, list[Snapshot]]) -> None:
    path, capture, seen = sunspec_capture
    assert replay_all(path, capture) == seen


def test_another_sign_in_the_site_file_is_applied_to_the_same_messages(
    sunspec_capture: tuple[Path, Path, list[Snapshot]],
) -> None:
    path, capture, seen = sunspec_capture
    path.write_text(path.read_text().replace("meter_import: negative", "meter_import: positive"), encoding="utf-8")
    first = replay_all(path, capture)[0]
    assert first.readings["grid.p_kw"].value == -seen[0].readings["grid.p_kw"].value == 4.0


def test_what_a_crash_cut_off_is_left_out(sunspec_capture: tuple[Path, Path, list[Snapshot]], tmp_path: Path) -> None:
    path, capture, seen = sunspec_capture
    whole, torn = capture.read_bytes(), tmp_path / "torn.jsonl.gz"
    counts = set()
    for size in range(len(whole) // 2, len(whole), max(len(whole) // 20, 1)):
        torn.write_bytes(whole[:size])
        found = replay_all(path, torn)
        assert found == seen[: len(found)]
        counts.add(len(found))
    assert max(counts) > 1


def test_what_is_no_capture_is_refused_in_words(tmp_path: Path) -> None:
    text, missing = tmp_path / "notes.txt", tmp_path / "none.gz"
    text.write_text("hello")
    for path in (text, missing):
        with pytest.raises(RecordError, match=r"gridhelm record SITE|No such file"):
            next(lines_of(path))
    with pytest.raises(RecordError, match="never written over"):
        Capture(text, "edge", SteppedClock(NOON))


def test_a_capture_of_another_site_and_another_instant_are_refused(
    sunspec_capture: tuple[Path, Path, list[Snapshot]], tmp_path: Path
) -> None:
    path, capture, _ = sunspec_capture
    with closing(ReplayPlant(load_site(path), path, capture)) as plant, pytest.raises(LinkError, match="next instant"):
        plant.read(NOON)
    path.write_text(path.read_text().replace("name: edge\n", "name: other\n", 1), encoding="utf-8")
    with pytest.raises(RecordError, match="of the site edge, not of other"):
        ReplayPlant(load_site(path), path, capture)
