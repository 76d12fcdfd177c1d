"""The units that devices speak in, and how they become ours."""

from __future__ import annotations

from dataclasses import dataclass

from twin.units import DIMENSIONLESS, UNITS

BARE_NUMBER = "1"
"""Unit of what has none: fractions, ratios, counts, codes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """Ours is the device's number times `factor`, plus `offset`."""

    suffix: str
    """The unit as names in the house end in it."""
    factor: float = 1.0
    offset: float = 0.0


def _of(suffix: str, **factors: float) -> dict[str, Conversion]:
    return {symbol: Conversion(suffix=suffix, factor=factor) for symbol, factor in factors.items()}


SYMBOLS: dict[str, Conversion] = {
    **_of("kw", W=1e-3, kW=1.0, MW=1e3),
    **_of("kvar", var=1e-3, kvar=1.0, Mvar=1e3),
    **_of("kva", VA=1e-3, kVA=1.0, MVA=1e3),
    **_of("kwh", Wh=1e-3, kWh=1.0, MWh=1e3, GWh=1e6),
    **_of("kvarh", varh=1e-3, kvarh=1.0, Mvarh=1e3),
    **_of("v", mV=1e-3, V=1.0, kV=1e3),
    **_of("a", mA=1e-3, A=1.0, kA=1e3),
    **_of("hz", mHz=1e-3, Hz=1.0),
    **_of("s", ms=1e-3, s=1.0, min=60.0, h=3600.0, d=86400.0),
    **_of("l", l=1.0, m3=1e3),
    **_of("l_per_h", **{"l/h": 1.0, "l/min": 60.0, "m3/h": 1e3}),
    **_of("kg_s", **{"kg/s": 1.0}),
    **_of("kpa", Pa=1e-3, kPa=1.0, bar=100.0, mbar=0.1),
    **_of("m_s", **{"m/s": 1.0}),
    **_of("w_m2", **{"W/m2": 1.0}),
    **_of("deg", **{"°": 1.0}),
    **_of("k", K=1.0),
    **_of("pu", pu=1.0),
    **_of("kg", kg=1.0),
    **_of(BARE_NUMBER, **{"1": 1.0, "%": 1e-2, "‰": 1e-3}),
    "°C": Conversion(suffix="c"),
    "°F": Conversion(suffix="c", factor=5 / 9, offset=-160 / 9),
}
"""Symbol → conversion. `K` becomes °C for a point in °C; percentages become fractions."""
ALSO = {
    ("k", "c"): (1.0, -273.15),
    ("s", "h"): (1 / 3600.0, 0.0),
    ("s", "minutes"): (1 / 60.0, 0.0),
    (BARE_NUMBER, "pu"): (1.0, 0.0),
}
"""Units that become others of ours than their own: by which factor and offset."""


def suffix_of(name: str) -> str:
    """The unit that a point's name ends in; `1` where it is dimensionless."""
    if name.rsplit("_", 1)[-1] in DIMENSIONLESS:
        return BARE_NUMBER
    longest_first = sorted(UNITS, key=len, reverse=True)
    return next((unit for unit in longest_first if name == unit or name.endswith("_" + unit)), BARE_NUMBER)


def conversion(symbol: str, suffix: str, rated: float | None = None) -> Conversion | None:
    """How a number in `symbol` becomes one in the house's unit `suffix`; None where it cannot.

    `rated` is what 1 pu, or 100 %, stands for.
    """
    known = SYMBOLS.get(symbol)
    if known is None or known.suffix == suffix:
        return known
    if (known.suffix, suffix) in ALSO:
        factor, offset = ALSO[known.suffix, suffix]
        return Conversion(suffix=suffix, factor=known.factor * factor, offset=offset)
    if rated is None:
        return None
    if known.suffix == BARE_NUMBER:
        return Conversion(suffix=suffix, factor=known.factor * rated)
    per_rated = suffix == "pu" and known.suffix != "c"
    return Conversion(suffix="pu", factor=known.factor / rated) if per_rated else None


def symbols_for(suffix: str) -> list[str]:
    """The symbols a point with this unit may be read in."""
    return [symbol for symbol in SYMBOLS if conversion(symbol, suffix, 1.0)]
