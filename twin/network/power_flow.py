"""AC power flow of the site, kept in memory: some 1000 times faster than `pandapower.runpp`, same answer.

The buses hold no voltage but the slack, so the flow is the fixed point of the current injection
equation ``V = V₀ − Z·conj(S/V)`` with ``Z`` the inverse of the bus admittance matrix without its
slack row and V₀ the open-circuit voltages; `twin.network.chord` solves it. In a large network only the buses
that carry a load iterate (Kron reduction): the voltages of all others follow from their currents, once, and
the currents of the branches from sparse matrices. Small networks are solved whole, which is less to do there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Self

import numpy as np

from twin.errors import PowerFlowError
from twin.network.admittance import Admittance, ComplexArray, admittance, run_pandapower
from twin.network.build import build_net
from twin.network.chord import newton_matrix
from twin.network.flow_result import FlowResult, MarkedFlow, as_num
from twin.network.reduction import ReducedNetwork, WholeNetwork, as_load
from twin.network.topology import Topology
from twin.network.volt_var import VoltVar, VoltVarLoop
from twin.numeric import BoolArray, FloatArray, Num

__all__ = ["WHOLE_BUSES", "FlowResult", "MarkedFlow", "PowerFlow", "as_load", "as_num", "solve_with_pandapower"]

WHOLE_BUSES = 60
"""Up to so many buses a network is solved whole, with dense matrices; `benchmarks/power_flow_engines.py` tells why."""


class PowerFlow:
    """The site's network, ready to be solved for any consumption at its buses.

    It starts each solution from the previous one, so one object serves one thread.
    """

    def __init__(self, topology: Topology, slack_bus: str, load_buses: Iterable[str] | None = None) -> None:
        """`load_buses`: those that carry a device. None: found out, as loads appear.

        A load at a bus that is not named is solved as well; the first time costs a new reduction.
        """
        self._build(admittance(topology, slack_bus), load_buses or ())

    @classmethod
    def of_admittance(cls, network: Admittance) -> Self:
        """For matrices that come from elsewhere than from a site's topology."""
        flow = cls.__new__(cls)
        flow._build(network, ())
        return flow

    def _build(self, network: Admittance, load_buses: Iterable[str]) -> None:
        self.network, self.buses, self.branches = network, network.buses, network.branches
        large = len(network.buses) > WHOLE_BUSES
        self._engine = ReducedNetwork(network, load_buses) if large else WholeNetwork(network)
        self._loop: VoltVarLoop | None = None

    def solve(
        self,
        p_kw: FloatArray,
        q_kvar: FloatArray,
        slack_v_pu: Num | None = None,
        *,
        volt_var: Sequence[VoltVar] = (),
        mark_unsolved: bool = False,
    ) -> FlowResult:
        """The flow with `p_kw` and `q_kvar` consumed at `buses`; each ``(buses,)`` or ``(buses, scenarios)``.

        Generation is negative consumption. The inverters of `volt_var` add reactive power by their own
        voltage. Raises `PowerFlowError` where there is no solution; with `mark_unsolved` a scenario among
        several is marked instead (`MarkedFlow`), and the others are solved as if it were not there.
        """
        load = self._engine.loads(p_kw, q_kvar, volt_var)
        return self._solved(load, slack_v_pu, volt_var, mark_unsolved)

    def solve_load(
        self,
        load: ComplexArray,
        slack_v_pu: Num | None = None,
        *,
        volt_var: Sequence[VoltVar] = (),
        mark_unsolved: bool = False,
    ) -> FlowResult:
        """As `solve`, for a complex `load` in kVA; ``(buses,)`` or ``(scenarios, buses)``."""
        load = self._engine.chosen(load, volt_var)
        return self._solved(load, slack_v_pu, volt_var, mark_unsolved)

    def voltages(self, load: ComplexArray, slack_v_pu: Num | None = None) -> ComplexArray:
        """Complex voltages of all buses, pu, at a complex `load` in kVA; both ``(buses,)`` or ``(scenarios, buses)``.

        Raises `PowerFlowError` where there is no solution.
        """
        level, chosen = self.network.slack_v_pu if slack_v_pu is None else slack_v_pu, self._engine.chosen(load)
        voltage, solved = self._engine.chord.voltages(chosen, level)
        if solved is not None:
            self._refuse(chosen, solved)
        return self._engine.everywhere(chosen, voltage, level)

    def why_unsolved(self, load: ComplexArray, scenario: int = 0) -> str:
        """In words, for the complex load ``(buses,)`` of a scenario that is not solved.

        The bus whose own load drags its voltage down furthest is the one to look at.
        """
        return self._why(self._engine.chosen(load), scenario)

    def newton_matrix(self, load: ComplexArray, voltage: ComplexArray) -> FloatArray:
        """As `twin.network.chord.newton_matrix`, over all buses."""
        return newton_matrix(self.network.impedance, load, voltage)

    def _solved(
        self, load: ComplexArray, slack_v_pu: Num | None, volt_var: Sequence[VoltVar], mark_unsolved: bool
    ) -> FlowResult:
        engine, level = self._engine, self.network.slack_v_pu if slack_v_pu is None else slack_v_pu
        if volt_var:
            load, voltage, solved = self._settled(load, level, volt_var)
        else:
            voltage, solved = engine.chord.voltages(load, level)
        if not mark_unsolved or load.ndim == 1:
            if solved is not None:
                self._refuse(load, solved)
            return engine.result(load, voltage, level)
        solved = np.ones(len(load), dtype=np.bool_) if solved is None else solved
        flow = engine.result(np.where(solved[:, None], load, 0.0), voltage, level)
        return MarkedFlow(solved=solved, **{item.name: getattr(flow, item.name) for item in fields(flow)})

    def _settled(
        self, load: ComplexArray, level: Num, volt_var: Sequence[VoltVar]
    ) -> tuple[ComplexArray, ComplexArray, BoolArray | None]:
        places = tuple(self._engine.place(item.bus) for item in volt_var)
        if self._loop is None or self._loop.places != places:
            self._loop = VoltVarLoop(places)
        return self._loop.settle(self._engine.chord, load, level, volt_var)

    def _refuse(self, load: ComplexArray, solved: BoolArray) -> None:
        for scenario in np.flatnonzero(~solved).tolist():
            raise PowerFlowError(self._why(np.atleast_2d(load)[scenario], scenario))

    def _why(self, load: ComplexArray, scenario: int) -> str:
        impedance, names = np.diag(self._engine.chord.impedance), self._engine.bus_names
        worst = int(np.nan_to_num(np.abs(load * impedance), nan=np.inf).argmax())
        return (
            f"no power flow solution in scenario {scenario}; the most strained bus is {names[worst]} "
            f"with {load[worst].real:.1f} kW and {load[worst].imag:.1f} kvar"
        )


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
