"""State estimation: the network state that explains all measurements best, and how sure it is.

Weighted least squares (Schweppe and Wildes 1970, doi:10.1109/TPAS.1970.292678) whose unknowns are
the consumption at every bus with devices and the slack voltage. The power flow is the measurement
function, so an estimate always satisfies the network, and buses without devices need no
pseudo-measurement of zero.

Two kinds of prior knowledge keep the problem solvable whatever is missing: no bus draws more than
about its rated power, and the slack voltage is about its setpoint. A value that nothing measures
therefore comes out with a sigma of that size, which is the truth about it.

Branch resistances, reactances and shunts are known to `model_error_fraction` only. Their relative
errors are further unknowns of the linearised problem, so that the sigmas tell what a drawing that
differs from the plant does to the result, and measured voltages correct it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from twin.network.admittance import ComplexArray, IntArray
from twin.network.power_flow import FlowResult, PowerFlow, as_load
from twin.network.sensitivity import FlowSlopes, Linearisation
from twin.numeric import FloatArray, first
from twin.state import BranchEstimate, BusEstimate, NetworkEstimate

Kind = Literal["p_kw", "q_kvar", "v_pu", "slack_p_kw", "slack_q_kvar", "branch_p_kw"]

SLACK_SIGMA_V_PU = 0.05
"""Prior of the slack voltage around its setpoint: the band that EN 50160 and ANSI C84.1 permit, nearly."""
MAX_STEPS = 8
CLOSE_ENOUGH = 1e-3
"""A last step below this fraction of every sigma ends the iteration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One measured, or guessed, value with its standard deviation."""

    kind: Kind
    """`p_kw` and `q_kvar` are a bus's net consumption; those of the slack are positive into the network."""
    bus: str
    """For `branch_p_kw` the branch, into its from (hv) end. Of no meaning for the slack."""
    value: float
    sigma: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The unknowns that explain the measurements best, each in units of its prior sigma, around its prior."""

    unknowns: FloatArray
    covariance: FloatArray
    slopes: FloatArray
    """(results, unknowns): change of every result of the flow with every unknown."""
    chi_square: float
    redundancy: float


class Estimator:
    """Estimates one network, again and again."""

    def __init__(
        self, power_flow: PowerFlow, rated_kw: Mapping[str, float], *, model_error_fraction: float = 0.0
    ) -> None:
        """`rated_kw`: bus → rated power of all its devices; the buses left out have no device."""
        self._power_flow = power_flow
        self._model_error = model_error_fraction
        names = [bus for bus in power_flow.buses if bus in rated_kw]
        rated = [rated_kw[bus] for bus in names]
        self._places = np.array([power_flow.buses.index(bus) for bus in names], dtype=np.intp)
        self._unit_loads = _unit_loads(self._places, len(power_flow.buses))
        self._prior = np.array([*[0.0] * (2 * len(names)), power_flow.network.slack_v_pu])
        self._spread = np.array([*rated, *rated, SLACK_SIGMA_V_PU])
        self._row = _rows(names, power_flow)

    def estimate(self, measurements: Sequence[Measurement]) -> NetworkEstimate:
        """The estimate. Measurements of what cannot differ (power at a bus without devices) are left out.

        Raises `PowerFlowError` where the measurements describe a state that the network cannot be in.
        """
        found = [(self._row.get(_key(item)), item) for item in measurements]
        used = [(row, item.value, item.sigma) for row, item in found if row is not None]
        rows = np.array([row for row, _, _ in used], dtype=np.intp)
        value = np.array([value for _, value, _ in used])
        weight = 1.0 / np.array([sigma for _, _, sigma in used])
        return self._report(self._fit(rows, value, weight))

    def _fit(self, rows: IntArray, value: FloatArray, weight: FloatArray) -> Fit:
        """Gauss-Newton with the slopes of the state that the measurements themselves suggest."""
        unknowns = self._start(rows, value)
        slopes = self._slopes(unknowns)
        unknowns = np.concatenate([unknowns, np.zeros(slopes.shape[1] - len(unknowns))])
        seen = slopes[rows] * weight[:, None]
        information: FloatArray = seen.T @ seen + np.eye(len(unknowns))
        covariance = np.asarray(np.linalg.inv(information), dtype=np.float64)
        enough = CLOSE_ENOUGH * np.sqrt(np.diag(covariance))
        for _ in range(MAX_STEPS):
            residual = (value - self._results(unknowns, slopes)[0][rows]) * weight
            step = covariance @ (seen.T @ residual - unknowns)
            unknowns = unknowns + step
            if (np.abs(step) < enough).all():
                break
        residual = residual - seen @ step
        determined = float(np.einsum("ij,jk,ik->", seen, covariance, seen, optimize=True))
        return Fit(
            unknowns=unknowns,
            covariance=covariance,
            slopes=slopes,
            chi_square=float(residual @ residual),
            redundancy=len(rows) - determined,
        )

    def _start(self, rows: IntArray, value: FloatArray) -> FloatArray:
        """What is measured directly, the prior elsewhere."""
        start, direct = self._prior.copy(), rows < len(self._prior) - 1
        start[rows[direct]] = value[direct]
        scaled: FloatArray = (start - self._prior) / np.where(self._spread > 0, self._spread, 1.0)
        return scaled

    def _operating_point(self, unknowns: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        """Consumption at all buses and slack voltage."""
        physical = self._prior + self._spread * unknowns[: len(self._prior)]
        count = len(self._places)
        p_kw, q_kvar = np.zeros((2, len(self._power_flow.buses)))
        p_kw[self._places], q_kvar[self._places] = physical[:count], physical[count:-1]
        return p_kw, q_kvar, float(physical[-1])

    def _results(self, unknowns: FloatArray, slopes: FloatArray) -> tuple[FloatArray, FlowResult]:
        """All results in the order of `_rows`, branch errors included to first order; and the flow without them."""
        p_kw, q_kvar, slack_v_pu = self._operating_point(unknowns)
        flow = self._power_flow.solve(p_kw, q_kvar, slack_v_pu)
        slack = (first(flow.slack_p_kw), first(flow.slack_q_kvar))
        own = (p_kw[self._places], q_kvar[self._places])
        plain = np.concatenate([*own, flow.v_pu, slack, flow.branch_p_kw, (first(flow.losses_kw),)])
        known = len(self._prior)
        return plain + slopes[:, known:] @ unknowns[known:], flow

    def _slopes(self, unknowns: FloatArray) -> FloatArray:
        p_kw, q_kvar, slack_v_pu = self._operating_point(unknowns)
        load = as_load(p_kw, q_kvar)
        near = Linearisation(self._power_flow, load, self._power_flow.voltages(load, slack_v_pu))
        causes = [_columns(near.of_loads(self._unit_loads)), _columns(near.of_slack_voltage())]
        results = np.hstack(causes) * self._spread
        if self._model_error > 0:
            results = np.hstack([results, _columns(near.of_parameters()) * self._model_error])
        own = np.zeros((2 * len(self._places), results.shape[1]))
        np.fill_diagonal(own, self._spread[:-1])
        return np.vstack([own, results])

    def _report(self, fit: Fit) -> NetworkEstimate:
        results, flow = self._results(fit.unknowns, fit.slopes)
        variance = np.einsum("ij,ij->i", fit.slopes @ fit.covariance, fit.slopes)
        value, sigma = results.tolist(), np.sqrt(variance).tolist()
        loading, row = flow.loading_fraction.tolist(), self._row
        buses = {bus: row["v_pu", bus] for bus in self._power_flow.buses}
        branches = {branch: row["branch_p_kw", branch] for branch in self._power_flow.branches}
        slack = row["slack_p_kw", ""]
        return NetworkEstimate(
            buses={bus: BusEstimate(v_pu=value[at], sigma_v_pu=sigma[at]) for bus, at in buses.items()},
            branches={
                branch: BranchEstimate(p_kw=value[at], sigma_p_kw=sigma[at], loading_fraction=fraction)
                for (branch, at), fraction in zip(branches.items(), loading, strict=True)
            },
            slack_p_kw=value[slack],
            sigma_slack_p_kw=sigma[slack],
            losses_kw=value[-1],
            chi_square=fit.chi_square,
            redundancy=round(fit.redundancy),
        )


def _key(item: Measurement) -> tuple[str, str]:
    return item.kind, "" if item.kind in {"slack_p_kw", "slack_q_kvar"} else item.bus


def _rows(names: Sequence[str], power_flow: PowerFlow) -> dict[tuple[str, str], int]:
    """(kind, place) → its position among the results; the losses come last and are never measured."""
    keys = [
        *(("p_kw", bus) for bus in names),
        *(("q_kvar", bus) for bus in names),
        *(("v_pu", bus) for bus in power_flow.buses),
        ("slack_p_kw", ""),
        ("slack_q_kvar", ""),
        *(("branch_p_kw", branch) for branch in power_flow.branches),
    ]
    return {key: row for row, key in enumerate(keys)}


def _unit_loads(places: IntArray, buses: int) -> ComplexArray:
    """One kW, then one kvar, at each place."""
    loads = np.zeros((2, len(places), buses), dtype=np.complex128)
    each = np.arange(len(places))
    loads[0, each, places], loads[1, each, places] = 1.0, 1.0j
    return loads.reshape(-1, buses)


def _columns(slopes: FlowSlopes) -> FloatArray:
    """Slopes with one column for each cause, results in the order of `_rows`."""
    slack = slopes.slack_kva
    return np.vstack([slopes.v_pu.T, slack.real, slack.imag, slopes.branch_p_kw.T, slopes.losses_kw])
