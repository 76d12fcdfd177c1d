"""The plant as a model: the same port as steel, stepped on a clock of its own.

`SimulatedPlant.read` shows what the meters show at the beginning of a step: present sun, wind and
demand, with the setpoints that are still in force. `advance` then lets the step pass.
Local automatics that every real site has are part of it: a device whose command expired returns to
its safe setpoint, and a grid-forming device takes what is left over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from twin.devices.base import Device, Drive, Group, Step, Values
from twin.network.power_flow import FlowResult, PowerFlow
from twin.numeric import Num, any_true, clip, larger, smaller
from twin.points import Command, Outcome, Receipt, Snapshot, good_readings
from twin.quick import quick
from twin.site import Site
from twin.units import SECONDS_PER_HOUR
from twin.weather import Weather

AnyStep = Step[Any]
MAX_THROTTLE_ROUNDS = 6
NO_SURPLUS_KW = 1e-6


class Labels(dict[str, str]):
    """Name of an instrument → its point, for one device; each is put together once."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self._device = device

    def __missing__(self, name: str) -> str:
        point = self[name] = f"{self._device}.{name}"
        return point


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The setpoint that a device holds, and until when."""

    value: Num
    valid_until: datetime | None
    """None: it was never commanded and is free."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class PlantStep:
    """What happened on the whole site during one step."""

    start: datetime
    step_s: float
    steps: Mapping[str, AnyStep]
    """Device → its step; the grid connection is not among them."""
    flow: FlowResult
    import_kw: Num
    """Mean power at the connection point; 0 on a site without a grid."""
    unserved_kw: Num
    """Load that no source could supply (islanded only); negative: generation that nobody could take, such as
    that of an engine at its lowest load beside a full battery."""
    balance_residual_kw: Num
    """Import and unserved load, minus all devices and losses: 0 but for the solver's tolerance."""


def evaluation_order(devices: Mapping[str, Device[Any]], last: str) -> tuple[str, ...]:
    """Device names such that each comes after those it serves, and `last` (the slack) at the end."""
    order: list[str] = []

    def visit(name: str) -> None:
        if name not in order:
            for served in devices[name].serves:
                visit(served)
            order.append(name)

    for name in devices:
        if name != last:
            visit(name)
    return (*order, last)


def drive_of(device: Device[Any], weather: Weather, seeds: Sequence[int]) -> Mapping[str, Any]:
    """Series that act on a device: lists of floats for one seed, arrays of shape (steps, seeds) for several."""
    drives: list[Drive] = [device.drive(weather, seed) for seed in seeds]
    if len(drives) == 1:
        return {name: series.tolist() for name, series in drives[0].items()}
    return {name: np.stack([drive[name] for drive in drives], axis=1) for name in drives[0]}


