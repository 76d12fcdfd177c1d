"""The network as matrices, taken once from a solved pandapower net, so that no flow pays for building them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from twin.errors import PowerFlowError
from twin.network.build import PandapowerNet, branch_ends, build_net, buses_not_supplied
from twin.network.kept import kept
from twin.network.topology import Topology, Transformer
from twin.numeric import FloatArray

ComplexArray = npt.NDArray[np.complex128]
IntArray = npt.NDArray[np.intp]

KVA_PER_MVA = 1e3


@dataclass(frozen=True, slots=True, kw_only=True)
class Admittance:
    """n buses and b branches in the order of the site file, lines before transformers.

    Per unit on 1 kVA, so that a power in pu is one in kW.

    Arrays over places have n + 2b entries: every bus, every from (hv) end, every to (lv) end.
    """

    buses: tuple[str, ...]
    branches: tuple[str, ...]
    slack: int
    slack_v_pu: float
    matrix: ComplexArray
    """(places, n): times the bus voltages, the current from each bus, and into each end of each branch."""
    place_bus: IntArray
    """(places,): the bus of each place."""
    impedance: ComplexArray
    """(n, n): inverse of the bus admittance without the slack bus, whose row and column are zero."""
    open_circuit: ComplexArray
    """(n,): voltages at a slack voltage of 1 with nothing connected."""
    rated_a_pu: FloatArray
    """(b,): rated current of each branch, all its parallel systems together."""
    seed: ComplexArray
    """(n,): pandapower's solution with nothing connected."""
    parameter_slopes: ComplexArray
    """(3, b, 2, 2): change of each branch's two-port admittance per relative change of its
    resistance, of its reactance, and of its shunt (no-load losses, magnetising, charging)."""


def admittance(topology: Topology, slack_bus: str) -> Admittance:
    """The matrices that pandapower uses: of a network that was solved before, as they were kept (`twin.network.kept`).

    Raises `PowerFlowError` when part of the network is not connected to the slack bus, and when switches
    join or cut anything: such a network is first resolved by `twin.network.switching.energise`.
    """
    acting = switches_that_act(topology)
    if acting:
        raise PowerFlowError(f"{', '.join(acting)} cut or join parts of the network: solve it with SwitchedPowerFlow")
    topology = replace(topology, breakers={}, couplers={}, transfer_switches={})
    isolated = buses_not_supplied(topology, slack_bus)
    if isolated:
        raise PowerFlowError(f"no line or transformer leads from {slack_bus} to {', '.join(isolated)}")
    if not topology.branches:
        return _single_bus(topology, slack_bus)
    return Admittance(
        buses=tuple(topology.buses),
        branches=topology.branches,
        slack=list(topology.buses).index(slack_bus),
        slack_v_pu=topology.slack_v_pu,
        **kept(repr((topology, slack_bus)), partial(_matrices, topology, slack_bus)),
    )


def _matrices(topology: Topology, slack_bus: str) -> dict[str, Any]:
    """Build the net, solve it once with pandapower, and take the matrices that it used."""
    net = build_net(topology, slack_bus)
    run_pandapower(net)
    position, internal = net._pd2ppc_lookups["bus"][: len(topology.buses)], net._ppc["internal"]
    to_bus_order = np.ix_(position, position)
    bus_matrix = internal["Ybus"].toarray()[to_bus_order] * KVA_PER_MVA
    ends = [internal[name].toarray()[:, position] * KVA_PER_MVA for name in ("Yf", "Yt")]
    slack = list(topology.buses).index(slack_bus)
    impedance = _impedance(bus_matrix, slack)
    return {
        "matrix": np.concatenate([bus_matrix, *ends]),
        "place_bus": _place_bus(topology),
        "impedance": impedance,
        "open_circuit": np.eye(len(position))[slack] - impedance @ bus_matrix[:, slack],
        "rated_a_pu": _rated_a_pu(topology),
        "seed": internal["V"][position],
        "parameter_slopes": _parameter_slopes(internal["branch"]),
    }


