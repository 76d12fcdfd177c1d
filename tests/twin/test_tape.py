from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.native import LANES, Machine, needed_by
from twin.numeric import (
    Num,
    all_true,
    any_true,
    clip,
    count_true,
    exp,
    finite,
    first,
    larger,
    log,
    magnitude,
    ratio,
    smaller,
    sqrt,
    where,
)
from twin.tape import Rows, Symbol, Tape

numbers = st.floats(-1e6, 1e6, allow_subnormal=False)


def formula(a: Num, b: Num) -> list[Num]:
    """Something of everything that physics and rules are made of."""
    low = (a < b) & (b > 0.0) | (a == 0.0)
    return [
        a + b,
        2.0 - a,
        3.0 * a / (magnitude(b) + 1.0),
        -a,
        smaller(a, b),
        larger(a, 1.0),
        clip(a, b, 10.0),
        where(low, a, b),
        where(True ^ low, a, 0.5),
        ratio(a, b, 7.0),
        count_true((a >= b) ^ (b <= 1.0)),
        count_true(finite(a * 1e305)),
        clip(magnitude(a), 0.0, 1.0) ** 2.7,
        exp(clip(a, -700.0, 3.0)),
        log(magnitude(a) + 1e-3),
        sqrt(magnitude(a)),
        count_true((a != b) & True),
        count_true((a != b) | False),
    ]


def run(values_a: Rows, values_b: Rows) -> Rows:
    tape = Tape()
    results = formula(tape.input(), tape.input())  # type: ignore[arg-type]
    machine = Machine(tape, results, len(values_a))
    machine.table[machine.inputs.slice] = [values_a, values_b]
    machine.run()
    return machine.table[machine.outputs.slice].copy()


@settings(max_examples=25, deadline=None)
@given(values=st.lists(st.tuples(numbers, numbers), min_size=1, max_size=2 * LANES + 1))
def test_machine_code_gives_the_bits_of_python_whatever_the_number_of_scenarios(
    values: list[tuple[float, float]],
) -> None:
    a, b = np.array(values).T
    wanted = np.array([formula(one, other) for one, other in values]).T
    np.testing.assert_array_equal(run(a, b), wanted)


def test_a_number_that_is_none_is_found_out() -> None:
    tape = Tape()
    machine = Machine(tape, [count_true(finite(tape.input()))], 3)  # type: ignore[arg-type]
    machine.table[machine.inputs.slice] = [[np.nan, -np.inf, 1.0]]
    machine.run()
    assert machine.table[machine.outputs.slice].tolist() == [[0.0, 0.0, 1.0]]


def test_a_symbol_decides_no_branch_and_says_so() -> None:
    flag = Tape().input() > 0.0
    with pytest.raises(TypeError, match="no branch may depend on one"):
        bool(flag)
    assert any_true(flag)
    assert not all_true(flag)
    assert np.isnan(first(Tape().input()))  # type: ignore[arg-type]


def test_equal_operations_are_noted_once_and_what_nobody_needs_is_left_out() -> None:
    tape = Tape()
    a = tape.input()
    twice = [a * 2.0, a * 2.0]
    assert twice[0].node == twice[1].node
    unneeded = a * 3.0
    assert unneeded.node not in needed_by(tape, [twice[0].node])


def test_a_call_sees_what_was_worked_out_before_it_and_is_used_after_it() -> None:
    seen = []

    def half(given: Rows, made: Rows) -> None:
        seen.append(given.copy())
        made[0] = given[0] / 2.0

    tape = Tape()
    a = tape.input()
    double = a * 2.0
    (halved,) = tape.call(half, [double, a > 1.0], 1)
    tape.call(lambda given, made: seen.append(given.copy()), [halved], 0)
    machine = Machine(tape, [halved + double, 5.0, a > 1.0], 2)
    machine.table[machine.inputs.slice] = [[1.0, 3.0]]
    machine.run()
    assert machine.table[machine.outputs.slice].tolist() == [[3.0, 9.0], [5.0, 5.0], [0.0, 1.0]]
    assert seen[0].tolist() == [[2.0, 6.0], [0.0, 1.0]]
    assert seen[1].tolist() == [[1.0, 3.0]]


def test_a_numpy_number_leaves_the_arithmetic_to_the_symbol() -> None:
    assert isinstance(np.float64(2.0) * Tape().input(), Symbol)
