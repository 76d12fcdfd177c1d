"""A recorded simulation step as machine code, fed step by step with what is not arithmetic."""

from __future__ import annotations

from collections.abc import Mapping

from agents.clock_series import clock_series
from agents.object_run import ObjectRun
from agents.recording import Memory, Row, Surroundings, record
from agents.step_row import nothing
from twin.native import Machine
from twin.number_tree import numbers, with_numbers
from twin.numeric import Num


class MachineRun:
    """A simulation as machine code. Its first step is done by the objects, and shows what there is to remember."""

    def __init__(self, around: Surroundings, row_of: Row = nothing) -> None:
        self._around, self._row_of = around, row_of
        self._begun = ObjectRun(around, row_of)
        self._done = 0
        self._machine: MachineStep | None = None

    def step(self) -> None:
        if self._done == 0:
            self._begun.step()
        else:
            self._machine = self._machine or MachineStep(self._around, self._begun.memory(), self._row_of)
            self._machine.step(self._done)
        self._done += 1

    @property
    def row(self) -> Mapping[str, Num]:
        return self._machine.row if self._machine else self._begun.row

    def memory(self) -> Memory:
        return self._machine.memory() if self._machine else self._begun.memory()


class MachineStep:
    """One step as machine code, with all that it is fed with."""

    def __init__(self, around: Surroundings, memory: Memory, row_of: Row) -> None:
        self._around, self._memory = around, memory
        self._recording = record(around, memory, row_of)
        outputs = [*self._recording.memory, *self._recording.row.values()]
        self.machine = machine = Machine(self._recording.tape, outputs, around.drives.scenarios)
        self._calendar = clock_series(around.site, around.drives.grid)
        kept, acting = len(self._recording.memory), len(around.drives.names)
        first, last = machine.inputs.first, machine.outputs.first
        self._before, self._after = machine.table[first : first + kept], machine.table[last : last + kept]
        self._acting = machine.table[first + kept : first + kept + acting]
        self._clock = machine.table[first + kept + acting : first + machine.inputs.rows]
        self._row = machine.table[last + kept : last + machine.outputs.rows]
        for row, number in zip(self._after, numbers(memory), strict=True):
            row[:] = number
        self.now = memory.plant.now

    def step(self, index: int) -> None:
        """Let step `index` of the drives' grid pass, which begins `now`."""
        self._before[:] = self._after
        self._acting[:] = self._around.drives.row(index)
        self._clock.T[:] = self._calendar[index]
        self._around.network.at(self.now)
        self._recording.forecasts.now = self.now
        self.machine.run()
        self.now = self._around.drives.grid.at(index + 1)

    @property
    def row(self) -> Mapping[str, Num]:
        """What is kept of the step before; overwritten by the next."""
        return dict(zip(self._recording.row, self._row, strict=True))

    def memory(self) -> Memory:
        """What the simulation remembers now."""
        one = self._around.drives.scenarios == 1
        values: list[Num] = [float(row[0]) if one else row.copy() for row in self._after]
        now = with_numbers(self._memory, iter(values))
        now.plant.now = self.now
        return now
