"""The main job in one command: an emulated plant in one process, the controller in another, real sockets between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from agents.assemble import Policy, control_agent, network_estimator
from agents.conductor import EmulatedSite, emulated_site
from agents.control import ControlAgent, Cycle
from agents.interruption import interruption
from agents.recorder import Recorder
from agents.tally import ControllerTally, TwinTally
from twin.clock import SteppedClock, stopwatch_s
from twin.site import Site
from twin.telemetry.live_plant import LivePlant
from twin.timegrid import TimeGrid

CONNECT_S = 20.0
"""How long the first contact with all devices may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """Emulator, controller and the clock they share."""

    emulator: EmulatedSite
    agent: ControlAgent
    clock: SteppedClock

    def tick(self, instant: datetime) -> tuple[Cycle, Mapping[str, Any]]:
        """Let the plant's time pass until `instant`, then run one control cycle there."""
        truth = self.emulator.advance_to(instant)
        self.clock.move_to(instant)
        return self.agent.cycle(instant), truth


@contextmanager
def rig(
    site: Site,
    site_path: Path,
    grid: TimeGrid,
    policy: Policy,
    *,
    seed: int,
    record: Callable[[Cycle], None] | None = None,
) -> Iterator[Rig]:
    """Both processes, connected; everything is closed with the block."""
    with emulated_site(site_path, start=grid.start, step_s=grid.step_s, steps=grid.steps, seed=seed) as emulator:
        # Built while the emulator starts: both take seconds.
        estimator, clock = network_estimator(site), SteppedClock(grid.start)
        emulator.await_open()
        plant = LivePlant(site, site_path, clock)
        try:
            plant.connect_or_raise(CONNECT_S)
            agent = control_agent(site, plant, policy, period_s=grid.step_s, estimator=estimator, record=record)
            yield Rig(emulator=emulator, agent=agent, clock=clock)
        finally:
            plant.close()


def run_demo(
    site: Site,
    site_path: Path,
    grid: TimeGrid,
    policy: Policy,
    *,
    seed: int,
    record: Path | None = None,
    on_cycle: Callable[[Cycle], None],
) -> Mapping[str, Any]:
    """Run the demo to the end of `grid`, or until Ctrl-C; returns the summary of `--json`."""
    began_s, controller, twin = stopwatch_s(), ControllerTally(grid.step_s), TwinTally()
    with ExitStack() as stack:
        keep = stack.enter_context(closing(Recorder(record))).append if record else None
        demo = stack.enter_context(rig(site, site_path, grid, policy, seed=seed, record=keep))
        interrupted = stack.enter_context(interruption())
        for step in range(1, grid.steps):
            if interrupted():
                break
            cycle, truth = demo.tick(grid.at(step))
            controller.add(cycle)
            if cycle.state.network is not None:
                twin.add(cycle.state.network, truth)
            on_cycle(cycle)
        else:
            demo.emulator.advance_to(grid.end)
        books = demo.emulator.quit()
    return {
        **books,
        "policy": policy.name,
        "wall_s": round(stopwatch_s() - began_s, 3),
        "controller": controller.as_json(),
        "twin": twin.as_json(),
    }
