from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from tests.properties.random_run import GRID, site_and_weather
from twin.devices.base import Account
from twin.numeric import first
from twin.points import Command, Outcome
from twin.simulator import PlantStep, SimulatedPlant, evaluation_order, simulated_plant


def plant(name: str = "campus", seeds: tuple[int, ...] = (0,), present_flow: bool = False) -> SimulatedPlant:
    return simulated_plant(*site_and_weather(name), seeds, present_flow=present_flow)


def command(of: SimulatedPlant, device: str, value: float, seconds: float = 900.0) -> Command:
    setpoint = of.site.devices[device].setpoint
    assert setpoint is not None
    return Command(device=device, setpoint=setpoint, value=value, valid_until=of.now + timedelta(seconds=seconds))


def p_kw(step: PlantStep, device: str) -> float:
    return first(step.steps[device].p_kw)


def test_devices_are_stepped_after_those_they_serve_and_the_slack_last() -> None:
    site, _ = site_and_weather("campus")
    order = evaluation_order(dict(reversed(list(site.devices.items()))), site.slack)
    assert sorted(order) == sorted(site.devices)
    assert order[-1] == "grid"
    for name, device in site.devices.items():
        assert all(order.index(served) < order.index(name) for served in device.serves)


def test_meters_show_a_command_before_time_has_passed() -> None:
    campus = plant()
    before = campus.read(campus.now).readings
    (receipt,) = campus.apply([command(campus, "battery", -1500.0)], campus.now)
    after = campus.read(campus.now).readings
    assert (receipt.outcome, receipt.read_back) == (Outcome.APPLIED, -1500.0)
    assert after["battery.p_kw"].value == pytest.approx(-1500.0)
    fell_kw = first(before["grid.p_kw"].value) - first(after["grid.p_kw"].value)
    assert fell_kw == pytest.approx(1500.0 + first(before["battery.p_kw"].value))
    assert after["battery.soc"].value == pytest.approx(0.6, abs=1e-3)


def test_reading_changes_nothing() -> None:
    watched, blind = plant(), plant()
    for _ in range(5):
        watched.read(watched.now)
        assert watched.advance(900.0).import_kw == blind.advance(900.0).import_kw


def test_an_expired_command_gives_way_to_the_safe_setpoint_and_none_to_the_free_one() -> None:
    campus = plant()
    hall = campus.site.devices["hall_a"]
    assert campus.setpoint("hall_a") == hall.free_setpoint == hall.rated_kw
    campus.apply([command(campus, "hall_a", 700.0, seconds=900.0)], campus.now)
    assert campus.setpoint("hall_a") == 700.0
    campus.advance(900.0)
    assert campus.setpoint("hall_a") == hall.safe_setpoint == pytest.approx(0.6 * hall.rated_kw)


def test_inputs_change_from_one_interval_of_the_weather_to_the_next_and_not_within() -> None:
    campus = plant()
    first_half, second_half, next_interval = (campus.advance(450.0) for _ in range(3))
    assert p_kw(first_half, "office") == p_kw(second_half, "office")
    assert p_kw(next_interval, "office") != p_kw(second_half, "office")
    assert campus.now == GRID.start + timedelta(seconds=1350)


def test_shorter_steps_end_in_the_same_state() -> None:
    coarse, fine = plant(), plant()
    for which, length_s, count in ((coarse, 900.0, 8), (fine, 300.0, 24)):
        which.apply([command(which, "battery", -2000.0, 1e6), command(which, "hall_a", 600.0, 1e6)], which.now)
        for _ in range(count):
            which.advance(length_s)
    ours, theirs = (each.read(each.now).readings for each in (coarse, fine))
    for point in ("battery.soc", "hall_a.backlog_gpu_h", "hall_b.backlog_gpu_h", "grid.import_kwh"):
        assert first(ours[point].value) == pytest.approx(first(theirs[point].value), rel=1e-6), point


def test_a_present_flow_shows_the_voltages_of_the_commands_in_force() -> None:
    campus = plant(present_flow=True)
    before = first(campus.read(campus.now).readings["battery.v_pu"].value)
    campus.apply([command(campus, "battery", 2500.0)], campus.now)
    after = first(campus.read(campus.now).readings["battery.v_pu"].value)
    assert before - after > 1e-3, "charging pulls the voltage down"


def test_the_counter_of_the_grid_meter_is_the_integral_of_import_alone() -> None:
    campus, total_kwh = plant(), 0.0
    for number in range(20):
        campus.apply([command(campus, "battery", 2500.0 * (-1) ** number)], campus.now)
        total_kwh += max(first(campus.advance(900.0).import_kw), 0.0) / 4
    assert campus.read(campus.now).readings["grid.import_kwh"].value == pytest.approx(total_kwh)


def test_live_values_are_plain_floats_and_scenarios_are_arrays() -> None:
    for seeds in ((0,), (0, 1)):
        campus = plant(seeds=seeds)
        step, shown = campus.advance(900.0), campus.read(campus.now).readings
        values = [reading.value for reading in shown.values()]
        values += [step.import_kw, step.balance_residual_kw, *(done.p_kw for done in step.steps.values())]
        if len(seeds) == 1:
            assert {type(value) for value in values} == {float}
        else:
            assert {np.shape(value) for value in values} <= {(), (2,)}
            assert not [value for value in values if type(value) not in (float, np.ndarray)]


def test_on_an_island_the_grid_forming_battery_takes_what_is_left_over() -> None:
    island = plant("island")
    for _ in range(GRID.steps):
        step = island.advance(900.0)
        others_kw = sum(p_kw(step, name) for name in step.steps if name != "battery")
        left_kw = others_kw + first(step.flow.losses_kw)
        assert p_kw(step, "battery") + left_kw == pytest.approx(first(step.unserved_kw), abs=1e-6)


def test_solar_falls_back_by_itself_where_nobody_can_take_its_surplus() -> None:
    site, weather = site_and_weather("island")
    full = replace(site.devices["battery"], initial_soc=site.devices["battery"].max_soc)  # type: ignore[type-var,attr-defined]
    island = simulated_plant(replace(site, devices={**site.devices, "battery": full}), weather)
    curtailed = 0
    for _ in range(GRID.steps):
        step = island.advance(900.0)
        for name, device in site.devices.items():
            if device.account is Account.PV:
                available_kw = first(step.steps[name].points["available_kw"])
                curtailed += -p_kw(step, name) < available_kw - 1.0
        assert first(step.unserved_kw) > -1e-5, "no power is left without anyone to take it"
    assert curtailed
