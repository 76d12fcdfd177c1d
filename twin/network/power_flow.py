"""AC power flow of the site, kept in memory: some 1000 times faster than `pandapower.runpp`, same answer.

The buses hold no voltage but the slack, so the flow is the fixed point of the current injection
equation ``V = V₀ − Z·conj(S/V)`` with ``Z`` the inverse of the bus admittance matrix without its
slack row and V₀ the open-circuit voltages. It is solved with Newton's method in rectangular
coordinates whose Jacobian is kept from solve to solve (da Costa, Martins and Pereira 1999,
"Developments in the Newton Raphson power flow formulation based on current injections",
doi:10.1109/59.801891): the site moves little from one step to the next. All scenarios iterate
together as matrix products. Matrices are dense, which is the faster way up to about 100 buses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from twin.errors import PowerFlowError
from twin.network.admittance import ComplexArray, admittance, run_pandapower
from twin.network.build import build_net
from twin.network.topology import Topology
from twin.numeric import FloatArray, Num

TOLERANCE_PU = 1e-9
"""Step below which the iteration ends; the step is still taken, which leaves about a hundredth of it or less."""
MAX_CHORD_STEPS = 16
MAX_NEWTON_STEPS = 30
FRESH_ENOUGH_STEPS = 7
"""A kept Jacobian that needs more steps than this is computed anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowResult:
    """A solved flow. Arrays have the shape ``(buses,)`` or ``(branches,)``, or that and a scenario axis."""

    slack_p_kw: Num
    """From the grid, or the grid-forming device, into the network; positive is import."""
    slack_q_kvar: Num
    losses_kw: Num
    """Of all branches: what goes in at one end and does not come out at the other."""
    v_pu: FloatArray
    branch_p_kw: FloatArray
    """Into the from (hv) end."""
    loading_fraction: FloatArray
    """Current at the more loaded end, of the rated current."""
    residual_kw: Num
    """Largest active power that is unaccounted for at any bus."""


class PowerFlow:
    """The site's network, ready to be solved for any consumption at its buses.

    It starts each solution from the previous one, so one object serves one thread.
    """

    def __init__(self, topology: Topology, slack_bus: str) -> None:
        self.network = admittance(topology, slack_bus)
        self.buses = self.network.buses
        self.branches = self.network.branches
        self._impedance_t = np.ascontiguousarray(self.network.impedance.T)
        self._matrix_t = np.ascontiguousarray(self.network.matrix.T)
        self._every_end = np.ones(2 * len(self.branches))
        self._rated_open_circuit = self.network.open_circuit * self.network.slack_v_pu
        self._warm = self.network.seed
        self._newton = self.newton_matrix(np.zeros_like(self._warm), self._warm)

    def solve(self, p_kw: FloatArray, q_kvar: FloatArray, slack_v_pu: Num | None = None) -> FlowResult:
        """The flow with `p_kw` and `q_kvar` consumed at `buses`; each ``(buses,)`` or ``(buses, scenarios)``.

        Generation is negative consumption. Raises `PowerFlowError` where there is no solution.
        """
        load = as_load(p_kw, q_kvar)
        return self._result(load, self.voltages(load, slack_v_pu))

    def voltages(self, load: ComplexArray, slack_v_pu: Num | None = None) -> ComplexArray:
        """Complex bus voltages, pu, at a complex `load` in kVA; both ``(buses,)`` or ``(scenarios, buses)``."""
        if slack_v_pu is None:
            open_circuit = self._rated_open_circuit
        else:
            open_circuit = np.multiply.outer(slack_v_pu, self.network.open_circuit)
        if self._warm.shape != load.shape:
            self._warm = np.broadcast_to(self.network.seed, load.shape).copy()
        with np.errstate(all="ignore"):
            solved = self._chord(load, open_circuit)
            self._warm = solved if solved is not None else self._from_seed(load, open_circuit)
        return self._warm

    def _chord(self, load: ComplexArray, open_circuit: ComplexArray) -> ComplexArray | None:
        """Newton's method with the kept Jacobian; None where it does not converge."""
        voltage: ComplexArray = self._warm
        for step in range(MAX_CHORD_STEPS):
            mismatch = voltage - open_circuit + (load / voltage).conj().dot(self._impedance_t)
            parts = mismatch.view(np.float64)
            voltage = voltage - parts.dot(self._newton).view(np.complex128)
            flat = parts.ravel()
            if flat.dot(flat) < TOLERANCE_PU**2:
                if step > FRESH_ENOUGH_STEPS:
                    self._newton = self.newton_matrix(*_typical(load, voltage))
                return voltage
        return None

    def _from_seed(self, load: ComplexArray, open_circuit: ComplexArray) -> ComplexArray:
        """Full Newton from the unloaded network, scenario by scenario."""
        loads = np.atleast_2d(load)
        starts = np.broadcast_to(open_circuit, loads.shape)
        solved = [
            self._full_newton(row, start, scenario)
            for scenario, (row, start) in enumerate(zip(loads, starts, strict=True))
        ]
        voltage = np.array(solved).reshape(load.shape)
        self._newton = self.newton_matrix(*_typical(load, voltage))
        return voltage

    def _full_newton(self, load: ComplexArray, open_circuit: ComplexArray, scenario: int) -> ComplexArray:
        voltage = open_circuit
        for _ in range(MAX_NEWTON_STEPS):
            mismatch = voltage - open_circuit + (load / voltage).conj() @ self._impedance_t
            if not np.isfinite(mismatch).all():
                break
            if np.abs(mismatch).max() < TOLERANCE_PU / 100:
                return voltage
            try:
                newton = self.newton_matrix(load, voltage)
            except np.linalg.LinAlgError:
                break
            voltage = voltage - (mismatch.view(np.float64) @ newton).view(np.complex128)
        raise self._no_solution(load, scenario)

    def _no_solution(self, load: ComplexArray, scenario: int) -> PowerFlowError:
        """The bus whose own load drags its voltage down furthest is the one to look at."""
        worst = int(np.nan_to_num(np.abs(load * np.diag(self.network.impedance)), nan=np.inf).argmax())
        p_kw, q_kvar = load[worst].real, load[worst].imag
        return PowerFlowError(
            f"no power flow solution in scenario {scenario}; "
            f"the most strained bus is {self.buses[worst]} with {p_kw:.1f} kW and {q_kvar:.1f} kvar"
        )

    def newton_matrix(self, load: ComplexArray, voltage: ComplexArray) -> FloatArray:
        """Inverse Jacobian of the current injection equation, transposed, real and imaginary parts interleaved."""
        slope = self.network.impedance * (load / voltage**2).conj()
        jacobian = np.eye(2 * len(voltage))
        jacobian[0::2, 0::2] -= slope.real
        jacobian[0::2, 1::2] -= slope.imag
        jacobian[1::2, 0::2] -= slope.imag
        jacobian[1::2, 1::2] += slope.real
        return cast(FloatArray, np.ascontiguousarray(np.linalg.inv(jacobian).T))

    def _result(self, load: ComplexArray, voltage: ComplexArray) -> FlowResult:
        network, buses, branches = self.network, len(self.buses), len(self.branches)
        current = voltage.dot(self._matrix_t)
        power = voltage.take(network.place_bus, axis=-1) * current.conj()
        unaccounted = power[..., :buses] + load
        slack = unaccounted[..., network.slack]
        slack_p_kw, slack_q_kvar = as_num(slack.real), as_num(slack.imag)
        unaccounted[..., network.slack] = 0.0
        end_p_kw = power[..., buses:].real
        end_a_pu = np.abs(current[..., buses:])
        return FlowResult(
            slack_p_kw=slack_p_kw,
            slack_q_kvar=slack_q_kvar,
            losses_kw=as_num(end_p_kw.dot(self._every_end)),
            v_pu=np.abs(voltage).T,
            branch_p_kw=end_p_kw[..., :branches].T,
            loading_fraction=(np.maximum(end_a_pu[..., :branches], end_a_pu[..., branches:]) / network.rated_a_pu).T,
            residual_kw=as_num(np.abs(unaccounted.real).max(axis=-1)),
        )


