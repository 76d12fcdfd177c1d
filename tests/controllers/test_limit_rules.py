"""What an operator expects of the rules that hold a limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from controllers.base import Rule
from controllers.decide import Decision, decide
from controllers.fleet import sign
from controllers.resolve import Resolution
from controllers.rules.battery_reserve import BatteryReserve
from controllers.rules.contract_limit import ContractLimit
from controllers.rules.demand_peak import DemandPeak
from controllers.rules.export_limit import ExportLimit
from controllers.rules.price import Price
from controllers.situation import bounds, look
from tests.controllers.small_site import (
    CONTRACTED_KW,
    EXPORT_LIMIT_KW,
    GROUPS,
    NOON,
    QUIET,
    fleet,
    lost,
    metered,
    state,
)
from twin.devices.base import Group
from twin.flexibility import Envelope
from twin.numeric import clip, first
from twin.points import Quality
from twin.state import SiteState

CONTRACT = ContractLimit(priority=100)
LIMIT_KW = CONTRACTED_KW * 0.95
RESERVE = BatteryReserve(priority=90, hold_up_minutes=15)
CHEAP = Price(priority=30, charge_below_per_kwh=0.06, discharge_above_per_kwh=0.13)
EMPTY = {"battery_soc": 0.1, "battery_b_soc": 0.1}


def decided(rules: Sequence[Rule], site: SiteState, *members: str, period_s: float = 1.0) -> Decision:
    return decide(rules, look(fleet(*members), site, None, period_s))


def of(decision: Decision, group: Group) -> Resolution:
    return next(item for item in decision.resolutions if item.group is group)


def numbers(**changed: float) -> Mapping[str, float]:
    return {name: first(value) for name, value in QUIET.items()} | changed


def halls_are_slowed(site: SiteState, decision: Decision) -> bool:
    """Whether a hall gets less than it wants."""
    return any(value < wanted_kw(site, name) - 1e-6 for name, value in decision.setpoints.items() if "hall" in name)


def wanted_kw(site: SiteState, name: str) -> float:
    what = site.assets[name].flexibility
    assert isinstance(what, Envelope)
    return first(what.max_p_kw)


def import_kw(site: SiteState, decision: Decision) -> float:
    """Import once every setpoint is followed; halls draw what they want within their budget."""
    assert site.grid is not None
    total = site.grid.import_kw
    for name, value in decision.setpoints.items():
        asset = site.assets[name]
        low, high = bounds(asset.flexibility, 300.0)
        total = total + clip(sign(GROUPS[name]) * value, low, high) - asset.p_kw
    return first(total)


def test_a_quiet_site_is_left_alone() -> None:
    site = state()
    decision = decided([CONTRACT, RESERVE, DemandPeak(priority=80, target_kw=1900)], site)
    assert import_kw(site, decision) == first(site.grid.import_kw if site.grid else 0.0)
    assert not halls_are_slowed(site, decision)
    assert of(decision, Group.STORAGE).rule == of(decision, Group.GENSETS).rule == "nobody"


# --- contract limit -------------------------------------------------------------------------------------------------


def test_batteries_give_before_halls_are_slowed() -> None:
    site = state(numbers(office_kw=700.0))  # 340 kW above the limit
    decision = decided([CONTRACT, RESERVE], site)
    assert of(decision, Group.STORAGE).value_kw == pytest.approx(LIMIT_KW - 2240.0)
    assert of(decision, Group.STORAGE).rule == "contract_limit"
    assert "1,900 kW" in of(decision, Group.STORAGE).reason
    assert not halls_are_slowed(site, decision)
    assert import_kw(site, decision) == pytest.approx(LIMIT_KW)


def test_halls_are_slowed_before_the_reserve_is_touched() -> None:
    site = state(numbers(office_kw=700.0, battery_soc=0.15, battery_b_soc=0.15))
    decision = decided([CONTRACT, RESERVE], site)
    assert of(decision, Group.STORAGE).value_kw >= 0.0
    assert of(decision, Group.COMPUTE).rule == "contract_limit"
    assert import_kw(site, decision) <= LIMIT_KW + 1e-6
    assert of(decision, Group.GENSETS).value_kw == 0.0


def test_the_reserve_is_used_when_slowed_halls_are_not_enough() -> None:
    site = state(numbers(office_kw=1300.0, battery_soc=0.2, battery_b_soc=0.2))
    decision = decided([CONTRACT, RESERVE], site)
    assert of(decision, Group.COMPUTE).value_kw == pytest.approx(800.0)  # what no budget takes away
    assert of(decision, Group.STORAGE).value_kw == pytest.approx(-340.0)
    assert of(decision, Group.GENSETS).value_kw == 0.0


def test_engines_start_for_the_rest_at_their_lowest_load_at_least() -> None:
    site = state(numbers(office_kw=1200.0, **EMPTY))
    decision = decided([CONTRACT, RESERVE], site)
    assert of(decision, Group.GENSETS).rule == "contract_limit"
    assert "missing" in of(decision, Group.GENSETS).reason
    assert decision.setpoints["engine"] == pytest.approx(248.0)  # and 8 kW of standby of the empty batteries
    assert decision.setpoints["engine_b"] == 0.0


def test_engines_start_before_the_batteries_are_empty_and_not_while_they_can_go_on() -> None:
    short = state(numbers(office_kw=1600.0, battery_soc=0.115, battery_b_soc=0.1))  # 56 kWh for 640 kW: 5.3 min
    assert of(decided([CONTRACT], short), Group.GENSETS).value_kw == 0.0
    shorter = state(numbers(office_kw=1600.0, battery_soc=0.11, battery_b_soc=0.1))
    assert of(decided([CONTRACT], shorter), Group.GENSETS).value_kw > 0.0


def test_no_engine_starts_for_noise() -> None:
    floor_kw = numbers(**EMPTY, office_kw=960.0 - 8.0)  # slowed halls end on the limit exactly
    for beyond_kw in (0.0, 1e-9, 49.0):
        site = state(numbers(**EMPTY, office_kw=floor_kw["office_kw"] + beyond_kw))
        assert of(decided([CONTRACT], site), Group.GENSETS).value_kw == 0.0, beyond_kw
    beyond = state(numbers(**EMPTY, office_kw=floor_kw["office_kw"] + 51.0))
    assert of(decided([CONTRACT], beyond), Group.GENSETS).value_kw > 0.0


def test_an_engine_does_not_stop_and_start_with_every_swing_of_the_load() -> None:
    starts, running, swing = 0, 0.0, [0.0, 60.0, -20.0, 40.0, -60.0, 55.0, -80.0, 70.0]
    for office_kw in [952.0 + kw for kw in swing * 3]:
        site = state(numbers(**EMPTY, office_kw=office_kw, engine_running=running, engine_kw=240.0))
        asked_kw = of(decided([CONTRACT], site), Group.GENSETS).value_kw
        starts += bool(asked_kw and not running)
        running = float(asked_kw > 0.0)
    assert (starts, running) == (1, 1.0)


def test_an_engine_stops_once_slowed_halls_can_do_without_it() -> None:
    site = state(numbers(**EMPTY, office_kw=952.0 - 101.0, engine_running=1.0, engine_kw=240.0))
    assert of(decided([CONTRACT], site), Group.GENSETS).value_kw == 0.0


def test_an_engine_that_runs_spares_the_reserve() -> None:
    loaded = numbers(office_kw=1300.0, battery_soc=0.2, battery_b_soc=0.2, engine_running=1.0, engine_kw=340.0)
    decision = decided([CONTRACT, RESERVE], state(loaded))
    assert of(decision, Group.STORAGE).value_kw == pytest.approx(0.0)
    assert of(decision, Group.GENSETS).value_kw == pytest.approx(340.0)


def test_a_hall_that_cannot_be_seen_counts_at_the_connection_point() -> None:
    site = lost(state(numbers(office_kw=700.0, **EMPTY)), "hall_b")
    decision = decided([CONTRACT], site)
    assert "hall_b" not in decision.setpoints
    assert import_kw(site, decision) == pytest.approx(LIMIT_KW)


def test_margins_double_while_the_grid_meter_is_lost() -> None:
    site = metered(state(numbers(office_kw=700.0)), Quality.SUSPECT)
    assert import_kw(site, decided([CONTRACT], site)) == pytest.approx(CONTRACTED_KW * 0.9)


def test_after_a_limit_the_halls_come_back_without_swinging() -> None:
    """Power follows the budget, cooling follows the power one cycle late."""
    hall_kw, cooling_kw, imports = 500.0, 60.0, []
    for cycle in range(12):
        site = state(
            numbers(office_kw=1100.0 if cycle < 2 else 400.0, hall_kw=hall_kw, hall_wanted_kw=1200.0,
                    hall_b_kw=300.0, hall_b_wanted_kw=300.0, cooling_kw=cooling_kw, **EMPTY)
        )  # fmt: skip
        imports.append(import_kw(site, decided([CONTRACT], site)))
        cooling_kw = 0.12 * (hall_kw + 300.0)
        hall_kw = min(max(first(decided([CONTRACT], site).setpoints["hall"]), 500.0), 1200.0)
    later = imports[4:]
    assert max(later) - min(later) < 40.0
    assert max(later) <= CONTRACTED_KW * 0.98


# --- demand peak ----------------------------------------------------------------------------------------------------


def peak(**changed: float) -> tuple[DemandPeak, Mapping[str, float]]:
    return DemandPeak(priority=80, target_kw=1600.0), numbers(**changed)


def test_the_interval_is_held_at_the_target() -> None:
    overdrawn_kwh = 2.0
    rule, at = peak(office_kw=500.0, used_kwh=1600.0 / 12 + overdrawn_kwh)
    decision = decided([rule], state(at))
    assert of(decision, Group.STORAGE).rule == "demand_peak"
    lent_kwh = 0.005 * 1600.0 * 580.0 / 3600.0  # made up for over the ten minutes that are left
    assert import_kw(state(at), decision) == pytest.approx(1600.0 - (overdrawn_kwh - lent_kwh) * 6.0)
    assert "10 min to go" in of(decision, Group.STORAGE).reason
    assert "1,600 kW" in of(decision, Group.STORAGE).reason


def test_a_peak_that_is_billed_already_is_not_defended_below() -> None:
    rule, at = peak(office_kw=500.0, used_kwh=1700.0 / 12, billed_peak_kw=2100.0)
    assert of(decided([rule], state(at)), Group.STORAGE).rule == "nobody"


@pytest.mark.parametrize("elapsed_s", [1.0, 300.0, 800.0])
def test_a_burst_of_ten_seconds_slows_no_hall(elapsed_s: float) -> None:
    rule = DemandPeak(priority=80, target_kw=1600.0)
    before_kw, start = 1550.0, NOON - timedelta(minutes=5)
    used_kwh = before_kw * elapsed_s / 3600.0
    for second in range(10):
        at = numbers(office_kw=240.0 if elapsed_s == 1.0 else 300.0, used_kwh=used_kwh)
        site = state(at, now=start + timedelta(seconds=elapsed_s + second))
        decision = decided([rule], site, "hall", "hall_b")
        assert not halls_are_slowed(site, decision), second
        used_kwh += import_kw(site, decision) / 3600.0


def test_an_interval_under_lasting_overload_ends_on_the_target() -> None:
    rule, used_kwh = DemandPeak(priority=80, target_kw=1600.0), 0.0
    for second in range(0, 900, 5):
        now = NOON - timedelta(minutes=5) + timedelta(seconds=second)
        site = state(numbers(office_kw=400.0, used_kwh=used_kwh), now=now)
        used_kwh += import_kw(site, decided([rule], site, "battery", period_s=5.0)) * 5.0 / 3600.0
    assert used_kwh * 4 == pytest.approx(1600.0, rel=0.002)


def test_a_lost_interval_asks_for_no_export() -> None:
    rule, at = peak(used_kwh=900.0)
    decision = decided([rule], state(at))
    assert import_kw(state(at), decision) >= -1e-6
    assert of(decision, Group.COMPUTE).value_kw >= 800.0


def test_savings_near_the_end_of_an_interval_do_not_lift_the_contract() -> None:
    site = state(numbers(used_kwh=0.0, price_per_kwh=0.02), now=NOON + timedelta(minutes=9, seconds=58))
    decision = decided([CONTRACT, DemandPeak(priority=80, target_kw=1600.0), CHEAP], site)
    assert import_kw(site, decision) == pytest.approx(LIMIT_KW)
    assert of(decision, Group.STORAGE).rule == "contract_limit"


# --- export limit ---------------------------------------------------------------------------------------------------

SUNNY = {"sun_available_kw": 1500.0, "wind_available_kw": 500.0, "hall_kw": 500.0, "hall_wanted_kw": 500.0,
         "hall_b_kw": 300.0, "hall_b_wanted_kw": 300.0, "cooling_kw": 0.0, "office_kw": 0.0}  # fmt: skip


def test_batteries_take_what_may_not_be_exported_and_nothing_is_curtailed() -> None:
    site = state(numbers(**SUNNY))  # 1,200 kW of surplus
    decision = decided([ExportLimit(priority=95)], site)
    assert of(decision, Group.RENEWABLES).rule == "nobody"
    assert of(decision, Group.STORAGE).rule == "export_limit"
    assert import_kw(site, decision) == pytest.approx(-EXPORT_LIMIT_KW * 0.95)


def test_only_what_the_batteries_cannot_take_is_curtailed() -> None:
    site = state(numbers(**SUNNY, battery_soc=0.95, battery_b_soc=0.95))
    decision = decided([ExportLimit(priority=95)], site)
    assert of(decision, Group.RENEWABLES).rule == "export_limit"
    assert import_kw(site, decision) == pytest.approx(-EXPORT_LIMIT_KW * 0.95)


def test_an_engine_that_runs_is_not_exported_on_top() -> None:
    site = state(numbers(**SUNNY, engine_running=1.0, engine_kw=400.0))
    decision = decided([ExportLimit(priority=95)], site)
    assert of(decision, Group.STORAGE).value_kw == pytest.approx(1600.0 - EXPORT_LIMIT_KW * 0.95, abs=102.0)


def test_bounds_of_one_rule_hold_against_the_wish_of_another() -> None:
    """Cheap energy fills the batteries only as far as contract and demand go."""
    cheap = replace(CHEAP, priority=99)
    site = state(numbers(price_per_kwh=0.02))
    decision = decided([CONTRACT, cheap], site)
    assert of(decision, Group.STORAGE).value_kw == pytest.approx(LIMIT_KW - 1640.0)
    assert of(decision, Group.STORAGE).rule == "contract_limit"
