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
from twin.quick import quick

TOLERANCE_PU = 1e-9
"""Step below which the iteration ends; the step is still taken, which leaves about a hundredth of it or less."""
MAX_CHORD_STEPS = 16
MAX_NEWTON_STEPS = 30
FRESH_ENOUGH_STEPS = 4
"""A kept Jacobian that needs more steps than this is computed anew."""


@quick
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
    unaccounted_kw: FloatArray
    """Active power at each bus that the solver's tolerance leaves."""

    @property
    def residual_kw(self) -> Num:
        """Largest active power that is unaccounted for at any bus."""
        return as_num(np.abs(self.unaccounted_kw).max(axis=0))


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
        self._start_from(self.network.seed)
        self._update = self._update_matrix(np.zeros_like(self.network.seed), self.network.seed)

    def solve(self, p_kw: FloatArray, q_kvar: FloatArray, slack_v_pu: Num | None = None) -> FlowResult:
        """The flow with `p_kw` and `q_kvar` consumed at `buses`; each ``(buses,)`` or ``(buses, scenarios)``.

        Generation is negative consumption. Raises `PowerFlowError` where there is no solution.
        """
        return self.solve_load(as_load(p_kw, q_kvar), slack_v_pu)

    def solve_load(self, load: ComplexArray, slack_v_pu: Num | None = None) -> FlowResult:
        """As `solve`, for a complex `load` in kVA; ``(buses,)`` or ``(scenarios, buses)``."""
        return self._result(load, self.voltages(load, slack_v_pu))

    def voltages(self, load: ComplexArray, slack_v_pu: Num | None = None) -> ComplexArray:
        """Complex bus voltages, pu, at a complex `load` in kVA; both ``(buses,)`` or ``(scenarios, buses)``."""
        slack_v_pu = self.network.slack_v_pu if slack_v_pu is None else slack_v_pu
        if self._voltage.shape != load.shape:
            self._start_from(np.broadcast_to(self.network.seed, load.shape))
        with np.errstate(all="ignore"):
            solved = self._chord(load, slack_v_pu)
            return self._from_seed(load, slack_v_pu) if solved is None else solved

    def _start_from(self, voltage: ComplexArray) -> None:
        """Lay out the row that `_chord` iterates on: conjugate voltages and currents, then the slack voltage."""
        buses = len(self.buses)
        row = np.empty((*voltage.shape[:-1], 2 * buses + 1), dtype=np.complex128)
        self._voltage, self._current, self._slack_v = row[..., :buses], row[..., buses:-1], row[..., -1]
        self._row_parts, self._voltage_parts = row.view(np.float64), self._voltage.view(np.float64)
        np.conjugate(voltage, out=self._voltage)

    def _chord(self, load: ComplexArray, slack_v_pu: Num) -> ComplexArray | None:
        """Newton's method with the kept Jacobian, see `_update_matrix`; None where it does not converge."""
        conjugate_load, before = load.conj(), self._voltage_parts
        self._slack_v[...] = slack_v_pu
        for step in range(MAX_CHORD_STEPS):
            np.divide(conjugate_load, self._voltage, out=self._current)
            after = self._row_parts.dot(self._update)
            change = (after - before).ravel()
            before[...] = after
            if change.dot(change) < TOLERANCE_PU**2:
                voltage: ComplexArray = self._voltage.conj()
                if step > FRESH_ENOUGH_STEPS:
                    self._update = self._update_matrix(*_typical(load, voltage))
                return voltage
        return None

    def _update_matrix(self, load: ComplexArray, voltage: ComplexArray) -> FloatArray:
        """One chord step as a single real matrix; what it keeps is the Jacobian at `load` and `voltage`.

        A step is linear in voltages V, in currents S/V and in the slack voltage. Rows are the real and
        imaginary parts of conj(V), of conj(S/V) and of the slack voltage, columns those of the next conj(V).
        """
        newton = self.newton_matrix(load, voltage)
        conjugate = np.tile([1.0, -1.0], len(voltage))
        kept = conjugate[:, None] * (np.eye(len(newton)) - newton)
        driven = -_as_real(self._impedance_t) @ newton
        constant = _as_real(self.network.open_circuit[None, :]) @ newton
        return np.ascontiguousarray(np.vstack([kept, driven, constant]) * conjugate)

    def _from_seed(self, load: ComplexArray, slack_v_pu: Num) -> ComplexArray:
        """Full Newton from the unloaded network, scenario by scenario."""
        loads = np.atleast_2d(load)
        starts = np.broadcast_to(np.multiply.outer(slack_v_pu, self.network.open_circuit), loads.shape)
        solved = [
            self._full_newton(row, start, scenario)
            for scenario, (row, start) in enumerate(zip(loads, starts, strict=True))
        ]
        voltage = np.array(solved).reshape(load.shape)
        self._start_from(voltage)
        self._update = self._update_matrix(*_typical(load, voltage))
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
        slack = network.slack
        current = voltage.dot(self._matrix_t)
        # The real part of V·conj(I), at half the cost of the complex product.
        product = voltage.take(network.place_bus, axis=-1).view(np.float64) * current.view(np.float64)
        p_kw = (product[..., 0::2] + product[..., 1::2]).T
        unaccounted_kw = p_kw[:buses] + load.real.T
        unaccounted_kw[slack] = 0.0
        slack_kva = voltage.T[slack] * current.T[slack].conj() + load.T[slack]
        end_p_kw, end_a_pu = p_kw[buses:], np.abs(current[..., buses:])
        return FlowResult(
            slack_p_kw=as_num(slack_kva.real),
            slack_q_kvar=as_num(slack_kva.imag),
            losses_kw=as_num(self._every_end.dot(end_p_kw)),
            v_pu=np.abs(voltage).T,
            branch_p_kw=end_p_kw[:branches],
            loading_fraction=(np.maximum(end_a_pu[..., :branches], end_a_pu[..., branches:]) / network.rated_a_pu).T,
            unaccounted_kw=unaccounted_kw,
        )


def as_load(p_kw: FloatArray, q_kvar: FloatArray) -> ComplexArray:
    """Consumption as complex power, kVA, scenarios first."""
    load = np.empty(p_kw.shape[::-1], dtype=np.complex128)
    load.real, load.imag = p_kw.T, q_kvar.T
    return load


def as_num(value: np.float64 | FloatArray) -> Num:
    """A plain float for one scenario."""
    return value.copy() if isinstance(value, np.ndarray) else float(value)


def _as_real(matrix: ComplexArray) -> FloatArray:
    """The real matrix that multiplies interleaved real and imaginary parts (as rows) as `matrix` multiplies numbers."""
    rows, columns = matrix.shape
    real = np.empty((2 * rows, 2 * columns))
    real[0::2, 0::2] = real[1::2, 1::2] = matrix.real
    real[0::2, 1::2] = matrix.imag
    real[1::2, 0::2] = -matrix.imag
    return real


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
        unaccounted_kw=np.array([net.res_bus["p_mw"].sum() + lines["pl_mw"].sum() + units["pl_mw"].sum()]) * 1e3,
    )
