"""A register map begun from another tool's file: what that file says, and, openly, what it does not say.

A draft is not fit to run as it comes: whoever imports it decides the signs (`into_device: unknown` until then) and
the units that the file does not have (`unit: unknown`), and narrows the plausible ranges, which are what the
registers can show. `gridhelm map check` refuses what is unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from twin.telemetry.map_roles import CURRENTS, SIGNED, roles
from twin.telemetry.map_types import FLOATS, raw_range
from twin.telemetry.map_units import BARE_NUMBER, SYMBOLS, conversion, suffix_of
from twin.units import has_unit

Keys = Mapping[str, Any]
"""A register as it stands in a map."""
ORDERS = {
    "ABCD": {},
    "CDAB": {"word_order": "little"},
    "BADC": {"byte_order": "little"},
    "DCBA": {"word_order": "little", "byte_order": "little"},
}
"""Order of four bytes → the keys that say so."""
UNIT_SPELLINGS = {
    "volt": "V",
    "volts": "V",
    "amp": "A",
    "amps": "A",
    "ampere": "A",
    "watt": "W",
    "watts": "W",
    "hertz": "Hz",
    "degrees": "°",
    "deg": "°",
    "c": "°C",
    "degc": "°C",
    "pct": "%",
    "percent": "%",
    "seconds": "s",
    "secs": "s",
    "millisecs": "ms",
    "minutes": "min",
    "hours": "h",
    "m³": "m3",
    "w/m²": "W/m2",
}
PLAUSIBLE = {
    "kw": (-1e5, 1e5),
    "kvar": (-1e5, 1e5),
    "kva": (0.0, 1e5),
    "kwh": (0.0, 1e12),
    "kvarh": (0.0, 1e12),
    "v": (-1e5, 1e5),
    "a": (-1e5, 1e5),
    "hz": (0.0, 1e3),
    "c": (-100.0, 1000.0),
    "pu": (0.0, 10.0),
}
"""Unit → range within which any device's number lies; narrower where the register ends before."""
FRACTIONS = {"soc": (0.0, 1.0), "soh": (0.0, 1.0), "power_factor": (-1.0, 1.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A map that somebody has yet to finish."""

    title: str
    remarks: tuple[str, ...] = ()
    """For people: unit id, host, what a number meant in the other tool."""
    points: Mapping[str, Keys] = field(default_factory=dict)
    details: Mapping[str, Keys] = field(default_factory=dict)
    texts: Mapping[str, Keys] = field(default_factory=dict)
    groups: Mapping[str, Keys] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    """What the other file has and the draft has not, each with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A register in another tool's file: its name, its unit as spelled there, and its keys in ours."""

    name: str
    unit: str | None
    keys: Keys
    role: str | None = None
    """The point that it is, where the other file says so by more than a name."""
    plausible: tuple[float | None, float | None] = (None, None)
    """Least and largest value, in the unit of the file."""


def draft(
    title: str,
    found: Iterable[Found],
    *,
    remarks: Iterable[str] = (),
    left_out: Iterable[str] = (),
    groups: Mapping[str, Keys] | None = None,
) -> Draft:
    """Sort what was found into points of the twin and details for people."""
    points: dict[str, Keys] = {}
    details: dict[str, Keys] = {}
    texts: dict[str, Keys] = {}
    missing = list(left_out)
    for item in found:
        symbol = symbol_of(item.unit)
        role = _role(item, symbol)
        if item.keys["type"] == "string":
            texts[_unique(slug(item.name), {*texts})] = {
                key: value for key, value in item.keys.items() if value is not None
            }
        elif role is not None and role not in points:
            points[role] = _finished(role, symbol, item)
        else:
            name = _unique(_detail_name(item, symbol), {*points, *details})
            details[name] = _finished(name, symbol, item)
        if item.unit and symbol is None:
            missing.append(f"{item.name}: its unit {item.unit}, which has no place in the house")
    if not points and details:
        missing.append("points: no name tells which register is which; move what the twin needs up from details")
    return Draft(
        title=title,
        remarks=tuple(remarks),
        points=points,
        details=details,
        texts=texts,
        groups=groups or {},
        left_out=tuple(missing),
    )


def symbol_of(unit: str | None) -> str | None:
    """Our symbol for a unit as other tools spell it; None for one that we do not know."""
    if not unit:
        return None
    if unit in SYMBOLS:
        return unit
    known = {symbol.casefold(): symbol for symbol in SYMBOLS if symbol.casefold() not in ("mw", "mwh", "mvar", "mva")}
    return UNIT_SPELLINGS.get(unit.casefold().strip("."), known.get(unit.casefold()))


ROLE_WORDS: tuple[tuple[str, str], ...] = (
    (r"(total_)?(active_)?power(_active|_total)?(_total)?|w|watts|(total_)?active_power", "p_kw"),
    (r"(total_)?reactive_power(_total)?|power_reactive|var", "q_kvar"),
    (r"(total_)?apparent_power|power_apparent|va", "s_kva"),
    (r"(grid_|line_)?frequency|freq|hz", "frequency_hz"),
    (r"power_factor|pf|cos_phi", "power_factor"),
    (r"(battery_)?(soc|state_of_charge)", "soc"),
    (r"(battery_)?(soh|state_of_health)", "soh"),
    (r"(total_)?import(ed)?(_active)?_energy(_active)?(_total)?|(active_)?energy_import(ed)?", "import_kwh"),
    (r"(total_)?export(ed)?(_active)?_energy(_active)?(_total)?|(active_)?energy_export(ed)?", "export_kwh"),
    (r"voltage", "voltage_v"),
    (r"current", "current_a"),
    (r"dc_(voltage|v)", "dc_v"),
    (r"dc_(current|a)", "dc_a"),
    (r"dc_(power|w)", "dc_kw"),
)
PHASE = re.compile(
    r"^(?:phase_)?(?:l([123])|([abc]))_(voltage|current|power)$|^(voltage|current|power)_(?:phase_)?l?([123abc])$"
)
PHASE_UNITS = {"voltage": "v", "current": "a", "power": "kw"}


def _role(item: Found, symbol: str | None) -> str | None:
    """The point that a register is, if its name says so beyond doubt and its unit agrees."""
    name = slug(item.name)
    role = item.role or (name if name in roles() else _by_words(name))
    if role is None or role not in roles():
        return None
    if symbol is None:
        return role if item.unit is None or suffix_of(role) == BARE_NUMBER else None
    return role if conversion(symbol, suffix_of(role)) is not None else None


def _by_words(name: str) -> str | None:
    for pattern, role in ROLE_WORDS:
        if re.fullmatch(pattern, name):
            return role
    if (phase := PHASE.fullmatch(name)) is None:
        return None
    digit, letter, quantity, quantity_first, which = phase.groups()
    number = "123abc".index(digit or letter or which) % 3 + 1
    return f"l{number}_{PHASE_UNITS[quantity or quantity_first]}"


def slug(name: str) -> str:
    """A name as keys are written here."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "register"


def _detail_name(item: Found, symbol: str | None) -> str:
    name = slug(item.name)
    suffix = "count" if symbol is None else SYMBOLS[symbol].suffix
    if symbol is None and has_unit(name):
        return name
    suffix = "ratio" if suffix == BARE_NUMBER else suffix
    return name if name.endswith(f"_{suffix}") and has_unit(name) else f"{name}_{suffix}"


def _unique(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    stem, _, suffix = name.rpartition("_")
    return next(other for index in range(2, 10_000) if (other := f"{stem}_{index}_{suffix}".strip("_")) not in taken)


def _finished(name: str, symbol: str | None, item: Found) -> Keys:
    keys = {key: value for key, value in item.keys.items() if value is not None}
    if symbol is not None and conversion(symbol, suffix_of(name)) is not None:
        keys["unit"] = symbol
    elif symbol is None and suffix_of(name) != BARE_NUMBER:
        keys["unit"] = "unknown"
    scale = float(keys.get("scale", 1.0))
    if scale < 0:
        keys["scale"] = -scale
    if float(keys.get("scale", 1.0)) == 1.0:
        keys.pop("scale", None)
    shows_both_ways = raw_range(item.keys["type"], item.keys.get("length"), item.keys.get("bits"))[0] < 0
    if name in SIGNED or (name in CURRENTS and shows_both_ways):
        keys["into_device"] = "unknown"
    low, high = _range(name, keys, item)
    return keys | {"min": low, "max": high}


def _range(name: str, keys: Keys, item: Found) -> tuple[float, float]:
    """What is plausible by the file, or else all that the register can show."""
    unit = keys.get("unit")
    into = conversion(unit, suffix_of(name)) if unit else None
    factor, offset = (into.factor, into.offset) if into is not None else (1.0, 0.0)
    low, high = FRACTIONS.get(name) or PLAUSIBLE.get(suffix_of(name)) or (-1e12, 1e12)
    stated = [None if end is None else end * factor + offset for end in item.plausible]
    if keys["type"] not in FLOATS and "scale_factor" not in keys and "enumeration" not in keys:
        raw = raw_range(keys["type"], keys.get("length"), keys.get("bits"))
        scale, shift = float(keys.get("scale", 1.0)), float(keys.get("offset", 0.0))
        ends = [(end * scale + shift) * factor + offset for end in raw]
        low, high = max(low, ends[0]), min(high, ends[1])
    elif "scale_factor" in keys and raw_range(keys["type"], keys.get("length"), None)[0] == 0:
        low = max(low, 0.0)
    if name in SIGNED | CURRENTS and keys.get("into_device") == "unknown":
        low = -max(abs(low), abs(high))
        high = -low
    low, high = (low if stated[0] is None else stated[0]), (high if stated[1] is None else stated[1])
    return (_short(low), _short(high)) if low < high else (_short(low), _short(low) + 1.0)


def _short(number: float) -> float:
    return float(f"{number:.6g}")


def draft_text(item: Draft) -> str:
    """The draft as a YAML file."""
    return "\n".join(_lines(item)) + "\n"


def _lines(item: Draft) -> Iterator[str]:
    yield "# A draft. Decide whatever is `unknown`, narrow min and max, then: gridhelm map check"
    yield from (f"# {remark}" for remark in item.remarks)
    yield from (f"# left out: {reason}" for reason in item.left_out)
    yield f"title: {scalar(item.title)}"
    yield "address_base: 0"
    for section, entries in (
        ("points", item.points),
        ("details", item.details),
        ("texts", item.texts),
        ("groups", item.groups),
    ):
        if entries:
            yield f"{section}:"
            yield from (f"  {scalar(name)}: {flow(keys)}" for name, keys in entries.items())
        elif section == "points":
            yield "points: {}"


def flow(value: Any) -> str:
    """A value in YAML's flow style."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {_part(key, part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(part) for part in value) + "]"
    return scalar(value)


def _part(key: object, part: Any) -> str:
    return f"{part:#x}" if key == "sentinel" and isinstance(part, int) else flow(part)


PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_. /-]*[A-Za-z0-9_]|[A-Za-z_]")
NOT_PLAIN = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def scalar(value: Any) -> str:
    """A number or a text as YAML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e16 else repr(value)
    text = str(value)
    return text if PLAIN.fullmatch(text) and text.lower() not in NOT_PLAIN else json.dumps(text, ensure_ascii=False)
