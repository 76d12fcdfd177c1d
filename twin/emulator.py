"""The simulated plant served as an integrator would find it: Modbus TCP servers and MQTT publishers.

It runs a perturbed copy of the site with noisy meters, so that the twin is never tested against itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from twin.devices.base import Group
from twin.ledger import Books, Ledger
from twin.network.power_flow import FlowResult
from twin.numeric import Num, clip
from twin.perturbation import NoisyMeters, perturbed
from twin.points import Command, Reading, Snapshot
from twin.simulator import simulated_plant
from twin.site import Site
from twin.telemetry.device_server import PlantServer
from twin.timegrid import TimeGrid
from twin.weather import Weather, read_weather

WEATHER_POINTS = ("dry_bulb_c", "wet_bulb_c", "ghi_w_m2", "wind_m_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The true network at one instant, which no controller sees: for judging the twin afterwards."""

    at: datetime
    v_pu: Mapping[str, float]
    branch_p_kw: Mapping[str, float]


class Emulator:
    """One emulated plant with its servers. The caller owns the clock: `start`, then `advance_to` again and again."""

    def __init__(self, site: Site, site_path: Path, grid: TimeGrid, seed: int = 1) -> None:
        built = perturbed(site, seed)
        self._weather = read_weather(site.weather, site.location, grid, site_path)
        self._plant = simulated_plant(built, self._weather, (seed,), present_flow=True)
        self._meters = NoisyMeters(built, seed)
        self._ledger = Ledger(built)
        self._latency = timedelta(seconds=site.emulation.latency_s)
        self._arriving: list[tuple[datetime, Command]] = []
        self._wanted: dict[str, Command] = {}
        self.server = PlantServer(site, site_path)

    @property
    def now(self) -> datetime:
        return self._plant.now

    @property
    def end(self) -> datetime:
        """Where its weather ends."""
        return self._weather.grid.end

    def start(self) -> None:
        """Open every server and show the plant as it stands. Raises `LinkError` when a port is taken."""
        self.server.start()
        self._show()

    def stop(self) -> Books:
        """Close every server and return the true books of the run."""
        self.server.stop()
        return self._ledger.close()

    def advance_to(self, instant: datetime) -> Truth:
        """Obey what was commanded, let time pass until `instant`, and show the plant as it then is."""
        step_s = (instant - self._plant.now).total_seconds()
        self._obey(step_s)
        self._ledger.book(self._plant.advance(step_s))
        return self._show()

    def _show(self) -> Truth:
        now = self._plant.now
        snapshot = self._meters(self._plant.read(now))
        self.server.show(Snapshot(now=now, readings={**snapshot.readings, **weather_readings(self._weather, now)}))
        return self._truth(now, self._plant.flow)

    def _truth(self, now: datetime, flow: FlowResult) -> Truth:
        network = self._plant.network
        return Truth(
            at=now,
            v_pu=dict(zip(network.buses, flow.v_pu.tolist(), strict=True)),
            branch_p_kw=dict(zip(network.branches, flow.branch_p_kw.tolist(), strict=True)),
        )

    def _obey(self, step_s: float) -> None:
        now = self._plant.now
        self._arriving += [(now + self._latency, command) for command in self.server.take_commands()]
        self._wanted |= {command.device: command for due, command in self._arriving if due <= now}
        self._arriving = [(due, command) for due, command in self._arriving if due > now]
        self._plant.apply([self._ramped(command, step_s) for command in self._wanted.values()], self._plant.now)

    def _ramped(self, command: Command, step_s: float) -> Command:
        """Halls move to a new power limit at their own pace; everything else is quick against a control period."""
        device = self._plant.site.devices[command.device]
        if device.group is not Group.COMPUTE:
            return command
        reach_kw = device.rated_kw * step_s / max(device.ramp_s, step_s)  # type: ignore[attr-defined]
        present_kw = self._plant.setpoint(command.device)
        value: Num = clip(command.value, present_kw - reach_kw, present_kw + reach_kw)
        return Command(device=command.device, setpoint=command.setpoint, value=value, valid_until=command.valid_until)


def weather_readings(weather: Weather, now: datetime) -> dict[str, Reading]:
    """What the site's weather station shows."""
    index = min(int((now - weather.grid.start).total_seconds() / weather.grid.step_s), weather.grid.steps - 1)
    return {
        f"weather.{point}": Reading(value=float(getattr(weather, point)[index]), at=now) for point in WEATHER_POINTS
    }