def _single_bus(topology: Topology, slack_bus: str) -> Admittance:
    """A source with nothing but its own bus, for which pandapower keeps no matrices."""
    one = np.ones(1, dtype=np.complex128)
    return Admittance(
        buses=(slack_bus,),
        branches=(),
        slack=0,
        slack_v_pu=topology.slack_v_pu,
        matrix=np.zeros((1, 1), dtype=np.complex128),
        place_bus=np.zeros(1, dtype=np.intp),
        impedance=np.zeros((1, 1), dtype=np.complex128),
        open_circuit=one,
        rated_a_pu=np.zeros(0),
        seed=topology.slack_v_pu * one,
        parameter_slopes=np.zeros((3, 0, 2, 2), dtype=np.complex128),
    )


def switches_that_act(topology: Topology) -> tuple[str, ...]:
    """Switches that make the network another one than its buses and branches alone."""
    return (
        *(name for name, item in topology.breakers.items() if not item.closed),
        *(name for name, item in topology.couplers.items() if item.closed),
        *topology.transfer_switches,
    )


def run_pandapower(net: PandapowerNet) -> None:
    """Solve `net` to 1 mW per bus, with phase shifts, in the transformer model used everywhere here."""
    import pandapower

    try:
        pandapower.runpp(
            net,
            calculate_voltage_angles=True,
            trafo_model="t",
            trafo_loading="current",
            tolerance_mva=1e-9,
            max_iteration=30,
            numba=False,
            lightsim2grid=False,
        )
    except pandapower.LoadflowNotConverged as error:
        raise PowerFlowError(f"pandapower finds no solution: {error}") from error


def _impedance(bus_matrix: ComplexArray, slack: int) -> ComplexArray:
    free = np.delete(np.arange(len(bus_matrix)), slack)
    impedance = np.zeros_like(bus_matrix)
    impedance[np.ix_(free, free)] = np.linalg.inv(bus_matrix[np.ix_(free, free)])
    return impedance


def _place_bus(topology: Topology) -> IntArray:
    index = {name: position for position, name in enumerate(topology.buses)}
    ends = list(branch_ends(topology))
    places = [*range(len(index)), *(index[one] for one, _ in ends), *(index[other] for _, other in ends)]
    return np.array(places, dtype=np.intp)


def _rated_a_pu(topology: Topology) -> FloatArray:
    lines = [
        np.sqrt(3) * topology.buses[line.from_bus].rated_v / 1e3 * line.rated_a for line in topology.lines.values()
    ]
    units = [_rated_kva_at_buses(topology, unit) for unit in topology.transformers.values()]
    return np.array([*lines, *units], dtype=np.float64)


def _rated_kva_at_buses(topology: Topology, unit: Transformer) -> float:
    """Rated current at the rated voltage of the buses.

    Where windings are rated for another voltage than their buses, and not both in the same proportion,
    the smaller of the two: the loading is then told up to that difference too high.
    """
    per_unit = (
        topology.buses[bus].rated_v / (rated_v or topology.buses[bus].rated_v)
        for bus, rated_v in ((unit.hv_bus, unit.hv_rated_v), (unit.lv_bus, unit.lv_rated_v))
    )
    return unit.rated_kva * unit.parallel_count * min(per_unit)


def _parameter_slopes(branch: Any) -> ComplexArray:
    from pandapower.pypower import idx_brch as column
    from pandapower.pypower.makeYbus import branch_vectors

    def two_ports(table: Any) -> ComplexArray:
        ytt, yff, yft, ytf = branch_vectors(table, len(table))
        return np.array([[yff, yft], [ytf, ytt]], dtype=np.complex128).transpose(2, 0, 1)

    step = 1e-6
    slopes = []
    for columns in (
        (column.BR_R, column.BR_R_ASYM),
        (column.BR_X, column.BR_X_ASYM),
        (column.BR_G, column.BR_G_ASYM, column.BR_B, column.BR_B_ASYM),
    ):
        changed = branch.copy()
        changed[:, columns] *= 1 + step
        slopes.append((two_ports(changed) - two_ports(branch)) / step)
    return np.array(slopes) * KVA_PER_MVA
