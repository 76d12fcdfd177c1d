"""A register map as Home Assistant's `modbus:` YAML, so that a second screen shows what the twin sees.

Sensors have the names, units and signs of the twin's points. Setpoints are not exported: two masters
that write one register are one too many.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from twin.telemetry.map_draft import scalar
from twin.telemetry.map_schema import Field, Formula, Point, Register, RegisterMap
from twin.telemetry.map_units import BARE_NUMBER, suffix_of

TABLES = {"holding": "holding", "input": "input", "coil": "coil", "discrete": "discrete_input"}
SWAPS = {("little", "big"): "word", ("big", "little"): "byte", ("little", "little"): "word_byte"}
SYMBOLS = {
    "kw": ("kW", "power"),
    "kvar": ("kvar", "reactive_power"),
    "kva": ("kVA", "apparent_power"),
    "kwh": ("kWh", "energy"),
    "v": ("V", "voltage"),
    "a": ("A", "current"),
    "hz": ("Hz", "frequency"),
    "c": ("°C", "temperature"),
    "s": ("s", "duration"),
    "l": ("L", "volume"),
    "pu": ("pu", None),
}
"""Unit → how Home Assistant spells it, and its class of device."""
PERCENT = ("soc", "soh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What became of a map."""

    text: str
    left_out: tuple[str, ...]


def to_home_assistant(registers: RegisterMap, *, name: str, host: str, port: int, unit_id: int) -> Export:
    """YAML for Home Assistant from a map in the house's form."""
    reasons = {key: _why_not(point) for key, point in registers.points.items()}
    taken = {key: point for key, point in registers.points.items() if reasons[key] is None}
    left_out = [f"{key}: {reason}" for key, reason in reasons.items() if reason is not None]
    if registers.setpoint is not None:
        left_out.append(f"setpoint {registers.setpoint.name}: only one master may write it")
    lines = ["modbus:", f"  - name: {scalar(name)}", "    type: tcp", f"    host: {scalar(host)}", f"    port: {port}"]
    for section, bits in (("sensors", False), ("binary_sensors", True)):
        own = {key: point for key, point in taken.items() if isinstance(point, Register) and _is_bit(point) is bits}
        lines += [f"    {section}:"] if own else []
        for key, point in own.items():
            period_s = registers.groups[point.group].period_s if point.group else None
            lines += _entry(_bit(key, point, unit_id) if bits else _sensor(key, point, unit_id), period_s)
    return Export(text="\n".join(lines) + "\n", left_out=tuple(left_out))


def _is_bit(field: Field) -> bool:
    return field.type == "bit"


def _why_not(point: Point) -> str | None:
    """Why a point cannot be said in Home Assistant's `modbus:`; None where it can."""
    if isinstance(point, Formula):
        return f"a {point.operation} of registers needs a template sensor"
    if point.scale_factor is not None:
        return "a scale factor in a register needs a template sensor"
    if point.type == "bit":
        return None if not point.bit and point.into_device is None else f"bit {point.bit} needs a template sensor"
    if point.type in ("bitfield", "bcd") or point.type.startswith(("int8", "uint8")):
        return f"it knows no {point.type}"
    if point.enumeration and not all(isinstance(meant, str) for meant in point.enumeration.values()):
        return "numbers for codes need a template sensor"
    return None if len(point.sentinels) < 2 else "it knows one sentinel only"


def _bit(name: str, point: Register, unit_id: int) -> Mapping[str, Any]:
    return {
        "name": name,
        "address": point.address,
        "device_address": unit_id if point.unit_id is None else point.unit_id,
        "input_type": TABLES[point.table],
    }


def _sensor(name: str, point: Register, unit_id: int) -> Mapping[str, Any]:
    symbol, device_class = SYMBOLS.get(suffix_of(name), (None, None))
    percent = 100.0 if name in PERCENT and suffix_of(name) == BARE_NUMBER else 1.0
    sign = -1.0 if point.into_device == "negative" else 1.0
    entry = dict(_bit(name, point, unit_id)) | {
        "data_type": point.type,
        "swap": SWAPS.get((point.word_order if point.word_count > 1 else "big", point.byte_order)),
        "scale": _plain(point.scale * percent * sign),
        "offset": _plain(point.offset * percent * sign) or None,
        "precision": 3,
        "nan_value": f"{point.sentinels[0]:#x}" if point.sentinels else None,
        "unit_of_measurement": "%" if percent > 1 else symbol,
        "device_class": device_class,
        "state_class": "total_increasing" if suffix_of(name) in ("kwh", "kvarh") else "measurement",
    }
    return {key: value for key, value in entry.items() if value is not None}


def _plain(number: float) -> float:
    """Without the last digits that come of converting units."""
    return float(f"{number:.12g}")


def _entry(entry: Mapping[str, Any], period_s: float | None) -> Iterator[str]:
    shown = dict(entry) | ({"scan_interval": max(round(period_s), 1)} if period_s is not None else {})
    for index, (key, value) in enumerate(shown.items()):
        yield f"      {'-' if index == 0 else ' '} {key}: {scalar(value)}"
