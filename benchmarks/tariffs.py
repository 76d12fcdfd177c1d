"""Bills against NREL's System Advisor Model and a plain computation; what there is in price and carbon files.

    .venv/bin/python benchmarks/tariffs.py [--step SECONDS] [--cache FOLDER] [--sam-cases]

The campus is simulated for a year under a real tariff (Public Service Co of Colorado, Secondary Photovoltaic Time of
Use), from its file in the OpenEI Utility Rate Database. Its books are compared with two other bills of the same import:
that of SAM (NREL-PySAM, installed under the cache folder) and that of a few lines of pandas on the raw rate. SAM's year
begins on a Monday and has no daylight saving, hence 2018 at Denver's standard time; the plain bill is also made for
2025 in Denver's local time. Then four measured files are read. `--sam-cases` prints SAM's bills of the rates in
`tests/reference/urdb_cases.py` instead, which are what `tests/reference/test_tariffs.py` holds ours against.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import repository_root  # noqa: F401
from environments import CACHE, NotToBeHadError, environment, last_words
from measured_data import measured

from agents.assemble import load
from agents.simulation import simulate
from tests.reference.test_tariffs import plain_bill
from tests.reference.urdb_cases import CASES, HOURS, load_kw
from twin.connection_files import with_files
from twin.devices.grid_connection import GridConnection
from twin.errors import Problem
from twin.ledger import Books
from twin.numeric import FloatArray, Num, first
from twin.series_table import read_series
from twin.simulator import PlantStep
from twin.site import Site
from twin.tariff import Tariff
from twin.time_series import SeriesFile
from twin.timegrid import TimeGrid

CAMPUS = Path(__file__).parents[1] / "site_configs" / "campus.yaml"
SAM = ("NREL-PySAM==7.1.1.post1",)
DRIVER = Path(__file__).parent / "peers" / "run_pysam.py"
RATE = "price/urdb_psco_spvtou_secondary_2019.json"
SERIES = (
    ("price/de_lu_dayahead_2021_2022.parquet", "Price (EUR/MWh)", "per_mwh"),
    ("price/caiso_np15_dam_lmp_2021_2022.parquet", "Price (USD/MWh)", "per_mwh"),
    ("carbon/electricitymaps_de_2021_2022.parquet", "Carbon Intensity gCO₂eq/kWh (LCA)", "g_per_kwh"),
    ("carbon/electricitymaps_us_cal_ciso_2021_2022.parquet", "Carbon Intensity gCO₂eq/kWh (LCA)", "g_per_kwh"),
)
Charges = Mapping[str, Sequence[float]]


class Imports:
    """Keeps the import of every step."""

    def __init__(self) -> None:
        self.kw: list[float] = []

    def row_of(self, step: PlantStep) -> Mapping[str, Num]:
        return {"import_kw": step.import_kw}

    def add(self, at: datetime, row: Mapping[str, Num]) -> None:
        del at
        self.kw.append(first(row["import_kw"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """A simulated year, and its import with its local stamps."""

    books: Books
    load: pd.Series
    """Bought, kW; what is sold does not count."""


def site_in(zone: str) -> Site:
    """The campus with the real tariff, by the clock of a zone."""
    site = load(CAMPUS).site
    grid = cast(GridConnection, site.devices["grid"])

    def complain(key: str, found: str, expected: str) -> Problem:
        return Problem(file=RATE, line=None, path=key, found=found, expected=expected)

    tariff = Tariff(urdb=str(measured(RATE)), export_price_per_kwh=0.0)
    real = with_files(replace(grid, tariff=tariff), CAMPUS.parent, complain)
    location = replace(site.location, time_zone=zone)
    return replace(site, devices={**site.devices, "grid": real}, location=location)


def simulated(year: int, zone: str, step_s: float) -> Year:
    start, end = (datetime(number, 1, 1, tzinfo=ZoneInfo(zone)) for number in (year, year + 1))
    grid = TimeGrid(start=start, step_s=step_s, steps=round((end.timestamp() - start.timestamp()) / step_s))
    imports = Imports()
    done = simulate(site_in(zone), CAMPUS, grid, load(CAMPUS).policy("rules"), table=imports)
    stamps = pd.date_range(start, periods=grid.steps, freq=pd.Timedelta(seconds=step_s))
    return Year(books=done.books, load=pd.Series(np.maximum(imports.kw, 0.0), index=stamps))


def plain_year(year: Year, rate: dict[str, Any]) -> float:
    """The plain bill, month by month: kWh for its energy, kW averaged over 15 minutes for its peaks."""
    hours = (year.load.index[1] - year.load.index[0]).total_seconds() / 3600.0
    metered = year.load.resample("15min").mean()
    total = 0.0
    for _, part in metered.groupby(cast(pd.DatetimeIndex, metered.index).month):
        quarters = {**rate, "energyratestructure": _scaled(rate["energyratestructure"], max(hours, 0.25))}
        total += plain_bill(quarters, part)
    return total


def _scaled(structure: list[list[dict[str, Any]]], hours: float) -> list[list[dict[str, Any]]]:
    """Prices of one sample's power instead of its energy, for a rate without tiers."""
    return [[{"rate": hours * (tier["rate"] + tier.get("adj", 0.0))} for tier in tiers] for tiers in structure]


