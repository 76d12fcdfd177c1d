from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.assemble import load
from agents.sizing import Outcome, front, sized, with_fronts
from agents.sizing_plan import Price, designs_of, read_sizing
from agents.sizing_report import size_and_report
from twin.errors import InputError
from twin.scaling import is_extensive, scaled
from twin.timegrid import TimeGrid

CAMPUS = Path(__file__).parents[2] / "site_configs" / "campus.yaml"
LOADED = load(CAMPUS)
DAY = TimeGrid(start=datetime(2025, 7, 15, tzinfo=UTC), step_s=3600.0, steps=24)
PLAN = (
    "scale:",
    "  battery: [0, 1]",
    "  solar: [0, 2]",
    "cooling:",
    "  as built: {}",
    "  dry:",
    "    chiller_plant:",
    "      {type: dry_cooler, bus: cooling_480v, serves: [hall_a], rated_heat_kw: 2200, pump_kw: 28, fan_kw: 75}",
    "costs:",
    "  battery: {capital_cost: 1500000, lifetime_years: 15}",
    "  dry: {upkeep_cost_per_year: 7000}",
    "discount_rate_fraction: 0",
)
SMALL = "serves: [], rated_heat_kw: 1, pump_kw: 1, fan_kw: 1"


def write(folder: Path, *lines: str) -> Path:
    path = folder / "sizes.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_every_combination_is_a_design_and_size_zero_leaves_a_device_out(tmp_path: Path) -> None:
    designs = designs_of(read_sizing(write(tmp_path, *PLAN), LOADED.site), LOADED.site)
    assert len(designs) == 8
    assert "battery" not in designs[0].site.devices
    assert designs[-1].site.devices["solar"] == replace(
        LOADED.site.devices["solar"],
        rated_dc_kw=6000.0,
        rated_kw=5200.0,  # type: ignore[type-var]
    )
    assert designs[-1].site.devices["chiller_plant"].serves == ("hall_a",)


def test_designs_are_charged_for_what_they_have_and_the_year_is_that_of_the_simulation(tmp_path: Path) -> None:
    plan = read_sizing(write(tmp_path, *PLAN), LOADED.site)
    designs = designs_of(plan, LOADED.site)
    found = [one for each in sized(plan, designs, CAMPUS, DAY, LOADED.policy("rules"), 1) for one in each]
    capital = {(one.cooling, one.scale["battery"]): one.capital_cost_per_year for one in found}
    assert capital == {
        ("as built", 0.0): 0.0, ("as built", 1.0): 100_000.0, ("dry", 0.0): 7_000.0, ("dry", 1.0): 107_000.0
    }  # fmt: skip
    sunny = {one.scale["solar"]: one.carbon_t_per_year for one in found if one.cooling == "dry"}
    assert sunny[2.0] < sunny[0.0]
    assert max(one.wue_l_per_kwh for one in found if one.cooling == "dry") < 0.5


def test_an_annuity_is_that_of_the_published_table() -> None:
    """Short, Packey & Holt 1995: capital recovery factor 0.0944 over 20 years at 7%."""
    price = Price(capital_cost=1000.0, lifetime_years=20.0, upkeep_cost_per_year=5.0)
    assert price.cost_per_year(0.07) == pytest.approx(94.4 + 5.0, abs=0.01)
    assert price.cost_per_year(0.0) == pytest.approx(55.0)


def test_the_front_is_what_no_other_dominates() -> None:
    objectives = np.array([[1.0, 5.0], [2.0, 2.0], [2.0, 3.0], [5.0, 1.0], [2.0, 2.0]])
    assert front(objectives).tolist() == [True, True, False, True, True]


def outcome(**changes: Any) -> Outcome:
    plain = Outcome(
        cooling="x", weather="here", scale={}, cost_per_year=1.0, capital_cost_per_year=0.0, carbon_t_per_year=1.0,
        pue=1.1, tue=None, wue_l_per_kwh=0.1, kwh_per_gpu_h=1.0, peak_import_kw=1.0, missed_jobs=0.0, unmet_steps=0.0,
    )  # fmt: skip
    return replace(plain, **changes)


def test_a_design_that_breaks_a_limit_keeps_no_other_from_the_front_of_its_weather() -> None:
    told = with_fronts(
        [outcome(), outcome(cost_per_year=0.5, unmet_steps=1.0), outcome(weather="there", cost_per_year=9.0)]
    )
    assert [one.on_front for one in told] == [True, False, True]


@pytest.mark.parametrize(
    ("lines", "number", "expected"),
    [
        (("scale:", "  batery: [1]"), 2, "did you mean battery"),
        (("scale:", "  hall_a: [1]"), 2, "a device that is told in kW or kWh"),
        (("scale:", "  battery: [-1]"), 2, "greater than or equal to 0"),
        (("cooling:", "  x:", "    a: {type: dry_coler}"), 3, "did you mean dry_cooler"),
        (("cooling:", "  x:", "    a:", f"      {{type: dry_cooler, bus: nowhere, {SMALL}}}"), 4, "a bus of the site"),
        (("costs:", "  windmill: {}"), 2, "a device, or a case of cooling"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_with_its_line(
    tmp_path: Path, lines: tuple[str, ...], number: int, expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_sizing(write(tmp_path, *lines), LOADED.site)
    assert (caught.value.problems[0].line, expected in caught.value.problems[0].expected) == (number, True)


def test_a_design_without_what_another_device_needs_is_refused(tmp_path: Path) -> None:
    plan = read_sizing(write(tmp_path, "cooling:", "  x: {ups_a: null}"), LOADED.site)
    with pytest.raises(InputError, match="ups_a, which the network or another device needs"):
        designs_of(plan, LOADED.site)


def test_what_grows_is_told_by_its_unit() -> None:
    assert [name for name in ("rated_kw", "capacity_kwh", "pump_kw", "fuel_no_load_l_per_h") if is_extensive(name)]
    assert not [name for name in ("cost_per_kw", "fuel_slope_l_per_kwh", "min_soc", "tilt_deg") if is_extensive(name)]
    assert scaled(LOADED.site.devices["battery"], 2.0).rated_kw == 5000.0


def test_it_prints_the_front_and_leaves_a_table_and_a_drawing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = read_sizing(write(tmp_path, "scale:", "  battery: [0, 1]"), LOADED.site)
    code = size_and_report(plan, LOADED.site, CAMPUS, DAY, LOADED.policy("rules"), processes=1, out=tmp_path / "found")
    assert code == 0
    assert "on the front" in capsys.readouterr().out
    assert (tmp_path / "found" / "designs.csv").read_text(encoding="utf-8").count("\n") == 3
    assert (tmp_path / "found" / "front.svg").read_text(encoding="utf-8").startswith("<?xml")
