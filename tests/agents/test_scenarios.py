"""Scenarios that differ in more than their seed are what each would be alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from agents.assemble import load
from agents.simulation import simulate
from tests.agents.test_machine import Rows, of_scenarios
from tests.twin.weather_files import hourly, write_csv
from twin.errors import PowerFlowError
from twin.ledger import Books
from twin.numeric import Num
from twin.scenario import Outage, Scenario, with_parameters
from twin.timegrid import TimeGrid
from twin.weather_source import WeatherSource

CAMPUS = Path(__file__).parents[2] / "site_configs" / "campus.yaml"
DAY = TimeGrid(start=datetime(2025, 7, 15, 10, tzinfo=UTC), step_s=300.0, steps=150)
DIFFERENT = (
    Scenario(seed=1),
    Scenario(seed=1, parameters={"battery.capacity_kwh": 2000.0, "battery.initial_soc": 0.2}),
    Scenario(seed=2, parameters={"solar.rated_dc_kw": 6000.0, "grid.contracted_import_kw": 3500.0}),
    Scenario(seed=3, parameters={"genset_1.fuel_cost_per_l": 9.0, "chiller_plant.reference_cop": 4.0}),
)


def books(scenarios: tuple[Scenario, ...], *, as_machine_code: bool = True) -> Books:
    loaded = load(CAMPUS)
    whole = tuple(Scenario(seed=one.seed, parameters=all_of(one)) for one in scenarios)
    done = simulate(loaded.site, CAMPUS, DAY, loaded.policy("rules"), whole, as_machine_code=as_machine_code)
    return done.books


def all_of(scenario: Scenario) -> dict[str, float]:
    """Every parameter that any of them sets, with the site file's value where this one does not."""
    devices = load(CAMPUS).site.devices
    names = [name for other in DIFFERENT for name in other.parameters]
    plain = {name: getattr(devices[name.split(".")[0]], name.split(".")[1]) for name in names}
    return plain | dict(scenario.parameters)


@pytest.mark.parametrize("as_machine_code", [True, False])
def test_parameters_differ_side_by_side(as_machine_code: bool) -> None:
    together = of_scenarios(books(DIFFERENT, as_machine_code=as_machine_code))
    results = []
    for number, scenario in enumerate(DIFFERENT):
        alone = [float(value) for value in of_scenarios(books((scenario,), as_machine_code=as_machine_code))]
        mine = [float(np.broadcast_to(value, (len(DIFFERENT),))[number]) for value in together]
        np.testing.assert_allclose(mine, alone, rtol=1e-9, atol=1e-9 * max(alone))
        results.append(tuple(alone))
    assert len(set(results)) == len(DIFFERENT), "they make a difference"


def test_a_scenario_is_the_site_with_its_parameters_forecasts_included() -> None:
    """A field three times as large: what a clear sky gives, which caps the forecast, grows with it."""
    large = {"solar.rated_dc_kw": 9000.0, "solar.rated_kw": 7800.0}
    loaded = load(CAMPUS)
    scenarios = (Scenario(seed=1), Scenario(seed=1, parameters=large))
    plain = {path: getattr(loaded.site.devices["solar"], path.split(".")[1]) for path in large}
    together = simulate(
        loaded.site, CAMPUS, DAY, loaded.policy("rules"), (Scenario(seed=1, parameters=plain), scenarios[1])
    )
    other = with_parameters(loaded.site, large)
    alone = simulate(other, CAMPUS, DAY, loaded.policy("rules"), scenarios[:1])
    second = [float(np.broadcast_to(value, (2,))[1]) for value in of_scenarios(together.books)]
    np.testing.assert_allclose(second, [float(value) for value in of_scenarios(alone.books)], rtol=1e-9, atol=1e-4)


