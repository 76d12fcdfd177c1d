from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from twin.devices.battery import Battery, BatteryState
from twin.devices.battery_ageing import Wear, capacity_fade, capacity_lost_fraction, counted_cycles
from twin.numeric import FloatArray

DAY_S, HOURS = 86400.0, np.arange(0.0, 24.0 * 30)


def daily(depth: float, mean: float = 0.5) -> FloatArray:
    """A month of one cycle a day, hour by hour."""
    soc: FloatArray = mean + depth / 2 * np.sin(2 * np.pi * HOURS / 24)
    return soc


def fade(soc: FloatArray, cell_c: float = 25.0, repeat_count: float = 12.0) -> float:
    return capacity_fade(soc, np.full_like(soc, cell_c), 3600.0, repeat_count).capacity_fraction


def test_warmer_deeper_fuller_and_longer_ages_faster() -> None:
    series = {
        "warmer": [fade(daily(0.5), cell_c) for cell_c in (15.0, 25.0, 35.0, 45.0)],
        "deeper": [fade(daily(depth)) for depth in (0.0, 0.1, 0.4, 0.8)],
        "fuller": [fade(daily(0.2, mean)) for mean in (0.2, 0.5, 0.9)],
        "longer": [fade(daily(0.5), 25.0, years) for years in (1.0, 12.0, 120.0)],
    }
    for name, fades in series.items():
        assert all(later > earlier for earlier, later in pairwise(fades)), name
        assert 0.0 < fades[0] < fades[-1] < 1.0, name


def test_at_rest_there_are_no_cycles_but_time() -> None:
    resting = capacity_fade(np.full(24, 0.5), np.full(24, 25.0), 3600.0, 365.0)
    assert (resting.cycling_fraction, counted_cycles(np.full(24, 0.5), np.full(24, 25.0)).count.size) == (0.0, 0)
    assert resting.calendar_fraction == pytest.approx(4.14e-10 * 365 * DAY_S)
    assert resting.capacity_fraction == capacity_lost_fraction(resting.calendar_fraction)


def test_a_month_of_days_has_a_month_of_cycles_at_the_temperature_they_had() -> None:
    soc = daily(0.6)
    cycles = counted_cycles(soc, np.where(HOURS < 360, 20.0, 30.0))
    full = cycles.depth_fraction > 0.55
    assert cycles.count[full].sum() == pytest.approx(29.5)
    assert cycles.mean_soc[full] == pytest.approx(0.5, abs=1e-9)
    assert cycles.mean_c.min() == 20.0
    assert cycles.mean_c.max() == 30.0


def test_a_new_battery_loses_its_first_percents_quickly() -> None:
    """The film on the anode: as much in the first 1% of linear ageing as in the next 3%."""
    assert capacity_lost_fraction(0.0) == 0.0
    first, fourth = capacity_lost_fraction(0.01), capacity_lost_fraction(0.04)
    assert first > fourth - first > 0.0


def test_wear_is_priced_by_what_passes_through_the_cells() -> None:
    wear = Wear(replacement_cost_per_kwh=200, life_cycles=5000, cycle_depth_fraction=0.8)
    assert wear.wear_cost_per_kwh == pytest.approx(0.025)
    battery = Battery(bus="main", rated_kw=100, capacity_kwh=100, wear=wear, min_soc=0.1, max_soc=0.9)
    there = battery.step(BatteryState(soc=0.1), 100.0, {}, (), 7200.0)
    back = battery.step(there.state, -100.0, {}, (), 7200.0)
    spent = there.amounts["wear_cost"] + back.amounts["wear_cost"]
    assert spent == pytest.approx(200 * 100 / 5000), "a cycle of the promised depth costs its part of the battery"


def test_a_life_without_cycles_is_refused() -> None:
    with pytest.raises(ValidationError, match="life_cycles"):
        TypeAdapter(Wear).validate_python({"replacement_cost_per_kwh": 200, "life_cycles": 0})
