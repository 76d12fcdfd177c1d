"""The forecasting agent: what it forecasts, when it issues, what it does without observations, how sure it is."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from agents.clear_sky_table import ClearSkyTable
from agents.forecasters.base import signals_of
from agents.forecasting import ForecastingAgent
from tests.agents.forecasting_site import CAMPUS, MIDNIGHT, QUARTER, Values, served, state
from twin.forecast import Forecast
from twin.state import SiteState
from twin.timegrid import TimeGrid

MORNING = MIDNIGHT + timedelta(hours=8)
LEVELS: Values = {signal.device: 0.4 * signal.rated_kw for signal in signals_of(CAMPUS)}


def steady(now: datetime) -> SiteState:
    return state(now, LEVELS)


def sunny(now: datetime, index: float = 0.6) -> SiteState:
    """The sky is equally clear at all times."""
    grid = TimeGrid(start=now, step_s=900.0, steps=1)
    return state(now, {"solar": index * float(CLEAR_SKY(grid)[0, 0, 0])})


CLEAR_SKY = ClearSkyTable(CAMPUS, 900.0)


def issued(agent: ForecastingAgent, now: datetime) -> Forecast:
    forecast = agent.forecast(now)
    assert forecast is not None
    return forecast


def test_every_source_and_load_of_the_campus_has_a_signal() -> None:
    agent = ForecastingAgent(CAMPUS)
    agent.observe(steady(MORNING))
    methods = {name: signal.method for name, signal in issued(agent, MORNING).signals.items()}
    loads = ("hall_a", "hall_b", "ups_a", "ups_b", "chiller_plant", "dry_coolers", "office")
    assert methods == {
        "solar.available_kw": "clear_sky_persistence",
        "turbine.available_kw": "persistence",
    } | {f"{load}.demand_kw": "persistence" for load in loads}


def test_halls_are_forecast_by_what_they_want_and_other_loads_by_what_they_draw() -> None:
    sources = {signal.name: signal.value for signal in signals_of(CAMPUS)}
    assert sources["hall_a.demand_kw"] == "demand_kw"
    assert sources["office.demand_kw"] == sources["chiller_plant.demand_kw"] == "p_kw"


def test_nothing_is_forecast_before_anything_was_seen() -> None:
    agent = ForecastingAgent(CAMPUS)
    assert agent.forecast(MORNING) is None
    agent.observe(steady(MORNING))
    assert agent.forecast(MORNING - QUARTER) is None


def test_the_first_observation_is_enough_for_a_forecast() -> None:
    agent, now = ForecastingAgent(CAMPUS), MORNING + timedelta(minutes=7, seconds=13)
    agent.observe(steady(now))
    forecast = issued(agent, now)
    assert forecast.grid == TimeGrid(start=MORNING, step_s=900.0, steps=144)
    assert (forecast.signals["office.demand_kw"].mean == LEVELS["office"]).all()


def test_a_new_one_is_issued_at_each_quarter_of_an_hour_and_served_between() -> None:
    agent = ForecastingAgent(CAMPUS)
    moments = [
        forecast.issued_at
        for forecast in served(agent, steady, MORNING + timedelta(minutes=7), 1.0, 60.0)
        if forecast is not None
    ]
    assert list(dict.fromkeys(moments)) == [
        MORNING + timedelta(minutes=7),
        *(MORNING + k * QUARTER for k in range(1, 5)),
    ]


def test_persistence_carries_the_mean_of_the_last_whole_interval_on() -> None:
    agent = ForecastingAgent(CAMPUS)
    for minute, kw in ((0, 100.0), (5, 130.0), (10, 160.0), (15, 999.0)):
        agent.observe(state(MORNING + timedelta(minutes=minute), {"office": kw / 10}))
    forecast = issued(agent, MORNING + QUARTER)
    assert forecast.signals["office.demand_kw"].mean == pytest.approx(np.full(144, 13.0))


def test_an_equally_clear_sky_is_forecast_exactly_by_day_and_by_night() -> None:
    agent = ForecastingAgent(CAMPUS)
    for forecast in served(agent, sunny, MORNING, 24.0, 900.0):
        assert forecast is not None
        expected = 0.6 * CLEAR_SKY(forecast.grid)[0, :, 0]
        assert forecast.signals["solar.available_kw"].mean == pytest.approx(expected, abs=1e-6)


def test_by_night_the_sky_stays_as_the_last_daylight_was_and_the_sun_is_known_to_be_gone() -> None:
    agent = ForecastingAgent(CAMPUS)
    *_, at_night = served(agent, lambda now: sunny(now, 0.3), MORNING, 18.0, 900.0)
    assert at_night is not None
    signal = at_night.signals["solar.available_kw"]
    assert signal.high[0] == 0.0
    assert signal.mean.max() == pytest.approx(0.3 * CLEAR_SKY(at_night.grid)[0, :, 0].max())


def test_an_unreliable_or_absent_device_is_not_seen() -> None:
    agent = ForecastingAgent(CAMPUS)
    agent.observe(state(MORNING, {"office": 100.0, "turbine": 500.0}, unreliable=("turbine",)))
    assert set(issued(agent, MORNING).signals) == {"office.demand_kw"}


def test_what_was_lost_for_too_long_stands_in_marked_and_as_unsure_as_can_be() -> None:
    agent = ForecastingAgent(CAMPUS)
    list(served(agent, steady, MORNING, 1.0, 300.0))
    lost = MORNING + timedelta(minutes=55)

    def without_turbine(now: datetime) -> SiteState:
        return state(now, LEVELS, unreliable=("turbine",))

    for forecast in served(agent, without_turbine, MORNING + timedelta(hours=1), 2.0, 300.0):
        assert forecast is not None
        signal = forecast.signals["turbine.available_kw"]
        assert signal.mean == pytest.approx(np.full(144, LEVELS["turbine"]))
        expired = forecast.issued_at - lost > 2 * QUARTER
        assert (signal.method == "persistence (expired: last seen 2025-07-01 12:55 UTC)") == expired
        assert ((signal.high - signal.low)[0] == (signal.high - signal.low)[-1]) == expired
        assert forecast.signals["office.demand_kw"].method == "persistence"


def test_after_total_silence_the_last_known_is_served_and_says_so() -> None:
    agent = ForecastingAgent(CAMPUS)
    list(served(agent, steady, MORNING, 1.0, 300.0))
    forecast = issued(agent, MORNING + timedelta(hours=14))
    assert all("expired" in signal.method for signal in forecast.signals.values())
    assert forecast.signals["office.demand_kw"].mean == pytest.approx(np.full(144, LEVELS["office"]))
    assert forecast.signals["solar.available_kw"].high[0] == 0.0, "an old value gives no sun at night"


def test_what_comes_back_is_forecast_by_its_method_again() -> None:
    agent = ForecastingAgent(CAMPUS)
    list(served(agent, steady, MORNING, 1.0, 300.0))
    back = MORNING + timedelta(hours=9, minutes=7)
    agent.observe(state(back, {"office": 300.0}))
    signal = issued(agent, back).signals["office.demand_kw"]
    assert signal.method == "persistence"
    assert (signal.mean == 300.0).all()


def test_a_clock_that_was_set_back_makes_it_begin_afresh() -> None:
    agent = ForecastingAgent(CAMPUS)
    list(served(agent, steady, MORNING, 1.0, 300.0))
    agent.observe(state(MORNING - timedelta(hours=5), {"office": 50.0}))
    forecast = issued(agent, MORNING - timedelta(hours=5))
    assert set(forecast.signals) == {"office.demand_kw"}
    assert (forecast.signals["office.demand_kw"].mean == 50.0).all()


def test_what_never_changes_is_soon_forecast_narrowly() -> None:
    agent = ForecastingAgent(CAMPUS)
    first, *_, last = served(agent, steady, MORNING, 24.0 * 6, 900.0)
    assert first is not None
    assert last is not None
    widths = [
        float((item.signals["office.demand_kw"].high - item.signals["office.demand_kw"].low)[0])
        for item in (first, last)
    ]
    assert widths[1] < widths[0] / 20


def test_four_of_five_truths_lie_between_the_quantiles() -> None:
    """A random walk of the wind, judged at one, four and sixteen intervals ahead after two days of learning."""
    rng, agent, level = random.Random(7), ForecastingAgent(CAMPUS), 1000.0
    truths, forecasts = list[float](), list[Forecast]()
    for k in range(96 * 12):
        now = MORNING + k * QUARTER
        level = min(max(level + rng.gauss(0.0, 40.0), 400.0), 1600.0)
        agent.observe(state(now, {"turbine": level}))
        truths.append(level)
        forecasts.append(issued(agent, now))
    for ahead in (0, 3, 15):
        pairs = [
            (forecasts[k].signals["turbine.available_kw"], truths[k + ahead]) for k in range(192, len(truths) - ahead)
        ]
        inside = [signal.low[ahead] <= truth <= signal.high[ahead] for signal, truth in pairs]
        assert 0.72 < np.mean(inside) < 0.88, ahead


def test_uncertainty_grows_with_the_lead() -> None:
    agent = ForecastingAgent(CAMPUS)
    agent.observe(steady(MORNING))
    signal = issued(agent, MORNING).signals["office.demand_kw"]
    width = signal.high - signal.low
    assert (np.diff(width) >= 0.0).all()
    assert width[0] < width[-1] / 3


def test_the_step_may_be_chosen_and_the_horizon_stays() -> None:
    agent = ForecastingAgent(CAMPUS, step_s=3600.0)
    agent.observe(steady(MORNING))
    assert issued(agent, MORNING).grid == TimeGrid(start=MORNING, step_s=3600.0, steps=36)


def test_a_mean_over_hours_weighs_the_parts_of_intervals() -> None:
    agent = ForecastingAgent(CAMPUS)
    list(served(agent, sunny, MORNING, 0.75, 300.0))
    now = MORNING + timedelta(minutes=45)
    forecast = issued(agent, now)
    mean = forecast.signals["solar.available_kw"].mean
    half_hour_kw = forecast.mean_kw("solar.available_kw", now + timedelta(minutes=5), 0.5)
    assert half_hour_kw == pytest.approx((mean[0] * 10 + mean[1] * 15 + mean[2] * 5) / 30)
    assert forecast.mean_kw("solar.available_kw", now, 1000.0) == pytest.approx(mean.mean())
    assert forecast.mean_kw("solar.available_kw", forecast.grid.end, 1.0) is None
    assert forecast.mean_kw("battery.p_kw", now, 1.0) is None


def test_a_mean_over_hours_of_many_scenarios_is_one_of_each() -> None:
    agent = ForecastingAgent(CAMPUS)
    agent.observe(state(MORNING, {"office": np.array([100.0, 200.0])}))
    mean_kw = issued(agent, MORNING).mean_kw("office.demand_kw", MORNING, 2.0)
    assert mean_kw == pytest.approx([100.0, 200.0])


def test_daylight_saving_changes_nothing() -> None:
    start = datetime(2025, 3, 8, 12, tzinfo=UTC)
    for forecast in served(ForecastingAgent(CAMPUS), sunny, start, 48.0, 900.0):
        assert forecast is not None
        expected = 0.6 * CLEAR_SKY(forecast.grid)[0, :, 0]
        assert forecast.signals["solar.available_kw"].mean == pytest.approx(expected, abs=1e-6)
