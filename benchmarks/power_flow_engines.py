"""Which engine solves a site's power flow fastest: ours, lightsim2grid in memory, power-grid-model in batches, `runpp`.

    .venv/bin/python benchmarks/power_flow_engines.py [--site FILE ...] [--scenarios 256] [--seconds 1.5]

Each solves the same changing loads, one flow after the other and `--scenarios` at once (lightsim2grid and `runpp` have
no batch: there they solve one by one). They take turns, three times each; the table holds the fastest turn. What
either needs once is not counted. An engine that is not installed, or refuses a network, is told as such.
Switches are resolved and tap changers held first, since only ours moves them.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandapower

from agents.assemble import load
from agents.forecasters.base import LOADS
from twin.clock import stopwatch_s
from twin.network.build import build_net
from twin.network.power_flow import PowerFlow
from twin.network.switched_flow import SwitchedPowerFlow
from twin.network.topology import Topology
from twin.numeric import FloatArray
from twin.site import Site

SITES = tuple(Path(__file__).parents[1] / "site_configs" / f"{name}.yaml" for name in ("campus", "hyperscale"))
TURNS, FEW = 3, 3
Engine = Callable[[FloatArray, FloatArray], None]
"""Solves ``(buses, flows)`` of kW and kvar."""


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

    def solve(p_kw: FloatArray, q_kvar: FloatArray) -> None:
        if batch:
            flow.solve(p_kw, q_kvar)
        else:
            for p, q in zip(p_kw.T, q_kvar.T, strict=True):
                flow.solve(p, q)

    return solve


def by_runpp(topology: Topology, slack: str) -> Engine:
    net = build_net(topology, slack)

    def solve(p_kw: FloatArray, q_kvar: FloatArray) -> None:
        for p, q in zip(p_kw.T, q_kvar.T, strict=True):
            net.load["p_mw"], net.load["q_mvar"] = p / 1e3, q / 1e3
            pandapower.runpp(net, calculate_voltage_angles=True, numba=False, lightsim2grid=False)

    return solve


def by_lightsim2grid(topology: Topology, slack: str) -> Engine:
    from lightsim2grid.network import init_from_pandapower

    net = build_net(topology, slack)
    pandapower.runpp(net, calculate_voltage_angles=True, numba=False, lightsim2grid=False)
    grid = init_from_pandapower(net)
    start = net._ppc["internal"]["V"]
    state = grid.ac_pf(start.astype(np.complex128), 30, 1e-9)
    if not len(state):
        raise RuntimeError("no first solution")
    every = np.ones(len(net.load), dtype=bool)

    def solve(p_kw: FloatArray, q_kvar: FloatArray) -> None:
        nonlocal state
        for p, q in zip(p_kw.T, q_kvar.T, strict=True):
            grid.update_loads_p(every, (p / 1e3).astype(np.float32))
            grid.update_loads_q(every, (q / 1e3).astype(np.float32))
            state = grid.ac_pf(state, 30, 1e-9)
            if not len(state):
                raise RuntimeError("a flow without a solution")

    return solve


def by_power_grid_model(topology: Topology, slack: str, *, batch: bool) -> Engine:
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

    def solve(p_kw: FloatArray, q_kvar: FloatArray) -> None:
        pieces = [(p_kw, q_kvar)] if batch else list(zip(p_kw.T[:, :, None], q_kvar.T[:, :, None], strict=True))
        for p, q in pieces:
            update = initialize_array(DatasetType.update, "sym_load", (p.shape[1], len(buses)))
            update["id"], update["p_specified"], update["q_specified"] = loads["id"], p.T * 1e3, q.T * 1e3
            model.calculate_power_flow(
                update_data={"sym_load": update},
                calculation_method=CalculationMethod.iterative_current,
                error_tolerance=1e-9,
                threading=0,
            )

    return solve


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
    return {
        "ours": lambda: ours(topology, slack, batch=batch),
        "lightsim2grid, in memory": lambda: by_lightsim2grid(topology, slack),
        "power-grid-model, iterative current": lambda: by_power_grid_model(topology, slack, batch=batch),
        "pandapower.runpp": lambda: by_runpp(topology, slack),
    }


def measured(site: Site, flows: int, seconds: float, *, batch: bool) -> dict[str, float | str]:
    """Engine → microseconds per flow, or why there are none."""
    topology, slack, node = plain(site)
    p_kw, q_kvar = loads(site, topology, node, flows)
    found: dict[str, float | str] = {}
    ready: dict[str, Engine] = {}
    for name, make in engines(topology, slack, batch=batch).items():
        module = name.split(",")[0].split(".")[0].replace("-", "_")
        if module != "ours" and importlib.util.find_spec(module) is None:
            found[name] = "not installed"
            continue
        try:
            ready[name] = make()
            ready[name](p_kw[:, :2], q_kvar[:, :2])
        except RuntimeError as error:
            found[name] = f"refused: {error}"
            ready.pop(name, None)
    for _ in range(TURNS):
        for name, engine in ready.items():
            some = FEW if name == "pandapower.runpp" else flows
            spent_us = turn(engine, p_kw[:, :some], q_kvar[:, :some], seconds)
            found[name] = min(spent_us, float(found.get(name, np.inf)))
    return found


def turn(engine: Engine, p_kw: FloatArray, q_kvar: FloatArray, seconds: float) -> float:
    """Microseconds of one flow, over so many seconds at least."""
    began_s, flows = stopwatch_s(), 0
    while stopwatch_s() - began_s < seconds:
        engine(p_kw, q_kvar)
        flows += p_kw.shape[1]
    return (stopwatch_s() - began_s) / flows * 1e6


def loads(site: Site, topology: Topology, node: Mapping[str, str], flows: int) -> tuple[FloatArray, FloatArray]:
    """About half of what each load may draw, moving by a few percent from flow to flow."""
    rng, buses = np.random.default_rng(5), list(topology.buses)
    level_kw = np.zeros(len(buses))
    for device in site.devices.values():
        if device.account in LOADS:
            level_kw[buses.index(node[device.bus])] += 0.5 * device.rated_kw
    p_kw = level_kw[:, None] * rng.uniform(0.95, 1.05, (len(buses), flows))
    return p_kw, 0.2 * p_kw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", type=Path, nargs="+", default=list(SITES))
    parser.add_argument("--scenarios", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=1.5, help="of one turn")
    options = parser.parse_args()
    print("| site | engine | one after the other, µs | together, µs a flow |")
    print("|---|---|---:|---:|")
    for path in options.site:
        site = load(path).site
        alone = measured(site, 16, options.seconds, batch=False)
        together = measured(site, options.scenarios, options.seconds, batch=True)
        for name in alone:
            print(f"| {site.name} | {name} | {shown(alone[name])} | {shown(together[name])} |", flush=True)


def shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,.1f}"


if __name__ == "__main__":
    main()
