"""Home Assistant's `modbus:` YAML as a draft of a register map.

Source: home-assistant/core, homeassistant/components/modbus/__init__.py and validators.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from twin.telemetry.map_draft import ORDERS, Draft, Found, draft
from twin.telemetry.map_types import FLOATS, word_count

Entry = Mapping[str, Any]
SWAPS = {"none": {}, "byte": ORDERS["BADC"], "word": ORDERS["CDAB"], "word_byte": ORDERS["DCBA"]}
TABLES = {"holding": "holding", "input": "input", "coil": "coil", "discrete_input": "discrete"}
NUMBERS = ("int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64")
STRUCTURES = {
    "h": "int16",
    "H": "uint16",
    "i": "int32",
    "l": "int32",
    "I": "uint32",
    "L": "uint32",
    "q": "int64",
    "Q": "uint64",
    "e": "float16",
    "f": "float32",
    "d": "float64",
}
"""Letter of a `structure` of one number → its type."""
READ = ("sensors", "binary_sensors")
NOT_READ = ("switches", "numbers", "climates", "covers", "lights", "fans")
USUAL_S = 15
"""Seconds between reads where a file does not say."""


class _NotOursError(ValueError):
    """What a map cannot say."""


def from_home_assistant(data: Any, title: str) -> Draft:
    """A draft from the parsed YAML of a configuration. Raises `ValueError` for what is not one."""
    hubs = data.get("modbus") if isinstance(data, Mapping) else data
    hubs = [hubs] if isinstance(hubs, Mapping) else hubs
    if not isinstance(hubs, Sequence) or not hubs or not all(isinstance(hub, Mapping) for hub in hubs):
        raise ValueError("no list of hubs under modbus")
    found: list[Found] = []
    left_out: list[str] = []
    entries = [(kind, entry) for hub in hubs for kind in READ for entry in hub.get(kind) or ()]
    units = sorted({_unit_id(entry) for _, entry in entries})
    fastest_s = min((_period_s(entry) for _, entry in entries), default=USUAL_S)
    for kind, entry in entries:
        try:
            for item in _found(kind, entry):
                keys = dict(item.keys) | {"unit_id": None if len(units) == 1 else _unit_id(entry)}
                if _period_s(entry) > fastest_s:
                    keys["group"] = f"every_{_period_s(entry)}_s"
                left_out += _turned(item)
                found.append(Found(name=item.name, unit=item.unit, keys=keys, plausible=item.plausible))
        except _NotOursError as reason:
            left_out.append(f"{entry.get('name')}: {reason}")
    left_out += [reason for hub in hubs for reason in _what_is_not_read(hub)]
    periods = sorted({_period_s(entry) for _, entry in entries} - {fastest_s})
    groups = {f"every_{period_s}_s": {"period_s": period_s} for period_s in periods}
    place = f"{hubs[0].get('host', hubs[0].get('port'))}:{hubs[0].get('port')}"
    remarks = [f"unit id {', '.join(map(str, units))}; {hubs[0].get('type', 'hub')} {place}"]
    return draft(title, found, remarks=remarks, left_out=left_out, groups=groups)


def _unit_id(entry: Entry) -> int:
    return int(entry.get("device_address", entry.get("slave", entry.get("unit", 0))))


def _period_s(entry: Entry) -> int:
    return int(entry.get("scan_interval", USUAL_S))


def _what_is_not_read(hub: Entry) -> Iterator[str]:
    for kind in NOT_READ:
        for entry in hub.get(kind) or ():
            at = entry.get("address", entry.get("target_temp_register"))
            yield f"{entry.get('name')}, one of the {kind}, register {at}: what is written belongs under setpoint"


def _turned(item: Found) -> list[str]:
    if float(item.keys.get("scale") or 1.0) > 0:
        return []
    return [f"the minus of {item.name}: its scale was negative, so that Home Assistant shows the device's sign turned"]


def _found(kind: str, entry: Entry) -> Iterator[Found]:
    """What an entry stands for: with a count of virtual sensors, several that follow each other."""
    keys = _keys(kind, entry)
    copies = int(entry.get("virtual_count", entry.get("slave_count", 0)))
    step = 1 if keys["type"] == "bit" else word_count(keys["type"], keys.get("length"))
    plausible = (_number(entry.get("min_value")), _number(entry.get("max_value")))
    unit = entry.get("unit_of_measurement")
    for index in range(copies + 1):
        name = str(entry["name"]) + (f" {index}" if index else "")
        place = {"address": keys["address"] + index * step}
        yield Found(name=name, unit=None if unit is None else str(unit), keys=keys | place, plausible=plausible)


def _keys(kind: str, entry: Entry) -> dict[str, Any]:
    is_bit = kind == "binary_sensors"
    table = str(entry.get("input_type", "coil" if is_bit else "holding"))
    if table not in TABLES:
        raise _NotOursError(f"its input_type {table}")
    keys: dict[str, Any] = {"table": TABLES[table], "address": int(entry["address"])}
    if is_bit:
        return keys | {"type": "bit", "bit": 0 if table in ("holding", "input") else None}
    swap = str(entry.get("swap", "none"))
    if swap not in SWAPS:
        raise _NotOursError(f"its swap {swap}")
    keys |= _type(entry) | SWAPS[swap]
    keys["scale"] = None if float(entry.get("scale", 1)) == 1.0 else float(entry["scale"])
    keys["offset"] = None if float(entry.get("offset", 0)) == 0.0 else float(entry["offset"])
    nan = entry.get("nan_value")
    if nan is not None and keys["type"] not in FLOATS:
        content = int(str(nan), 0)
        keys["sentinel"] = content & ((1 << 16 * word_count(keys["type"], keys.get("length"))) - 1)
    return keys


def _type(entry: Entry) -> dict[str, Any]:
    kind = str(entry.get("data_type", "int16"))
    if kind in NUMBERS:
        return {"type": kind}
    if kind in ("int", "uint", "float"):
        bits = 16 * int(entry.get("count", 2 if kind == "float" else 1))
        return {"type": f"{kind}{bits}"}
    if kind == "string":
        return {"type": "string", "length": int(entry["count"])}
    structure = str(entry.get("structure", ""))
    if kind == "custom" and structure.lstrip(">!") in STRUCTURES:
        return {"type": STRUCTURES[structure.lstrip(">!")]}
    raise _NotOursError(f"its data_type {kind} {structure}".rstrip())


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
