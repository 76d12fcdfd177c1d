"""Batteries, engines and converters against published numbers."""

from __future__ import annotations

import numpy as np
import pytest
import rainflow

from tests.contracts.device_rig import build
from twin.devices.battery import Battery, BatteryState
from twin.devices.battery_ageing import capacity_fade, counted_cycles
from twin.numeric import FloatArray


def round_trip_efficiency(battery: Battery, p_kw: float, hours: float) -> float:
    """AC energy given back over AC energy taken, from a state of charge and back to it, with standby."""
    start = BatteryState(soc=0.3)
    taken = battery.step(start, p_kw, {}, (), hours * 3600)
    given = battery.step(taken.state, -p_kw, {}, (), 1.0)
    rate_per_s = float(taken.state.soc - given.state.soc)
    back_s = float(taken.state.soc - start.soc) / rate_per_s
    return float(-given.p_kw * back_s / (taken.p_kw * hours * 3600))


def test_ac_round_trip_of_the_example_is_that_of_the_technology_baseline() -> None:
    """85%: NREL, Annual Technology Baseline 2024, utility-scale battery storage, round-trip efficiency."""
    battery = build("battery")
    assert isinstance(battery, Battery)
    at_rated = round_trip_efficiency(battery, 1000.0, 1.0)
    assert at_rated == pytest.approx(0.85, abs=0.01)
    assert round_trip_efficiency(battery, 500.0, 1.0) > at_rated


def test_rainflow_counts_the_example_of_the_standard() -> None:
    """ASTM E1049-85, figure 6: ranges 3, 4, 6, 8, 9 with 0.5, 1.5, 0.5, 1, 0.5 cycles."""
    series = [-2, 1, -3, 5, -1, 3, -4, 4, -2]
    assert rainflow.count_cycles(series) == [(3, 0.5), (4, 1.5), (6, 0.5), (8, 1.0), (9, 0.5)]
    soc = (np.array(series) + 5.0) / 10.0
    cycles = counted_cycles(soc, np.full(len(soc), 25.0))
    found = {n: float(cycles.count[np.isclose(cycles.depth_fraction, n / 10)].sum()) for n in (3, 4, 6, 8, 9)}
    assert found == {3: 0.5, 4: 1.5, 6: 0.5, 8: 1.0, 9: 0.5}


PULSES_S = (18, 28, 12, 8, 16, 24, 12, 8, 16, 24, 12, 8, 16, 36, 8, 24, 8, 32, 8, 42)
PULSES_PER_H = (0, -1, -2, 1, 0, -1, -2, 1, 0, -1, -2, 1, 0, -1, -8, -5, 2, -2, 4, 0)
"""The dynamic stress test of the United States Advanced Battery Consortium: 10% of the capacity in 360 s."""


def dynamic_stress_test(low: float, high: float) -> FloatArray:
    """One cycle, second by second: pulses down to `low`, then 1 C up to `high`."""
    rates = np.tile(np.repeat(PULSES_PER_H, PULSES_S), round((high - low) / 0.1 + 0.5)) / 3600.0
    down = high + np.cumsum(rates)
    down = down[: int(np.argmax(down <= low + 1e-9)) + 1]
    return np.concatenate([[high], down, np.arange(down[-1], high, 1.0 / 3600.0), [high]])


@pytest.mark.parametrize(
    ("low", "high", "cycles", "published"),
    [
        (0.25, 1.00, 4384, 0.797),
        (0.40, 1.00, 4987, 0.812),
        (0.25, 0.85, 5251, 0.826),
        (0.50, 1.00, 5486, 0.822),
        (0.25, 0.75, 5226, 0.852),
        (0.45, 0.75, 6591, 0.870),
        (0.65, 0.75, 8393, 0.908),
    ],
)
def test_capacity_left_after_dynamic_stress_tests(low: float, high: float, cycles: int, published: float) -> None:
    """Xu et al. 2016, figure 5b: the last cycle of each window at 20 °C, as github.com/ife-bat/esf read it to 0.7%."""
    soc = dynamic_stress_test(low, high)
    faded = capacity_fade(soc, np.full(soc.size, 20.0), 1.0, repeat_count=cycles)
    assert 1.0 - faded.capacity_fraction == pytest.approx(published, abs=0.01)
