"""Our power flow against `pandapower.runpp`: the largest difference in any of many random states.

    .venv/bin/python benchmarks/power_flow_agreement.py [--states 200] [--only island CIGRE IEEE]

Sites: every file of site_configs/, islands included, each bus loaded or generating at random within what stands there,
tap changers in random positions (in networks of up to 60 buses). The same again with switches: breakers and couplers in
random positions, in half of the states a line or transformer out of service, transfer switches on the feed that ours
found; a bus must be dark in both or in neither. Networks: those that pandapower ships, CIGRE and IEEE, with generators
at the reactive power that pandapower found for them (our network holds no voltage but the slack's), all loads and
generators scaled at random, together by 0.9 to 1 and each by 2% up or down. Voltages in pu, branch powers as a fraction
of the branch's rating (of the largest flow where it has none).
Prints a Markdown table; ends with 1 where a difference is above 1e-8 pu or 1e-6.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandapower
import pandapower.networks

from agents.assemble import load
from twin.network.admittance import KVA_PER_MVA, Admittance, run_pandapower
from twin.network.build import build_net
from twin.network.power_flow import PowerFlow
from twin.network.switched_flow import SwitchedPowerFlow
from twin.network.switching import Feed, NetworkState, normal_state
from twin.network.taps import at_steps, tap_changers
from twin.network.topology import Topology
from twin.numeric import FloatArray
from twin.site import Site

SITES = Path(__file__).parents[1] / "site_configs"
MOST_PU, MOST_FRACTION = 1e-8, 1e-6
SWITCHED_STATES = 5
"""Loadings in each position of the switches, of which every one is a network of its own."""
MANY_BUSES = 60
"""A network of more is built once, and its tap changers stay where the file has them."""
NETWORKS = {
    "CIGRE MV, with PV and wind": lambda: pandapower.networks.create_cigre_network_mv(with_der="pv_wind"),
    "CIGRE LV": pandapower.networks.create_cigre_network_lv,
    "CIGRE HV": pandapower.networks.create_cigre_network_hv,
    "IEEE case 9": pandapower.networks.case9,
    "IEEE case 14": pandapower.networks.case14,
    "IEEE case 30": pandapower.networks.case_ieee30,
    "IEEE case 57": pandapower.networks.case57,
    "IEEE case 118": pandapower.networks.case118,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """In one state."""

    v_pu: float
    power_fraction: float


def site_states(site: Site, states: int, rng: np.random.Generator) -> Iterator[Difference]:
    """A site's own network, in `states` random states."""
    slack, buses = site.devices[site.slack].bus, list(site.network.buses)
    most_kw = most_at_buses_kw(site)
    changers, large = tap_changers(site.network), len(buses) > MANY_BUSES
    flow: SwitchedPowerFlow | None = None
    net: Any = None
    for _ in range(states):
        if flow is None or (changers and not large):
            steps = {name: int(rng.integers(taps.min_steps, taps.max_steps + 1)) for name, taps in changers.items()}
            topology = fixed(at_steps(site.network, {} if large else steps))
            flow, net = SwitchedPowerFlow(topology, slack), build_net(topology, slack)
        p_kw, q_kvar = rng.uniform(-1, 1, len(buses)) * most_kw, rng.uniform(-0.3, 0.3, len(buses)) * most_kw
        ours = flow.solve(p_kw, q_kvar)
        net.load["p_mw"], net.load["q_mvar"] = p_kw / 1e3, q_kvar / 1e3
        run_pandapower(net)
        theirs_kw = np.concatenate([net.res_line["p_from_mw"], net.res_trafo["p_hv_mw"]]) * 1e3
        yield Difference(
            v_pu=float(np.abs(ours.v_pu - net.res_bus["vm_pu"].to_numpy()).max()),
            power_fraction=float((np.abs(ours.branch_p_kw - theirs_kw) / rated_kw(topology)).max(initial=0.0)),
        )