class SimulatedPlant:
    """A site as physics: devices and network, over one or many scenarios."""

    def __init__(
        self, site: Site, weather: Weather, seeds: Sequence[int] = (0,), *, present_flow: bool = False
    ) -> None:
        """With `present_flow`, each `read` solves the network for the instant it shows, and meters show voltage
        and reactive power; without, they do not, and losses are those of the step before: all that a fast
        simulation needs, in which nobody estimates the network."""
        self.site = site
        self._slack, self._on_grid = site.slack, site.grid is not None
        self._present_flow = present_flow
        self.scenarios = len(seeds)
        self.grid = weather.grid
        self.power_flow = PowerFlow(site.network, site.devices[site.slack].bus)
        ordinary = evaluation_order(site.devices, site.slack)[:-1]
        self._ordinary = tuple((name, site.devices[name], tuple(site.devices[name].serves)) for name in ordinary)
        self._drives = {name: drive_of(device, weather, seeds) for name, device in site.devices.items()}
        self._states: dict[str, Any] = {name: device.initial() for name, device in site.devices.items()}
        self._held = {name: Held(value=device.free_setpoint, valid_until=None) for name, device in site.devices.items()}
        self._bus = {name: self.power_flow.buses.index(device.bus) for name, device in site.devices.items()}
        self._labels = {name: Labels(name) for name in site.devices}
        self._followed: dict[str, Num] = {name: held.value for name, held in self._held.items()}
        self._now = weather.grid.start
        self._move_to(0)
        self._flow = self._solve(self._walk(1.0))
        self._import_kwh: Num = 0.0

    @property
    def now(self) -> datetime:
        return self._now

    @property
    def flow(self) -> FlowResult:
        """The true network at present; instruments see a part of it."""
        return self._flow

    def setpoint(self, name: str) -> Num:
        """What a device follows at present: its command, or its safe setpoint once that has expired."""
        return self._followed[name]

    def _drop_expired(self) -> None:
        """The dead-man of every device: what was not renewed in time is forgotten."""
        for name, held in self._held.items():
            if held.valid_until is not None and held.valid_until <= self._now:
                self._followed[name] = self.site.devices[name].safe_setpoint

    def read(self, now: datetime) -> Snapshot:
        """What every meter shows, without noise, under present inputs."""
        steps = self._walk(1.0)
        if self._present_flow:
            self._flow = self._solve(steps)
        slack, shown = self._slack, dict[str, Num]()
        for name, step in steps.items():
            self._show(shown, name, step.p_kw, step.points)
        slack_p_kw, slack_points = self._slack_picture(steps)
        self._show(shown, slack, slack_p_kw, slack_points)
        if self._present_flow:
            self._show_network(shown, steps)
        if self._on_grid:
            shown[self._labels[slack]["import_kwh"]] = self._import_kwh
        return Snapshot(now=now, readings=good_readings(shown, now))

    def apply(self, commands: Sequence[Command], now: datetime) -> tuple[Receipt, ...]:
        """Every command is taken; what a device cannot do shows in its power."""
        for command in commands:
            self._held[command.device] = Held(value=command.value, valid_until=command.valid_until)
            self._followed[command.device] = command.value
        self._drop_expired()
        return tuple(Receipt(command=item, outcome=Outcome.APPLIED, read_back=item.value) for item in commands)

    def close(self) -> None:
        """Nothing to release."""

    def advance(self, step_s: float) -> PlantStep:
        """Let `step_s` seconds pass; they may not cross into the next interval of the weather's grid."""
        start, steps = self._now, self._walk(step_s)
        steps, flow, unserved_kw = self._balance(steps, step_s)
        for name, step in steps.items():
            self._states[name] = step.state
        self._flow = flow
        self._now = start + timedelta(seconds=step_s)
        self._drop_expired()
        self._move_to(int((self._now - self.grid.start).total_seconds() / self.grid.step_s))
        import_kw = flow.slack_p_kw if self._on_grid else 0.0
        self._import_kwh = self._import_kwh + larger(import_kw, 0.0) * step_s / SECONDS_PER_HOUR
        used_kw = sum_of([step.p_kw for step in steps.values()]) + flow.losses_kw
        return PlantStep(
            start=start,
            step_s=step_s,
            steps=steps,
            flow=flow,
            import_kw=import_kw,
            unserved_kw=unserved_kw,
            balance_residual_kw=import_kw + unserved_kw - used_kw,
        )

    def _walk(self, step_s: float) -> dict[str, AnyStep]:
        """Step every device but the slack from the present state, without keeping the result."""
        steps = dict[str, AnyStep]()
        for name, device, serves in self._ordinary:
            served = [steps[other] for other in serves] if serves else ()
            steps[name] = device.step(self._states[name], self._followed[name], self._present[name], served, step_s)
        return steps

    def _step(
        self, name: str, device: Device[Any], setpoint: Num, steps: Mapping[str, AnyStep], step_s: float
    ) -> AnyStep:
        served = [steps[other] for other in device.serves]
        return device.step(self._states[name], setpoint, self._present[name], served, step_s)

    def _move_to(self, index: int) -> None:
        """Let the inputs of one interval of the weather's grid act; after its end, those of the last."""
        index = min(index, self.grid.steps - 1)
        self._present: Mapping[str, Values] = {
            name: {key: series[index] for key, series in drive.items()} for name, drive in self._drives.items()
        }

    def _solve(self, steps: Mapping[str, AnyStep]) -> FlowResult:
        load: list[Any] = [0j] * len(self.power_flow.buses)
        for name, step in steps.items():
            load[self._bus[name]] += step.p_kw + 1j * step.q_kvar
        if self.scenarios > 1:
            load = [np.broadcast_to(value, (self.scenarios,)) for value in load]
        return self.power_flow.solve_load(np.array(load, dtype=np.complex128).T)

    def _balance(self, steps: dict[str, AnyStep], step_s: float) -> tuple[dict[str, AnyStep], FlowResult, Num]:
        """Close the balance: by the grid, or by the grid-forming device with what is left over."""
        if self._on_grid:
            return steps, self._solve(steps), 0.0
        steps, flow = self._throttled(steps, step_s)
        name = self._slack
        former = self._step(name, self.site.devices[name], -flow.slack_p_kw, steps, step_s)
        unserved_kw = former.p_kw + flow.slack_p_kw
        return steps | {name: former}, flow, unserved_kw

    def _throttled(self, steps: dict[str, AnyStep], step_s: float) -> tuple[dict[str, AnyStep], FlowResult]:
        """Generation falls back by itself when the grid-forming device cannot take the surplus.

        Real inverters do this on rising frequency (frequency-watt, IEEE 1547-2018 clause 6.5.2). With less
        power the network loses less, so that a few rounds are needed; each comes fifty times closer.
        """
        flow = self._solve(steps)
        room_kw = self._step(self._slack, self.site.devices[self._slack], 1e9, steps, step_s).p_kw
        for _ in range(MAX_THROTTLE_ROUNDS):
            excess_kw = larger(-flow.slack_p_kw - room_kw, 0.0)
            if not any_true(excess_kw > NO_SURPLUS_KW):
                break
            steps = self._cut(steps, excess_kw, step_s)
            flow = self._solve(steps)
        return steps, flow

    def _cut(self, steps: dict[str, AnyStep], excess_kw: Num, step_s: float) -> dict[str, AnyStep]:
        """Take `excess_kw` from the renewable generators, as far as they have it, in the order of the site file."""
        cut = dict(steps)
        for name, device, _ in self._ordinary:
            if device.group is Group.RENEWABLES:
                by_kw = clip(excess_kw, 0.0, -steps[name].p_kw)
                excess_kw = excess_kw - by_kw
                limit_kw = smaller(self.setpoint(name), -steps[name].p_kw - by_kw)
                cut[name] = self._step(name, device, limit_kw, steps, step_s)
        return cut

    def _slack_picture(self, steps: Mapping[str, AnyStep]) -> tuple[Num, Values]:
        """Power at the connection point (or of the grid-forming device) under present inputs."""
        left_over_kw = sum_of([step.p_kw for step in steps.values()]) + self._flow.losses_kw
        name = self._slack
        if self._on_grid:
            return left_over_kw, {}
        former = self._step(name, self.site.devices[name], -left_over_kw, steps, 1.0)
        return former.p_kw, former.points

    def _show_network(self, shown: dict[str, Num], steps: Mapping[str, AnyStep]) -> None:
        """Reactive power and voltage at every device."""
        v_pu = self._flow.v_pu if self.scenarios > 1 else self._flow.v_pu.tolist()
        q_kvar = {name: step.q_kvar for name, step in steps.items()} | {self._slack: self._flow.slack_q_kvar}
        for name, value in q_kvar.items():
            label = self._labels[name]
            shown[label["q_kvar"]], shown[label["v_pu"]] = value, v_pu[self._bus[name]]

    def _show(self, shown: dict[str, Num], name: str, p_kw: Num, points: Values) -> None:
        label = self._labels[name]
        shown[label["p_kw"]] = p_kw
        for point, value in points.items():
            shown[label[point]] = value


def sum_of(values: Iterable[Num]) -> Num:
    """Sum of numbers over devices, per scenario."""
    return sum(values, 0.0)
