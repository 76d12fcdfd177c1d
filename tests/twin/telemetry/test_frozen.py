"""A frozen meter is found by what the others say, and one that merely stands still is not."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.telemetry.frozen import REPEATS, Watched, is_frozen, watched

SIGMA = 2.0


def after(measured: list[float], expected: list[float]) -> list[bool]:
    """Whether the meter counts as frozen after each reading."""
    meter: Watched | None = None
    verdicts = []
    for value, other in zip(measured, expected, strict=True):
        meter = watched(meter, value, other, SIGMA)
        verdicts.append(is_frozen(meter, SIGMA))
    return verdicts


@given(
    seed=st.integers(0, 10_000),
    before=st.integers(1, 40),
    offset=st.floats(-500, 500),
    movement_sigmas=st.floats(9, 500),
    sign=st.sampled_from((-1, 1)),
)
def test_it_is_found_within_three_to_ten_readings_of_the_movement(
    seed: int, before: int, offset: float, movement_sigmas: float, sign: int
) -> None:
    """The meter freezes at once with a movement, which is the hardest case, and it may have been read but once."""
    noise = random.Random(seed)
    truth = [100.0] * before + [100.0 + sign * movement_sigmas * SIGMA] * 10
    expected = [value + offset + noise.gauss(0, SIGMA) for value in truth]
    measured = [value + noise.gauss(0, 1) for value in truth[:before]] + [0.0] * 10
    measured[before:] = [measured[before - 1]] * 10
    verdicts = after(measured, expected)
    assert not any(verdicts[:before])
    assert verdicts.index(True) - before + 1 in range(REPEATS, 11)
    assert verdicts[-1]


def test_a_value_that_stands_still_because_the_truth_does_is_believed() -> None:
    noise = random.Random(1)
    expected = [200.0 + noise.gauss(0, SIGMA) for _ in range(20_000)]
    assert not any(after([200.0] * 20_000, expected))


def test_noise_that_moves_with_the_truth_is_believed() -> None:
    noise = random.Random(2)
    truth = [float(step) for step in range(1000)]
    assert not any(after([value + noise.gauss(0, 0.5) for value in truth], truth))


def test_it_is_believed_again_as_soon_as_it_moves() -> None:
    measured = [10.0, 11.0, *[12.0] * 8, 70.0, 71.0]
    expected = [10.0, 11.0, 12.0, *[70.0] * 9]
    verdicts = after(measured, expected)
    assert verdicts[5:10] == [True] * 5
    assert verdicts[10:] == [False, False]


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_slow_drift_is_found_once_it_has_gone_far_enough(rounds: int) -> None:
    expected = [100.0] * 10 + [100.0 + 0.5 * rounds * step for step in range(60)]
    verdicts = after([100.0] * 70, expected)
    found = verdicts.index(True)
    assert 5 * SIGMA < expected[found] - 100.0 <= 5 * SIGMA + 1.5 * rounds
