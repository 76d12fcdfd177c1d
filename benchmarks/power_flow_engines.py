"""Which engine solves a site's power flow fastest: ours, lightsim2grid in memory, power-grid-model in batches, `runpp`.

    .venv/bin/python benchmarks/power_flow_engines.py [--site FILE ...] [--scenarios 256] [--seconds 1]

Each solves the same loads, one flow after the other and `--scenarios` at once (`runpp` has no batch: there it solves
one by one), and gives the voltages of all buses and the flows of all branches. The loads change from call to call, so
that nobody starts from the solution. Time is that of one core, on which all of them run, and which other work on the
machine takes nothing of; BLAS is held to one thread, as in `gridhelm simulate`. They take turns, and the table holds
the fastest of each. What is needed once is not counted. The voltages of the last flow are held against ours.
An engine that is not installed, or refuses a network, is told as such. Switches are resolved and tap changers held
first, since only ours moves them.
"""

from __future__ import annotations

import argparse
import importlib.util
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandapower
from scaling import cpu_s
from threadpoolctl import threadpool_limits

from agents.assemble import load
from agents.forecasters.base import LOADS
from twin.network.admittance import run_pandapower
from twin.network.build import build_net
from twin.network.power_flow import PowerFlow
from twin.network.switched_flow import SwitchedPowerFlow
from twin.network.topology import Topology
from twin.numeric import FloatArray
from twin.site import Site

SITES = tuple(Path(__file__).parents[1] / "site_configs" / f"{name}.yaml" for name in ("campus", "hyperscale"))
TURNS, FEW = 5, 3
CALLS = 4
"""So many sets of loads take turns."""
SLIGHTLY = 0.05
"""How far each load differs from one flow to the next."""
Engine = Callable[[FloatArray, FloatArray], FloatArray]
"""Solves ``(buses, flows)`` of kW and kvar, and gives the voltages of the last flow, pu."""
Sets = Sequence[tuple[FloatArray, FloatArray]]
"""Of loads, kW and kvar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What was measured of an engine."""

    flow_us: float = np.inf
    difference_pu: float = 0.0
    refused: str = ""

    def __str__(self) -> str:
        return self.refused or f"{self.flow_us:,.1f}"


def plain(site: Site) -> tuple[Topology, str, Mapping[str, str]]:
    """The site's network with its switches resolved and tap changers held, its slack, and bus → node."""
    units = {
        name: replace(unit, taps=replace(unit.taps, on_load=None)) if unit.taps else unit
        for name, unit in site.network.transformers.items()
    }
    flow = SwitchedPowerFlow(replace(site.network, transformers=units), site.devices[site.slack].bus)
    energised = flow.energised()
    return unparalleled(energised.islands[0].topology), energised.islands[0].slack, energised.node


def unparalleled(topology: Topology) -> Topology:
    """Each bundle of parallel lines or transformers as one, since not every engine knows them."""
    lines = {
        name: replace(
            line,
            parallel_count=1,
            resistance_ohm_per_km=line.resistance_ohm_per_km / line.parallel_count,
            reactance_ohm_per_km=line.reactance_ohm_per_km / line.parallel_count,
            capacitance_nf_per_km=line.capacitance_nf_per_km * line.parallel_count,
        )
        for name, line in topology.lines.items()
    }
    units = {
        name: replace(
            unit,
            parallel_count=1,
            rated_kva=unit.rated_kva * unit.parallel_count,
            iron_losses_kw=unit.iron_losses_kw * unit.parallel_count,
        )
        for name, unit in topology.transformers.items()
    }
    return replace(topology, lines=lines, transformers=units)


def ours(topology: Topology, slack: str, *, batch: bool) -> Engine:
    flow = PowerFlow(topology, slack)

    def together(p_kw: FloatArray, q_kvar: FloatArray) -> FloatArray:
        return flow.solve(p_kw, q_kvar).v_pu[:, -1]

    def alone(p_kw: FloatArray, q_kvar: FloatArray) -> FloatArray:
        for p, q in zip(p_kw.T, q_kvar.T, strict=True):
            found = flow.solve(p, q)
        return found.v_pu

    return together if batch else alone


def by_runpp(topology: Topology, slack: str) -> Engine:
    """With lightsim2grid's solver inside, where that is installed."""
    net = build_net(topology, slack)

    def solve(p_kw: FloatArray, q_kvar: FloatArray) -> FloatArray:
        for p, q in zip(p_kw.T, q_kvar.T, strict=True):
            net.load["p_mw"], net.load["q_mvar"] = p / 1e3, q / 1e3
            pandapower.runpp(net, calculate_voltage_angles=True, trafo_model="t", numba=False)
        voltage: FloatArray = net.res_bus["vm_pu"].to_numpy()
        return voltage

    return solve


