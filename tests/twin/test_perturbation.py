from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from tests.properties.random_run import SITES, site_and_weather
from twin.perturbation import UNCERTAIN, NoisyMeters, perturbed, sigma_by_point
from twin.simulator import simulated_plant


@pytest.mark.parametrize("name", SITES)
def test_what_a_drawing_has_never_right_differs_and_all_else_is_kept(name: str) -> None:
    drawn, _ = site_and_weather(name)
    built = perturbed(drawn, 1)
    assert built.rules == drawn.rules
    for device_name, device in drawn.devices.items():
        other = built.devices[device_name]
        for item in fields(device):  # type: ignore[arg-type]
            before, after = getattr(device, item.name), getattr(other, item.name)
            if item.name not in UNCERTAIN:
                assert before == after, item.name
            elif before:
                assert after == pytest.approx(before, rel=2.5 * drawn.emulation.parameter_error_fraction)
                assert after != before or after == 1.0
    assert built.network.buses == drawn.network.buses
    for unit_name, unit in drawn.network.transformers.items():
        assert built.network.transformers[unit_name].short_circuit_fraction != unit.short_circuit_fraction


def test_the_same_seed_builds_the_same_plant() -> None:
    drawn, _ = site_and_weather("campus")
    assert perturbed(drawn, 3) == perturbed(drawn, 3)
    assert perturbed(drawn, 3) != perturbed(drawn, 4)


def test_no_efficiency_or_share_leaves_what_is_possible() -> None:
    drawn, _ = site_and_weather("campus")
    for seed in range(200):
        battery = perturbed(drawn, seed).devices["battery"]
        assert 0.0 < battery.charge_efficiency <= 1.0  # type: ignore[attr-defined]


def test_meters_err_by_their_accuracy_class_and_states_of_charge_not_at_all() -> None:
    site, weather = site_and_weather("campus")
    plant = simulated_plant(site, weather, present_flow=True)
    true, meters = plant.read(plant.now), NoisyMeters(site, 5)
    shown = [meters(true).readings for _ in range(400)]
    for point, sigma in sigma_by_point(site, site.emulation).items():
        errors = np.array([float(readings[point].value - true.readings[point].value) for readings in shown])
        assert errors.std() == pytest.approx(sigma, rel=0.2), point
        assert abs(errors.mean()) < 0.25 * sigma, point
    assert {readings["battery.soc"].value for readings in shown} == {true.readings["battery.soc"].value}
    assert sigma_by_point(site, site.emulation)["battery.p_kw"] == pytest.approx(0.005 * 2500)
