"""How fast a site is simulated, against one `pandapower.runpp` for each step of the same run.

    .venv/bin/python benchmarks/simulation_speed.py [--site FILE] [--days N] [--step S] [--scenarios N] [--policy P]

Runs the whole simulation: plant with an AC power flow in every step, meters, twin, forecasts, rules, guard and
books. Ten times on the way it pauses, and lets pandapower solve the flows of a sample of the steps since, on a net that
is built once and whose loads are updated for each: what the same run would cost at the least with pandapower's own
power flow and nothing else. Since they take turns, whatever else the machine does slows both. What either needs once,
before the first step, is not counted (the machine code too, which is made after it); ours is printed.
Prints both speeds, their ratio, and the largest difference between the two voltages at any bus of the sample.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandapower

from agents.assemble import load
from agents.simulation import simulate
from twin.clock import stopwatch_s
from twin.network.build import build_net
from twin.numeric import FloatArray, Num, first
from twin.simulator import PlantStep
from twin.site import Site
from twin.site_network import NetworkInMemory
from twin.timegrid import TimeGrid

CAMPUS = Path(__file__).parents[1] / "site_configs" / "campus.yaml"
START = datetime(2025, 1, 1, tzinfo=UTC)
TURNS = 10
FLOWS_PER_TURN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Consumption at every bus in one step, and the voltages that our power flow finds; first scenario."""

    p_kw: FloatArray
    q_kvar: FloatArray
    v_pu: FloatArray


class Pandapower:
    """Solves flows with `runpp` on a net that is built once, and keeps count of what that takes."""

    def __init__(self, site: Site) -> None:
        self._net = build_net(site.network, site.devices[site.slack].bus)
        # Its own default, without the warning where numba is not installed.
        self._numba = importlib.util.find_spec("numba") is not None
        pandapower.runpp(self._net, numba=self._numba)
        self.flows, self.spent_s, self.difference_pu = 0, 0.0, 0.0

    def solve(self, flow: Flow) -> None:
        net, began_s = self._net, stopwatch_s()
        net.load["p_mw"], net.load["q_mvar"] = flow.p_kw / 1e3, flow.q_kvar / 1e3
        pandapower.runpp(net, numba=self._numba)
        self.spent_s, self.flows = self.spent_s + stopwatch_s() - began_s, self.flows + 1
        difference_pu = float(np.abs(net.res_bus["vm_pu"].to_numpy() - flow.v_pu).max())
        self.difference_pu = max(self.difference_pu, difference_pu)


class TakingTurns:
    """Keeps the loads of some steps, evenly spread over the run, and has them solved after each tenth of it."""

    def __init__(self, site: Site, steps: int, theirs: Pandapower) -> None:
        self._site, self._theirs, self._ours = site, theirs, NetworkInMemory(site)
        self._turn = max(steps // TURNS, 1)
        self._every, self._seen = max(self._turn // FLOWS_PER_TURN, 1), 0
        self._flows: list[Flow] = []
        self.began_s = self._paused_s = 0.0
        """When the second step was over: the first is done otherwise, and the second makes the machine code."""

    @property
    def spent_s(self) -> float:
        """What all steps but the first two took until now, without the pauses."""
        return stopwatch_s() - self.began_s - self._paused_s

    def row_of(self, step: PlantStep) -> Mapping[str, Num]:
        """Consumption at every bus."""
        row: dict[str, Num] = {f"{bus}.{kind}": 0.0 for kind in ("p_kw", "q_kvar") for bus in self._site.network.buses}
        for name, done in step.steps.items():
            if name != self._site.slack:
                bus = self._site.devices[name].bus
                row[f"{bus}.p_kw"] += done.p_kw
                row[f"{bus}.q_kvar"] += done.q_kvar
        return row

    def add(self, at: datetime, row: Mapping[str, Num]) -> None:
        del at
        began_s, self._seen = stopwatch_s(), self._seen + 1
        if self._seen % self._every == 0:
            self._flows.append(self._flow(row))
        if self._seen % self._turn == 0:
            for flow in self._flows[-FLOWS_PER_TURN:]:
                self._theirs.solve(flow)
            self._flows.clear()
        if self._seen == 2:
            self.began_s = stopwatch_s()
        elif self._seen > 2:
            self._paused_s += stopwatch_s() - began_s

    def _flow(self, row: Mapping[str, Num]) -> Flow:
        p_kw, q_kvar = np.array([first(value) for value in row.values()]).reshape(2, -1)
        return Flow(p_kw=p_kw, q_kvar=q_kvar, v_pu=self._ours.solve(p_kw[:, None], q_kvar[:, None]).v_pu)


def main() -> None:
    options = _options()
    loaded = load(options.site)
    grid = TimeGrid(start=START, step_s=options.step, steps=round(options.days * 86400 / options.step))
    theirs = Pandapower(loaded.site)
    turns = TakingTurns(loaded.site, grid.steps, theirs)
    seeds, began_s = tuple(range(options.scenarios)), stopwatch_s()
    simulate(loaded.site, options.site, grid, loaded.policy(options.policy), seeds, table=turns)
    ours_s = turns.spent_s / ((grid.steps - 2) * options.scenarios)
    theirs_s = theirs.spent_s / theirs.flows
    print(
        f"{loaded.site.name}, {options.policy}: {grid.steps} steps of {options.step:g} s, {options.scenarios} scenarios"
    )
    step_us = ours_s * options.scenarios * 1e6
    print(f"simulate           {1 / ours_s:10.0f} flows/s   ({step_us:.0f} us per step, control included)")
    print(f"pandapower.runpp   {1 / theirs_s:10.1f} flows/s   ({theirs.flows} steps of the same run)")
    print(f"ratio              {theirs_s / ours_s:10.1f}")
    print(f"set-up             {turns.began_s - began_s:10.1f} s")
    print(f"largest voltage difference {theirs.difference_pu:.1e} pu")


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
