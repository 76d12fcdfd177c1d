"""A solved flow, and how it follows from the voltages: densely in small networks, sparsely in large ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from twin.network.admittance import Admittance, ComplexArray, IntArray
from twin.numeric import BoolArray, Flag, FloatArray, Num
from twin.quick import quick


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
    def solved(self) -> Flag:
        """Whether there is a solution, scenario by scenario; only a `MarkedFlow` holds any without one."""
        return True

    @property
    def residual_kw(self) -> Num:
        """Largest active power that is unaccounted for at any bus."""
        return as_num(np.abs(self.unaccounted_kw).max(axis=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedFlow(FlowResult):
    """A flow of many scenarios, some of which may have no solution.

    Where one is not `solved`, all its numbers are those of the unloaded network, so that none is infinite
    or not a number: no state of the plant, and nothing to go on with.
    """

    solved: BoolArray


def as_num(value: np.float64 | FloatArray) -> Num:
    """A plain float for one scenario."""
    return value.copy() if isinstance(value, np.ndarray) else float(value)


class DenseResults:
    """Results from the voltages of all buses, scenarios first; the faster way up to some 30 buses."""

    def __init__(self, network: Admittance) -> None:
        self._network = network
        self._matrix_t = np.ascontiguousarray(network.matrix.T)
        self._every_end = np.ones(2 * len(network.branches))

    def result(self, load: ComplexArray, voltage: ComplexArray) -> FlowResult:
        network, buses, branches = self._network, len(self._network.buses), len(self._network.branches)
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


class SparseResults:
    """Results from the voltages of all buses, buses first: a branch knows its two ends and no other bus."""

    def __init__(self, network: Admittance) -> None:
        self._network = network
        self._matrix = csr_array(network.matrix)

    def result(self, places: IntArray, load: ComplexArray, voltage: ComplexArray) -> FlowResult:
        """`load` at the buses `places` only, all others without one; both arrays buses first."""
        network, buses, branches = self._network, len(self._network.buses), len(self._network.branches)
        slack = network.slack
        current = self._matrix @ voltage
        at_place = voltage.take(network.place_bus, axis=0)
        p_kw = at_place.real * current.real + at_place.imag * current.imag
        kva = np.zeros_like(voltage)
        kva[places] = load
        slack_kva = voltage[slack] * current[slack].conj() + kva[slack]
        unaccounted_kw = p_kw[:buses] + kva.real
        unaccounted_kw[slack] = 0.0
        return FlowResult(
            slack_p_kw=as_num(slack_kva.real),
            slack_q_kvar=as_num(slack_kva.imag),
            losses_kw=as_num(p_kw[buses:].sum(axis=0)),
            v_pu=np.sqrt(_squared(voltage)),
            branch_p_kw=p_kw[buses : buses + branches],
            loading_fraction=self._loading_fraction(_squared(current[buses:])),
            unaccounted_kw=unaccounted_kw,
        )

    def _loading_fraction(self, squared_a_pu: FloatArray) -> FloatArray:
        rated_a_pu, branches = self._network.rated_a_pu, len(self._network.branches)
        larger = np.sqrt(np.maximum(squared_a_pu[:branches], squared_a_pu[branches:]))
        return larger / (rated_a_pu if larger.ndim == 1 else rated_a_pu[:, None])


def _squared(value: ComplexArray) -> FloatArray:
    """Square of the magnitude."""
    squared: FloatArray = value.real**2 + value.imag**2
    return squared
