"""`check --live` on an emulated plant: nothing to say of a good site file, and each mistake with its line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from agents.conductor import EmulatedSite, emulated_site
from agents.live_check import live_check
from tests.scenarios.running_site import AFTERNOON, on_free_ports
from twin.clock import SteppedClock

pytestmark = pytest.mark.sockets


@dataclass
class Running:
    """The emulator and its time."""

    site: EmulatedSite
    now: datetime


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Running]]:
    path = on_free_ports("edge.yaml", tmp_path_factory.mktemp("site"))
    with emulated_site(path, start=AFTERNOON, step_s=10.0, steps=100, seed=1) as emulator:
        emulator.await_open()
        yield path, Running(emulator, AFTERNOON)


def checked(path: Path, emulator: Running) -> tuple[bool, str]:
    console = Console(width=300, record=True, file=StringIO())
    clock = SteppedClock(emulator.now)

    def pause(_seconds: float) -> None:
        emulator.now += timedelta(seconds=10)
        emulator.site.advance_to(emulator.now)
        clock.move_to(emulator.now)

    fine = live_check(path, console, clock=clock, connect_s=3.0, pause=pause)
    return fine, console.export_text()


def test_a_good_site_file_leaves_no_doubt(plant: tuple[Path, Running]) -> None:
    fine, text = checked(*plant)
    assert fine, text
    assert "battery.soc" in text
    assert "everything fits together" in text


@pytest.mark.parametrize(
    ("map_name", "old", "new", "said"),
    [
        ("grid_meter", "type: float32, into_device: positive", "type: float32, into_device: negative",
         "grid.p_kw with the other sign"),
        ("pv_inverter", "address: 0, type: int32, scale", "address: 0, type: int32, word_order: little, scale",
         "would fit: word_order: big"),
        ("pv_inverter", "scale: 0.1, into_device: negative, min: -20000, max: 500",
         "scale: 0.1, into_device: positive, min: -20000, max: 500", "into_device: negative"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_map_is_named_with_its_line(
    plant: tuple[Path, Running], map_name: str, old: str, new: str, said: str
) -> None:
    written = plant[0].parent / "maps" / f"{map_name}.yaml"
    text = written.read_text(encoding="utf-8")
    assert old in text
    line = next(index for index, line in enumerate(text.splitlines(), start=1) if "p_kw:" in line)
    written.write_text(text.replace(old, new, 1), encoding="utf-8")
    try:
        fine, shown = checked(*plant)
    finally:
        written.write_text(text, encoding="utf-8")
    assert not fine
    assert said in shown
    assert f"{map_name}.yaml:{line}" in shown


def test_a_silent_link_is_named_with_its_line(plant: tuple[Path, Running]) -> None:
    path, emulator = plant
    emulator.site.kill("battery_inverter")
    try:
        fine, shown = checked(path, emulator)
    finally:
        emulator.site.restore("battery_inverter")
    assert not fine
    assert "battery: does not answer: Modbus 127.0.0.1" in shown
    assert "connection refused" in shown