def switched_states(site: Site, states: int, rng: np.random.Generator) -> Iterator[Difference]:
    """A site's own network with its switches in random positions, a new one every few states."""
    slack, buses = site.devices[site.slack].bus, list(site.network.buses)
    topology = fixed(site.network)
    flow, most_kw = SwitchedPowerFlow(topology, slack), most_at_buses_kw(site) / 2
    for number in range(states):
        if number % SWITCHED_STATES == 0:
            state = random_state(topology, rng)
            net = switched_net(topology, slack, state, flow.energised(state).feeds)
        p_kw, q_kvar = rng.uniform(-1, 1, len(buses)) * most_kw, rng.uniform(-0.3, 0.3, len(buses)) * most_kw
        ours = flow.solve(p_kw, q_kvar, state=state)
        net.load["p_mw"], net.load["q_mvar"] = p_kw / 1e3, q_kvar / 1e3
        run_pandapower(net)
        v_pu = net.res_bus["vm_pu"].to_numpy()
        if (np.isfinite(v_pu) != ours.supplied).any():
            yield Difference(v_pu=1.0, power_fraction=1.0)
            continue
        theirs_kw = np.nan_to_num(np.concatenate([net.res_line["p_from_mw"], net.res_trafo["p_hv_mw"]])) * 1e3
        yield Difference(
            v_pu=float(np.abs(ours.v_pu - v_pu)[ours.supplied].max()),
            power_fraction=float((np.abs(ours.branch_p_kw - theirs_kw) / rated_kw(topology)).max(initial=0.0)),
        )


def random_state(topology: Topology, rng: np.random.Generator) -> NetworkState:
    """A third of the switches moved; in half of the states a branch out of service."""
    switches = frozenset(name for name in (*topology.breakers, *topology.couplers) if rng.random() < 1 / 3)
    out = [str(rng.choice(topology.branches))] if rng.random() < 1 / 2 and topology.branches else []
    normal = normal_state(topology)
    return replace(normal, open_switches=normal.open_switches ^ switches).without(branches=out)


def switched_net(topology: Topology, slack: str, state: NetworkState, feeds: Mapping[str, Feed]) -> Any:
    """The network in `state` as pandapower has it."""
    net = build_net(topology, slack)
    for row, name, kind in zip(net.switch.index, net.switch["name"], net.switch["type"], strict=True):
        closed = kind == f"transfer_{feeds[name]}" if name in feeds else name not in state.open_switches
        net.switch.loc[row, "closed"] = closed
    for table in (net.line, net.trafo):
        table["in_service"] = ~table["name"].isin(state.branches_out)
    return net


def most_at_buses_kw(site: Site) -> FloatArray:
    """What the devices at each bus may draw or give."""
    most_kw, buses = np.zeros(len(site.network.buses)), list(site.network.buses)
    for name, device in site.devices.items():
        if name != site.slack:
            most_kw[buses.index(device.bus)] += device.rated_kw
    return most_kw


def rated_kw(topology: Topology) -> FloatArray:
    """Of every branch."""
    lines = [
        np.sqrt(3) * topology.buses[item.from_bus].rated_v * item.rated_a / 1e3 for item in topology.lines.values()
    ]
    return np.array([*lines, *(item.rated_kva * item.parallel_count for item in topology.transformers.values())])


def fixed(topology: Topology) -> Topology:
    """With tap changers that stay where they are."""
    units = {
        name: replace(unit, taps=replace(unit.taps, on_load=None)) if unit.taps else unit
        for name, unit in topology.transformers.items()
    }
    return replace(topology, transformers=units)


def network_states(net: Any, states: int, rng: np.random.Generator) -> Iterator[Difference]:
    """A network that pandapower ships, in `states` random states."""
    solve(net)
    fix_generators(net)
    solve(net)
    flow = PowerFlow.of_admittance(admittance_of(net))
    flow.solve(*consumption(net))  # a Jacobian of these networks without load says little about them
    sources = [table for table in (net.load, net.sgen) if len(table)]
    before = [table["scaling"].to_numpy(dtype=float).copy() for table in sources]
    for _ in range(states):
        level = rng.uniform(0.9, 1.0)
        for table, scaling in zip(sources, before, strict=True):
            table["scaling"] = scaling * level * rng.uniform(0.98, 1.02, len(table))
        solve(net)
        internal = net._ppc["internal"]
        ours = flow.solve(*consumption(net))
        theirs_kw = internal["branch"][:, 13].real * KVA_PER_MVA
        yield Difference(
            v_pu=float(np.abs(ours.v_pu - np.abs(internal["V"])).max()),
            power_fraction=float(np.abs(ours.branch_p_kw - theirs_kw).max() / np.abs(theirs_kw).max()),
        )


