from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.assemble import load
from agents.scenario_plan import planned_seeds, read_plan
from twin.errors import InputError
from twin.scenario import Outage, Scenario
from twin.timegrid import TimeGrid
from twin.weather_source import WeatherSource

SITE = load(Path(__file__).parents[2] / "site_configs" / "campus.yaml").site


def write(folder: Path, *lines: str) -> Path:
    path = folder / "plan.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_every_combination_is_a_scenario(tmp_path: Path) -> None:
    plan = write(
        tmp_path,
        "seeds: {first: 3, count: 2}",
        "vary:",
        "  battery.capacity_kwh: [5000, 20000]",
        "outages:",
        "  none: []",
        "  cable:",
        "    - {element: field_cable, from: 2025-07-15T14:00, hours: 3}",
    )
    found = read_plan(plan, SITE)
    assert len(found) == 8
    assert found[0].scenario == Scenario(seed=3, parameters={"battery.capacity_kwh": 5000.0})
    assert found[1].label == {"seed": 4, "battery.capacity_kwh": 5000.0, "outages": "none"}
    start = datetime(2025, 7, 15, 14, tzinfo=UTC)
    assert found[-1].scenario.outages == (
        Outage(element="field_cable", start=start, end=datetime(2025, 7, 15, 17, tzinfo=UTC)),
    )


def test_an_empty_plan_is_the_site_as_it_stands(tmp_path: Path) -> None:
    (only,) = read_plan(write(tmp_path, "seeds: {}"), SITE)
    assert only == planned_seeds([0])[0]


@pytest.mark.parametrize(
    ("line", "number", "found", "expected"),
    [
        ("  batery.capacity_kwh: [1]", 2, "'batery'", "did you mean battery"),
        ("  battery.capacity: [1]", 2, "'capacity'", "did you mean capacity_kwh"),
        ("  battery.bus: [1]", 2, "'bus'", "a parameter of battery that is a number"),
        ("  battery.capacity_kwh: [5000, -1]", 2, "-1", "greater than 0"),
        ("  battery.min_soc: [0.97]", 2, "0.97", "min_soc below max_soc"),
    ],
)
def test_a_parameter_that_cannot_be_varied_is_told_with_its_line(
    tmp_path: Path, line: str, number: int, found: str, expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_plan(write(tmp_path, "vary:", line), SITE)
    (problem,) = caught.value.problems
    assert (problem.line, problem.found) == (number, found)
    assert expected in problem.expected


def test_an_outage_of_nothing_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_plan(write(tmp_path, "outages:", "  x:", "    - {element: feader, from: 2025-01-01, hours: 1}"), SITE)
    (problem,) = caught.value.problems
    assert (problem.line, problem.found) == (3, "'feader'")
    assert "did you mean feeder" in problem.expected


def test_weather_cases_multiply_with_the_rest_and_lie_beside_the_plan(tmp_path: Path) -> None:
    (tmp_path / "measured.csv").write_text("", encoding="utf-8")
    plan = write(
        tmp_path,
        "seeds: {first: 3, count: 2}",
        "weather:",
        "  typical: {format: greensboro}",
        "  year 2019: {format: csv, file: measured.csv, year: 2019}",
    )
    found = read_plan(plan, SITE)
    assert [one.label["weather"] for one in found] == ["typical", "typical", "year 2019", "year 2019"]
    measured = WeatherSource(format="csv", file=str(tmp_path.resolve() / "measured.csv"), year=2019)
    assert found[-1].scenario == Scenario(seed=4, weather=measured)


@pytest.mark.parametrize(
    ("line", "found", "expected"),
    [
        ("{format: epw}", "no file", "beside the plan"),
        ("{format: epw, file: nowhere.epw}", "no file nowhere.epw", "beside the plan"),
        ("{year: 2019, typical_year: false}", "typical_year", "typical_year true, or no year"),
    ],
)
def test_weather_that_is_not_there_is_told_with_its_line(tmp_path: Path, line: str, found: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        read_plan(write(tmp_path, "seeds: {}", "weather:", f"  bad: {line}"), SITE)
    (problem,) = caught.value.problems
    assert problem.line == 3
    assert found in problem.found
    assert expected in problem.expected


YEAR = TimeGrid(start=datetime(2025, 1, 1, tzinfo=UTC), step_s=3600.0, steps=8760)


def test_random_outages_are_drawn_for_each_seed_beside_those_of_a_case(tmp_path: Path) -> None:
    plan = write(
        tmp_path,
        "seeds: {first: 0, count: 3}",
        "outages:",
        "  cable:",
        "    - {element: field_cable, from: 2025-07-15T14:00, hours: 3}",
        "random_outages:",
        "  - {element: grid, per_year: 40, mean_h: 2}",
    )
    calm, one, other = (item.scenario.outages for item in read_plan(plan, SITE, YEAR))
    assert [item.element for item in calm] == ["field_cable"], "seed 0 is the year as it stands"
    assert {item.element for item in one} == {"field_cable", "grid"}
    assert one[1:] != other[1:]
    assert all(YEAR.start < item.start < YEAR.end for item in one)


def test_random_outages_of_nothing_are_told_with_their_line(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_plan(write(tmp_path, "random_outages:", "  - {element: gird, per_year: 1, mean_h: 2}"), SITE, YEAR)
    (problem,) = caught.value.problems
    assert (problem.line, problem.path, problem.found) == (2, "random_outages.0.element", "'gird'")