def test_weather_years_side_by_side_are_what_each_is_alone(tmp_path: Path) -> None:
    """Two years of one file, the second hotter; and the weather of the site between them."""
    stamps = hourly("2021-01-01T00:00:00-05:00", 2 * 8760)
    path = write_csv(tmp_path / "measured.csv", stamps)
    mild, hot = path.read_text(encoding="utf-8"), write_csv(path, stamps, dry_bulb_c=38.0).read_text(encoding="utf-8")
    path.write_text("\n".join([*mild.splitlines()[:8761], *hot.splitlines()[8761:], ""]), encoding="utf-8")
    years = [WeatherSource(format="csv", file=str(path), year=year) for year in (2021, 2022)]
    scenarios = (Scenario(seed=1, weather=years[0]), Scenario(seed=1), Scenario(seed=1, weather=years[1]))
    loaded = load(CAMPUS)
    together, *alone = (
        simulate(loaded.site, CAMPUS, DAY, loaded.policy("rules"), some).books
        for some in (scenarios, *((one,) for one in scenarios))
    )
    for number, one in enumerate(alone):
        mine = [float(np.broadcast_to(value, (3,))[number]) for value in of_scenarios(together)]
        np.testing.assert_allclose(mine, [float(value) for value in of_scenarios(one)], rtol=1e-9, atol=1e-4)
    pue = np.broadcast_to(together.pue, (3,))
    assert pue[0] < pue[1] < pue[2], "mild, a July day of Greensboro, hot"


def test_an_outage_darkens_what_lies_behind_it_in_its_scenario_alone() -> None:
    begins, ends = DAY.at(20), DAY.at(60)
    scenarios = (
        Scenario(seed=1),
        Scenario(seed=1, outages=(Outage(element="t_hall_a", start=begins, end=ends),)),
        Scenario(seed=1, outages=(Outage(element="grid", start=begins, end=ends),)),
    )
    loaded = load(CAMPUS)
    rows = Rows()
    done = simulate(loaded.site, CAMPUS, DAY, loaded.policy("rules"), scenarios, table=rows)
    alone = simulate(loaded.site, CAMPUS, DAY, loaded.policy("rules"), scenarios[:1])
    one = [np.broadcast_to(value, (3,))[0] for value in of_scenarios(done.books)]
    np.testing.assert_allclose(one, [float(value) for value in of_scenarios(alone.books)], rtol=1e-9, atol=1e-4)
    dark = range(20, 60)
    for step, row in enumerate(rows.rows):
        plain, without_hall, without_grid = np.broadcast_to(row["import_kw"], (3,))
        unserved = np.broadcast_to(row["unserved_kw"], (3,))
        if step in dark:
            hall_kw = of_scenario(row, "hall_a.p_kw", 1) + of_scenario(row, "ups_a.p_kw", 1)
            assert unserved.tolist() == pytest.approx([0.0, hall_kw, sum_of_devices(row, 2)], abs=1e-6)
            assert without_hall < plain
            assert without_grid == 0.0
        else:
            assert unserved.tolist() == [0.0, 0.0, 0.0]
    assert np.max(done.books.max_balance_residual_kw) < 1e-6
    assert np.asarray(done.books.violations["unserved"]).tolist() == [0.0, 40.0, 40.0]


def of_scenario(row: Mapping[str, Num], name: str, scenario: int) -> float:
    return float(np.broadcast_to(row[name], (3,))[scenario])


def sum_of_devices(row: Mapping[str, Num], scenario: int) -> float:
    return sum(of_scenario(row, name, scenario) for name in row if name.endswith(".p_kw"))


def test_a_scenario_without_a_solution_is_given_up_and_stops_no_other() -> None:
    """Chillers of a hundredth of their efficiency draw more than the cables can carry."""
    scenarios = tuple(
        Scenario(seed=seed, parameters={"chiller_plant.reference_cop": cop})
        for seed, cop in ((1, 5.5), (2, 0.005), (3, 5.5))
    )
    loaded = load(CAMPUS)
    done = simulate(loaded.site, CAMPUS, DAY, loaded.policy("rules"), scenarios)
    alone = simulate(loaded.site, CAMPUS, DAY, loaded.policy("rules"), scenarios[2:])
    third = [np.broadcast_to(value, (3,))[2] for value in of_scenarios(done.books)]
    np.testing.assert_allclose(third, [float(value) for value in of_scenarios(alone.books)], rtol=1e-9, atol=1e-4)
    assert list(done.failed) == [1]
    assert done.failed[1].startswith("2025-07-15 10:00 UTC: no power flow solution")
    assert "the most strained bus is cooling_480v" in done.failed[1]
    assert done.failed[1].endswith("(there: chiller_plant, dry_coolers)")
    with pytest.raises(PowerFlowError, match=r"step 0 at 2025-07-15 10:00 UTC: .* cooling_480v"):
        simulate(loaded.site, CAMPUS, DAY, loaded.policy("rules"), scenarios[1:2])
