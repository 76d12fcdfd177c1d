"""What the twin makes of a snapshot in which values are missing, old, lost or bad: always a state, always with why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from twin.demand_interval import DemandInterval
from twin.digital_twin import DigitalTwin, measurements
from twin.network.estimate import Measurement
from twin.numeric import Num, first
from twin.points import Quality, Reading, Snapshot
from twin.simulator import SimulatedPlant, simulated_plant
from twin.site import Site, load_site
from twin.state import AssetState, GridState
from twin.timegrid import TimeGrid
from twin.weather import read_weather

CAMPUS_FILE = Path(__file__).parents[2] / "site_configs" / "campus.yaml"
CAMPUS = load_site(CAMPUS_FILE)
NOON = datetime(2025, 7, 1, 16, 0, tzinfo=UTC)
"""Local, and the beginning of a quarter of an hour."""
MAX_AGE_S = CAMPUS.telemetry.max_age_s


def plant(seeds: tuple[int, ...] = (0,), site: Site = CAMPUS) -> SimulatedPlant:
    grid = TimeGrid(start=NOON, step_s=900.0, steps=4)
    return simulated_plant(site, read_weather(site.weather, site.location, grid, CAMPUS_FILE), seeds, present_flow=True)


@cache
def noon() -> Snapshot:
    return plant().read(NOON)


def seen(**changes: Reading | None) -> Snapshot:
    """What all meters show at noon, but for `changes`; a point is named with `__` for its dot, None takes it away."""
    readings = {**noon().readings, **{name.replace("__", "."): reading for name, reading in changes.items()}}
    return Snapshot(now=NOON, readings={name: reading for name, reading in readings.items() if reading is not None})


def aged(value: Num, age_s: float, quality: Quality = Quality.GOOD, reason: str = "") -> Reading:
    return Reading(value=value, at=NOON - timedelta(seconds=age_s), quality=quality, reason=reason)


def asset(snapshot: Snapshot, name: str = "battery", site: Site = CAMPUS) -> AssetState:
    return DigitalTwin(site).assimilate(snapshot).assets[name]


def grid_of(snapshot: Snapshot) -> GridState:
    grid = DigitalTwin(CAMPUS).assimilate(snapshot).grid
    assert grid is not None
    return grid


def test_a_device_that_shows_everything_is_good_and_says_nothing() -> None:
    battery = asset(seen())
    assert (battery.quality, battery.reason, battery.age_s, battery.reliable) == (Quality.GOOD, "", 0.0, True)
    assert battery.values == {"p_kw": battery.p_kw, "soc": pytest.approx(0.6, abs=1e-3)}
    assert battery.flexibility is not None


def test_a_point_that_was_never_read_makes_its_device_bad() -> None:
    battery = asset(seen(battery__soc=None))
    assert (battery.quality, battery.reason) == (Quality.BAD, "battery.soc was never read")
    assert battery.flexibility is None
    assert battery.p_kw == asset(seen()).p_kw, "what was read is kept"


def test_a_device_is_as_old_as_its_oldest_value_and_bad_when_that_is_too_old() -> None:
    young, old = (asset(seen(battery__soc=aged(0.5, age_s))) for age_s in (MAX_AGE_S, MAX_AGE_S + 1.0))
    assert (young.quality, young.age_s) == (Quality.GOOD, MAX_AGE_S)
    assert (old.quality, old.age_s) == (Quality.BAD, MAX_AGE_S + 1.0)
    assert old.reason == f"newest values are {MAX_AGE_S + 1:.0f} s old, older than {MAX_AGE_S:.0f} s"


def test_a_device_may_have_a_patience_of_its_own() -> None:
    patient = replace(CAMPUS, telemetry=replace(CAMPUS.telemetry, max_age_by_device_s={"battery": 10.0 * MAX_AGE_S}))
    snapshot = seen(battery__soc=aged(0.5, 5.0 * MAX_AGE_S), genset_1__running=aged(0.0, 5.0 * MAX_AGE_S))
    assert asset(snapshot, site=patient).quality is Quality.GOOD
    assert asset(snapshot, "genset_1", site=patient).quality is Quality.BAD


def test_a_lost_device_is_bad_for_the_reason_that_the_plant_gives() -> None:
    battery = asset(replace(seen(), lost={"battery": "no answer from 10.0.0.7"}))
    assert (battery.quality, battery.reason) == (Quality.BAD, "no answer from 10.0.0.7")
    assert battery.flexibility is not None, "what it showed last is still known"


@pytest.mark.parametrize("quality", [Quality.SUSPECT, Quality.BAD])
def test_a_device_is_no_better_than_its_worst_value(quality: Quality) -> None:
    battery = asset(seen(battery__soc=aged(0.5, 0.0, quality, "frozen for an hour")))
    assert (battery.quality, battery.reason) == (quality, "battery.soc: frozen for an hour")


def test_the_worst_value_gives_the_reason_wherever_it_stands() -> None:
    suspect, bad = aged(1.0, 0.0, Quality.SUSPECT, "drifts"), aged(1.0, 0.0, Quality.BAD, "out of range")
    for p_kw, soc in ((suspect, bad), (bad, suspect)):
        battery = asset(seen(battery__p_kw=p_kw, battery__soc=soc))
        assert battery.quality is Quality.BAD
        assert battery.reason.endswith("out of range")


def test_whatever_is_missing_there_is_a_state() -> None:
    whole = seen()
    twin = DigitalTwin(CAMPUS)
    for lost, kept in product(({}, dict.fromkeys(CAMPUS.devices, "cable cut")), range(0, len(whole.readings), 9)):
        readings = dict(list(whole.readings.items())[:kept])
        state = twin.assimilate(Snapshot(now=NOON, readings=readings, lost=lost))
        assert set(state.assets) == set(CAMPUS.devices) - {"grid"}
        assert all(item.reason for item in state.assets.values() if item.quality is Quality.BAD)
        assert len(measurements(CAMPUS, Snapshot(now=NOON, readings=readings, lost=lost))) > 0
    assert twin.assimilate(replace(whole, now=NOON + timedelta(seconds=1))).assets["battery"].reliable, "and back"


def test_the_connection_is_metered() -> None:
    grid = grid_of(seen(grid__p_kw=aged(1234.5, 0.0)))
    assert (grid.import_kw, grid.quality, grid.reason) == (1234.5, Quality.GOOD, "")


@pytest.mark.parametrize(
    "reading", [None, aged(1.0, MAX_AGE_S + 1.0), aged(1.0, 0.0, Quality.BAD)], ids=["missing", "stale", "bad"]
)
def test_without_its_meter_the_connection_is_inferred_from_all_devices(reading: Reading | None) -> None:
    grid, metered = grid_of(seen(grid__p_kw=reading)), grid_of(seen())
    assert grid.quality is Quality.SUSPECT
    assert grid.reason == "the grid meter's value is missing, bad or stale; inferred from all devices"
    assert grid.import_kw == pytest.approx(metered.import_kw, rel=0.03), "but for the losses of the network"


def test_a_lost_meter_is_not_believed_and_its_reason_is_given() -> None:
    grid = grid_of(replace(seen(), lost={"grid": "no link"}))
    assert (grid.quality, grid.reason) == (Quality.SUSPECT, "no link; inferred from all devices")


def test_without_meter_and_without_a_device_nobody_knows_the_connection() -> None:
    grid = grid_of(replace(seen(grid__p_kw=None), lost={"hall_a": "no link", "ups_b": "no link"}))
    assert grid.quality is Quality.BAD
    assert grid.reason.endswith("; and hall_a, ups_b cannot be read either")


def demand_after(*cycles: tuple[float, float, float | None]) -> DemandInterval:
    """The twin's demand interval after cycles of (seconds since noon, import, energy counter)."""
    twin = DigitalTwin(CAMPUS)
    for since_s, import_kw, counter_kwh in cycles:
        now = NOON + timedelta(seconds=since_s)
        readings = {"grid.p_kw": Reading(value=import_kw, at=now)}
        if counter_kwh is not None:
            readings["grid.import_kwh"] = Reading(value=counter_kwh, at=now)
        grid = twin.assimilate(Snapshot(now=now, readings=readings)).grid
    assert grid is not None
    return grid.demand


