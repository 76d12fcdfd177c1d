from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from twin.tariff import Tariff, TariffPeriod
from twin.timegrid import TimeGrid

NEW_YORK = ZoneInfo("America/New_York")
NIGHT, DAY, PEAK = 0.05, 0.09, 0.17
TARIFF = Tariff(
    periods=(
        TariffPeriod(name="peak", months=(6, 7), weekdays_only=True, from_hour=14, to_hour=20, price_per_kwh=PEAK),
        TariffPeriod(name="night", from_hour=22, to_hour=6, price_per_kwh=NIGHT),
        TariffPeriod(name="day", from_hour=0, to_hour=24, price_per_kwh=DAY),
    )
)


def price(local: str) -> float:
    return TARIFF.price_per_kwh(datetime.fromisoformat(local).replace(tzinfo=NEW_YORK))


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2025-07-01 13:59", DAY),
        ("2025-07-01 14:00", PEAK),
        ("2025-07-01 19:59", PEAK),
        ("2025-07-01 20:00", DAY),
        ("2025-07-05 15:00", DAY),
        ("2025-08-01 15:00", DAY),
        ("2025-07-01 22:00", NIGHT),
        ("2025-07-02 05:59", NIGHT),
        ("2025-07-02 06:00", DAY),
    ],
)
def test_price_of_a_local_hour(local: str, expected: float) -> None:
    assert price(local) == expected


@pytest.mark.parametrize(
    ("day", "night_h", "length_h"),
    [(datetime(2025, 3, 9, 5, tzinfo=UTC), 7, 23), (datetime(2025, 11, 2, 4, tzinfo=UTC), 9, 25)],
)
def test_on_days_of_clock_change_the_night_is_an_hour_shorter_or_longer(
    day: datetime, night_h: int, length_h: int
) -> None:
    """Prices follow the local clock: 00:00 to 06:00 and 22:00 to 24:00 last 7 hours in spring and 9 in autumn."""
    hours = [(day + timedelta(hours=number)).astimezone(NEW_YORK) for number in range(length_h)]
    assert {instant.date() for instant in hours} == {hours[0].date()}
    prices = [TARIFF.price_per_kwh(instant) for instant in hours]
    assert prices.count(NIGHT) == night_h
    assert prices.count(DAY) == 16


def test_a_series_equals_the_price_of_each_instant_all_year_round() -> None:
    grid = TimeGrid(start=datetime(2025, 1, 1, tzinfo=UTC), step_s=1800.0, steps=2 * 8760)
    one_by_one = [TARIFF.price_per_kwh(instant.astimezone(NEW_YORK)) for instant in grid]
    start_s = grid.start.timestamp() + np.arange(grid.steps, dtype=np.float64) * grid.step_s
    series = TARIFF.terms_series(start_s, start_s, np.ones(grid.steps, dtype=np.int64), NEW_YORK)
    np.testing.assert_array_equal(series[:, 0], one_by_one)


def test_an_hour_without_a_price_is_refused() -> None:
    with pytest.raises(ValueError, match=r"none covers 20:00 on a weekend day of month 3"):
        Tariff(
            periods=(
                TariffPeriod(name="winter", months=(1, 2), from_hour=0, to_hour=24, price_per_kwh=0.1),
                TariffPeriod(name="summer", months=tuple(range(4, 13)), from_hour=0, to_hour=24, price_per_kwh=0.1),
                TariffPeriod(name="weekdays", weekdays_only=True, from_hour=0, to_hour=24, price_per_kwh=0.1),
                TariffPeriod(name="until eight", from_hour=0, to_hour=20, price_per_kwh=0.1),
            )
        )
