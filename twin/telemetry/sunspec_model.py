"""SunSpec models as data: their points and groups, read from the definitions that the SunSpec Alliance publishes.

Where a point stands depends on the device: groups repeat as often as a point of the model says, or as the
model's length has room for. `layout` answers that for one device.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from twin.telemetry.sunspec_types import KINDS, SunSpecError

ModelId = int
ScaleRef = int | str | None
"""An exponent of ten, the name of the point that holds it, or none."""
Repeats = int | str | None
"""Once (None), as often as the model's length has room (0), or as the named point says."""
Symbols = Mapping[str, int]
CountOf = Callable[[str], int]

HEADER_REGISTERS = 2
"""Id and length, in front of each model; the length does not count them."""
ENDLESS = 65536
LAYOUTS_KEPT = 512
"""Beyond all devices of a site; they are cheap to make again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of a model, as its definition has it."""

    name: str
    kind: str
    """Its SunSpec type: `int16`, `enum16`, `string`, `sunssf` …"""
    register_count: int
    scale: ScaleRef
    unit: str
    writable: bool
    mandatory: bool
    symbols: Symbols
    """Name → value of an enumeration, or number of the bit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Points that stand together, and the groups behind them."""

    name: str
    repeats: Repeats
    points: tuple[Point, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """One model; the first two points of its group are its id and length. It is the same as no other one."""

    id: ModelId
    group: Group

    @property
    def fixed_count(self) -> int:
        """Registers behind the header when no group repeats."""
        return _extent(self.group, lambda _: 0) - HEADER_REGISTERS

    @property
    def is_fixed(self) -> bool:
        """Whether its length is the same in every device."""
        return all(group.repeats is None for group in _below(self.group))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one point stands in one device."""

    path: str
    """`W`, or with its groups, counted from 0: `Crv.0.Pt.2.V`."""
    point: Point
    exponent: ScaleRef
    """Its power of ten, or the path of the point that holds it: the nearest of its own group and those around it."""
    start: int
    """Its first register, counted from the model's id."""

    @property
    def stop(self) -> int:
        return self.start + self.point.register_count


@cache
def known_models() -> tuple[ModelId, ...]:
    """The models whose definitions are here."""
    names = (entry.name for entry in _folder().iterdir())
    return tuple(
        sorted(int(name.removeprefix("model_").removesuffix(".json")) for name in names if name.endswith(".json"))
    )


@cache
def load_model(model_id: ModelId) -> Model:
    """The definition of a model. Raises `SunSpecError` when it is not here."""
    if model_id not in known_models():
        raise SunSpecError(f"no definition of SunSpec model {model_id} is here")
    text = _folder().joinpath(f"model_{model_id}.json").read_text(encoding="utf-8")
    return parse_model(json.loads(text))


def _folder() -> Any:
    return files("twin.telemetry") / "sunspec_models"


def parse_model(definition: Mapping[str, Any]) -> Model:
    """The model in the form of the SunSpec Alliance's JSON."""
    return Model(id=definition["id"], group=_group(definition["group"]))


def _group(definition: Mapping[str, Any]) -> Group:
    return Group(
        name=definition["name"],
        repeats=definition.get("count"),
        points=tuple(_point(point) for point in definition.get("points", ())),
        groups=tuple(_group(group) for group in definition.get("groups", ())),
    )


def _point(definition: Mapping[str, Any]) -> Point:
    if definition["type"] not in KINDS:
        raise SunSpecError(f"point {definition['name']} is of the unknown type {definition['type']}")
    scale = definition.get("sf")
    return Point(
        name=definition["name"],
        kind=definition["type"],
        register_count=definition["size"],
        scale=scale.strip() if isinstance(scale, str) else scale,
        unit=definition.get("units", "").strip(),
        writable=definition.get("access") == "RW",
        mandatory=definition.get("mandatory") == "M",
        symbols={symbol["name"]: int(symbol["value"]) for symbol in definition.get("symbols", ())},
    )


def layout(model: Model, register_count: int, count_of: CountOf) -> Mapping[str, Place]:
    """Every point of the model in a device, by path, in the order of the registers.

    `register_count` is all that the device has of it, header included; `count_of` tells what the named point
    says about repetitions. Groups repeat only as often as they fit in whole, whatever that point says; points
    that do not repeat are listed even where the device ends before them.
    """
    return _layout(model, register_count, tuple((name, count_of(name)) for name in counters(model)))


@lru_cache(maxsize=LAYOUTS_KEPT)
def _layout(model: Model, register_count: int, counts: tuple[tuple[str, int], ...]) -> Mapping[str, Place]:
    found = list(_places(model.group, "", 0, register_count, dict(counts).__getitem__))
    paths = {scope + point.name for scope, point, _ in found}
    return MappingProxyType(
        {
            scope + point.name: Place(
                path=scope + point.name, point=point, exponent=_exponent(scope, point, paths), start=start
            )
            for scope, point, start in found
        }
    )


def _exponent(scope: str, point: Point, paths: Set[str]) -> int | str | None:
    if not isinstance(point.scale, str):
        return point.scale
    return next((around + point.scale for around in _scopes(scope) if around + point.scale in paths), point.scale)


def _scopes(scope: str) -> Iterator[str]:
    """`a.0.b.` → itself, `a.0.`, `a.`, and nothing."""
    while scope:
        yield scope
        scope = scope[: scope.rstrip(".").rfind(".") + 1]
    yield ""


def _places(group: Group, scope: str, start: int, stop: int, count_of: CountOf) -> Iterator[tuple[str, Point, int]]:
    for point in group.points:
        yield scope, point, start
        start += point.register_count
    for inner in group.groups:
        each = _extent(inner, count_of)
        for number in range(_times(inner, each, stop - start, count_of)):
            index = "" if inner.repeats is None else f"{number}."
            yield from _places(inner, f"{scope}{inner.name}.{index}", start, stop, count_of)
            start += each


def _extent(group: Group, count_of: CountOf) -> int:
    """Registers of one occurrence of a group, with the groups in it as often as the device states them."""
    own = sum(point.register_count for point in group.points)
    return own + sum(_stated(inner, count_of) * _extent(inner, count_of) for inner in group.groups)


def _stated(group: Group, count_of: CountOf) -> int:
    """How often a group occurs by the device's own words; 0 for one that only room limits."""
    if group.repeats is None:
        return 1
    return group.repeats if isinstance(group.repeats, int) else count_of(group.repeats)


def _times(group: Group, each: int, room: int, count_of: CountOf) -> int:
    """How often a group occurs where `room` registers are left."""
    if group.repeats is None or not each:
        return _stated(group, count_of) if group.repeats is None else 0
    room_for = max(room, 0) // each
    return room_for if group.repeats == 0 else min(_stated(group, count_of), room_for)


def stated_count(model: Model, count_of: CountOf) -> int | None:
    """Registers, header included, that the counts of a device ask for; None where its length itself is the count."""
    if any(group.repeats == 0 for group in _below(model.group)):
        return None
    return _extent(model.group, count_of)


def _below(group: Group) -> Iterator[Group]:
    for inner in group.groups:
        yield inner
        yield from _below(inner)


@lru_cache(maxsize=LAYOUTS_KEPT)
def repeating_groups(model: Model) -> Mapping[str, Repeats]:
    """Name of each group that repeats, and by what."""
    return {group.name: group.repeats for group in _below(model.group) if group.repeats is not None}


@lru_cache(maxsize=LAYOUTS_KEPT)
def counters(model: Model) -> tuple[str, ...]:
    """The points that say how often groups repeat."""
    return tuple(sorted({name for name in repeating_groups(model).values() if isinstance(name, str)}))


@lru_cache(maxsize=LAYOUTS_KEPT)
def filling_size(model: Model) -> int:
    """Registers of one occurrence of the group that repeats as often as there is room; 0 without such a group."""
    return sum(_extent(group, lambda _: 0) for group in model.group.groups if group.repeats == 0)
