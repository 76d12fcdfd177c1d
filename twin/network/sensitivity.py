"""First-order change of a solved flow with consumption, slack voltage and branch parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twin.network.admittance import ComplexArray
from twin.network.power_flow import PowerFlow
from twin.numeric import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowSlopes:
    """Slopes of the flow's results, one row for each cause."""

    v_pu: FloatArray
    """(causes, buses)"""
    slack_kva: ComplexArray
    """(causes,): active and reactive power from the slack."""
    branch_p_kw: FloatArray
    """(causes, branches), at the from (hv) end."""
    losses_kw: FloatArray
    """(causes,)"""


class Linearisation:
    """The flow near one operating point: exact derivatives of the equations that `PowerFlow` solves."""

    def __init__(self, power_flow: PowerFlow, load: ComplexArray, voltage: ComplexArray) -> None:
        self._network = power_flow.network
        self._newton = power_flow.newton_matrix(load, voltage)
        self._voltage = voltage
        self._at_place = voltage[self._network.place_bus]
        self._current = self._network.matrix @ voltage

    def of_loads(self, loads: ComplexArray) -> FlowSlopes:
        """Per unit of each row of `loads`, (causes, buses) in kVA."""
        forced = -(loads / self._voltage).conj() @ self._network.impedance.T
        return self._slopes(forced, loads[:, self._network.slack])

    def of_slack_voltage(self) -> FlowSlopes:
        """Per pu of slack voltage; one cause."""
        return self._slopes(self._network.open_circuit[None, :], np.zeros(1, dtype=np.complex128))

    def of_parameters(self) -> FlowSlopes:
        """Per relative change of resistance, of reactance and of shunt of each branch, in this order."""
        network, buses, branches = self._network, len(self._network.buses), len(self._network.branches)
        ends = network.place_bus[buses:].reshape(2, branches)
        changed = np.einsum("cbet,tb->ceb", network.parameter_slopes, self._voltage[ends])
        currents = np.zeros((3, branches, len(network.place_bus)), dtype=np.complex128)
        each = np.arange(branches)
        for end in (0, 1):
            currents[:, each, buses + end * branches + each] = changed[:, end]
            currents[:, each, ends[end]] += changed[:, end]
        by_cause = currents.reshape(3 * branches, -1)
        forced = -by_cause[:, :buses] @ network.impedance.T
        return self._slopes(forced, np.zeros(3 * branches, dtype=np.complex128), by_cause)

    def _slopes(
        self, forced: ComplexArray, slack_load: ComplexArray, own_currents: ComplexArray | float = 0.0
    ) -> FlowSlopes:
        """From what each cause does to the voltages if all currents stayed, to what it does to everything."""
        network, buses, branches = self._network, len(self._network.buses), len(self._network.branches)
        voltage = (np.ascontiguousarray(forced).view(np.float64) @ self._newton).view(np.complex128)
        current = voltage @ network.matrix.T + own_currents
        power = voltage[:, network.place_bus] * self._current.conj() + self._at_place * current.conj()
        return FlowSlopes(
            v_pu=(voltage * self._voltage.conj()).real / np.abs(self._voltage),
            slack_kva=power[:, network.slack] + slack_load,
            branch_p_kw=power[:, buses : buses + branches].real,
            losses_kw=power[:, buses:].real.sum(axis=1),
        )
