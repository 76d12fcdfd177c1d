"""Builds any technology from its example and puts it into any state that it can reach."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

import twin.cooling
import twin.devices
from twin.devices.base import DEVICES, Device, Drive, Group, Step, Values
from twin.flexibility import Envelope, Modes, Store
from twin.numeric import Num
from twin.registry import load
from twin.site import Location
from twin.timegrid import TimeGrid
from twin.weather import Weather, read_weather
from twin.weather_source import WeatherSource

load(twin.devices)
load(twin.cooling)

TECHNOLOGIES = sorted(DEVICES)
GREENSBORO = Location(latitude_deg=36.1, longitude_deg=-79.95, altitude_m=273, time_zone="America/New_York")
GRID = TimeGrid(start=datetime(2025, 7, 2, tzinfo=UTC), step_s=900.0, steps=192)
SERVED_KW = 1500.0
"""Of the one device behind a UPS or a cooling plant, at most: what the examples are rated for."""


@cache
def build(technology: str) -> Device[Any]:
    cls = DEVICES[technology]
    device: Device[Any] = TypeAdapter(cls).validate_python(dict(cls.example))
    return device


@cache
def weather() -> Weather:
    return read_weather(WeatherSource(), GREENSBORO, GRID, Path())


@cache
def drive(technology: str, seed: int) -> Drive:
    return build(technology).drive(weather(), seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that a step depends on but its length."""

    state: Any
    setpoint: Num
    drive: Values
    served: tuple[Step[Any], ...]


def situation(technology: str, seed: int) -> Situation:
    """A state reached by random steps, and random inputs for the next one; all of it follows from `seed`."""
    rng, device = np.random.default_rng(seed), build(technology)
    state = device.initial()
    for _ in range(rng.integers(0, 12)):
        at = inputs(device, technology, rng)
        length_s = float(rng.uniform(1.0, 3600.0))
        state = device.step(state, at.setpoint, at.drive, at.served, length_s).state
    at = inputs(device, technology, rng)
    return Situation(state=state, setpoint=at.setpoint, drive=at.drive, served=at.served)


def inputs(device: Device[Any], technology: str, rng: np.random.Generator) -> Situation:
    index = int(rng.integers(0, GRID.steps))
    heat_kw = float(SERVED_KW * rng.choice([0.0, rng.uniform(), 1.0], p=[0.1, 0.8, 0.1]))
    return Situation(
        state=None,
        setpoint=setpoint(device, rng),
        drive={name: float(series[index]) for name, series in drive(technology, int(rng.integers(0, 3))).items()},
        served=tuple(Step(state=None, p_kw=heat_kw, heat_kw=heat_kw) for _ in device.serves),
    )


def setpoint(device: Device[Any], rng: np.random.Generator) -> float:
    """Anything, the possible and the impossible, and often exactly what nothing or everything is."""
    special = [0.0, device.rated_kw, -device.rated_kw, device.free_setpoint, device.safe_setpoint]
    return float(rng.choice(special) if rng.random() < 0.3 else rng.uniform(-1.3, 1.3) * device.rated_kw)


def step(technology: str, at: Situation, length_s: float) -> Step[Any]:
    return build(technology).step(at.state, at.setpoint, at.drive, at.served, length_s)


def shown(done: Step[Any]) -> dict[str, Num]:
    """What the instruments show after a step."""
    return {"p_kw": done.p_kw, "q_kvar": done.q_kvar, **done.points}


def setpoint_for(device: Device[Any], p_kw: Num) -> Num:
    """The setpoint that asks for a power into the device."""
    return -p_kw if device.group in (Group.RENEWABLES, Group.GENSETS) else p_kw


def numbers(thing: Any) -> dict[str, Num]:
    """Every number inside states, steps, flexibilities, mappings and tuples, by its path."""
    if thing is None or isinstance(thing, str):
        return {}
    if is_dataclass(thing) and not isinstance(thing, type):
        return numbers({item.name: getattr(thing, item.name) for item in fields(thing)})
    if isinstance(thing, dict):
        return {f"{key}.{path}": n for key, value in thing.items() for path, n in numbers(value).items()}
    if isinstance(thing, tuple | list):
        return numbers({str(place): value for place, value in enumerate(thing)})
    return {"": thing}


def stacked(things: list[Any]) -> Any:
    """Several situations, states or steps as one over scenarios."""
    one = things[0]
    if is_dataclass(one) and not isinstance(one, type):
        return type(one)(**{item.name: stacked([getattr(each, item.name) for each in things]) for item in fields(one)})
    if isinstance(one, dict):
        return {key: stacked([each[key] for each in things]) for key in one}
    if isinstance(one, tuple):
        return tuple(stacked(list(each)) for each in zip(*things, strict=True))
    return one if one is None or isinstance(one, str) else np.array(things, dtype=np.float64)


def bounds(flexibility: Envelope | Store | Modes) -> tuple[Num, Num]:
    """Lowest and highest power into the device."""
    if isinstance(flexibility, Modes):
        return -flexibility.max_generation_kw, 0.0
    return flexibility.min_p_kw, flexibility.max_p_kw
