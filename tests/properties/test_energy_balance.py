"""Energy is conserved on every site, in every step and in the books, whatever is commanded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.properties.random_run import SITES, Finished, random_run
from twin.devices.battery import Battery
from twin.numeric import largest_magnitude
from twin.simulator import sum_of

SOURCES = ("import", "pv", "wind", "genset", "battery_discharge")
SINKS = ("export", "it", "cooling", "ups_losses", "other", "network_losses", "battery_charge")

runs = settings(max_examples=4, deadline=None, derandomize=True, phases=[Phase.generate])
seeds = st.integers(0, 10**6)
every_site = pytest.mark.parametrize("site", SITES)


@every_site
@runs
@given(seed=seeds, scenarios=st.sampled_from([1, 3]))
def test_every_step_and_the_books_balance(site: str, seed: int, scenarios: int) -> None:
    run = random_run(site, seed, tuple(range(scenarios)))
    worst_kw = max(largest_magnitude(step.balance_residual_kw) for step in run.steps)
    assert worst_kw <= 1e-6 * run.peak_kw
    assert np.max(run.books.max_balance_residual_kw) == worst_kw
    energy = run.books.energy_kwh
    supplied_kwh = sum_of(energy[name] for name in SOURCES) + run.total_kwh("unserved_kw")
    used_kwh = sum_of(energy[name] for name in SINKS)
    np.testing.assert_allclose(supplied_kwh, used_kwh, rtol=1e-6)
    assert all(np.all(np.asarray(value) >= 0.0) for value in energy.values())


@every_site
@runs
@given(seed=seeds)
def test_a_battery_gives_back_what_it_took_less_its_losses(site: str, seed: int) -> None:
    run = random_run(site, seed)
    for name, device in run.site.devices.items():
        if isinstance(device, Battery):
            check_cells(run, name, device)


def check_cells(run: Finished, name: str, battery: Battery) -> None:
    """The content of the cells follows from power at the terminals, step by step."""
    soc = battery.initial_soc
    for step in run.steps:
        done, hours = step.steps[name], step.step_s / 3600.0
        inner_kwh = (float(done.p_kw) - battery.standby_kw) * hours
        change_kwh = (
            inner_kwh * battery.charge_efficiency if inner_kwh > 0 else inner_kwh / battery.discharge_efficiency
        )
        soc += change_kwh / battery.capacity_kwh
        assert done.state.soc == pytest.approx(soc, abs=1e-9)
        assert battery.min_soc - 1e-12 <= soc <= battery.max_soc + 1e-12


@runs
@given(seed=seeds)
def test_an_island_sheds_no_load_that_its_sources_could_carry(seed: int) -> None:
    """What the grid-forming battery takes or gives closes the balance, until it is empty or at its rating."""
    run = random_run("island", seed)
    forming = run.site.grid_forming
    assert forming is not None
    battery = run.site.devices[forming]
    assert isinstance(battery, Battery)
    for step in run.steps:
        if float(step.unserved_kw) > 1e-6:
            done = step.steps[forming]
            empty = done.state.soc <= battery.min_soc + 1e-9
            assert empty or float(done.p_kw) <= -battery.rated_kw + 1e-9


@every_site
def test_scenarios_together_equal_each_alone(site: str) -> None:
    """The whole plant, each scenario with commands, clouds and demand of its own."""
    together = random_run(site, 7, (0, 1, 2))
    for scenario in range(3):
        alone = random_run(site, 7, (scenario,))
        for one, many in zip(alone.steps, together.steps, strict=True):
            for name, done in one.steps.items():
                mine = np.broadcast_to(many.steps[name].p_kw, (3,))[scenario]
                assert mine == pytest.approx(float(done.p_kw), rel=1e-7, abs=1e-5), name
