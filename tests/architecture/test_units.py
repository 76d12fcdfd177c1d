"""Every number that has a name has a unit in it: fields, points and keys of a person's file."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import twin.cooling
import twin.devices
from tests.architecture.source_tree import ROOT, source_files, tree
from twin.devices.base import DEVICES
from twin.registry import load
from twin.units import has_unit

NUMERIC = {"float", "int", "Num", "FloatArray"}

BARE: dict[str, str] = {
    "address": "a register's place",
    "address_base": "the number of the first register",
    "billing_month": "year and month",
    "bit": "a place in a register",
    "bits": "places in a register",
    "baud": "bits per second on a serial line",
    "beam": "of the light outside the atmosphere, a fraction",
    "clamped": "1 where a curve was used at its limit, else 0",
    "clearness": "of the light outside the atmosphere, a fraction",
    "columns": "each in the unit that its own name carries",
    "chi_square": "a sum of squares of normalised residuals",
    "covariance": "in the squared units of what is estimated",
    "decided": "setpoints, each in the unit of its own",
    "enumeration": "the content of a register, and in the unit of the point",
    "first": "the place of a row",
    "first_line": "a place in a file",
    "free_setpoint": "in the unit of the setpoint, which the technology names",
    "from_hour": "an hour of the local clock",
    "held": "in the unit of the setpoint",
    "function": "a Modbus function code",
    "high": "in the unit of the signal",
    "followed": "each in the unit of its own",
    "inputs": "places on a tape",
    "length": "a number of registers",
    "line": "a place in a file",
    "low": "in the unit of the signal",
    "max": "in the unit of the point",
    "max_registers": "a number of registers",
    "mean": "in the unit of the signal",
    "members": "places of registers",
    "min": "in the unit of the point",
    "missed_deadlines": "a number of jobs",
    "nodes_of": "a number of GPUs",
    "offset": "in the unit of the point",
    "operands": "places on a tape",
    "outputs": "a number of results",
    "parameters": "each in the unit that its own name carries",
    "plausible": "in the unit of the file that is imported",
    "port": "a TCP port",
    "priority": "a rank",
    "rated": "in the unit of the point",
    "read_back": "in the unit of the setpoint",
    "redundancy": "a number of measurements",
    "refused": "the place of a register",
    "rows": "a number of rows",
    "safe_setpoint": "in the unit of the setpoint, which the technology names",
    "safe": "in the unit of the point",
    "scale": "what one raw step is worth, in the unit of the point",
    "samples": "the content of registers",
    "seed": "of a random sequence",
    "sentinel": "the content of a register",
    "setpoints": "each in the unit of its own",
    "shear_exponent": "of the power law by which wind rises with height",
    "sigma": "in the unit of what was measured",
    "slack": "the place of a bus",
    "slopes": "in the units of what is measured per unit of what is estimated",
    "start": "a register's place",
    "step": "in the unit of the setpoint",
    "stop_bits": "a number of bits",
    "status": "of an HTTP answer",
    "sums": "each in the unit that its own name carries",
    "support_priority": "a rank",
    "to_hour": "an hour of the local clock",
    "unit_id": "a Modbus address",
    "unknowns": "a number of equations",
    "value": "in the unit of the point or setpoint that the object names",
    "values": "each in the unit that its own name carries",
    "violations": "a number of steps",
    "year": "of the calendar",
    "words": "the content of registers",
}
"""Structural name → what the number is instead of a physical quantity."""


def test_every_numeric_field_of_a_public_dataclass_carries_its_unit() -> None:
    found = [
        (f"{path}:{line} {cls}.{name}", name)
        for path in source_files()
        if path.parts[0] in ("twin", "controllers")
        for line, cls, name in numeric_fields(path)
    ]
    assert found, "this test sees no field"
    bare = [place for place, name in found if not accounted(name)]
    assert not bare, "\n".join(bare)


def numeric_fields(path: Path) -> Iterator[tuple[int, str, str]]:
    for cls in ast.walk(tree(path)):
        if not isinstance(cls, ast.ClassDef) or cls.name.startswith("_") or not is_dataclass(cls):
            continue
        for field in cls.body:
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_numeric(field.annotation):
                yield field.lineno, cls.name, field.target.id


def is_dataclass(cls: ast.ClassDef) -> bool:
    return any("dataclass" in ast.dump(decorator) for decorator in cls.decorator_list)


def is_numeric(annotation: ast.expr) -> bool:
    """A number, an array, or a container of them; a function or a constant of the class is none."""
    names = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
    return bool(names & NUMERIC) and not names & {"Callable", "ClassVar"}


def accounted(name: str) -> bool:
    return name.startswith("_") or has_unit(name) or name in BARE


@pytest.mark.parametrize("path", sorted((ROOT / "site_configs").rglob("*.yaml")), ids=lambda path: path.name)
def test_every_key_with_a_number_carries_its_unit(path: Path) -> None:
    keys = list(numeric_keys(YAML(typ="safe").load(path), ""))
    assert keys, "this test sees no number"
    bare = [key for key in keys if not accounted(key.rsplit(".", 1)[-1])]
    assert not bare, "\n".join(bare)


def numeric_keys(node: object, path: str) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from numeric_keys(value, f"{path}.{key}")
    elif isinstance(node, list):
        for value in node:
            yield from numeric_keys(value, path)
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield path


def test_every_point_and_setpoint_carries_its_unit() -> None:
    load(twin.devices)
    load(twin.cooling)
    names = {(kind, name) for kind, cls in DEVICES.items() for name in (*cls.instruments, cls.setpoint) if name}
    assert names, "this test sees no device"
    bare = [f"{kind}.{name}" for kind, name in sorted(names) if not has_unit(name)]
    assert not bare, "\n".join(bare)


@pytest.mark.parametrize("name", ["rated_kw", "soc", "min_soc", "slack_v_pu", "ghi_w_m2", "p_kw", "kw", "gpu_count"])
def test_a_unit_is_recognised(name: str) -> None:
    assert has_unit(name)


@pytest.mark.parametrize("name", ["rated_mw", "capacity", "rated_power", "kwx", "temperature", "soc_percent", "skw"])
def test_a_missing_or_foreign_unit_is_noticed(name: str) -> None:
    assert not has_unit(name)


def test_a_bare_name_is_allowed_only_where_it_has_no_unit() -> None:
    assert not [name for name in BARE if has_unit(name)]
