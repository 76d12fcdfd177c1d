from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin import numeric
from twin.numeric import (
    Num,
    any_true,
    clip,
    count_true,
    exp,
    first,
    larger,
    largest_magnitude,
    log,
    ratio,
    smaller,
    sqrt,
    where,
)

numbers = st.floats(-1e6, 1e6) | st.integers(-5, 5).map(float) | st.integers(-5, 5)
triples = st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=5)
FORMULAS: dict[str, Callable[[Num, Num, Num], Num]] = {
    "smaller": lambda a, b, _: smaller(a, b),
    "larger": lambda a, b, _: larger(a, b),
    "clip": clip,
    "where": lambda a, b, c: where(a < b, b, c),
    "ratio": ratio,
    "count_true": lambda a, b, _: count_true(a > b),
}


@pytest.mark.parametrize("name", FORMULAS)
@settings(max_examples=100, deadline=None, derandomize=True)
@given(rows=triples)
def test_arrays_give_what_floats_give(name: str, rows: list[tuple[float, float, float]]) -> None:
    formula, columns = FORMULAS[name], [np.array(column, dtype=float) for column in zip(*rows, strict=True)]
    many = formula(columns[0], columns[1], columns[2])
    for row, got in zip(rows, np.broadcast_to(many, (len(rows),)), strict=True):
        assert got == formula(*row)
        mixed = formula(columns[0], row[1], row[2])
        assert first(mixed) == formula(columns[0].tolist()[0], row[1], row[2])


def test_where_bounds_cross_the_low_one_wins() -> None:
    assert clip(5.0, 3.0, 2.0) == clip(0.0, 3.0, 2.0) == 3.0
    assert clip(5, 3, 2) == 3
    np.testing.assert_array_equal(clip(np.array([0.0, 5.0]), 3.0, 2.0), [3.0, 3.0])


def test_a_ratio_to_nothing_is_the_given_value_and_warns_of_nothing() -> None:
    assert ratio(1.0, 0.0, 7.0) == 7.0
    np.testing.assert_array_equal(ratio(np.array([1.0, 4.0]), np.array([0.0, 2.0])), [0.0, 2.0])


def test_exponential_and_logarithm_undo_each_other_and_give_the_same_for_one_and_for_many() -> None:
    values = np.array([-700.0, -1.5, 0.0, 1e-9, 3.0])
    assert exp(values) == pytest.approx([exp(each) for each in values.tolist()], rel=1e-15)
    assert log(exp(values)) == pytest.approx(values, rel=1e-15, abs=1e-15)
    assert log(exp(-1.5)) == pytest.approx(-1.5, rel=1e-15)
    assert exp(-1e9) == 0.0


def test_a_square_root_is_the_same_for_one_and_for_many() -> None:
    values = np.array([0.0, 1e-9, 2.0, 1e300])
    np.testing.assert_array_equal(sqrt(values), [sqrt(each) for each in values.tolist()])
    assert sqrt(2.0) == 2.0**0.5


def test_summaries_over_scenarios() -> None:
    values = np.array([1.0, -9.0, 3.0])
    assert (first(values), first(2), largest_magnitude(values), largest_magnitude(-2.0)) == (1.0, 2.0, 9.0, 2.0)
    assert any_true(values > 2.0)
    assert not any_true(values > 5.0)
    assert any_true(numeric.UNBOUNDED > 1e300)
