"""A map as a person wrote it, brought into the house's form: addresses from 0, numbers in our units."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from twin.telemetry.map_schema import (
    Computed,
    Field,
    Formula,
    Modes,
    Operand,
    Point,
    Register,
    RegisterMap,
    ScaleFactor,
    Setpoint,
    Steering,
    Write,
    Writes,
)
from twin.telemetry.map_units import SYMBOLS, conversion, suffix_of

F = TypeVar("F", bound=Field)
Formulas = TypeVar("Formulas", bound=Formula)


def in_house_form(written: RegisterMap) -> RegisterMap:
    """The map that reads the same numbers with `address_base: 0` and without units. It has to be sound."""
    base = written.address_base
    return replace(
        written,
        address_base=0,
        points={name: _point(name, point, base) for name, point in written.points.items()}
        | {name: _field(item, base, name) for name, item in written.details.items()},
        details={},
        texts={name: _field(item, base, None) for name, item in written.texts.items()},
        setpoint=None if written.setpoint is None else _steering(written.setpoint, base),
    )


def _point(name: str, point: Point, base: int) -> Point:
    return _computed(name, point, base) if isinstance(point, Computed) else _field(point, base, name)


def _field(item: F, base: int, name: str | None) -> F:
    """With `name`, in the unit that the name ends in; without, in the house's unit of the same quantity."""
    scale, offset = _converted(item.scale, item.offset, item.unit, item.rated, name)
    factor = item.scale_factor
    shifted: ScaleFactor | None = None if factor is None else replace(factor, address=factor.address - base)
    return replace(
        item,
        address=item.address - base,
        scale=scale,
        offset=offset,
        scale_factor=shifted,
        unit=None,
        rated=None,
    )


def _converted(
    scale: float, offset: float, unit: str | None, rated: float | None, name: str | None
) -> tuple[float, float]:
    if unit is None:
        return scale, offset
    into = conversion(unit, SYMBOLS[unit].suffix if name is None else suffix_of(name), rated)
    if into is None:
        raise ValueError(f"{unit} cannot become {name}: the map was not checked")
    return scale * into.factor, offset * into.factor + into.offset


def _computed(name: str, point: Computed, base: int) -> Computed:
    scale, offset = _converted(point.scale, point.offset, point.unit, point.rated, name)
    return replace(_formula(point, base), scale=scale, offset=offset, unit=None, rated=None)


def _formula(item: Formulas, base: int) -> Formulas:
    inside = tuple(_operand(part, base) for part in item.operands)
    settled: dict[str, Any] = {item.operation: inside[0] if item.operation == "magnitude" else inside}
    return replace(item, **settled)


def _operand(item: Operand, base: int) -> Operand:
    return _field(item, base, None) if isinstance(item, Field) else _formula(item, base)


def _steering(steering: Steering, base: int) -> Steering:
    timer = steering.timeout_s
    timeout_s: Register | None = None if timer is None else _field(timer, base, "timeout_s")
    release = _writes(steering.release, base, steering.name)
    if isinstance(steering, Modes):
        return replace(
            steering,
            timeout_s=timeout_s,
            release=release,
            above_zero=_writes(steering.above_zero, base, steering.name),
            at_zero=_writes(steering.at_zero, base, steering.name),
            below_zero=_writes(steering.below_zero, base, steering.name),
        )
    shown = steering.read_back
    settled: Setpoint = _field(steering, base, steering.name)
    return replace(
        settled,
        timeout_s=timeout_s,
        release=release,
        before=_writes(steering.before, base, steering.name),
        after=_writes(steering.after, base, steering.name),
        read_back=None if shown is None else _field(shown, base, steering.name),
    )


def _writes(writes: Writes, base: int, setpoint: str) -> Writes:
    """The setpoint in the unit of its name; constants stay in the register's own unit."""
    return tuple(_write(item, base, setpoint) for item in writes)


def _write(item: Write, base: int, setpoint: str) -> Write:
    if item.value == "setpoint":
        return _field(item, base, setpoint)
    return replace(item, address=item.address - base, unit=None, rated=None)
