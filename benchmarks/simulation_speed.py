"""How fast a site is simulated, against one `pandapower.runpp` for each step of the same run.

    .venv/bin/python benchmarks/simulation_speed.py [--site FILE] [--days N] [--step S] [--scenarios N] [--policy P]

Runs the whole simulation: plant with an AC power flow in every step, meters, twin, forecasts, rules, guard and
books. Then lets pandapower solve the flows of a sample of those steps, on a net that is built once and whose loads
are updated for each: what the same run would cost at the least with pandapower's own power flow and nothing else.
Prints both speeds, their ratio, and the largest difference between the two voltages at any bus of the sample.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandapower

from agents.assemble import load
from agents.simulation import simulate
from agents.step_table import StepTable
from twin.clock import stopwatch_s
from twin.network.build import build_net
from twin.numeric import FloatArray, first
from twin.simulator import PlantStep
from twin.site import Site
from twin.timegrid import TimeGrid

CAMPUS = Path(__file__).parents[1] / "site_configs" / "campus.yaml"
START = datetime(2025, 1, 1, tzinfo=UTC)
SAMPLED_STEPS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Consumption at every bus in one step, and the voltages that our power flow found; first scenario."""

    p_kw: FloatArray
    q_kvar: FloatArray
    v_pu: FloatArray


class Sample(StepTable):
    """Keeps the flows of some steps, evenly spread over the run, instead of writing all of them to a file."""

    def __init__(self, site: Site, steps: int) -> None:
        super().__init__(Path(), 1)
        self._site, self._every, self._seen = site, max(steps // SAMPLED_STEPS, 1), 0
        self.flows: list[Flow] = []

    def add(self, step: PlantStep) -> None:
        if self._seen % self._every == 0 and len(self.flows) < SAMPLED_STEPS:
            self.flows.append(self._flow(step))
        self._seen += 1

    def _flow(self, step: PlantStep) -> Flow:
        buses = list(self._site.network.buses)
        p_kw, q_kvar = np.zeros((2, len(buses)))
        for name, done in step.steps.items():
            if name != self._site.slack:
                bus = buses.index(self._site.devices[name].bus)
                p_kw[bus] += first(done.p_kw)
                q_kvar[bus] += first(done.q_kvar)
        return Flow(p_kw=p_kw, q_kvar=q_kvar, v_pu=step.flow.v_pu.reshape(len(buses), -1)[:, 0].copy())


def pandapower_seconds(site: Site, flows: Sequence[Flow]) -> tuple[float, float]:
    """Mean time of one `runpp` with its loads set, and the largest difference from our voltages, pu."""
    net = build_net(site.network, site.devices[site.slack].bus)
    # Its own default, without the warning where numba is not installed.
    numba = importlib.util.find_spec("numba") is not None
    pandapower.runpp(net, numba=numba)
    difference_pu, began_s = 0.0, stopwatch_s()
    for flow in flows:
        net.load["p_mw"], net.load["q_mvar"] = flow.p_kw / 1e3, flow.q_kvar / 1e3
        pandapower.runpp(net, numba=numba)
        difference_pu = max(difference_pu, float(np.abs(net.res_bus["vm_pu"].to_numpy() - flow.v_pu).max()))
    return (stopwatch_s() - began_s) / len(flows), difference_pu


def main() -> None:
    options = _options()
    loaded = load(options.site)
    grid = TimeGrid(start=START, step_s=options.step, steps=round(options.days * 86400 / options.step))
    sample = Sample(loaded.site, grid.steps)
    done = simulate(
        loaded.site, options.site, grid, loaded.policy(options.policy), tuple(range(options.scenarios)), table=sample
    )
    flows = grid.steps * options.scenarios
    ours_s = done.run.wall_s / flows
    theirs_s, difference_pu = pandapower_seconds(loaded.site, sample.flows)
    print(
        f"{loaded.site.name}, {options.policy}: {grid.steps} steps of {options.step:g} s, {options.scenarios} scenarios"
    )
    print(f"simulate           {1 / ours_s:10.0f} flows/s   ({done.run.wall_s:.1f} s in all, control included)")
    print(f"pandapower.runpp   {1 / theirs_s:10.1f} flows/s   ({len(sample.flows)} steps of the same run)")
    print(f"ratio              {theirs_s / ours_s:10.1f}")
    print(f"largest voltage difference {difference_pu:.1e} pu")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", type=Path, default=CAMPUS)
    parser.add_argument("--days", type=float, default=30.0)
    parser.add_argument("--step", type=float, default=300.0, help="seconds")
    parser.add_argument("--scenarios", type=int, default=1)
    parser.add_argument("--policy", default="rules", choices=("rules", "idle"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
