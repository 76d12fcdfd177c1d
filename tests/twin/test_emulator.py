"""The emulated plant obeys over its sockets: late, at its own pace, and never for longer than it was told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from tests.scenarios.running_site import AFTERNOON, on_free_ports
from twin.clock import SteppedClock
from twin.emulator import Emulator, Truth
from twin.points import Command, Outcome, Receipt, Snapshot
from twin.site import load_site
from twin.telemetry.live_plant import LivePlant
from twin.timegrid import TimeGrid

pytestmark = pytest.mark.sockets

STEP_S = 10.0


@dataclass
class Pair:
    """An emulator and whoever reads it, in one process."""

    emulator: Emulator
    plant: LivePlant
    clock: SteppedClock

    def step(self) -> tuple[Snapshot, Truth]:
        now = self.clock.now() + timedelta(seconds=STEP_S)
        truth = self.emulator.advance_to(now)
        self.clock.move_to(now)
        return self.plant.read(now), truth

    def order(self, device: str, setpoint: str, value: float, validity_s: float) -> Receipt:
        now = self.clock.now()
        valid_until = now + timedelta(seconds=validity_s)
        (receipt,) = self.plant.apply(
            [Command(device=device, setpoint=setpoint, value=value, valid_until=valid_until)], now
        )
        return receipt


@contextmanager
def pair(folder: Path, **emulation: float) -> Iterator[Pair]:
    path = on_free_ports("edge.yaml", folder)
    extra = "".join(f"  {key}: {value}\n" for key, value in emulation.items())
    text = path.read_text(encoding="utf-8").replace("emulation:\n", f"emulation:\n{extra}")
    path.write_text(text, encoding="utf-8")
    site, clock = load_site(path), SteppedClock(AFTERNOON)
    emulator = Emulator(site, path, TimeGrid(start=AFTERNOON, step_s=STEP_S, steps=360))
    emulator.start()
    plant = LivePlant(site, path, clock)
    try:
        plant.connect_or_raise(20.0)
        both = Pair(emulator=emulator, plant=plant, clock=clock)
        both.step()
        yield both
    finally:
        plant.close()
        emulator.stop()


def test_a_command_takes_effect_and_expires(tmp_path: Path) -> None:
    with pair(tmp_path) as both:
        receipt = both.order("battery", "p_kw", -20.0, validity_s=25.0)
        assert (receipt.outcome, receipt.read_back) == (Outcome.APPLIED, -20.0)
        powers = [both.step()[1].branch_p_kw["battery_cable"] for _ in range(6)]
    assert powers[:2] == pytest.approx([-20.0] * 2, abs=0.5)
    assert abs(powers[-1]) < 1.0, "the inverter rests when its command has expired"


def test_a_command_arrives_after_its_latency(tmp_path: Path) -> None:
    with pair(tmp_path, latency_s=20.0) as both:
        both.order("battery", "p_kw", -20.0, validity_s=60.0)
        powers = [both.step()[1].branch_p_kw["battery_cable"] for _ in range(4)]
    assert [power < -10.0 for power in powers] == [False, False, True, True]


def test_halls_follow_a_budget_at_their_own_pace(tmp_path: Path) -> None:
    with pair(tmp_path) as both:
        before_kw = both.step()[0].readings["hall.p_kw"].value
        firm_kw = both.step()[0].readings["hall.firm_kw"].value
        assert before_kw > firm_kw + 5.0
        receipt = both.order("hall", "limit_kw", 0.0, validity_s=60.0)
        assert receipt.outcome is Outcome.APPLIED
        limits_kw = [both.step()[0].readings["hall.limit_kw"].value for _ in range(3)]
    assert limits_kw == pytest.approx([27.6, 0.0, 0.0], abs=1.5), "all of its 55.2 kW, or a little more, in 20 s"


def test_the_built_plant_is_not_the_drawn_one(tmp_path: Path) -> None:
    """Efficiencies and impedances differ, so that the twin is never tested against itself."""
    with pair(tmp_path) as both:
        seen, _ = both.step()
    assert abs(float(seen.readings["grid.v_pu"].value) - 1.0) < 0.02
    assert {f"weather.{point}" for point in ("dry_bulb_c", "ghi_w_m2", "wet_bulb_c", "wind_m_s")} <= set(seen.readings)
    assert all(reading.at == seen.now for reading in seen.readings.values())
