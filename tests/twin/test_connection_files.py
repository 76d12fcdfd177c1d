"""A site file whose connection names files: what comes of them, and where mistakes are told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from tests.reference.urdb_cases import TIERS, TIME_OF_USE
from tests.twin.billed import CAMPUS
from twin.connection_files import series_of
from twin.devices.grid_connection import GridConnection
from twin.errors import InputError, Problem
from twin.site import load_site

TARIFF = CAMPUS.read_text(encoding="utf-8").split("    tariff:\n")[1].split("    carbon_g_per_kwh")[0]
PERIOD = "{name: grid fee, from_hour: 0, to_hour: 24, price_per_kwh: 0.02}"
NOON = datetime(2025, 7, 1, 12, tzinfo=UTC)


def site_file(folder: Path, *tariff: str, carbon: str = "") -> Path:
    """The campus with another tariff, in a folder of its own, beside a file of hourly numbers."""
    lines = "".join(f"      {line}\n" for line in tariff)
    text = CAMPUS.read_text(encoding="utf-8").replace(TARIFF, lines)
    path = folder / "site.yaml"
    path.write_text(
        text.replace("    carbon_g_per_kwh: 390 ", f"    {carbon}\n#") if carbon else text, encoding="utf-8"
    )
    rows = [f"{(NOON + timedelta(hours=number)).isoformat()},{number},{100 + number}" for number in range(24)]
    (folder / "hours.csv").write_text("\n".join(["time,usd_per_mwh,g", *rows]) + "\n", encoding="utf-8")
    return path


def connection(path: Path) -> GridConnection:
    return cast(GridConnection, load_site(path).devices["grid"])


def mistake(path: Path) -> Problem:
    with pytest.raises(InputError) as caught:
        load_site(path)
    return caught.value.problems[0]


def test_a_tariff_of_the_utility_rate_database_is_read_beside_the_site_file(tmp_path: Path) -> None:
    (tmp_path / "rate.json").write_text(json.dumps({"items": [TIME_OF_USE]}), encoding="utf-8")
    tariff = connection(site_file(tmp_path, "urdb: rate.json", "export_price_per_kwh: 0.03")).tariff
    assert [charge.name for charge in tariff.charges] == ["flat 0", "flat 1", "period 0", "period 1"]
    assert tariff.terms(NOON, NOON, 7).export_price_per_kwh == 0.03


def test_prices_and_emissions_of_each_hour_are_read(tmp_path: Path) -> None:
    price = "price: {file: hours.csv, column: usd_per_mwh, unit: per_mwh}"
    carbon = "carbon: {average: {file: hours.csv, column: g, unit: g_per_kwh}, marginal_g_per_kwh: 700}"
    grid = connection(site_file(tmp_path, f"periods: [{PERIOD}]", price, carbon=carbon))
    later = NOON + timedelta(hours=3)
    assert grid.tariff.price_per_kwh(later) == pytest.approx(0.02 + 0.003), "the market's price and the grid's fee"
    emission = grid.emission(later)
    assert (emission.average_g_per_kwh, emission.marginal_g_per_kwh) == (103.0, 700.0)
    assert list(series_of(grid)) == ["tariff.price", "carbon.average"]
    assert connection(site_file(tmp_path, price)).tariff.price_per_kwh(later) == pytest.approx(0.003)


@pytest.mark.parametrize(
    ("content", "line", "key", "found"),
    [
        (None, None, "", "No such file or directory"),
        ("{\n", 2, "", "Expecting property name enclosed in double quotes"),
        (json.dumps({**TIERS, "flatdemandunit": "hp"}, indent=0), 2500, "flatdemandunit", "'hp'"),
        (json.dumps({**TIERS, "demandwindow": 30}), 1, "demandwindow", "1800 s"),
    ],
)
def test_a_mistake_in_the_rate_is_told_with_its_file_and_key(
    tmp_path: Path, content: str | None, line: int | None, key: str, found: str
) -> None:
    if content is not None:
        (tmp_path / "rate.json").write_text(content, encoding="utf-8")
    problem = mistake(site_file(tmp_path, "urdb: rate.json", "demand_interval_s: 600"))
    assert problem.file.endswith("rate.json")
    assert (problem.path, problem.found) == (key, found)
    assert (problem.line is None) == (line is None)
    if line is not None and content is not None and line < 100:
        assert problem.line == line


@pytest.mark.parametrize(
    ("lines", "key", "found", "expected"),
    [
        (["urdb: rate.json", "fixed_monthly_cost: 3"], "fixed_monthly_cost", "a key beside urdb", "in the URDB file"),
        (
            [f"periods: [{PERIOD}]", "price: {file: hours.csv, column: g, unit: g_per_kwh}"],
            "price.unit",
            "g_per_kwh",
            "per_kwh or per_mwh",
        ),
    ],
)
def test_keys_that_contradict_each_other_are_told_with_their_line(
    tmp_path: Path, lines: list[str], key: str, found: str, expected: str
) -> None:
    path = site_file(tmp_path, *lines)
    problem = mistake(path)
    assert (problem.path, problem.found) == (f"devices.grid.tariff.{key}", found)
    assert expected in problem.expected
    told = path.read_text(encoding="utf-8").splitlines()[cast(int, problem.line) - 1]
    assert key.split(".", maxsplit=1)[0] in told


def test_an_impossible_tariff_is_told_with_its_line(tmp_path: Path) -> None:
    blocks = "{above_kwh: 5, price_per_kwh: 1}, {above_kwh: 3, price_per_kwh: 2}"
    period = PERIOD.replace("}", f", blocks: [{blocks}]}}")
    told: dict[str, Any] = {"blocks of period grid fee": f"periods: [{period}]"}
    told["periods that cover every hour"] = "periods: [{name: a, from_hour: 0, to_hour: 9, price_per_kwh: 1}]"
    for expected, line in told.items():
        problem = mistake(site_file(tmp_path, line))
        assert problem.line is not None
        assert expected in problem.expected


def test_emission_factors_are_told_once(tmp_path: Path) -> None:
    both = "carbon: {average_g_per_kwh: 300}\n    carbon_g_per_kwh: 390"
    problem = mistake(site_file(tmp_path, f"periods: [{PERIOD}]", carbon=both))
    assert problem.path == "devices.grid"
    assert problem.expected == "carbon or carbon_g_per_kwh, not both"
