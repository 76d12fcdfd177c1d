"""A hall's limit over its nodes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.telemetry.power_split import Span, split

SPANS = st.lists(
    st.tuples(st.integers(1, 5_000), st.integers(0, 10_000)).map(
        lambda pair: Span(lowest_w=float(pair[0]), highest_w=float(pair[0] + pair[1]))
    ),
    min_size=1,
    max_size=40,
)


@given(spans=SPANS, fraction=st.floats(-0.2, 1.5))
def test_a_split_fits_the_nodes_and_the_limit_to_a_watt(spans: list[Span], fraction: float) -> None:
    lowest_w, highest_w = (sum(span.lowest_w for span in spans), sum(span.highest_w for span in spans))
    total_w = fraction * highest_w
    shares = split(total_w, spans)
    assert all(span.lowest_w <= share <= span.highest_w for share, span in zip(shares, spans, strict=True))
    if total_w < lowest_w:
        assert shares == [span.lowest_w for span in spans]
    elif total_w > highest_w:
        assert shares == [span.highest_w for span in spans]
    else:
        assert total_w - 1.0 <= sum(shares) <= total_w + 1e-6


@given(spans=SPANS, fractions=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_higher_limit_takes_nothing_from_anybody(spans: list[Span], fractions: tuple[float, float]) -> None:
    highest_w = sum(span.highest_w for span in spans)
    low, high = (split(fraction * highest_w, spans) for fraction in sorted(fractions))
    assert all(less <= more + 1.0 for less, more in zip(low, high, strict=True))


def test_machines_of_different_size_are_slowed_alike() -> None:
    spans = [Span(lowest_w=100.0, highest_w=1000.0), Span(lowest_w=100.0, highest_w=2000.0)]
    assert split(1500.0, spans) == [500.0, 1000.0]


def test_one_that_cannot_go_so_low_takes_it_from_the_others() -> None:
    spans = [Span(lowest_w=800.0, highest_w=1000.0), Span(lowest_w=100.0, highest_w=1000.0)]
    assert split(1000.0, spans) == [800.0, 200.0]


def test_nobody_is_told_nothing() -> None:
    assert split(0.0, [Span(lowest_w=0.0, highest_w=10.0)]) == [pytest.approx(1.0)]
