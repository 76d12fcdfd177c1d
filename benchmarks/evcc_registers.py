"""What evcc's templates say of registers, in the words of our register maps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from evcc_templates import MARK_W

Data = Mapping[str, Any]
ENCODING = re.compile(r"(u?int|float|bool)(8|16|32|64)(s?)(nan)?(s?)")
SENTINELS = {
    "int16": [0x8000, 0x7FFF],
    "uint16": [0xFFFF],
    "int32": [0x80000000, 0x7FFFFFFF],
    "uint32": [0xFFFFFFFF],
    "int64": [0x8000000000000000],
    "uint64": [0xFFFFFFFFFFFFFFFF],
}
"""What evcc takes for `nan` (util/modbus/register.go)."""
FUNCTIONS = {"writesingle": 6, "writeholding": 6, "writemultiple": 16, "writeholdings": 16, "writecoil": 5}
OPERATIONS = {"add": "sum", "mul": "product", "div": "ratio", "abs": "magnitude"}
PASSED_THROUGH = {"cached": "value", "convert": "set", "watchdog": "set"}


class MissingError(Exception):
    """What a map cannot say, in plain words."""


def number(source: Data) -> dict[str, Any] | float:
    """What is read: a field, a formula, or a constant."""
    kind = source.get("source")
    if kind == "modbus":
        return field(source)
    if kind == "const":
        return float(source["value"])
    if kind == "calc":
        return _formula(source)
    if kind in PASSED_THROUGH:
        return number(source[PASSED_THROUGH[kind]])
    raise MissingError(_why(source))


def _why(source: Data) -> str:
    kind = source.get("source", source.get("type"))
    return {
        "sunspec": "SunSpec: found by the number of its model, not at an address",
        "go": "a program in Go",
        "http": "HTTP",
        "sleep": "a pause between writes",
        "switch": "a choice by a number that is read or stated",
    }.get(str(kind), f"source {kind}")


def field(source: Data) -> dict[str, Any]:
    """Keys of a field that is read or written; a negative scale stays one."""
    register = source["register"]
    keys: dict[str, Any] = _type(str(register.get("decode", register.get("encoding", ""))), register)
    kind = str(register["type"]).lower()
    table = "coil" if "coil" in kind else "holding" if kind in FUNCTIONS else kind
    keys = {"table": table, "address": _address(register), **keys}
    if kind in FUNCTIONS:
        keys["function"] = FUNCTIONS[kind]
    scale = float(source.get("scale") or 1.0)
    # What is written is the number times evcc's scale; in a map the number is the raw one times ours.
    keys["scale"] = 1.0 / scale if kind in FUNCTIONS else scale
    if int(source.get("id", 1)) != 1:
        keys["unit_id"] = int(source["id"])
    return keys


def _type(encoding: str, register: Data) -> dict[str, Any]:
    match = ENCODING.fullmatch(encoding.lower())
    if match is None:
        raise MissingError(f"the encoding {encoding}")
    kind, bits, swapped, nan, swapped_too = match.groups()
    if kind == "bool":
        return {"type": "bit", "bit": int(str(register.get("bitmask", 1)), 0).bit_length() - 1}
    keys: dict[str, Any] = {"type": f"{kind}{bits}"}
    if swapped or swapped_too:
        keys["word_order"] = "little"
    if nan and kind != "float":
        keys["sentinel"] = SENTINELS[f"{kind}{bits}"]
    return keys


def _formula(source: Data) -> dict[str, Any]:
    operation = next((name for name in OPERATIONS if name in source), None)
    if operation is None:
        raise MissingError(f"the calculation {', '.join(set(source) - {'source', 'scale'})}")
    inside = source[operation]
    parts = [number(part) for part in (inside if isinstance(inside, list) else [inside])]
    operands = [part for part in parts if not isinstance(part, float)]
    constants = [part for part in parts if isinstance(part, float)]
    outer = float(source.get("scale") or 1.0)
    if len(operands) == 1 and operation != "abs":
        return _with_constants(operands[0], operation, constants, outer)
    inner: Any = operands[0] if operation == "abs" else operands
    keys: dict[str, Any] = {OPERATIONS[operation]: inner, "scale": outer}
    return _with_constants(keys, operation, constants, 1.0) if constants else keys


def _with_constants(keys: dict[str, Any], operation: str, constants: Sequence[float], outer: float) -> dict[str, Any]:
    """Constants of a sum are an offset, those of a product a scale."""
    made = dict(keys)
    if operation == "mul":
        for constant in constants:
            made["scale"] = made.get("scale", 1.0) * constant
    elif operation == "add":
        made["offset"] = made.get("offset", 0.0) + sum(constants)
    elif constants:
        raise MissingError(f"a constant in {operation}")
    made["scale"] = made.get("scale", 1.0) * outer
    made["offset"] = made.get("offset", 0.0) * outer
    return made


def writes(source: Data, given: Any = None) -> list[dict[str, Any]]:
    """A `set` as a sequence of writes; `given` is what evcc hands down to a register without a constant."""
    kind = source.get("source")
    if kind == "const":
        return writes(source["set"], source["value"])
    if kind == "sequence":
        return [write for part in source["set"] for write in writes(part, given)]
    if kind == "modbus":
        return [_write(source, given)]
    if kind in PASSED_THROUGH:
        return writes(source[PASSED_THROUGH[kind]], given)
    raise MissingError(_why(source))


def _write(source: Data, given: Any) -> dict[str, Any]:
    if given is None:
        raise MissingError("a number that evcc is handed at run time")
    value = float(int(given, 0) if isinstance(given, str) and given.lower().startswith("0x") else given)
    keys = field(source)
    if value < 0 and keys["type"].startswith("uint"):
        keys["type"] = keys["type"][1:]
    if abs(value) == MARK_W:
        sign = "negative" if value < 0 else "positive"
        return keys | {"value": "setpoint", "unit": "W", "into_device": sign}
    return keys | {"value": value}


def _address(register: Data) -> int:
    if "address" not in register:
        raise MissingError("no address for this choice of its user")
    return int(register["address"])
