"""A recorded simulation step as machine code, fed step by step with what is not arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from agents.object_run import ObjectRun
from agents.recording import Memory, Row, Surroundings, record
from agents.step_row import nothing
from twin.demand_interval import DemandInterval
from twin.devices.grid_connection import GridConnection
from twin.native import Machine
from twin.number_tree import numbers, with_numbers
from twin.numeric import Num
from twin.site import Site

CLOCK_NUMBERS = 10


class Calendar:
    """What tariff and meters' clocks say of one step after the other, in the order of `clock_inputs`."""

    def __init__(self, site: Site, memory: Memory, step_s: float) -> None:
        self._zone = site.location.zone
        self._tariff = None
        if site.grid is not None:
            connection = site.devices[site.grid]
            assert isinstance(connection, GridConnection)
            self._tariff = connection.tariff
        self._step = timedelta(seconds=step_s)
        self._until, self._during = _bare(memory.meter.demand), _bare(memory.tally.demand)

    def at(self, now: datetime) -> list[float]:
        """Of the step that begins at `now`, the one after that of the call before."""
        if self._tariff is None or self._until is None or self._during is None:
            return [0.0] * CLOCK_NUMBERS
        local, end = now.astimezone(self._zone), now + self._step
        until = self._until.passage(now - self._step, now, local)
        during = self._during.passage(now, end, end.astimezone(self._zone))
        self._until, self._during = self._until.after(0.0, until), self._during.after(0.0, during)
        numbers = [self._tariff.price_per_kwh(local), self._until.elapsed_s(now)]
        for passage in (until, during):
            numbers += [passage.old_s, passage.new_s, passage.rolled, passage.month_ended]
        return numbers


def _bare(demand: DemandInterval | None) -> DemandInterval | None:
    """Its clock alone."""
    return None if demand is None else replace(demand, energy_kwh=0.0, billed_peak_kw=0.0)


class MachineRun:
    """A simulation as machine code. Its first step is done by the objects, and shows what there is to remember."""

    def __init__(self, around: Surroundings, row_of: Row = nothing) -> None:
        self._around, self._row_of = around, row_of
        self._begun = ObjectRun(around, row_of)
        self._done = 0
        self._machine: _Fed | None = None

    def step(self) -> None:
        if self._done == 0:
            self._begun.step()
        else:
            self._machine = self._machine or _Fed(self._around, self._begun.memory(), self._row_of)
            self._machine.step(self._done)
        self._done += 1

    @property
    def row(self) -> Mapping[str, Num]:
        return self._machine.row if self._machine else self._begun.row

    def memory(self) -> Memory:
        return self._machine.memory() if self._machine else self._begun.memory()


class _Fed:
    """The machine code with all that it is fed with."""

    def __init__(self, around: Surroundings, memory: Memory, row_of: Row) -> None:
        self._around, self._memory = around, memory
        self._recording = record(around, memory, row_of)
        outputs = [*self._recording.memory, *self._recording.row.values()]
        self._machine = machine = Machine(self._recording.tape, outputs, around.drives.scenarios)
        self._calendar = Calendar(around.site, memory, around.step_s)
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
        self._clock.T[:] = self._calendar.at(self.now)
        self._recording.forecasts.now = self.now
        self._machine.run()
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
