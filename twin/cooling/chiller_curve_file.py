"""Reads libraries of chiller curves in the format of PNNL's Copper (JSON, plain or gzipped)."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twin.cooling.chiller_curves import ChillerCurves

COEFFICIENTS = {"quad": 3, "cubic": 4, "bi_quad": 6, "bi_cub": 10}
"""Type of a curve → how many of its ten fields belong to it. The others may hold leftovers of another fit."""
KW_PER_TON = 3.51685
BTU_PER_WH = 3.412142
DEFAULT_MIN_LOAD_FRACTION = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedChiller:
    """One set of a library, and what it says of its machine."""

    key: str
    """In the library."""
    form: str
    """`EIR` or `ReformulatedEIR`."""
    units: str
    """`si` or `ip`, of temperatures in the curves as published."""
    compressor: str
    condenser: str
    speed: str
    """`constant`, `variable`, or empty where it is not told."""
    rated_heat_kw: float | None
    curves: ChillerCurves | None
    """None where the set cannot be used: `trouble` says why."""
    trouble: str = ""


def read_chiller_library(path: Path) -> tuple[PublishedChiller, ...]:
    """Every set of a library, usable or not, in its own order.

    Raises
    ------
    ValueError
        If a set is not of the format at all; says which.
    """
    raw = path.read_bytes()
    sets = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    return tuple(_read_sets(sets))


def _read_sets(sets: Mapping[str, Any]) -> Iterator[PublishedChiller]:
    for key, found in sets.items():
        try:
            yield _published(key, found)
        except (KeyError, TypeError) as error:
            raise ValueError(f"chiller set {key}: not in Copper's format ({error!r})") from error


def _published(key: str, found: Mapping[str, Any]) -> PublishedChiller:
    by_temperature = found["set_of_curves"]["eir-f-t"]
    curves, trouble = None, ""
    try:
        curves = _curves(found)
    except ValueError as error:
        trouble = str(error)
    tons = found["ref_cap"]
    return PublishedChiller(
        key=key,
        form={"ect_lwt": "EIR", "lct_lwt": "ReformulatedEIR"}[found["model"]],
        units=by_temperature["units"],
        compressor=found["compressor_type"],
        condenser=found["condenser_type"],
        speed=found["compressor_speed"] or "",
        rated_heat_kw=None if tons is None else tons * KW_PER_TON,
        curves=curves,
        trouble=trouble,
    )


def _curves(found: Mapping[str, Any]) -> ChillerCurves:
    parts = found["set_of_curves"]
    capacity, by_temperature, by_load = parts["cap-f-t"], parts["eir-f-t"], parts["eir-f-plr"]
    leaving = found["model"] == "lct_lwt"
    (min_chilled_c, max_chilled_c), (min_condenser_c, max_condenser_c) = (
        _limits(axis, capacity, by_temperature) for axis in ("x", "y")
    )
    return ChillerCurves(
        reference_cop=_cop(found),
        reference_chilled_c=_celsius(by_temperature, "ref_lwt", math.nan),
        reference_condenser_c=_celsius(by_temperature, "ref_lct" if leaving else "ref_ect", math.nan),
        capacity_factor=_coefficients(capacity),
        input_factor=_coefficients(by_temperature),
        load_factor=_coefficients(by_load),
        min_chilled_c=min_chilled_c,
        max_chilled_c=max_chilled_c,
        min_condenser_c=min_condenser_c,
        max_condenser_c=max_condenser_c,
        min_load_fraction=_min_load(found, by_load["y_min" if leaving else "x_min"]),
        condenser="air" if found["condenser_type"] == "air" else "water",
        leaving_condenser=leaving,
    )


def _cop(found: Mapping[str, Any]) -> float | None:
    value, unit = found["full_eff"], found["full_eff_unit"]
    if value is None:
        return None
    if unit == "kw/ton":
        return KW_PER_TON / float(value)
    return float(value) / {"cop": 1.0, "eer": BTU_PER_WH}[unit]


def _min_load(found: Mapping[str, Any], curve_from: float | None) -> float:
    told = [value for value in (found["min_unloading"], curve_from) if value]
    return max(told, default=DEFAULT_MIN_LOAD_FRACTION)


def _limits(axis: str, *curves: Mapping[str, Any]) -> tuple[float, float]:
    """Where all of them hold; what is not told is no limit, as in EnergyPlus."""
    low = max(_celsius(curve, f"{axis}_min", -math.inf) for curve in curves)
    return low, min(_celsius(curve, f"{axis}_max", math.inf) for curve in curves)


def _celsius(curve: Mapping[str, Any], name: str, otherwise: float) -> float:
    value = curve[name]
    if value is None:
        return otherwise
    return float(value) if curve["units"] == "si" else (float(value) - 32.0) / 1.8


def _coefficients(curve: Mapping[str, Any]) -> tuple[float, ...]:
    if curve["units"] != "si":
        raise ValueError("coefficients in SI")
    return tuple(float(curve[f"coeff{place}"] or 0.0) for place in range(1, COEFFICIENTS[curve["type"]] + 1))
