"""How wrong forecasts were is learnt for each lead and each side, and only from what was judged."""

from __future__ import annotations

import numpy as np
import pytest

from agents.forecasters.base import Interval
from agents.forecasters.errors import Interpolation, RunningErrors, leads
from twin.numeric import FloatArray

STEPS = 8
RATED_KW = np.array([1000.0])
SEEN = np.array([True])

LEADS = leads(STEPS)


def errors(prior: float = 0.2) -> RunningErrors:
    return RunningErrors(np.full((1, STEPS), prior), RATED_KW, 900.0)


def interval(number: int, kw: float, known: bool = True) -> Interval:
    return Interval(number=number, mean_kw=np.array([[kw]]), known=np.array([known]), seen_s=np.array([0.0]))


def expect(kw: float) -> FloatArray:
    return np.full((1, STEPS, 1), kw)


def test_leads_double_and_end_with_the_horizon() -> None:
    assert leads(144).tolist() == [0, 1, 3, 7, 15, 31, 63, 127, 143]
    assert leads(1).tolist() == [0]
    assert leads(2).tolist() == [0, 1]


def test_between_leads_widths_are_interpolated() -> None:
    at_knots = np.array([10.0, 20.0, 40.0])[None, None, :, None]
    spread = Interpolation(np.array([0, 1, 3]), 4)(at_knots)
    assert spread[0, 0, :, 0] == pytest.approx([10.0, 20.0, 30.0, 40.0])


def test_before_anything_was_judged_the_prior_stands_on_both_sides() -> None:
    assert errors().widths_fraction()() == pytest.approx(np.full((2, 1, STEPS, 1), 0.2 * 1.61))


def test_each_lead_learns_from_forecasts_of_that_lead_only() -> None:
    """The next interval is always known, the ones after it are missed by 300 kW."""
    running = errors(0.1)
    for now in range(400):
        course = expect(300.0)
        course[:, 0] = 0.0
        running.issued(now, course[:, LEADS], SEEN)
        running.learn(interval(now, 0.0), RATED_KW)
    widths = running.widths_fraction()()[:, 0, :, 0]
    assert widths[:, 0].max() < 0.02
    assert widths[0, 1:].min() > 0.25


@pytest.mark.parametrize("reason", ["not judged", "not known", "too dark", "never forecast"])
def test_what_cannot_be_judged_teaches_nothing(reason: str) -> None:
    running = errors()
    before = running.widths_fraction()
    for now in range(50):
        if reason != "never forecast":
            running.issued(now, expect(900.0)[:, LEADS], np.array([reason != "not judged"]))
        scale_kw = np.array([1.0]) if reason == "too dark" else RATED_KW
        running.learn(interval(now, 0.0, known=reason != "not known"), scale_kw)
    assert (running.widths_fraction()() == before()).all()


def test_quantiles_of_lopsided_errors_are_missed_alike_on_both_sides() -> None:
    """Errors as of the sun behind a mostly clear sky: often a little too low, seldom much too high."""
    rng, running, missed = np.random.default_rng(1), errors(0.05), []
    for now in range(6000):
        running.issued(now, expect(500.0)[:, LEADS], SEEN)
        below, above = running.widths_fraction()()[:, 0, 0, 0] * 1000.0
        truth = 600.0 - rng.exponential(100.0)
        missed.append((truth < 500.0 - below, truth > 500.0 + above))
        running.learn(interval(now, truth), RATED_KW)
    assert np.mean(missed[1500:], axis=0) == pytest.approx([0.1, 0.1], abs=0.03)
