"""Small weather files as people have them, written by the tests themselves."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

COLUMNS = ("ghi_w_m2", "dni_w_m2", "dhi_w_m2", "dry_bulb_c", "relative_humidity_fraction", "wind_m_s", "pressure_kpa")
EPW_HEADER = (
    "LOCATION,Testville,NC,USA,TMY3,723170,36.10,-79.95,-5.0,273.0",
    "DESIGN CONDITIONS,0",
    "TYPICAL/EXTREME PERIODS,0",
    "GROUND TEMPERATURES,0",
    "HOLIDAYS/DAYLIGHT SAVINGS,No,0,0,0",
    "COMMENTS 1,written by a test",
    "COMMENTS 2,",
    "DATA PERIODS,1,1,Data,Sunday, 1/ 1,12/31",
)


def write_csv(path: Path, stamps: Iterable[str], **columns: float) -> Path:
    """A CSV of constant weather, with some columns changed."""
    values = {
        "ghi_w_m2": 300.0, "dni_w_m2": 200.0, "dhi_w_m2": 150.0, "dry_bulb_c": 12.0,
        "relative_humidity_fraction": 0.6, "wind_m_s": 4.0, "pressure_kpa": 98.0,
    } | columns  # fmt: skip
    rows = [",".join([stamp, *(f"{values[name]:g}" for name in COLUMNS)]) for stamp in stamps]
    path.write_text("\n".join([",".join(("time", *COLUMNS)), *rows, ""]), encoding="utf-8")
    return path


def hourly(first: str, hours: int) -> list[str]:
    """ISO stamps with a fixed offset, an hour apart."""
    return [stamp.isoformat() for stamp in pd.date_range(first, periods=hours, freq="h")]


def write_epw(path: Path, dry_bulb_c: Iterable[float]) -> Path:
    """An EPW of January 2021, hour after hour, with these temperatures."""
    rows = []
    for hour, value in enumerate(dry_bulb_c):
        day, of_day = divmod(hour, 24)
        head = f"2021,1,{day + 1},{of_day + 1},60,A7,{value:g},5.0,60,98000"
        sky = "0,0,300,400,500,90,0,0,0,0,180,4.0"
        rows.append(f"{head},{sky},5,5,9999,9999,9,999999999,10,0.1,0,88,0.2,0,1")
    path.write_text("\n".join([*EPW_HEADER, *rows, ""]), encoding="utf-8")
    return path


def edited(path: Path, line: int, text: str | None) -> Path:
    """The file with one line (1-based) replaced, or left out."""
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[line - 1 : line] = [] if text is None else [text]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path
