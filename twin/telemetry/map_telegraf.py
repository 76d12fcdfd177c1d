"""Telegraf's `inputs.modbus` as a draft of a register map: its register, request and metric styles.

Source: influxdata/telegraf, plugins/inputs/modbus (README.md, configuration_register.go, configuration_request.go).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from twin.telemetry.map_draft import ORDERS, Draft, Found, draft

Entry = Mapping[str, Any]
STYLES = {"coils": "coil", "discrete_inputs": "discrete", "holding_registers": "holding", "input_registers": "input"}
TABLES = {"coil": "coil", "discrete": "discrete", "holding": "holding", "input": "input"}
BYTE_ORDERS = {
    **ORDERS,
    "AB": ORDERS["ABCD"],
    "BA": ORDERS["BADC"],
    "ABCDEFGH": ORDERS["ABCD"],
    "GHEFCDAB": ORDERS["CDAB"],
    "BADCFEHG": ORDERS["BADC"],
    "HGFEDCBA": ORDERS["DCBA"],
    "MSW-BE": ORDERS["ABCD"],
    "LSW-BE": ORDERS["CDAB"],
    "MSW-LE": ORDERS["BADC"],
    "LSW-LE": ORDERS["DCBA"],
}
TYPES = {
    "INT8L": "int8_low",
    "INT8H": "int8_high",
    "UINT8L": "uint8_low",
    "UINT8H": "uint8_high",
    "INT16": "int16",
    "UINT16": "uint16",
    "INT32": "int32",
    "UINT32": "uint32",
    "INT64": "int64",
    "UINT64": "uint64",
    "FLOAT16": "float16",
    "FLOAT64": "float64",
    "FLOAT16-IEEE": "float16",
    "FLOAT32-IEEE": "float32",
    "FLOAT64-IEEE": "float64",
}
BY_WORDS = {"FIXED": "int", "UFIXED": "uint", "FLOAT32": "uint"}
"""Types of the register style whose width is that of their addresses; its FLOAT32 is an old name of UFIXED."""


class _NotOursError(ValueError):
    """What a map cannot say."""


def from_telegraf(text: str, title: str) -> Draft:
    """A draft from a configuration file. Raises `ValueError` for what is not one."""
    try:
        plugins = tomllib.loads(text).get("inputs", {}).get("modbus", [])
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"no TOML: {error}") from None
    if not plugins:
        raise ValueError("nothing under inputs.modbus")
    found: list[Found] = []
    left_out: list[str] = []
    units = sorted({unit for plugin in plugins for unit in _unit_ids(plugin)})
    for plugin in plugins:
        for name, entry, make in _entries(plugin):
            try:
                found.append(make(name, entry, None if len(units) == 1 else entry["slave_id"]))
            except _NotOursError as reason:
                left_out.append(f"{name}: {reason}")
    remarks = [f"unit id {', '.join(map(str, units))}; controller {plugins[0].get('controller', 'unknown')}"]
    return draft(title, found, remarks=remarks, left_out=left_out)


def _unit_ids(plugin: Entry) -> set[int]:
    styled = [part["slave_id"] for style in ("request", "metric") for part in plugin.get(style, [])]
    return set(styled) or {plugin.get("slave_id", 1)}


def _entries(plugin: Entry) -> Iterator[tuple[str, Entry, Any]]:
    """Name, field, and how it becomes ours."""
    for style, table in STYLES.items():
        for field in plugin.get(style, []):
            whole = {"table": table, "slave_id": plugin.get("slave_id", 1), **field}
            yield _name(whole, plugin), whole, _of_register_style
    for style in ("request", "metric"):
        for part in plugin.get(style, []):
            common = {key: value for key, value in part.items() if key not in ("fields", "tags", style)}
            for field in part.get("fields", []):
                if not field.get("omit", False):
                    yield _name(field, part), common | field, _of_request_style


def _name(field: Entry, part: Entry) -> str:
    measurement = field.get("measurement", part.get("measurement", ""))
    return "_".join(word for word in (str(measurement), str(field.get("name", "register"))) if word)


def _of_register_style(name: str, field: Entry, unit_id: int | None) -> Found:
    addresses: Sequence[int] = field["address"]
    if list(addresses) != list(range(addresses[0], addresses[0] + len(addresses))):
        raise _NotOursError(f"its registers {addresses} do not follow each other; a sum of scaled registers says that")
    keys: dict[str, Any] = {"table": field["table"], "address": addresses[0], "unit_id": unit_id}
    if field["table"] in ("coil", "discrete"):
        return Found(name=name, unit=None, keys=keys | {"type": "bit"})
    kind = str(field.get("data_type", ""))
    if kind in BY_WORDS:
        keys["type"] = f"{BY_WORDS[kind]}{16 * len(addresses)}"
    else:
        keys |= _type(kind, field, len(addresses))
    return Found(name=name, unit=None, keys=_scaled(keys, field))


def _of_request_style(name: str, field: Entry, unit_id: int | None) -> Found:
    table = TABLES[field.get("register", "holding")]
    keys: dict[str, Any] = {"table": table, "address": field["address"], "unit_id": unit_id}
    if table in ("coil", "discrete"):
        return Found(name=name, unit=None, keys=keys | {"type": "bit"})
    kind = str(field.get("type", ""))
    keys |= {"type": "float32"} if kind == "FLOAT32" else _type(kind, field, field.get("length"))
    return Found(name=name, unit=None, keys=_scaled(keys, field))


def _type(kind: str, field: Entry, length: int | None) -> dict[str, Any]:
    if kind == "BIT":
        return {"type": "bit", "bit": field.get("bit", 0)}
    if kind == "STRING":
        return {"type": "string", "length": length}
    if kind not in TYPES:
        raise _NotOursError(f"its type {kind or 'is not stated'}")
    return {"type": TYPES[kind]}


def _scaled(keys: dict[str, Any], field: Entry) -> dict[str, Any]:
    order = str(field.get("byte_order") or "ABCD")
    if order not in BYTE_ORDERS:
        raise _NotOursError(f"its byte order {order}")
    scale = field.get("scale", 0.0) or 1.0
    return keys | BYTE_ORDERS[order] | {"scale": None if scale == 1.0 else float(scale)}