def test_demand_is_what_the_energy_counter_counts_and_not_what_the_power_happens_to_be() -> None:
    demand = demand_after((0.0, 9000.0, 100.0), (300.0, 0.0, 150.0), (600.0, 9000.0, 250.0))
    assert demand.start == NOON
    assert demand.energy_kwh == pytest.approx(150.0)


def test_without_a_counter_present_power_stands_for_the_time_since_the_last_cycle() -> None:
    demand = demand_after((0.0, 9000.0, None), (300.0, 600.0, None), (600.0, 1200.0, None))
    assert demand.energy_kwh == pytest.approx(50.0 + 100.0)


def test_a_counter_that_appears_or_runs_backwards_counts_only_from_then_on() -> None:
    """The meter was exchanged at 10 minutes; for those five the present import stands."""
    demand = demand_after((0.0, 0.0, None), (300.0, 600.0, 1e6), (600.0, 1200.0, 3.0), (700.0, 0.0, 23.0))
    assert demand.energy_kwh == pytest.approx(50.0 + 100.0 + 20.0)


def test_a_finished_interval_is_billed_and_the_next_one_begins_with_nothing() -> None:
    demand = demand_after((0.0, 0.0, 0.0), (600.0, 0.0, 100.0), (900.0, 0.0, 175.0))
    assert (demand.start, demand.energy_kwh) == (NOON + timedelta(seconds=900), 0.0)
    assert demand.billed_peak_kw == pytest.approx(700.0)