def by_lightsim2grid(topology: Topology, slack: str, *, batch: bool) -> Engine:
    """Newton's method with KLU: its grid model, which starts from the last solution, or its injection sweep."""
    from lightsim2grid.injectionSweep import InjectionSweepCPP
    from lightsim2grid.network import init_from_pandapower

    net = build_net(topology, slack)
    run_pandapower(net)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it takes the external grid as slack, and empty tap columns as zero
        grid = init_from_pandapower(net)
    state = start = grid.ac_pf(net._ppc["internal"]["V"].astype(np.complex128), 30, 1e-9)
    if not len(state):
        raise RuntimeError("no first solution")
    every, sweep = np.ones(len(net.load), dtype=bool), InjectionSweepCPP(grid)

    def alone(p_kw: FloatArray, q_kvar: FloatArray) -> FloatArray:
        nonlocal state
        for p, q in zip(p_kw.T, q_kvar.T, strict=True):
            grid.update_loads_p(every, (p / 1e3).astype(np.float32))
            grid.update_loads_q(every, (q / 1e3).astype(np.float32))
            state = grid.ac_pf(state, 30, 1e-9)
        return np.abs(state)

    def together(p_kw: FloatArray, q_kvar: FloatArray) -> FloatArray:
        sweep.modify_load_p(np.ascontiguousarray(p_kw.T / 1e3))
        sweep.modify_load_q(np.ascontiguousarray(q_kvar.T / 1e3))
        sweep.compute(start, 30, 1e-9)
        sweep.compute_branch_results()
        return np.abs(sweep.get_voltages()[-1])

    return together if batch else alone


def by_power_grid_model(topology: Topology, slack: str, method: str, *, batch: bool) -> Engine:
    from power_grid_model import CalculationMethod, DatasetType, LoadGenType, PowerGridModel, initialize_array

    buses, data = {name: number for number, name in enumerate(topology.buses)}, {}
    node = initialize_array(DatasetType.input, "node", len(buses))
    node["id"], node["u_rated"] = list(buses.values()), [bus.rated_v for bus in topology.buses.values()]
    source = initialize_array(DatasetType.input, "source", 1)
    source["id"], source["node"], source["status"], source["u_ref"] = 100000, buses[slack], 1, topology.slack_v_pu
    source["sk"] = 1e20
    loads = initialize_array(DatasetType.input, "sym_load", len(buses))
    loads["id"], loads["node"] = np.arange(len(buses)) + 200000, list(buses.values())
    loads["status"], loads["type"], loads["p_specified"], loads["q_specified"] = 1, LoadGenType.const_power, 0, 0
    data = {"node": node, "source": source, "sym_load": loads, **_branches(topology, buses)}
    model = PowerGridModel(data, system_frequency=topology.frequency_hz)

    how = {"calculation_method": CalculationMethod[method], "error_tolerance": 1e-9}

    def of(p_kw: FloatArray, q_kvar: FloatArray) -> dict[str, Any]:
        update = initialize_array(DatasetType.update, "sym_load", p_kw.shape)
        update["id"], update["p_specified"], update["q_specified"] = loads["id"], p_kw * 1e3, q_kvar * 1e3
        return {"sym_load": update}

    def alone(p_kw: FloatArray, q_kvar: FloatArray) -> FloatArray:
        for p, q in zip(p_kw.T, q_kvar.T, strict=True):
            model.update(update_data=of(p, q))
            found = model.calculate_power_flow(**how)
        return np.asarray(found["node"]["u_pu"])

    def together(p_kw: FloatArray, q_kvar: FloatArray) -> FloatArray:
        found = model.calculate_power_flow(update_data=of(p_kw.T, q_kvar.T), threading=-1, **how)
        return np.asarray(found["node"]["u_pu"][-1])

    return together if batch else alone


def _branches(topology: Topology, buses: dict[str, int]) -> dict[str, Any]:
    """Lines and transformers; vector groups as whole clock numbers, taps at neutral."""
    from power_grid_model import DatasetType, WindingType, initialize_array

    line = initialize_array(DatasetType.input, "line", len(topology.lines))
    for row, (number, item) in zip(line, enumerate(topology.lines.values(), start=300000), strict=True):
        km, count = item.length_m / 1e3, item.parallel_count
        row["id"], row["from_node"], row["to_node"] = number, buses[item.from_bus], buses[item.to_bus]
        row["from_status"] = row["to_status"] = 1
        row["r1"], row["x1"] = item.resistance_ohm_per_km * km / count, item.reactance_ohm_per_km * km / count
        row["c1"], row["tan1"], row["i_n"] = item.capacitance_nf_per_km * 1e-9 * km * count, 0.0, item.rated_a
    unit = initialize_array(DatasetType.input, "transformer", len(topology.transformers))
    for row, (number, item) in zip(unit, enumerate(topology.transformers.values(), start=400000), strict=True):
        hv, lv = topology.buses[item.hv_bus].rated_v, topology.buses[item.lv_bus].rated_v
        row["id"], row["from_node"], row["to_node"] = number, buses[item.hv_bus], buses[item.lv_bus]
        row["from_status"] = row["to_status"] = 1
        row["u1"], row["u2"], row["sn"] = hv, lv, item.rated_kva * item.parallel_count * 1e3
        row["uk"], row["pk"] = (
            item.short_circuit_fraction,
            item.copper_fraction * item.rated_kva * item.parallel_count * 1e3,
        )
        row["i0"], row["p0"] = item.no_load_current_fraction, item.iron_losses_kw * item.parallel_count * 1e3
        row["winding_from"], row["winding_to"] = WindingType.delta, WindingType.wye_n
        row["clock"], row["tap_side"] = round(item.phase_shift_deg / 30) % 12, 0
        row["tap_pos"] = row["tap_min"] = row["tap_max"] = row["tap_nom"] = 0
        row["tap_size"] = 0.0
    return {"line": line, "transformer": unit}


