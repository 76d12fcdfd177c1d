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
from typing import Any, cast

from twin.devices.base import Device, Group, Step, Values
from twin.devices.inverter import reactive_of
from twin.drives import Drives
from twin.network.power_flow import FlowResult
from twin.numeric import Flag, Num, any_true, clip, larger, smaller, where
from twin.points import Command, Outcome, Receipt, Snapshot, good_readings
from twin.quick import quick
from twin.scenario import seeds_of
from twin.site import Site
from twin.site_network import Network, NetworkInMemory
from twin.units import SECONDS_PER_HOUR
from twin.weather import Weather

AnyStep = Step[Any]
MAX_THROTTLE_ROUNDS = 6
NO_SURPLUS_KW = 1e-6
NOTHING: Values = {}
"""Acts on a device that nothing acts on."""


class Labels(dict[str, str]):
    """Name of an instrument → its point, for one device; each is put together once."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self._device = device

    def __missing__(self, name: str) -> str:
        point = self[name] = f"{self._device}.{name}"
        return point


@dataclass(slots=True, kw_only=True)
class PlantMemory:
    """All that a plant carries from one step to the next."""

    now: datetime
    states: dict[str, Any]
    followed: dict[str, Num]
    """Device → the setpoint that it follows: its command, or its safe setpoint once that has expired."""
    losses_kw: Num = 0.0
    """Of the network in the step before, for meters that are read without a power flow."""
    unserved_kw: Num = 0.0
    """As `losses_kw`: taken by devices, but not from the grid."""
    import_kwh: Num = 0.0
    """Counter of the connection's meter."""


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


def simulated_plant(
    site: Site, weather: Weather, seeds: Sequence[int] = (0,), *, present_flow: bool = False
) -> SimulatedPlant:
    """A site under some weather, one scenario for each seed; see `SimulatedPlant`."""
    drives, network = Drives(site, {None: weather}, seeds_of(seeds)), NetworkInMemory(site, seeds_of(seeds))
    return SimulatedPlant(site, drives, network, present_flow=present_flow)