def test_a_late_cycle_shares_what_was_counted_between_both_intervals() -> None:
    """From minute 10 to minute 20, 120 kWh were counted: half of them before the boundary."""
    demand = demand_after((0.0, 0.0, 0.0), (600.0, 0.0, 100.0), (1200.0, 0.0, 220.0))
    assert demand.start == NOON + timedelta(seconds=900)
    assert demand.billed_peak_kw == pytest.approx((100.0 + 60.0) * 4)
    assert demand.energy_kwh == pytest.approx(60.0)


def test_a_cycle_that_is_later_than_a_whole_interval_keeps_the_mean() -> None:
    """Nothing was read from minute 10 to minute 50, at 600 kW: the interval that is open has had 5 minutes of it."""
    demand = demand_after((0.0, 600.0, 0.0), (600.0, 600.0, 100.0), (3000.0, 600.0, 500.0))
    assert demand.start == NOON + timedelta(seconds=2700)
    assert demand.billed_peak_kw == pytest.approx(600.0)
    assert demand.energy_kwh == pytest.approx(50.0)


def injections(snapshot: Snapshot) -> Mapping[tuple[str, str], Measurement]:
    found = [item for item in measurements(CAMPUS, snapshot) if item.kind in ("p_kw", "q_kvar")]
    assert len({(item.bus, item.kind) for item in found}) == len(found), "no bus twice"
    return {(item.bus, item.kind): item for item in found}


def test_every_bus_with_devices_has_one_injection_that_is_the_sum_of_them() -> None:
    snapshot = seen()
    found = injections(snapshot)
    buses = {device.bus for device in CAMPUS.devices.values()}
    assert set(found) == {(bus, kind) for bus in buses for kind in ("p_kw", "q_kvar")}
    hall = [snapshot.readings[f"{name}.p_kw"].value for name in ("hall_a", "ups_a")]
    assert found["hall_a_480v", "p_kw"].value == pytest.approx(sum(hall))
    assert found["pcc_110kv", "p_kw"].value == 0.0, "the connection itself is no consumer"


def test_sigma_is_that_of_the_meters_together() -> None:
    fraction, halls = CAMPUS.telemetry.power_sigma_fraction, (CAMPUS.devices[name] for name in ("hall_a", "ups_a"))
    expected = math.hypot(*(fraction * device.rated_kw for device in halls))
    assert injections(seen())["hall_a_480v", "p_kw"].sigma == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("how", ["missing", "stale", "bad", "lost"])
def test_a_device_that_cannot_be_read_counts_with_half_its_rating_as_sigma(how: str) -> None:
    value = noon().readings["battery.p_kw"].value
    readings = {"missing": None, "stale": aged(value, MAX_AGE_S + 1.0), "bad": aged(value, 0.0, Quality.BAD)}
    snapshot = seen(**({"battery__p_kw": readings[how]} if how in readings else {}))
    found = injections(replace(snapshot, lost={"battery": "no link"} if how == "lost" else {}))["battery_690v", "p_kw"]
    assert found.sigma == pytest.approx(0.5 * CAMPUS.devices["battery"].rated_kw, rel=1e-6)
    assert found.value == (0.0 if how == "missing" else value), "its last value is still the best guess"


def test_voltages_and_the_connection_are_measured_where_they_can_be_read() -> None:
    snapshot = seen(solar__v_pu=None, turbine__v_pu=aged(1.0, MAX_AGE_S + 1.0), grid__q_kvar=None)
    found = measurements(CAMPUS, snapshot)
    shown = {item.bus for item in found if item.kind == "v_pu"}
    assert {"battery_690v", "pcc_110kv"} <= shown
    assert not {"solar_690v", "wind_690v"} & shown
    assert [item.value for item in found if item.kind == "slack_p_kw"] == [snapshot.readings["grid.p_kw"].value]
    assert [item for item in found if item.kind == "slack_q_kvar"] == []


def test_many_scenarios_are_assimilated_as_each_by_itself() -> None:
    seeds = (0, 1, 2)
    together, alone = followed(plant(seeds)), [followed(plant((seed,))) for seed in seeds]
    for name, value in together.items():
        parts = [first(one[name]) for one in alone]
        np.testing.assert_allclose(np.broadcast_to(value, (3,)), parts, rtol=1e-9, atol=1e-9, err_msg=name)


def followed(of: SimulatedPlant) -> Mapping[str, Num]:
    """Every number of the state after an hour of the plant, metered every quarter."""
    twin = DigitalTwin(CAMPUS)
    for _ in range(3):
        twin.assimilate(of.read(of.now))
        of.advance(900.0)
    state = twin.assimilate(of.read(of.now))
    assert state.grid is not None
    numbers = {f"{name}.{key}": value for name, item in state.assets.items() for key, value in item.values.items()}
    demand = state.grid.demand
    return numbers | {
        "import": state.grid.import_kw,
        "energy": demand.energy_kwh,
        "peak": demand.billed_peak_kw,
    }
