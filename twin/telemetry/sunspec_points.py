"""Which point of which SunSpec model is what to the twin: name, unit and sign.

The house counts power positive INTO the device. SunSpec devices do not agree with that, nor with each other:

- Inverters (101 to 103) and everything of 701 to 714 count generation as positive, by the definition of 701:
  "Active power is positive for DER generation and negative for absorption"; reactive power likewise, injected
  positive (701: TotVarhInj is quadrants 1 and 2).
- Meters (201 to 204, 213): the definitions state no sign of `W`, and there is none to rely on: evcc turns the meters
  of SolarEdge, OpenEMS took the number as it is at first and turns it since, and has a switch for one maker. So
  whoever connects a meter states it; where nobody did, its powers are absent. Its counters carry their direction in
  their names.
- Battery banks (802): the definition states no sign of `W`; evcc (its template for 802), which counts
  discharging as positive, takes it as it is. It is power on the DC side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from twin.telemetry.map_roles import SIGNED
from twin.telemetry.modbus import RefusedError, Value
from twin.telemetry.sunspec_codec import Contents
from twin.telemetry.sunspec_discovery import Found, read_model
from twin.telemetry.sunspec_exchange import Steps
from twin.telemetry.sunspec_model import ModelId

KILO = 1e-3
PERCENT = 1e-2
Sign = Literal["positive", "negative"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One point of a model, as the twin knows it."""

    name: str
    """With its unit, in the house's manner."""
    path: str
    factor: float
    """The twin's number is the point's value times this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a device's models say, in the twin's names, units and signs."""

    values: Mapping[str, float]
    absent: Mapping[str, str]
    """Name → why no model of the device has a value for it."""


def _roles(*roles: tuple[str, str, float]) -> tuple[Role, ...]:
    return tuple(Role(name=name, path=path, factor=factor) for name, path, factor in roles)


_INVERTER = _roles(
    ("p_kw", "W", -KILO),
    ("q_kvar", "VAr", -KILO),
    ("apparent_kva", "VA", KILO),
    ("frequency_hz", "Hz", 1.0),
    ("line_v", "PPVphAB", 1.0),
    ("current_a", "A", 1.0),
    ("generation_kwh", "WH", KILO),
    ("cabinet_c", "TmpCab", 1.0),
)
_METER = _roles(
    ("p_kw", "W", KILO),
    ("q_kvar", "VAR", KILO),
    ("apparent_kva", "VA", KILO),
    ("frequency_hz", "Hz", 1.0),
    ("line_v", "PPV", 1.0),
    ("current_a", "A", 1.0),
    ("import_kwh", "TotWhImp", KILO),
    ("export_kwh", "TotWhExp", KILO),
)
METERS = (201, 202, 203, 204, 213)
ROLES: Mapping[ModelId, tuple[Role, ...]] = {
    701: _roles(
        ("p_kw", "W", -KILO),
        ("q_kvar", "Var", -KILO),
        ("apparent_kva", "VA", KILO),
        ("frequency_hz", "Hz", 1.0),
        ("line_v", "LLV", 1.0),
        ("current_a", "A", 1.0),
        ("generation_kwh", "TotWhInj", KILO),
        ("consumption_kwh", "TotWhAbs", KILO),
        ("ambient_c", "TmpAmb", 1.0),
        ("cabinet_c", "TmpCab", 1.0),
    ),
    **dict.fromkeys((101, 102, 103), _INVERTER),
    **dict.fromkeys(METERS, _METER),
    713: _roles(
        ("soc", "SoC", PERCENT),
        ("soh", "SoH", PERCENT),
        ("rated_kwh", "WHRtg", KILO),
        ("available_kwh", "WHAvail", KILO),
    ),
    802: _roles(
        ("soc", "SoC", PERCENT),
        ("soh", "SoH", PERCENT),
        ("rated_kwh", "WHRtg", KILO),
        ("max_charge_kw", "WChaRteMax", KILO),
        ("max_discharge_kw", "WDisChaRteMax", KILO),
        ("dc_kw", "W", -KILO),
        ("dc_v", "V", 1.0),
    ),
    803: _roles(("module_c", "ModTmpAvg", 1.0)),
    124: _roles(("soc", "ChaState", PERCENT), ("max_charge_kw", "WChaMax", KILO)),
    702: _roles(
        ("rated_kw", "WMaxRtg", KILO),
        ("rated_kva", "VAMaxRtg", KILO),
        ("max_charge_kw", "WChaRteMaxRtg", KILO),
        ("max_discharge_kw", "WDisChaRteMaxRtg", KILO),
    ),
    120: _roles(("rated_kw", "WRtg", KILO), ("rated_kva", "VARtg", KILO), ("rated_kwh", "WHRtg", KILO)),
    714: _roles(("dc_kw", "DCW", -KILO)),
}
"""In order of preference: where several models of a device have a point of one name, the first with a value counts."""


def told(contents: Iterable[Contents], *, meter_import: Sign | None = None, nominal_v: float | None = None) -> Told:
    """What the models of one device say to the twin.

    `meter_import` is the sign that a meter gives to power flowing into the site; without it its powers are absent.
    With the nominal voltage of its bus, line to line, the voltage is told per unit too.
    """
    held: dict[ModelId, Contents] = {}
    for item in contents:
        held.setdefault(item.model.id, item)
    values: dict[str, float] = {}
    absent: dict[str, str] = {}
    for model_id in (model_id for model_id in ROLES if model_id in held):
        for role in ROLES[model_id]:
            value = _told(held[model_id], role, meter_import)
            if isinstance(value, str):
                absent.setdefault(role.name, f"model {model_id} {role.path}: {value}")
            else:
                values.setdefault(role.name, value)
    if nominal_v is not None and "line_v" in values:
        values["v_pu"] = values["line_v"] / nominal_v
    return Told(values=values, absent={name: why for name, why in absent.items() if name not in values})


def poll(found: Found, *, meter_import: Sign | None = None, nominal_v: float | None = None) -> Steps[dict[str, Value]]:
    """What a device tells the twin now: per name a number, or in words why there is none.

    Reads the models that tell the twin something, and of each id the first.
    """
    contents: list[Contents] = []
    values: dict[str, Value] = {}
    for model in {model.id: model for model in reversed(found.models) if model.id in ROLES}.values():
        try:
            held = yield from read_model(model)
        except RefusedError as refusal:
            values |= {role.name: f"model {model.id}: {refusal}" for role in ROLES[model.id]}
        else:
            contents += [held] if isinstance(held, Contents) else []
    says = told(contents, meter_import=meter_import, nominal_v=nominal_v)
    return {**values, **says.absent, **says.values}


def _told(contents: Contents, role: Role, meter_import: Sign | None) -> Value:
    turns = contents.model.id in METERS and role.name in SIGNED
    if turns and meter_import is None:
        return "whether import is positive or negative in this meter is not stated"
    number = contents.number(role.path)
    if number is None:
        return contents.absent.get(role.path, "the model does not have it")
    return number * role.factor * (-1.0 if turns and meter_import == "negative" else 1.0)
