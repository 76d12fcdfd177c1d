from __future__ import annotations

from dataclasses import replace

import pytest

from twin.devices.base import Step
from twin.devices.battery import Battery, BatteryState

BATTERY = Battery(
    bus="main", rated_kw=1000, capacity_kwh=4000, charge_efficiency=0.95, discharge_efficiency=0.9, standby_kw=4
)


def stepped(soc: float, p_kw: float, hours: float = 1.0, battery: Battery = BATTERY) -> Step[BatteryState]:
    return battery.step(BatteryState(soc=soc), p_kw, {}, (), hours * 3600.0)


def test_charging_and_discharging_lose_their_own_share() -> None:
    charged, discharged = stepped(0.5, 804.0), stepped(0.5, -500.0)
    assert charged.state.soc == pytest.approx(0.5 + 800 * 0.95 / 4000)
    assert discharged.state.soc == pytest.approx(0.5 - 504 / 0.9 / 4000)
    assert charged.p_kw == pytest.approx(804.0)
    assert discharged.p_kw == pytest.approx(-500.0)


def test_a_round_trip_costs_both_efficiencies() -> None:
    ideal = replace(BATTERY, standby_kw=0.0)
    taken = stepped(0.3, 400.0, 1.0, ideal)
    given = stepped(float(taken.state.soc), -400.0 * 0.95 * 0.9, 1.0, ideal)
    assert given.state.soc == pytest.approx(0.3)


def test_at_rest_it_draws_standby_and_keeps_its_charge() -> None:
    rest = stepped(0.5, 0.0)
    assert (rest.p_kw, rest.state.soc) == (4.0, 0.5)


@pytest.mark.parametrize("p_kw", [0.5, 1.0, 3.9])
def test_less_than_standby_is_followed_from_the_cells(p_kw: float) -> None:
    done = stepped(0.5, p_kw)
    assert done.p_kw == pytest.approx(p_kw)
    assert done.state.soc == pytest.approx(0.5 - (4.0 - p_kw) / 0.9 / 4000)


def test_it_stops_exactly_at_its_limits_and_the_power_is_the_mean_over_the_step() -> None:
    empty, full = stepped(0.11, -1000.0), stepped(0.94, 1000.0)
    assert empty.state.soc == pytest.approx(0.1)
    assert empty.p_kw == pytest.approx(4.0 - 0.01 * 4000 * 0.9)
    assert full.state.soc == pytest.approx(0.95)
    assert full.p_kw == pytest.approx(4.0 + 0.01 * 4000 / 0.95)


@pytest.mark.parametrize("soc", [0.05, 0.99])
def test_outside_its_band_it_only_moves_back(soc: float) -> None:
    """A measured state of charge 1% outside the band is no reason to fail."""
    outwards, inwards = (-1000.0, 1000.0) if soc < 0.5 else (1000.0, -1000.0)
    assert stepped(soc, outwards).p_kw == pytest.approx(4.0)
    assert stepped(soc, inwards, 0.1).p_kw == pytest.approx(inwards)
    store = BATTERY.flexibility({"p_kw": 0.0, "soc": soc})
    assert min(store.stored_kwh, store.room_kwh) == 0.0


def test_a_contradiction_is_refused() -> None:
    with pytest.raises(ValueError, match="min_soc"):
        replace(BATTERY, min_soc=0.95)
    with pytest.raises(ValueError, match="standby_kw"):
        replace(BATTERY, standby_kw=1000.0)
