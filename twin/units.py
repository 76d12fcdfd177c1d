"""The unit vocabulary: which suffix a name of a physical quantity may end in, and what it means.

A test walks every public dataclass, point and YAML key and holds them to this list.
"""

from __future__ import annotations

UNITS: dict[str, str] = {
    "kw": "active power",
    "kwh": "energy",
    "kvar": "reactive power",
    "kvarh": "reactive energy",
    "kva": "apparent power",
    "w": "active power of a small thing",
    "w_per_gpu": "active power of one GPU with its share of the node",
    "v": "voltage, line to line",
    "a": "current",
    "pu": "per unit of the rated value",
    "hz": "frequency",
    "c": "temperature, °C",
    "k": "temperature difference",
    "kg_s": "mass flow",
    "kpa": "pressure",
    "w_m2": "irradiance",
    "m_s": "speed",
    "kg_m3": "density",
    "deg": "angle",
    "s": "duration, seconds",
    "minutes": "duration that a person states",
    "h": "duration, hours",
    "m": "length",
    "l": "volume, litres",
    "l_per_kwh": "volume per energy",
    "l_per_h": "volume flow",
    "cost": "money, in the currency of the tariff",
    "per_kwh": "money per energy",
    "per_kw": "money per power",
    "per_l": "money per volume",
    "kg_per_l": "mass per volume",
    "kg": "mass",
    "g_per_kwh": "emission factor",
    "ohm_per_km": "line impedance",
    "nf_per_km": "line capacitance",
    "gpu_h": "work, GPU hours",
    "gpus": "number of GPUs",
    "fraction_per_day": "what builds up from day to day",
    "fraction_per_year": "what ages",
    "months": "calendar months",
    "cycles": "number of full charges and discharges",
    "steps": "number of intervals",
    "jobs": "number of jobs",
}
"""Suffix → quantity. A name is `name_<suffix>`, or the suffix itself after a prefix such as `p_`."""

DIMENSIONLESS = frozenset(
    {
        "soc",
        "soh",
        "efficiency",
        "utilisation",
        "power_factor",
        "cop",
        "pue",
        "tue",
        "fraction",
        "count",
        "share",
        "ratio",
        "factor",
        "running",
    }
)
"""Fractions 0…1, ratios and counts that stand bare, alone or as the last word of a name."""

SECONDS_PER_HOUR = 3600.0


def has_unit(name: str) -> bool:
    """Whether `name` ends in a known unit or is a known dimensionless word."""
    if name in DIMENSIONLESS or name.rsplit("_", 1)[-1] in DIMENSIONLESS:
        return True
    return any(name == unit or name.endswith("_" + unit) for unit in UNITS)
