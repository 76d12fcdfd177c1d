"""What every forecaster has to keep, whatever its method."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import numpy as np
import pytest

import agents.forecasters
from agents.forecasters.base import FORECASTERS, SignalSpec, signals_of
from agents.forecasting import ForecastingAgent, usual_method
from tests.agents.forecasting_site import CAMPUS, MIDNIGHT, Values, served, state
from twin.forecast import Forecast
from twin.numeric import FloatArray, Num
from twin.registry import load
from twin.state import SiteState
from twin.units import has_unit

load(agents.forecasters)
STEP_S = 300.0
HOURS = 40.0
Course = Callable[[datetime], SiteState]


@pytest.fixture(params=sorted(FORECASTERS))
def make(request: pytest.FixtureRequest) -> Callable[[], ForecastingAgent]:
    """An agent that uses the method for every signal that suits it."""
    method: str = request.param

    def chosen(signal: SignalSpec) -> str:
        return method if FORECASTERS[method].suits(signal) else usual_method(signal)

    assert any(FORECASTERS[method].suits(signal) for signal in signals_of(CAMPUS))
    return lambda: ForecastingAgent(CAMPUS, method=chosen)


def wild(seed: int, *, hole: bool = False) -> Course:
    """Values all over their range and beyond it; with `hole`, devices vanish, break, or send no number."""

    def course(now: datetime) -> SiteState:
        rng = random.Random(f"{seed} {now.isoformat()}")
        values: dict[str, Num] = {
            signal.device: rng.uniform(-0.2, 1.3) * signal.rated_kw for signal in signals_of(CAMPUS)
        }
        broken: tuple[str, ...] = ()
        if hole:
            broken = tuple(name for name in values if rng.random() < 0.3)
            values = {name: value for name, value in values.items() if rng.random() < 0.7}
            values |= {name: math.nan for name in values if rng.random() < 0.1}
        return state(now, values, broken)

    return course


def daily(now: datetime) -> Values:
    """A smooth day: every value swings once."""
    share = 0.5 - 0.4 * math.cos((now - MIDNIGHT).total_seconds() / 86400 * 2 * math.pi)
    return {signal.device: share * signal.rated_kw for signal in signals_of(CAMPUS)}


def arrays(forecast: Forecast) -> Iterator[FloatArray]:
    for signal in forecast.signals.values():
        yield from (signal.mean, signal.low, signal.high)


def same(one: Forecast | None, other: Forecast | None) -> bool:
    if one is None or other is None:
        return one is other
    return list(one.signals) == list(other.signals) and all(
        np.array_equal(a, b) for a, b in zip(arrays(one), arrays(other), strict=True)
    )


def test_its_name_is_the_one_it_is_registered_under() -> None:
    assert {name: cls.name for name, cls in FORECASTERS.items()} == {name: name for name in FORECASTERS}


def test_each_signal_carries_its_unit_and_its_method(make: Callable[[], ForecastingAgent]) -> None:
    *_, forecast = served(make(), wild(1), MIDNIGHT, 1.0, STEP_S)
    assert forecast is not None
    assert set(forecast.signals) == {signal.name for signal in signals_of(CAMPUS)}
    assert all(has_unit(name) for name in forecast.signals)
    assert {signal.method for signal in forecast.signals.values()} <= set(FORECASTERS)


@pytest.mark.parametrize("hole", [False, True])
def test_quantiles_never_cross_and_stay_within_what_is_physical(
    make: Callable[[], ForecastingAgent], hole: bool
) -> None:
    rated_kw = {signal.name: signal.rated_kw for signal in signals_of(CAMPUS)}
    for forecast in served(make(), wild(2, hole=hole), MIDNIGHT, HOURS, STEP_S):
        for name, signal in (forecast.signals if forecast else {}).items():
            assert signal.mean.shape == signal.low.shape == signal.high.shape == (144,)
            assert (signal.low >= 0.0).all()
            assert (signal.low <= signal.mean).all()
            assert (signal.mean <= signal.high).all()
            assert (signal.high <= rated_kw[name]).all()


def test_it_never_looks_ahead(make: Callable[[], ForecastingAgent]) -> None:
    turn = MIDNIGHT + timedelta(hours=11, minutes=40)

    def other(now: datetime) -> SiteState:
        return wild(3 if now <= turn else 4)(now)

    one = list(served(make(), wild(3), MIDNIGHT, 14.0, STEP_S))
    two = list(served(make(), other, MIDNIGHT, 14.0, STEP_S))
    past = round((turn - MIDNIGHT).total_seconds() / STEP_S) + 1
    assert all(same(a, b) for a, b in zip(one[:past], two[:past], strict=True))
    assert not same(one[-1], two[-1]), "this test sees no difference at all"


def test_the_same_observations_give_the_same_forecast(make: Callable[[], ForecastingAgent]) -> None:
    one, two = (list(served(make(), wild(5), MIDNIGHT, 6.0, STEP_S)) for _ in range(2))
    assert all(same(a, b) for a, b in zip(one, two, strict=True))


def test_scenarios_in_an_array_equal_scenarios_one_by_one(make: Callable[[], ForecastingAgent]) -> None:
    factors = (0.3, 0.7, 1.0)

    def scaled(factor: Num) -> Course:
        return lambda now: state(now, {name: value * factor for name, value in daily(now).items()})

    *_, together = served(make(), scaled(np.array(factors)), MIDNIGHT, HOURS, STEP_S)
    assert together is not None
    for column, factor in enumerate(factors):
        *_, alone = served(make(), scaled(factor), MIDNIGHT, HOURS, STEP_S)
        assert alone is not None
        for many, one in zip(arrays(together), arrays(alone), strict=True):
            assert many.shape == (144, len(factors))
            np.testing.assert_array_equal(many[:, column], one)


def test_what_it_gives_cannot_be_changed(make: Callable[[], ForecastingAgent]) -> None:
    *_, forecast = served(make(), wild(6), MIDNIGHT, 1.0, STEP_S)
    assert forecast is not None
    for array in arrays(forecast):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