def consumption(net: Any) -> tuple[FloatArray, FloatArray]:
    """At each bus of a solved net, kW and kvar."""
    internal = net._ppc["internal"]
    injected = internal["V"] * np.conj(internal["Ybus"] @ internal["V"]) * internal["baseMVA"] * KVA_PER_MVA
    return -injected.real, -injected.imag


def solve(net: Any) -> None:
    """In the transformer model used everywhere here; some of these networks need a start with angles."""
    pandapower.runpp(
        net,
        calculate_voltage_angles=True,
        trafo_model="t",
        init="dc",
        tolerance_mva=1e-7,
        max_iteration=30,
        numba=False,
        lightsim2grid=False,
    )


def fix_generators(net: Any) -> None:
    """Generators that hold a voltage become static ones at the reactive power they were found to give."""
    for index, generator in net.gen.iterrows():
        found = net.res_gen.loc[index]
        pandapower.create_sgen(net, generator["bus"], p_mw=found["p_mw"], q_mvar=found["q_mvar"])
    net.gen.drop(net.gen.index, inplace=True)


def admittance_of(net: Any) -> Admittance:
    """The matrices of a solved net, in pandapower's own order of buses and branches."""
    internal = net._ppc["internal"]
    per_kva = float(internal["baseMVA"]) * KVA_PER_MVA
    matrices = [internal[name].toarray() * per_kva for name in ("Ybus", "Yf", "Yt")]
    slack, count = int(internal["ref"][0]), matrices[0].shape[0]
    free = np.delete(np.arange(count), slack)
    impedance = np.zeros_like(matrices[0])
    impedance[np.ix_(free, free)] = np.linalg.inv(matrices[0][np.ix_(free, free)])
    ends = internal["branch"][:, :2].real.astype(np.intp)
    v = internal["V"] * np.exp(-1j * np.angle(internal["V"][slack]))
    return Admittance(
        buses=tuple(map(str, range(count))),
        branches=tuple(map(str, range(len(ends)))),
        slack=slack,
        slack_v_pu=float(np.abs(internal["V"][slack])),
        matrix=np.concatenate(matrices),
        place_bus=np.concatenate([np.arange(count), ends[:, 0], ends[:, 1]]),
        impedance=impedance,
        open_circuit=np.eye(count)[slack] - impedance @ matrices[0][:, slack],
        rated_a_pu=np.full(len(ends), per_kva),
        seed=v,
        parameter_slopes=np.zeros((3, len(ends), 2, 2), dtype=np.complex128),
    )


def worst(found: Iterator[Difference]) -> tuple[int, FloatArray]:
    rows = np.array([(item.v_pu, item.power_fraction) for item in found])
    return len(rows), rows.max(axis=0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--states", type=int, default=200, help="random states of each network")
    parser.add_argument("--only", nargs="*", help="words of which one stands in the network's name")
    options, fine = parser.parse_args(), True
    states = options.states

    def chosen(name: str) -> bool:
        return not options.only or any(word in name for word in options.only)

    print("| network | buses | states | largest voltage difference, pu | largest power difference, of rated |")
    print("|---|---:|---:|---:|---:|", flush=True)
    rng = np.random.default_rng(7)
    for path in (path for path in sorted(SITES.glob("*.yaml")) if chosen(path.stem)):
        site = load(path).site
        fine &= row(path.stem, len(site.network.buses), *worst(site_states(site, states, rng)))
        switched = switched_states(site, states, rng)
        fine &= row(f"{path.stem}, switched", len(site.network.buses), *worst(switched))
    for name, make in ((name, make) for name, make in NETWORKS.items() if chosen(name)):
        net = make()
        fine &= row(name, len(net.bus), *worst(network_states(net, states, rng)))
    return 0 if fine else 1


def row(name: str, buses: int, states: int, found: FloatArray) -> bool:
    """Print one; whether it is as it should be."""
    print(f"| {name} | {buses} | {states} | {found[0]:.1e} | {found[1]:.1e} |", flush=True)
    return bool(found[0] <= MOST_PU and found[1] <= MOST_FRACTION)


if __name__ == "__main__":
    sys.exit(main())