def as_load(p_kw: FloatArray, q_kvar: FloatArray) -> ComplexArray:
    """Consumption as complex power, kVA, scenarios first."""
    load = np.empty(p_kw.shape[::-1], dtype=np.complex128)
    load.real, load.imag = p_kw.T, q_kvar.T
    return load


def as_num(value: np.float64 | FloatArray) -> Num:
    """A plain float for one scenario."""
    return value.copy() if isinstance(value, np.ndarray) else float(value)


def _typical(load: ComplexArray, voltage: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
    """The operating point itself, or the mean over scenarios."""
    return (load, voltage) if load.ndim == 1 else (load.mean(axis=0), voltage.mean(axis=0))


def solve_with_pandapower(topology: Topology, slack_bus: str, p_kw: FloatArray, q_kvar: FloatArray) -> FlowResult:
    """The same flow by `pandapower.runpp`, one scenario: the oracle of tests and benchmarks."""
    net = build_net(topology, slack_bus)
    net.load["p_mw"], net.load["q_mvar"] = p_kw / 1e3, q_kvar / 1e3
    run_pandapower(net)
    lines, units = net.res_line, net.res_trafo
    return FlowResult(
        slack_p_kw=float(net.res_ext_grid["p_mw"].iloc[0] * 1e3),
        slack_q_kvar=float(net.res_ext_grid["q_mvar"].iloc[0] * 1e3),
        losses_kw=float((lines["pl_mw"].sum() + units["pl_mw"].sum()) * 1e3),
        v_pu=net.res_bus["vm_pu"].to_numpy(),
        branch_p_kw=np.concatenate([lines["p_from_mw"], units["p_hv_mw"]]) * 1e3,
        loading_fraction=np.concatenate([lines["loading_percent"], units["loading_percent"]]) / 100,
        residual_kw=float(np.abs(net.res_bus["p_mw"].sum() + lines["pl_mw"].sum() + units["pl_mw"].sum()) * 1e3),
    )
