"""One cycle of a simulation, recorded: the real agent, rules, guard, plant and ledger, run once with symbols."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from agents.control import ControlAgent
from agents.forecasting import ForecastingAgent
from agents.recorded_inputs import (
    ForecastsBeside,
    RecordedDrives,
    RecordedFlow,
    RecordedNetwork,
    clock_inputs,
    with_clock,
    with_recorded_calendar,
    without_clock,
)
from agents.step_row import nothing
from controllers.base import Rule
from twin.digital_twin import DigitalTwin, MeterMemory
from twin.drives import Drives
from twin.ledger import Ledger, Tally, Watch
from twin.number_tree import numbers, with_numbers
from twin.numeric import Num
from twin.scenario import with_parameters
from twin.simulator import PlantMemory, PlantStep, SimulatedPlant
from twin.site import Site
from twin.site_network import Network
from twin.tape import Tape

Row = Callable[[PlantStep], Mapping[str, Num]]
"""What is kept of a step, by name."""


@dataclass(slots=True, kw_only=True)
class Memory:
    """All that a simulation carries from one step to the next, but for its forecasts."""

    plant: PlantMemory
    meter: MeterMemory
    tally: Tally
    parameters: dict[str, Num] = field(default_factory=dict)
    """Those of the site in which scenarios differ. They stay as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a simulated site runs in."""

    site: Site
    """As its file has it."""
    parameters: Mapping[str, Num]
    """Those in which scenarios differ from it, see `twin.scenario.varied`."""
    rules: Sequence[Rule] | None
    step_s: float
    drives: Drives
    network: Network
    watch: Watch
    forecasting: ForecastingAgent


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One step on tape. Its inputs are the numbers of the memory, then the series that act from outside, then the
    clock; its outputs the numbers of the memory after the step, then those of the row."""

    tape: Tape
    forecasts: ForecastsBeside
    memory: Sequence[Any]
    row: Mapping[str, Num]


def record(around: Surroundings, memory: Memory, row_of: Row = nothing) -> Recording:
    """Record the step that begins with `memory`, which every other one of the same length is like."""
    tape = Tape()
    recorded = with_numbers(memory, iter([tape.input() for _ in numbers(memory)]))
    acting, clock = RecordedDrives(around.drives, tape), clock_inputs(tape, around.site, memory.plant.now)
    recorded.meter.demand = with_clock(recorded.meter.demand, clock.until, clock.elapsed_s)
    recorded.tally.demand = with_clock(recorded.tally.demand, clock.during, clock.elapsed_s)
    site = with_recorded_calendar(with_parameters(around.site, recorded.parameters), clock)
    forecasts = ForecastsBeside(around.forecasting, tape)
    network = RecordedNetwork(around.network, around.watch, tape)
    plant = SimulatedPlant(site, acting, network, memory=recorded.plant)
    agent = ControlAgent(
        site,
        plant,
        around.rules,
        twin=DigitalTwin(site, memory=recorded.meter),
        forecasting=cast(ForecastingAgent, forecasts),
        period_s=around.step_s,
    )
    ledger = Ledger(site, watch=lambda flow: cast(RecordedFlow, flow).counts, tally=recorded.tally)
    agent.cycle(plant.now)
    step = plant.advance(around.step_s)
    ledger.book(step)
    return Recording(tape=tape, forecasts=forecasts, memory=numbers(_plain(recorded)), row=row_of(step))


def _plain(memory: Memory) -> Memory:
    """The memory without what only the recording needed."""
    meter = replace(memory.meter, demand=without_clock(memory.meter.demand))
    return replace(memory, meter=meter, tally=replace(memory.tally, demand=without_clock(memory.tally.demand)))