def sam_bills(cases: Sequence[Mapping[str, Any]], cache: Path) -> list[Charges]:
    """Monthly charges by SAM."""
    python = environment("pysam", SAM, cache)
    done = subprocess.run([python, DRIVER], input=json.dumps(cases), capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotToBeHadError(last_words(done.stderr))
    return cast(list[Charges], json.loads(done.stdout))


def compare(step_s: float, cache: Path) -> None:
    rate = json.loads(measured(RATE).read_text(encoding="utf-8"))["items"][0]
    standard, local = simulated(2018, "Etc/GMT+7", step_s), simulated(2025, "America/Denver", step_s)
    print("\n| account, USD a year | ours | another | difference |\n|---|---:|---:|---:|")
    try:
        (charges,) = sam_bills([{"rate": rate, "load_kw": standard.load.tolist()}], cache)
        books = standard.books
        energy = first(books.energy_cost) - first(books.fuel_cost)
        row("energy, SAM", energy, sum(charges["ec_charge"]))
        row("demand, SAM", first(books.demand_cost), sum(charges["dc_fixed"]) + sum(charges["dc_tou"]))
        row("fixed, SAM", first(books.fixed_cost), sum(charges["fixed"]))
    except NotToBeHadError as error:
        print(f"| SAM | could not be had: {error} | | |")
    for name, year in (("2018 at standard time", standard), ("2025 with clock changes", local)):
        row(f"all, plain, {name}", total_of(year.books), plain_year(year, rate))


def total_of(books: Books) -> float:
    """What the connection costs."""
    return first(books.energy_cost) - first(books.fuel_cost) + first(books.demand_cost) + first(books.fixed_cost)


def row(name: str, ours: float, other: float) -> None:
    print(f"| {name} | {ours:,.2f} | {other:,.2f} | {abs(ours - other) / max(abs(other), 1e-9):.1e} |")


def read_files() -> None:
    print("\n| file | values | of them filled | lowest | mean | highest |\n|---|---:|---:|---:|---:|---:|")
    for name, column, unit in SERIES:
        path = measured(name)
        told = SeriesFile(file=path.name, column=column, unit=cast(Any, unit), time_column="time_utc")
        series = read_series(told, path.parent)
        values: FloatArray = series.values * (1000.0 if unit == "per_mwh" else 1.0)
        counts = f"{len(values):,} | {series.filled_steps}"
        print(f"| {path.name} | {counts} | {values.min():,.2f} | {values.mean():,.2f} | {values.max():,.2f} |")


def print_sam_cases(cache: Path) -> None:
    load_of = [load_kw(hour) for hour in range(HOURS)]
    bills = sam_bills([{"rate": rate, "load_kw": load_of} for rate in CASES.values()], cache)
    for name, charges in zip(CASES, bills, strict=True):
        print(name)
        for kind, months in charges.items():
            print(f"  {kind}: {[round(value, 4) for value in months]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step", type=float, default=900.0, help="seconds of one step, at most 900")
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--sam-cases", action="store_true")
    told = parser.parse_args()
    if told.sam_cases:
        print_sam_cases(told.cache)
        return
    compare(told.step, told.cache)
    read_files()


if __name__ == "__main__":
    main()
