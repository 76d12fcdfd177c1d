"""Whatever a person writes into a map, it is a map or its faults are named; nothing falls over."""

import copy
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from twin.errors import InputError, Problem
from twin.telemetry.map_draft import flow
from twin.telemetry.map_formula import fields_of
from twin.telemetry.map_polling import poll_groups
from twin.telemetry.map_writes import plan
from twin.telemetry.register_map import RegisterMap, read_map

WHOLE: dict[str, Any] = YAML(typ="safe").load(
    """\
title: a device
address_base: 1
points:
  p_kw: {table: input, address: 1, type: int32, unit: W, into_device: positive, min: -9, max: 9, sentinel: 0x80000000}
  soc: {table: input, address: 3, type: uint16, unit: "%", scale: 0.1, group: slow, min: 0, max: 1}
  running: {table: holding, address: 90, type: bit, bit: 3, min: 0, max: 1}
  q_kvar:
    {difference: [{table: input, address: 4, type: int16}, {product: [{table: input, address: 5, type: int16},
     {table: input, address: 6, type: int16, scale_factor: {address: 7}}]}], into_device: negative, min: -9, max: 9}
texts: {serial: {table: input, address: 20, type: string, length: 4}}
details:
  alarm_count: {table: input, address: 30, type: bitfield, length: 2, bits: [3, 19], min: 0, max: 9}
groups: {slow: {period_s: 60}}
setpoint:
  name: p_kw
  table: holding
  address: 10
  type: int16
  into_device: positive
  min: -9
  max: 9
  timeout_s: {table: holding, address: 11, type: uint16, unit: min, min: 60, max: 600}
  before: [{table: holding, address: 12, type: uint16, value: 1}]
  read_back: {table: input, address: 40, type: int16, into_device: positive}
"""
)
VALUES = st.one_of(
    st.integers(-2, 70_000),
    st.floats(allow_nan=True),
    st.booleans(),
    st.none(),
    st.sampled_from(["int16", "uint64", "string", "bit", "coil", "discrete", "holding", "W", "%", "unknown", "x", ""]),
    st.lists(st.integers(0, 20), max_size=3),
    st.dictionaries(st.sampled_from(["table", "sum", "address", "x"]), st.integers(0, 9), max_size=2),
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path] * bool(path) + [place for key, value in items for place in places(value, (*path, key))]


PLACES = places(WHOLE)
Change = tuple[tuple[Any, ...], Any, bool]
"""Where, what stands there instead, and whether it is deleted."""


def attempted(path: Path) -> tuple[RegisterMap | None, tuple[Problem, ...]]:
    try:
        return read_map(path), ()
    except InputError as error:
        return None, error.problems


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), VALUES, st.booleans()), min_size=1, max_size=3))
def test_any_change_of_a_map_is_a_map_or_named(tmp_path: Path, changes: list[Change]) -> None:
    data = copy.deepcopy(WHOLE)
    for path, value, deletes in changes:
        node = data
        try:
            for key in path[:-1]:
                node = node[key]
            if deletes:
                del node[path[-1]]
            else:
                node[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # An earlier change took its place away.
    file = tmp_path / "map.yaml"
    file.write_text(flow(data).replace(": None", ": null"), encoding="utf-8")
    registers, problems = attempted(file)
    assert all(problem.found and problem.expected for problem in problems)
    if registers is None:
        assert problems
        return
    # What is taken can be polled and written.
    assert sum(len(group.points) for group in poll_groups(registers)) == len(registers.points)
    assert all(field.address >= 0 for point in registers.points.values() for field in fields_of(point))
    if registers.setpoint is not None:
        assert plan(registers.setpoint, 5.0, 7.0).writes
