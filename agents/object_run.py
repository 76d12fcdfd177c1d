"""A simulation step by step by the objects themselves: plant, agent and ledger as they are."""

from __future__ import annotations

from collections.abc import Mapping

from agents.control import ControlAgent
from agents.recording import Memory, Row, Surroundings
from agents.step_row import nothing
from twin.digital_twin import DigitalTwin
from twin.ledger import Ledger
from twin.numeric import Num
from twin.scenario import with_parameters
from twin.simulator import SimulatedPlant


class ObjectRun:
    """Slow, and what everything faster is measured against."""

    def __init__(self, around: Surroundings, row_of: Row = nothing) -> None:
        self._step_s, self._row_of, self._parameters = around.step_s, row_of, dict(around.parameters)
        site = with_parameters(around.site, around.parameters)
        self._plant = SimulatedPlant(site, around.drives, around.network)
        self._twin = DigitalTwin(site)
        self._agent = ControlAgent(
            site,
            self._plant,
            around.rules,
            twin=self._twin,
            forecasting=around.forecasting,
            period_s=around.step_s,
        )
        self._ledger = Ledger(site, around.watch)
        self.row: Mapping[str, Num] = {}

    def step(self) -> None:
        """One control cycle, and the step of the plant that follows."""
        self._agent.cycle(self._plant.now)
        step = self._plant.advance(self._step_s)
        self._ledger.book(step)
        self.row = self._row_of(step)

    def memory(self) -> Memory:
        """All that is carried on to the next step."""
        return Memory(
            plant=self._plant.memory, meter=self._twin.memory, tally=self._ledger.tally, parameters=self._parameters
        )
