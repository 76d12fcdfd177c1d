"""The power flow of a site as its simulator asks for it: consumption bus by bus, one or many scenarios.

Scenarios differ in what is out of service and in where tap changers stand. While all are in the normal position,
which is nearly always, they are solved together by one `PowerFlow`; else position by position.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

import numpy as np

from twin.devices.inverter import reactive_of
from twin.errors import PowerFlowError
from twin.network.power_flow import FlowResult, PowerFlow
from twin.network.switched_flow import SwitchedPowerFlow
from twin.network.switching import NetworkState
from twin.network.taps import at_steps, held_bus, next_steps, tap_changers
from twin.network.volt_var import VoltVar
from twin.numeric import Flag, FloatArray, Num
from twin.scenario import Outage, Scenario
from twin.site import Site

ByBus = Sequence[Num] | FloatArray
"""One number for each bus, or a table ``(buses, scenarios)``."""


class Network(Protocol):
    """The power flow of a site, for consumption bus by bus."""

    unserved_kw: Num
    """Of the flow solved last: consumption, less generation, at buses that no source reaches."""

    @property
    def failed(self) -> Mapping[int, str]:
        """Scenario → when and why its flow had no solution. Its numbers mean nothing from then on."""
        ...

    @property
    def buses(self) -> Sequence[str]: ...

    @property
    def branches(self) -> Sequence[str]: ...

    def at(self, now: datetime) -> None:
        """From now on the network is as it is at this instant."""
        ...

    @property
    def by_voltage(self) -> Sequence[str]:
        """Devices whose reactive power follows their voltage."""
        ...

    def solve(self, p_kw: ByBus, q_kvar: ByBus, available_kvar: ByBus) -> FlowResult:
        """The flow with so much consumed at each of `buses`, and so much at hand of each device `by_voltage`.

        Raises `PowerFlowError` where there is none.
        """
        ...

    def solve_again(
        self, p_kw: ByBus, q_kvar: ByBus, available_kvar: ByBus, changed: Flag, before: FlowResult
    ) -> FlowResult:
        """As `solve`; where nothing has changed it is the flow of `before`."""
        ...


class NetworkInMemory:
    """The network of a site with its power flow. Tap changers stay where they came to rest."""

    def __init__(self, site: Site, scenarios: Sequence[Scenario] = (Scenario(),)) -> None:
        self._scenarios, self._source = scenarios, site.slack
        self._slack_bus = site.devices[site.slack].bus
        self._switched = SwitchedPowerFlow(site.network, {site.slack: self._slack_bus})
        self.buses, self.branches = self._switched.buses, self._switched.branches
        self._whole = _is_whole(self._switched)
        self._volt_var = _volt_var(site)
        self.by_voltage = tuple(self._volt_var)
        self._changers = tap_changers(site.network)
        self._held = {name: self.buses.index(held_bus(site.network, name)) for name in self._changers}
        self._steps: dict[str, Num] = {name: float(taps.position_steps) for name, taps in self._changers.items()}
        self._plain: dict[tuple[float, ...], PowerFlow] = {}
        self._instants = sorted({at for one in scenarios for item in one.outages for at in (item.start, item.end)})
        self._states: list[NetworkState] | None = None
        self._held_kvar: dict[str, Num] = {}
        self.unserved_kw: Num = 0.0
        self._failed: dict[int, str] = {}
        self._bus_of = {name: device.bus for name, device in site.devices.items()}
        self._goes_on = np.ones(len(scenarios))
        self._now = datetime.min.replace(tzinfo=UTC)

    def at(self, now: datetime) -> None:
        """Outages begin and end here."""
        self._now = now
        if not self._instants:
            return
        out = [[item for item in scenario.outages if item.start <= now < item.end] for scenario in self._scenarios]
        self._states = [self._state(items) for items in out] if any(out) else None

    def _state(self, outages: Sequence[Outage]) -> NetworkState:
        elements = {item.element for item in outages}
        sources = elements & {self._source}
        return self._switched.normal.without(branches=elements - sources, sources=sources)

    def solve(self, p_kw: ByBus, q_kvar: ByBus, available_kvar: ByBus = ()) -> FlowResult:
        """Of many scenarios, one without a solution is given up, and goes on without any load; see `failed`."""
        p_kw, q_kvar = self._laid_out(p_kw), self._laid_out(q_kvar)
        inverters = [replace(one, available_kvar=kvar) for one, kvar in self._inverters(available_kvar)]
        if self._failed:
            p_kw, q_kvar = p_kw * self._goes_on, q_kvar * self._goes_on
        try:
            return self._solve(p_kw, q_kvar, inverters)
        except PowerFlowError as error:
            if len(self._scenarios) == 1:
                raise PowerFlowError(self._told(error)) from error
        self._give_up(p_kw, q_kvar)
        return self._solve(p_kw * self._goes_on, q_kvar * self._goes_on, inverters)

    def _inverters(self, available_kvar: ByBus) -> Iterator[tuple[VoltVar, Num]]:
        if self.by_voltage:
            yield from zip(self._volt_var.values(), self._laid_out(available_kvar), strict=True)

    def _solve(self, p_kw: FloatArray, q_kvar: FloatArray, inverters: Sequence[VoltVar]) -> FlowResult:
        plainly = self._states is None and self._whole
        flow = self._solve_plainly(p_kw, q_kvar, inverters) if plainly else None
        return self._solve_by_position(p_kw, q_kvar) if flow is None else flow

    def _give_up(self, p_kw: FloatArray, q_kvar: FloatArray) -> None:
        """Find out which scenarios have no solution, and why: each by itself."""
        for scenario in np.flatnonzero(self._goes_on).tolist():
            state = self._states[scenario] if self._states else None
            steps = {name: float(np.broadcast_to(v, len(self._goes_on))[scenario]) for name, v in self._steps.items()}
            try:
                self._switched.solve(p_kw[:, scenario], q_kvar[:, scenario], state=state, tap_steps=steps)
            except PowerFlowError as error:
                self._failed[scenario], self._goes_on[scenario] = self._told(error), 0.0

    def _told(self, error: PowerFlowError) -> str:
        """When, where, and which devices stand there."""
        strained = next((bus for bus in self.buses if f" {bus} with " in str(error)), None)
        here = [name for name, bus in self._bus_of.items() if bus == strained]
        return f"{self._now:%Y-%m-%d %H:%M} UTC: {error}" + (f" (there: {', '.join(here)})" if here else "")

    @property
    def failed(self) -> Mapping[int, str]:
        return self._failed

    def solve_again(
        self, p_kw: ByBus, q_kvar: ByBus, available_kvar: ByBus, changed: Flag, before: FlowResult
    ) -> FlowResult:
        """What has not changed is found again within the tolerance."""
        del changed, before
        return self.solve(p_kw, q_kvar, available_kvar)

    def _solve_plainly(self, p_kw: FloatArray, q_kvar: FloatArray, inverters: Sequence[VoltVar]) -> FlowResult | None:
        """All in one position, and none that changes it; None where that is not so."""
        steps = tuple(value for value in self._steps.values() if isinstance(value, float))
        if len(steps) < len(self._steps):
            return None
        flow = self._plain_flow(steps).solve(p_kw, q_kvar, volt_var=inverters)
        self.unserved_kw = 0.0
        for one in inverters:
            self._held_kvar[one.bus] = one.q_kvar(flow.v_pu[self.buses.index(one.bus)])
        return flow if self._at_rest(flow.v_pu) else None

    def _plain_flow(self, steps: tuple[float, ...]) -> PowerFlow:
        found = self._plain.get(steps)
        if found is None:
            positions = dict(zip(self._steps, map(int, steps), strict=True))
            found = self._plain[steps] = PowerFlow(at_steps(self._switched.topology, positions), self._slack_bus)
        return found

    def _at_rest(self, v_pu: FloatArray) -> bool:
        """Whether no tap changer wants to move."""
        for name, taps in self._changers.items():
            held_pu, on_load = v_pu[self._held[name]], taps.on_load
            if on_load is None or _within(held_pu, on_load.min_v_pu, on_load.max_v_pu):
                continue
            steps = np.asarray(self._steps[name], dtype=np.intp)
            if (next_steps(taps, steps, held_pu) != steps).any():
                return False
        return True

    def _solve_by_position(self, p_kw: FloatArray, q_kvar: FloatArray) -> FlowResult:
        """Inverters hold the reactive power that they had last: switching is quicker than they are."""
        for bus, kvar in self._held_kvar.items():
            q_kvar = q_kvar.copy()
            q_kvar[self.buses.index(bus)] += kvar
        alone = len(self._scenarios) == 1
        states = self._states[0] if self._states and alone else self._states
        flow = self._switched.solve(p_kw, q_kvar, state=states, tap_steps=self._steps)
        self._steps = {name: _one_if_equal(value) for name, value in flow.tap_steps.items()}
        dark_kw = (p_kw * ~flow.supplied).sum(axis=0)
        self.unserved_kw = float(dark_kw) if alone else dark_kw
        return flow

    def _laid_out(self, by_bus: ByBus) -> FloatArray:
        scenarios = len(self._scenarios)
        if isinstance(by_bus, np.ndarray):
            return by_bus[:, 0] if scenarios == 1 else by_bus
        if scenarios == 1:
            return np.array(by_bus, dtype=np.float64)
        return np.array([np.broadcast_to(value, (scenarios,)) for value in by_bus])


def _volt_var(site: Site) -> dict[str, VoltVar]:
    """Device → what of its inverter never changes."""
    found = {name: reactive_of(device) for name, device in site.devices.items()}
    return {
        name: VoltVar(bus=site.devices[name].bus, curve=reactive.volt_var, available_kvar=0.0)
        for name, reactive in found.items()
        if reactive is not None and reactive.volt_var is not None
    }


def _is_whole(switched: SwitchedPowerFlow) -> bool:
    """Whether in the normal position every bus is a node of its own and every branch is closed at both ends."""
    energised = switched.energised()
    if len(energised.islands) != 1:
        return False
    island = energised.islands[0].topology
    return tuple(island.buses) == switched.buses and island.branches == switched.branches


def _within(value: FloatArray | np.float64, low: float, high: float) -> bool:
    if isinstance(value, np.ndarray):
        return bool(value.min() >= low and value.max() <= high)
    return bool(low <= value <= high)


def _one_if_equal(value: Num) -> Num:
    """One position for all scenarios where they are in the same."""
    return float(value.flat[0]) if isinstance(value, np.ndarray) and (value == value.flat[0]).all() else value
