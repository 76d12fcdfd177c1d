"""A SunSpec model definition (JSON) as a draft of a register map, for a device that has the model at a known address.

Points follow each other from the model's ID on; those of a group that repeats are left out, because only the
device knows how often. Source: sunspec/models, json/ and its model.schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from twin.telemetry.map_draft import Draft, Found, draft

Entry = Mapping[str, Any]
TYPES: dict[str, tuple[str, int, int | None]] = {
    "int16": ("int16", 1, 0x8000),
    "uint16": ("uint16", 1, 0xFFFF),
    "count": ("uint16", 1, None),
    "acc16": ("uint16", 1, None),
    "enum16": ("uint16", 1, 0xFFFF),
    "bitfield16": ("bitfield", 1, 0xFFFF),
    "int32": ("int32", 2, 0x80000000),
    "uint32": ("uint32", 2, 0xFFFFFFFF),
    "acc32": ("uint32", 2, None),
    "enum32": ("uint32", 2, 0xFFFFFFFF),
    "bitfield32": ("bitfield", 2, 0xFFFFFFFF),
    "float32": ("float32", 2, None),
    "int64": ("int64", 4, 0x8000000000000000),
    "uint64": ("uint64", 4, 0xFFFFFFFFFFFFFFFF),
    "acc64": ("uint64", 4, None),
    "bitfield64": ("bitfield", 4, 0xFFFFFFFFFFFFFFFF),
    "float64": ("float64", 4, None),
    "string": ("string", 0, None),
}
"""Type of a point → ours, its words, and the content by which it is not implemented."""
OTHER_WORDS = {"sunssf": 1, "pad": 1, "ipaddr": 2, "ipv6addr": 8, "eui48": 4}
UNITS = {"Pct": "%", "C": "°C", "Var": "var", "VAr": "var", "Varh": "varh", "VArh": "varh", "Secs": "s", "Mins": "min"}
ROLES = {
    "W": "p_kw",
    "VA": "s_kva",
    "VAr": "q_kvar",
    "VAR": "q_kvar",
    "Var": "q_kvar",
    "Hz": "frequency_hz",
    "PF": "power_factor",
    "A": "current_a",
    "DCW": "dc_kw",
    "DCV": "dc_v",
    "DCA": "dc_a",
    "SoC": "soc",
    "SoH": "soh",
    "WH": "generation_kwh",
    "TotWhImp": "import_kwh",
    "TotWhExp": "export_kwh",
    "TotWhAbs": "import_kwh",
    "TotWhInj": "export_kwh",
    "TmpCab": "temperature_c",
    "LLV": "voltage_v",
    "PPV": "voltage_v",
    **{f"Aph{phase}": f"l{index}_a" for index, phase in enumerate("ABC", start=1)},
    **{f"PhVph{phase}": f"l{index}_v" for index, phase in enumerate("ABC", start=1)},
    **{f"Wph{phase}": f"l{index}_kw" for index, phase in enumerate("ABC", start=1)},
    **{f"VARph{phase}": f"l{index}_kvar" for index, phase in enumerate("ABC", start=1)},
    **{f"{name}L{index}": f"l{index}_{unit}" for index in (1, 2, 3) for name, unit in (("W", "kw"), ("Var", "kvar"))},
    **{f"{name}L{index}": f"l{index}_{unit}" for index in (1, 2, 3) for name, unit in (("A", "a"), ("VL", "v"))},
}
"""Name of a point in SunSpec's models → what the twin calls it."""


def from_sunspec(text: str, title: str, address: int) -> Draft:
    """A draft for a device with this model, the ID of which stands at holding register `address`.

    Raises `ValueError` for what is no model definition.
    """
    try:
        model = json.loads(text)
        group = model["group"]
        points = list(_placed(group["points"], address))
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"no SunSpec model definition: {error}") from None
    places = {point["name"]: at for at, point in points}
    left_out = [f"{part['name']}: a group that repeats as often as the device says" for part in group.get("groups", [])]
    found: list[Found] = []
    for at, point in points:
        if point["name"] in ("ID", "L") or point["type"] in ("sunssf", "pad"):
            continue
        if point["type"] in TYPES:
            found.append(_found(at, point, places))
            left_out += _symbols_left_out(point)
        else:
            left_out.append(f"{point['name']}: its type {point['type']}")
    remarks = [f"SunSpec model {model.get('id')}, its ID at holding register {address}: {group.get('label', '')}"]
    return draft(title, found, remarks=remarks, left_out=left_out)


def _placed(points: list[Entry], address: int) -> Iterator[tuple[int, Entry]]:
    for point in points:
        yield address, point
        kind = point["type"]
        words = OTHER_WORDS[kind] if kind in OTHER_WORDS else TYPES[kind][1]
        address += int(point.get("size") or words)


def _found(at: int, point: Entry, places: Mapping[str, int]) -> Found:
    kind, words, sentinel = TYPES[point["type"]]
    length = int(point["size"]) if kind == "string" else words if kind == "bitfield" and words > 1 else None
    keys: dict[str, Any] = {"table": "holding", "address": at, "type": kind, "length": length, "sentinel": sentinel}
    factor = point.get("sf")
    if isinstance(factor, str) and factor in places:
        keys["scale_factor"] = {"address": places[factor]}
    elif isinstance(factor, int):
        keys["scale"] = 10.0**factor
    if point["type"].startswith("enum") and point.get("symbols"):
        keys["enumeration"] = {symbol["value"]: symbol["name"].lower() for symbol in point["symbols"]}
    unit = point.get("units")
    role = ROLES.get(point["name"])
    if point["name"] == "PF" and unit is None:
        unit = "1"
    return Found(name=point["name"], unit=UNITS.get(unit, unit) if unit else None, keys=keys, role=role)


def _symbols_left_out(point: Entry) -> list[str]:
    if not point["type"].startswith("bitfield") or not point.get("symbols"):
        return []
    names = ", ".join(f"{symbol['value']} {symbol['name'].lower()}" for symbol in point["symbols"])
    return [f"names of the bits of {point['name']}: {names}"]
