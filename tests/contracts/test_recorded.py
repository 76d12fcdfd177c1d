"""Whatever is registered can be recorded: as machine code it gives the numbers that it gives itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from controllers.base import RULES
from controllers.decide import decide
from controllers.guard import guard
from controllers.situation import look
from tests.contracts.device_rig import TECHNOLOGIES, build, situation
from tests.contracts.test_rules import example, site_for
from tests.controllers.small_site import drawn
from twin.native import Machine
from twin.number_tree import numbers, with_numbers
from twin.numeric import Num
from twin.tape import Tape

SCENARIOS = 40
LENGTH_S = 300.0


def outcome(technology: str, tree: tuple[Any, ...]) -> list[Num]:
    """Every number of a step and of what the device can do afterwards."""
    device, (state, setpoint, drive, served) = build(technology), tree
    done = device.step(state, setpoint, drive, served, LENGTH_S)
    return numbers((done, device.flexibility({"p_kw": done.p_kw, **done.points})))


def run(tape: Tape, results: list[Num], given: list[list[float]]) -> np.ndarray[Any, Any]:
    machine = Machine(tape, results, len(given))
    machine.table[machine.inputs.slice] = np.array(given).T
    machine.run()
    return machine.table[machine.outputs.slice].T


@pytest.mark.parametrize("technology", TECHNOLOGIES)
def test_a_device_as_machine_code_does_what_it_does(technology: str) -> None:
    found = [situation(technology, seed) for seed in range(SCENARIOS)]
    trees = [(at.state, at.setpoint, dict(at.drive), at.served) for at in found]
    tape = Tape()
    inputs = iter([tape.input() for _ in numbers(trees[0])])
    recorded = outcome(technology, with_numbers(trees[0], inputs))
    given = [[float(number) for number in numbers(tree)] for tree in trees]
    wanted = np.array([outcome(technology, tree) for tree in trees], dtype=float)
    np.testing.assert_allclose(run(tape, recorded, given), wanted, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_with_resolver_and_guard_as_machine_code_decides_what_it_decides(name: str) -> None:
    rule = example(name)

    def setpoints(values: Mapping[str, Any]) -> list[Num]:
        fleet, site = site_for(name, values)
        decision = decide([rule], look(fleet, site, None, LENGTH_S))
        guarded = guard(fleet, site, decision.setpoints, margin_fraction=0.02, period_s=LENGTH_S)
        return [*decision.setpoints.values(), *guarded.setpoints.values(), guarded.over_import_kw]

    rng = np.random.default_rng(3)
    several = [drawn(rng) for _ in range(SCENARIOS)]
    tape = Tape()
    recorded = setpoints({key: tape.input() for key in several[0]})
    wanted = np.array([setpoints(values) for values in several], dtype=float)
    found = run(tape, recorded, [list(values.values()) for values in several])
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-9)