class SimulatedPlant:
    """A site as physics: devices and network, over one or many scenarios."""

    def __init__(
        self,
        site: Site,
        drives: Drives,
        network: Network,
        *,
        memory: PlantMemory | None = None,
        present_flow: bool = False,
    ) -> None:
        """With `present_flow`, each `read` solves the network for the instant it shows, and meters show voltage
        and reactive power; without, they do not, and losses are those of the step before: all that a fast
        simulation needs, in which nobody estimates the network. Without `memory` a run begins."""
        self.site, self.network = site, network
        self._slack, self._on_grid = site.slack, site.grid is not None
        self._present_flow = present_flow
        self.scenarios, self.grid = drives.scenarios, drives.grid
        ordinary = evaluation_order(site.devices, site.slack)[:-1]
        self._ordinary = tuple((name, site.devices[name], tuple(site.devices[name].serves)) for name in ordinary)
        self._drives = drives
        self._valid_until: dict[str, datetime] = {}
        self._bus = {name: network.buses.index(device.bus) for name, device in site.devices.items()}
        self._labels = {name: Labels(name) for name in site.devices}
        self._flow: FlowResult | None = None
        self.memory = memory or PlantMemory(
            now=drives.grid.start,
            states={name: device.initial() for name, device in site.devices.items()},
            followed={name: device.free_setpoint for name, device in site.devices.items()},
        )
        self._move_to_now()
        if memory is None:
            network.at(self.now)
            self._take(self._solve(self._walk(1.0)))

    def _take(self, flow: FlowResult) -> None:
        self._flow, self.memory.losses_kw = flow, flow.losses_kw
        self.memory.unserved_kw = self.network.unserved_kw

    @property
    def now(self) -> datetime:
        return self.memory.now

    @property
    def flow(self) -> FlowResult:
        """The true network at present; instruments see a part of it."""
        return cast(FlowResult, self._flow)

    def setpoint(self, name: str) -> Num:
        """What a device follows at present: its command, or its safe setpoint once that has expired."""
        return self.memory.followed[name]

    def _drop_expired(self) -> None:
        """The dead-man of every device: what was not renewed in time is forgotten."""
        for name, valid_until in self._valid_until.items():
            if valid_until <= self.now:
                self.memory.followed[name] = self.site.devices[name].safe_setpoint

    def read(self, now: datetime) -> Snapshot:
        """What every meter shows, without noise, under present inputs."""
        steps = self._walk(1.0)
        if self._present_flow:
            self._take(self._solve(steps))
        slack, shown = self._slack, dict[str, Num]()
        for name, step in steps.items():
            self._show(shown, name, step.p_kw, step.points)
        slack_p_kw, slack_points = self._slack_picture(steps)
        self._show(shown, slack, slack_p_kw, slack_points)
        if self._present_flow:
            self._show_network(shown, steps)
        if self._on_grid:
            shown[self._labels[slack]["import_kwh"]] = self.memory.import_kwh
        return Snapshot(now=now, readings=good_readings(shown, now))

    def apply(self, commands: Sequence[Command], now: datetime) -> tuple[Receipt, ...]:
        """Every command is taken; what a device cannot do shows in its power."""
        for command in commands:
            self._valid_until[command.device] = command.valid_until
            self.memory.followed[command.device] = command.value
        self._drop_expired()
        return tuple(Receipt(command=item, outcome=Outcome.APPLIED, read_back=item.value) for item in commands)

    def close(self) -> None:
        """Nothing to release."""

    def advance(self, step_s: float) -> PlantStep:
        """Let `step_s` seconds pass; they may not cross into the next interval of the weather's grid."""
        start, memory, steps = self.now, self.memory, self._walk(step_s)
        self.network.at(start)
        steps, flow, unserved_kw = self._balance(steps, step_s)
        for name, step in steps.items():
            memory.states[name] = step.state
        self._take(flow)
        memory.now = start + timedelta(seconds=step_s)
        self._drop_expired()
        self._move_to_now()
        import_kw = flow.slack_p_kw if self._on_grid else 0.0
        memory.import_kwh = memory.import_kwh + larger(import_kw, 0.0) * step_s / SECONDS_PER_HOUR
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
        steps, present = dict[str, AnyStep](), self._present
        states, followed = self.memory.states, self.memory.followed
        for name, device, serves in self._ordinary:
            served = [steps[other] for other in serves] if serves else ()
            steps[name] = device.step(states[name], followed[name], present.get(name, NOTHING), served, step_s)
        return steps

    def _step(
        self, name: str, device: Device[Any], setpoint: Num, steps: Mapping[str, AnyStep], step_s: float
    ) -> AnyStep:
        served = [steps[other] for other in device.serves]
        return device.step(self.memory.states[name], setpoint, self._present.get(name, NOTHING), served, step_s)

    def _move_to_now(self) -> None:
        """Let the inputs of the present interval of the weather's grid act; after its end, those of the last."""
        self._present = self._drives.at(int((self.now - self.grid.start).total_seconds() / self.grid.step_s))

    def _solve(
        self, steps: Mapping[str, AnyStep], changed: Flag = True, before: FlowResult | None = None
    ) -> FlowResult:
        p_kw: list[Num] = [0.0] * len(self.network.buses)
        q_kvar = p_kw.copy()
        for name, step in steps.items():
            bus = self._bus[name]
            p_kw[bus], q_kvar[bus] = p_kw[bus] + step.p_kw, q_kvar[bus] + step.q_kvar
        available_kvar = [self._available_kvar(name, steps) for name in self.network.by_voltage]
        if before is None:
            return self.network.solve(p_kw, q_kvar, available_kvar)
        return self.network.solve_again(p_kw, q_kvar, available_kvar, changed, before)

    def _available_kvar(self, name: str, steps: Mapping[str, AnyStep]) -> Num:
        reactive = reactive_of(self.site.devices[name])
        return reactive.available_kvar(steps[name].p_kw) if reactive is not None and name in steps else 0.0

    def _balance(self, steps: dict[str, AnyStep], step_s: float) -> tuple[dict[str, AnyStep], FlowResult, Num]:
        """Close the balance: by the grid, or by the grid-forming device with what is left over."""
        if self._on_grid:
            flow = self._solve(steps)
            return steps, flow, self.network.unserved_kw
        steps, flow = self._throttled(steps, step_s)
        name = self._slack
        former = self._step(name, self.site.devices[name], -flow.slack_p_kw, steps, step_s)
        unserved_kw = former.p_kw + flow.slack_p_kw + self.network.unserved_kw
        return steps | {name: former}, flow, unserved_kw

    def _throttled(self, steps: dict[str, AnyStep], step_s: float) -> tuple[dict[str, AnyStep], FlowResult]:
        """Generation falls back by itself when the grid-forming device cannot take the surplus.

        Real inverters do this on rising frequency (frequency-watt, IEEE 1547-2018 clause 6.5.2). With less
        power the network loses less, so that a few rounds are needed; each comes fifty times closer.
        """
        flow = self._solve(steps)
        room_kw = self._step(self._slack, self.site.devices[self._slack], 1e9, steps, step_s).p_kw
        limits = dict(self.memory.followed)
        for _ in range(MAX_THROTTLE_ROUNDS):
            excess_kw = larger(-flow.slack_p_kw - room_kw, 0.0)
            too_much = excess_kw > NO_SURPLUS_KW
            if not any_true(too_much):
                break
            steps = self._cut(steps, limits, excess_kw, step_s)
            flow = self._solve(steps, too_much, flow)
        return steps, flow

    def _cut(
        self, steps: dict[str, AnyStep], limits: dict[str, Num], excess_kw: Num, step_s: float
    ) -> dict[str, AnyStep]:
        """Take `excess_kw` from the renewable generators, as far as they have it, in the order of the site file.

        It lowers their `limits`, which hold what was taken before.
        """
        cut = dict(steps)
        for name, device, _ in self._ordinary:
            if device.group is Group.RENEWABLES:
                by_kw = clip(excess_kw, 0.0, -steps[name].p_kw)
                excess_kw = excess_kw - by_kw
                lower_kw = smaller(limits[name], -steps[name].p_kw - by_kw)
                limits[name] = where(by_kw > 0.0, lower_kw, limits[name])
                cut[name] = self._step(name, device, limits[name], steps, step_s)
        return cut

    def _slack_picture(self, steps: Mapping[str, AnyStep]) -> tuple[Num, Values]:
        """Power at the connection point (or of the grid-forming device) under present inputs."""
        left_over_kw = sum_of([step.p_kw for step in steps.values()]) + self.memory.losses_kw - self.memory.unserved_kw
        name = self._slack
        if self._on_grid:
            return left_over_kw, {}
        former = self._step(name, self.site.devices[name], -left_over_kw, steps, 1.0)
        return former.p_kw, former.points

    def _show_network(self, shown: dict[str, Num], steps: Mapping[str, AnyStep]) -> None:
        """Reactive power and voltage at every device."""
        flow = self.flow
        v_pu = flow.v_pu if self.scenarios > 1 else flow.v_pu.tolist()
        q_kvar = {name: step.q_kvar for name, step in steps.items()} | {self._slack: flow.slack_q_kvar}
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
