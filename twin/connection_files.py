"""The files that a grid connection names: its tariff, its prices, its emission factors. They are read here alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

from twin.devices.grid_connection import GridConnection
from twin.errors import InputError, Problem
from twin.series_table import problem, read_series
from twin.tariff import DEMAND_INTERVAL_S, Tariff
from twin.time_series import ReadSeries, SeriesFile
from twin.urdb import UrdbError, tariff_fields

BESIDE_URDB = frozenset(
    {"currency", "urdb", "export_price_per_kwh", "export_price", "price", "holidays", "demand_interval_s"}
)
Complain = Callable[[str, str, str], Problem]
"""Makes a problem of a key below the connection, what was found, and what was expected."""


def with_files(connection: GridConnection, folder: Path, complain: Complain) -> GridConnection:
    """The connection with what its files say. Raises `InputError` with the file, line or key that is wrong."""
    tariff, carbon = connection.tariff, connection.carbon
    problems = [*_misplaced(tariff, complain)]
    if problems:
        raise InputError(*problems)
    if tariff.urdb is not None:
        tariff = _of_urdb(tariff, folder / tariff.urdb)
    tariff = replace(tariff, price=_read(tariff.price, folder), export_price=_read(tariff.export_price, folder))
    if carbon is not None:
        carbon = replace(carbon, average=_read(carbon.average, folder), marginal=_read(carbon.marginal, folder))
    return replace(connection, tariff=tariff, carbon=carbon)


def series_of(connection: GridConnection) -> Mapping[str, ReadSeries]:
    """Every series that was read for a connection, by its key."""
    named = {
        "tariff.price": connection.tariff.price,
        "tariff.export_price": connection.tariff.export_price,
        "carbon.average": connection.carbon.average if connection.carbon is not None else None,
        "carbon.marginal": connection.carbon.marginal if connection.carbon is not None else None,
    }
    return {name: series for name, series in named.items() if isinstance(series, ReadSeries)}


def check_covered(connection: GridConnection, begin_s: float, end_s: float) -> None:
    """Raise `InputError` where a run needs a series at a time for which its file has no rows, and may not repeat."""
    problems = [
        problem(
            Path(series.file), None, _span(series.begin_s, series.end_s), f"{_span(begin_s, end_s)}, or outside: repeat"
        )
        for series in series_of(connection).values()
        if series.outside == "refuse" and (begin_s < series.begin_s or end_s > series.end_s)
    ]
    if problems:
        raise InputError(*problems)


def _misplaced(tariff: Tariff, complain: Complain) -> list[Problem]:
    found = list[Problem]()
    if tariff.urdb is not None:
        written = [
            item.name
            for item in fields(Tariff)
            if item.name not in BESIDE_URDB and getattr(tariff, item.name) != item.default
        ]
        found += [complain(f"tariff.{name}", "a key beside urdb", "it in the URDB file alone") for name in written]
    for name, series in (("price", tariff.price), ("export_price", tariff.export_price)):
        if series is not None and series.unit == "g_per_kwh":
            found.append(complain(f"tariff.{name}.unit", "g_per_kwh", "per_kwh or per_mwh"))
    return found


def _of_urdb(tariff: Tariff, path: Path) -> Tariff:
    try:
        text = path.read_text(encoding="utf-8")
        known = tariff.export_price_per_kwh is not None or tariff.export_price is not None
        told = tariff_fields(json.loads(text), export_is_known=known)
        length_s = told.get("demand_interval_s", tariff.demand_interval_s)
        if tariff.demand_interval_s not in (length_s, DEMAND_INTERVAL_S):
            raise UrdbError("demandwindow", f"{length_s:g} s", "the demand_interval_s of the site file, or none there")
        return replace(tariff, **told)
    except OSError as error:
        raise InputError(problem(path, None, str(error.strerror), "a readable URDB file")) from None
    except json.JSONDecodeError as error:
        raise InputError(problem(path, error.lineno, error.msg, "JSON")) from None
    except UrdbError as error:
        raise InputError(problem(path, _line(text, error.key), error.found, error.expected, error.key)) from None
    except ValueError as error:
        raise InputError(problem(path, None, "a rate that is none", str(error))) from None


def _line(text: str, key: str) -> int | None:
    """Line of the first key of that name."""
    name = f'"{key.split("[", maxsplit=1)[0].split(".", maxsplit=1)[0]}"'
    return next((number for number, line in enumerate(text.splitlines(), start=1) if name in line), None)


def _read(told: SeriesFile | None, folder: Path) -> SeriesFile | None:
    return read_series(told, folder) if told is not None and not isinstance(told, ReadSeries) else told


def _span(begin_s: float, end_s: float) -> str:
    days = [datetime.fromtimestamp(instant_s, UTC).strftime("%Y-%m-%d %H:%M") for instant_s in (begin_s, end_s)]
    return f"rows from {days[0]} to {days[1]} UTC"
