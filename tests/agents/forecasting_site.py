"""A site and its states, made up for the tests of forecasting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agents.forecasting import ForecastingAgent
from twin.forecast import Forecast
from twin.numeric import Num
from twin.points import Quality
from twin.site import Site, load_site
from twin.state import AssetState, SiteState

CAMPUS = load_site(Path(__file__).parents[2] / "site_configs" / "campus.yaml")
MIDNIGHT = datetime(2025, 7, 1, 4, tzinfo=UTC)
"""Local midnight of the site, in summer."""
QUARTER = timedelta(minutes=15)

Values = Mapping[str, Num]
"""Device → its value; a device that is not named is not in the state at all."""


def state(now: datetime, values: Values, unreliable: tuple[str, ...] = (), site: Site = CAMPUS) -> SiteState:
    """A state in which each named device shows its value, under whatever name forecasting looks for."""
    assets = {
        name: AssetState(
            group=site.devices[name].group,
            account=site.devices[name].account,
            p_kw=value,
            values={"p_kw": value, "available_kw": value, "demand_kw": value},
            flexibility=None,
            quality=Quality.BAD if name in unreliable else Quality.GOOD,
            age_s=0.0,
        )
        for name, value in values.items()
    }
    return SiteState(now=now, assets=assets, grid=None)


def served(
    agent: ForecastingAgent, course: Callable[[datetime], SiteState], start: datetime, hours: float, step_s: float
) -> Iterator[Forecast | None]:
    """What the agent says in each cycle of a course of states."""
    for cycle in range(round(hours * 3600 / step_s)):
        now = start + timedelta(seconds=cycle * step_s)
        agent.observe(course(now))
        yield agent.forecast(now)
