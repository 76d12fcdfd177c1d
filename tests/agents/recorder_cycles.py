"""Cycles made up for the tests of the recorder. Run as a program, it records until it is killed."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from agents.control import Cycle
from agents.recorder import Recorder
from controllers.base import Proposal
from controllers.decide import Decision
from controllers.fallback import Rung
from controllers.guard import Clip, Guarded
from controllers.resolve import Resolution
from twin.demand_interval import opening
from twin.devices.base import Account, Group
from twin.flexibility import Store
from twin.forecast import Forecast, Signal
from twin.points import Command, Outcome, Quality, Reading, Receipt, Snapshot
from twin.state import AssetState, GridState, SiteState

NOON = datetime(2025, 7, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
POINTS = 90


def snapshot(k: int, points: int = POINTS) -> Snapshot:
    """Noisy meters, one of them silent, one doubtful."""
    rng, now = np.random.default_rng(k), NOON + k * SECOND
    values = rng.normal(500.0, 200.0, points).tolist()
    readings = {
        f"device_{row}.p_kw": Reading(value=value, at=now - timedelta(microseconds=130_007 * (row % 3)))
        for row, value in enumerate(values)
    }
    readings["device_1.p_kw"] = Reading(value=0.1 + 0.2, at=NOON, quality=Quality.SUSPECT, reason="frozen for 60 s")
    return Snapshot(now=now, readings=readings, lost={"turbine": "no answer from 127.0.0.1:15023"})


def forecast(k: int) -> Forecast:
    mean = np.random.default_rng(k).uniform(0.0, 100.0, 144)
    signal = Signal(mean=mean, low=mean / 3.0, high=mean * 1.1, method="persistence")
    issued_at = NOON + k * SECOND
    return Forecast(
        issued_at=issued_at,
        step_s=900.0,
        valid_until=issued_at + timedelta(minutes=30),
        signals={"office.demand_kw": signal, "turbine.available_kw": replace(signal, method="persistence (expired)")},
    )


def state(now: datetime) -> SiteState:
    battery = AssetState(
        group=Group.STORAGE,
        account=Account.BATTERY,
        p_kw=-120.5,
        values={"p_kw": -120.5, "soc": 0.5},
        flexibility=Store(
            min_p_kw=-2500.0, max_p_kw=2500.0, stored_kwh=100.0, room_kwh=100.0, soc=0.5, capacity_kwh=10000.0
        ),
        quality=Quality.GOOD,
        age_s=0.2,
    )
    turbine = replace(
        battery, group=Group.RENEWABLES, account=Account.WIND, flexibility=None, quality=Quality.BAD, reason="lost"
    )
    grid = GridState(
        import_kw=3100.0,
        quality=Quality.GOOD,
        contracted_import_kw=4000.0,
        export_limit_kw=2000.0,
        price_per_kwh=0.1,
        export_price_per_kwh=0.03,
        demand=opening(now, now, 900.0),
    )
    return SiteState(now=now, assets={"battery": battery, "turbine": turbine}, grid=grid, lost={"turbine": "gone"})


def cycle(k: int, issued: Forecast | None = None) -> Cycle:
    """Cycle `k`, a second after the one before, with something of everything in it."""
    image = snapshot(k)
    peak = Proposal(
        rule="demand_peak", priority=80, group=Group.STORAGE, max_kw=497.7 + k / 3.0, reason=f"{k} kW at most"
    )
    price = Proposal(rule="price", priority=30, group=Group.STORAGE, wish_kw=2500.0, when=False, reason="0.054 per kWh")
    decided = Resolution(
        group=Group.STORAGE, value_kw=497.7 + k / 3.0, rule="demand_peak", reason=peak.reason, proposals=(peak, price)
    )
    command = Command(
        device="battery", setpoint="p_kw", value=497.7 + k / 3.0, valid_until=image.now + 5 * SECOND, reason="peak"
    )
    earlier = replace(command, device="hall_a", setpoint="limit_kw", value=1000.0)
    return Cycle(
        now=image.now,
        snapshot=image,
        state=state(image.now),
        forecast=issued,
        rung=Rung.PARTIAL,
        decision=Decision(resolutions=(decided,), setpoints={"battery": 600.0}),
        guarded=Guarded(
            setpoints={"battery": command.value},
            clips=(Clip(device="battery", asked_kw=600.0, allowed_kw=command.value, reason="it can do less"),),
        ),
        commands=(command,),
        receipts=(
            Receipt(command=command, outcome=Outcome.APPLIED, read_back=command.value),
            Receipt(command=earlier, outcome=Outcome.LOST, detail="no answer"),
        ),
        timings_ms={"sense": 0.5, "estimate": 1.25},
    )


def record_for_ever(path: Path) -> None:
    """Say each cycle's number once it is kept."""
    recorder, k = Recorder(path), 0
    while True:
        recorder.append(cycle(k))
        print(k, flush=True)
        k += 1


if __name__ == "__main__":
    record_for_ever(Path(sys.argv[1]))
