"""Where the weather of a simulated site comes from, as a person writes it in the site file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from twin.devices.base import STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class WeatherSource:
    """A typical-year or measured weather file."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    format: Literal["greensboro", "epw", "tmy3", "csv"] = "greensboro"
    """`greensboro`: the measured typical year of Greensboro NC (NREL TMY3, station 723170) that pvlib ships."""
    file: str | None = None
    """Path of the file, beside the site file or absolute; not for `greensboro`.

    A CSV has the columns `time` (ISO 8601 with offset), `ghi_w_m2`, `dni_w_m2`, `dhi_w_m2`,
    `dry_bulb_c`, `relative_humidity_fraction`, `wind_m_s`, `pressure_kpa`.
    """
    typical_year: bool = True
    """True: month, day and hour count and the year does not, so that any year can be simulated."""
    year: int | None = None
    """Of a file of several years: this one, in the station's standard time, laid on any year as a typical one."""

    def __post_init__(self) -> None:
        if self.year is not None and not self.typical_year:
            raise ValueError("typical_year true, or no year: one year of a file is laid on any year")