def engines(topology: Topology, slack: str, *, batch: bool) -> dict[str, Callable[[], Engine]]:
    power_grid_model = partial(by_power_grid_model, topology, slack, batch=batch)
    return {
        "ours": lambda: ours(topology, slack, batch=batch),
        "lightsim2grid": lambda: by_lightsim2grid(topology, slack, batch=batch),
        "power-grid-model, iterative current": lambda: power_grid_model("iterative_current"),
        "power-grid-model, Newton-Raphson": lambda: power_grid_model("newton_raphson"),
        "pandapower.runpp": lambda: by_runpp(topology, slack),
    }


def measured(site: Site, flows: int, seconds: float, *, batch: bool) -> dict[str, Cell]:
    """Of each engine."""
    topology, slack, node = plain(site)
    every = loads(site, topology, node, flows)
    few = [(p_kw[:, :FEW], q_kvar[:, :FEW]) for p_kw, q_kvar in every[:1]]
    reference = ours(topology, slack, batch=False)
    found: dict[str, Cell] = {}
    ready: dict[str, tuple[Engine, Sets]] = {}
    for name, make in engines(topology, slack, batch=batch).items():
        module, sets = name.split(",")[0].split(".")[0].replace("-", "_"), few if "runpp" in name else every
        if module != "ours" and importlib.util.find_spec(module) is None:
            found[name] = Cell(refused="not installed")
            continue
        try:
            engine = make()
            difference_pu = np.abs(engine(*sets[0]) - reference(*sets[0])).max()
        except RuntimeError as error:
            found[name] = Cell(refused=f"refused: {error}")
            continue
        ready[name], found[name] = (engine, sets), Cell(difference_pu=float(difference_pu))
    for _ in range(TURNS):
        for name, (engine, sets) in ready.items():
            found[name] = replace(found[name], flow_us=min(turn(engine, sets, seconds), found[name].flow_us))
    return found


def turn(engine: Engine, sets: Sets, seconds: float) -> float:
    """Microseconds of one flow, over so many seconds at least; every set as often as the others."""
    began_s, flows = cpu_s(), 0
    while cpu_s() - began_s < seconds:
        for p_kw, q_kvar in sets:
            engine(p_kw, q_kvar)
            flows += p_kw.shape[1]
    return (cpu_s() - began_s) / flows * 1e6


def loads(site: Site, topology: Topology, node: Mapping[str, str], flows: int) -> Sets:
    """About half of what each load may draw, a little different in every flow of every set."""
    rng, buses = np.random.default_rng(5), list(topology.buses)
    level_kw = np.zeros(len(buses))
    for device in site.devices.values():
        if device.account in LOADS:
            level_kw[buses.index(node[device.bus])] += 0.5 * device.rated_kw
    spread = (1 - SLIGHTLY, 1 + SLIGHTLY)
    sets = [level_kw[:, None] * rng.uniform(*spread, (len(buses), flows)) for _ in range(CALLS)]
    return [(p_kw, 0.2 * p_kw) for p_kw in sets]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", type=Path, nargs="+", default=list(SITES))
    parser.add_argument("--scenarios", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one turn")
    options = parser.parse_args()
    print("| site | buses | engine | one after the other, µs | together, µs a flow | largest difference to ours, pu |")
    print("|---|---:|---|---:|---:|---:|")
    with threadpool_limits(1, user_api="blas"):
        for path in options.site:
            site = load(path).site
            alone = measured(site, 16, options.seconds, batch=False)
            together = measured(site, options.scenarios, options.seconds, batch=True)
            for name in alone:
                print(row(site, name, alone[name], together[name]), flush=True)


def row(site: Site, name: str, alone: Cell, together: Cell) -> str:
    difference = f"{max(alone.difference_pu, together.difference_pu):.0e}" if name != "ours" else ""
    return f"| {site.name} | {len(site.network.buses)} | {name} | {alone} | {together} | {difference} |"


if __name__ == "__main__":
    main()
