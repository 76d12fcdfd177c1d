"""What an operator expects of the rules that shift energy in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from controllers.base import Rule
from controllers.decide import Decision, decide
from controllers.resolve import Resolution
from controllers.rules.battery_reserve import BatteryReserve
from controllers.rules.gpu_shift import GpuShift
from controllers.rules.island_reserve import IslandReserve
from controllers.rules.price import Price
from controllers.rules.self_consumption import SelfConsumption
from controllers.situation import look
from tests.controllers.small_site import GROUPS, QUIET, fleet, forecast, state, without
from twin.devices.base import Group
from twin.forecast import Forecast
from twin.numeric import first
from twin.state import SiteState

CHEAP, DEAR = 0.02, 0.3
PRICE = Price(priority=30, charge_below_per_kwh=0.06, discharge_above_per_kwh=0.13, target_soc=0.9)
OWN = SelfConsumption(priority=40)
SHIFT = GpuShift(priority=50, above_per_kwh=0.13, floor_fraction=0.5)
SUNNY = {"sun_available_kw": 1500.0, "hall_kw": 500.0, "hall_wanted_kw": 500.0, "hall_b_kw": 300.0,
         "hall_b_wanted_kw": 300.0, "cooling_kw": 0.0}  # fmt: skip
"""600 kW of surplus."""


def site(**changed: float) -> SiteState:
    return state({name: first(value) for name, value in QUIET.items()} | changed)


def decided(
    rules: Sequence[Rule], at: SiteState, *members: str, expected: Forecast | None = None, period_s: float = 1.0
) -> Decision:
    return decide(rules, look(fleet(*members), at, expected, period_s))


def storage(rules: Sequence[Rule], at: SiteState, *members: str, expected: Forecast | None = None) -> Resolution:
    return of(decided(rules, at, *members, expected=expected), Group.STORAGE)


def of(decision: Decision, group: Group) -> Resolution:
    return next(item for item in decision.resolutions if item.group is group)


# --- battery reserve ------------------------------------------------------------------------------------------------


def test_the_reserve_is_kept_for_the_present_load() -> None:
    reserve = BatteryReserve(priority=90, hold_up_minutes=30)  # 1,640 kW for half an hour: 820 kWh
    plenty = storage([reserve, PRICE], site(price_per_kwh=DEAR))
    assert plenty.value_kw == pytest.approx(-1500.0)  # all that the batteries can give, of 1,640 kW
    short = storage([reserve, PRICE], site(price_per_kwh=DEAR, battery_soc=0.3, battery_b_soc=0.1))
    assert short.value_kw >= 0.0
    assert short.rule == "battery_reserve"
    assert "30 min are kept" in short.reason


def test_a_reserve_that_was_used_is_filled_again() -> None:
    reserve = BatteryReserve(priority=90, hold_up_minutes=30, refill_h=2.0)
    missing_kwh = 820.0 - 0.05 * 4000 * 0.94
    refill = storage([reserve], site(battery_soc=0.15, battery_b_soc=0.1))
    assert refill.value_kw == pytest.approx(missing_kwh / 2.0)
    assert refill.rule == "battery_reserve"


def test_discharging_ends_softly_above_the_reserve() -> None:
    reserve = BatteryReserve(priority=90, hold_up_minutes=15)  # 410 kWh
    near = site(price_per_kwh=DEAR, battery_soc=0.1 + 420.0 / (4000 * 0.94), battery_b_soc=0.1)
    assert storage([reserve, PRICE], near).value_kw == pytest.approx(-120.0)  # 10 kWh in five minutes


@pytest.mark.parametrize(("soc", "sign"), [(0.09, 1.0), (0.96, -1.0)])
def test_a_battery_measured_outside_its_band_can_always_come_back(soc: float, sign: float) -> None:
    wish = storage([PRICE], site(price_per_kwh=CHEAP if sign > 0 else DEAR, battery_soc=soc), "battery")
    assert wish.value_kw * sign > 500.0


# --- self-consumption -----------------------------------------------------------------------------------------------


def test_surplus_is_stored_and_never_topped_up_from_the_grid() -> None:
    done = storage([OWN, PRICE], site(**SUNNY, price_per_kwh=CHEAP))
    assert (done.value_kw, done.rule) == (600.0, "self_consumption")
    assert "600 kW would be exported" in done.reason


def test_batteries_cover_what_the_site_lacks_and_export_nothing() -> None:
    lacking = site(hall_kw=500.0, hall_wanted_kw=500.0, cooling_kw=0.0)
    done = storage([OWN], lacking)
    assert (done.value_kw, done.rule) == (-1100.0, "self_consumption")
    assert "lacks 1,100 kW" in done.reason


def test_batteries_do_not_discharge_on_top_of_an_engine_that_runs() -> None:
    with_engine = site(hall_kw=500.0, hall_wanted_kw=500.0, cooling_kw=0.0, engine_running=1.0, engine_kw=800.0)
    assert storage([OWN], with_engine).value_kw == pytest.approx(-300.0)
    dear = replace(with_engine, grid=replace(with_engine.grid, price_per_kwh=DEAR) if with_engine.grid else None)
    assert storage([PRICE], dear).value_kw == pytest.approx(-300.0)


def test_at_a_negative_price_nothing_is_discharged() -> None:
    done = storage([OWN, PRICE], site(price_per_kwh=-0.05))
    assert done.value_kw == pytest.approx(1500.0)
    assert done.rule == "price"


# --- price ----------------------------------------------------------------------------------------------------------


def test_cheap_energy_is_bought_up_to_the_target() -> None:
    assert storage([PRICE], site(price_per_kwh=CHEAP)).value_kw == pytest.approx(1500.0)
    done = storage([PRICE], site(price_per_kwh=CHEAP, battery_soc=0.9, battery_b_soc=0.92))
    assert (done.value_kw, done.rule) == (0.0, "price")
    assert "charged to 90% already" in done.reason


def test_room_is_kept_for_the_sun_that_is_expected() -> None:
    sunny = forecast(sun=[1500.0] * 40, hall=[300.0] * 40)  # 1,200 kW of surplus for ten hours
    done = storage([PRICE], site(price_per_kwh=CHEAP), expected=sunny)
    assert (done.value_kw, done.rule) == (0.0, "price")
    assert "room are kept for sun and wind" in done.reason


def test_a_forecast_with_and_without_scenarios_and_one_that_says_nothing_are_understood() -> None:
    series = np.tile([[1000.0, 400.0]], (8, 1))
    mixed = forecast(sun=[0.0] * 8, hall=[300.0] * 8)
    sun = replace(mixed.signals["sun.available_kw"], mean=series, low=series, high=series)
    both = replace(mixed, signals=dict(mixed.signals) | {"sun.available_kw": sun})
    several = both.surplus_kwh(both.issued_at, 1.0)
    np.testing.assert_allclose(several, [700.0, 100.0])
    assert forecast().surplus_kwh(both.issued_at, 1.0) == 0.0


def test_dear_energy_is_replaced_but_not_sold() -> None:
    lacking = site(price_per_kwh=DEAR, hall_kw=500.0, hall_wanted_kw=500.0, cooling_kw=0.0)
    assert storage([PRICE], lacking).value_kw == pytest.approx(-1100.0)
    assert storage([PRICE], site(**SUNNY, price_per_kwh=DEAR)).value_kw == 0.0


def test_prices_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(ValueError, match="charge_below_per_kwh below discharge_above_per_kwh"):
        Price(priority=30, charge_below_per_kwh=0.2, discharge_above_per_kwh=0.1)


# --- GPU shift ------------------------------------------------------------------------------------------------------


def test_work_is_put_off_while_energy_is_dear_and_never_below_its_tier() -> None:
    done = of(decided([SHIFT], site(price_per_kwh=DEAR)), Group.COMPUTE)
    assert (done.value_kw, done.rule) == (1000.0, "gpu_shift")
    firm = of(decided([SHIFT], site(price_per_kwh=DEAR, hall_firm_kw=900.0)), Group.COMPUTE)
    assert firm.value_kw == 1200.0
    assert of(decided([SHIFT], site()), Group.COMPUTE).rule == "nobody"


def test_work_that_waits_does_not_raise_the_budget_that_put_it_off() -> None:
    at_first = of(decided([SHIFT], site(price_per_kwh=DEAR)), Group.COMPUTE).value_kw
    waiting = site(price_per_kwh=DEAR, hall_wanted_kw=1200.0, hall_b_wanted_kw=800.0, hall_kw=600.0, hall_b_kw=400.0)
    assert of(decided([SHIFT], waiting), Group.COMPUTE).value_kw == at_first


def test_batteries_know_that_halls_will_be_slowed() -> None:
    done = decided([SHIFT, PRICE], site(price_per_kwh=DEAR, battery_soc=0.9))
    assert of(done, Group.STORAGE).value_kw == pytest.approx(-(1640.0 - 400.0))


# --- island ---------------------------------------------------------------------------------------------------------

ISLAND = IslandReserve(priority=90, start_below_soc=0.35, stop_above_soc=0.7)
OTHERS = tuple(name for name in GROUPS if name != "battery")


def island(**changed: float) -> SiteState:
    numbers: Mapping[str, float] = {name: first(value) for name, value in QUIET.items()} | changed
    return state(numbers, former="battery")


@pytest.mark.parametrize(
    ("soc", "running", "runs"), [(0.36, 0.0, False), (0.34, 0.0, True), (0.69, 1.0, True), (0.71, 1.0, False)]
)
def test_engines_run_between_two_states_of_charge(soc: float, running: float, runs: bool) -> None:
    done = decided([ISLAND], island(battery_soc=soc, engine_running=running), *OTHERS)
    assert (of(done, Group.GENSETS).value_kw > 0.0) is runs
    assert of(done, Group.GENSETS).rule == "island_reserve"
    assert f"{soc:.0%}" in of(done, Group.GENSETS).reason


def test_the_grid_forming_battery_is_not_commanded() -> None:
    assert "battery" not in decided([ISLAND], island(battery_soc=0.2), *OTHERS).setpoints


def test_halls_are_slowed_to_what_engines_can_give_when_the_battery_is_low() -> None:
    low = island(battery_soc=0.2, office_kw=900.0)
    done = of(decided([ISLAND], low, *OTHERS), Group.COMPUTE)
    assert done.rule == "island_reserve"
    assert done.value_kw == pytest.approx(1600.0 - 900.0 - 140.0, abs=0.1) or done.value_kw == 800.0
    lonely = of(decided([ISLAND], without(low, "engine_b"), *OTHERS), Group.COMPUTE)
    assert "800 kW" in lonely.reason
