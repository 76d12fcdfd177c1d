"""Register maps: a vendor's device as data.

A map says for every point in which table and register it stands, how its words are to be read and
which way its power counts. Numbers leave here in the house's units and with the house's sign. What may
be written in one is in `map_schema`, what is wrong with one in `map_check`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from twin.errors import InputError, Problem
from twin.telemetry.map_check import check_map
from twin.telemetry.map_codec import Words, decode, encode, encode_missing
from twin.telemetry.map_house import in_house_form
from twin.telemetry.map_schema import (
    MAX_REGISTERS_PER_READ,
    Computed,
    Field,
    Modes,
    Register,
    RegisterMap,
    Setpoint,
)
from twin.yaml_file import Document, did_you_mean, read_yaml

__all__ = [
    "HOUSE_MAPS",
    "MAX_REGISTERS_PER_READ",
    "Block",
    "Computed",
    "Field",
    "Modes",
    "Register",
    "RegisterMap",
    "Setpoint",
    "Words",
    "blocks",
    "check_document",
    "decode",
    "encode",
    "encode_missing",
    "find_map",
    "load_map",
    "map_schema",
    "read_map",
]
HOUSE_MAPS = Path(__file__).parents[2] / "site_configs" / "maps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Registers that one request reads."""

    table: str
    start: int
    count: int
    members: tuple[tuple[str, Field, int], ...]
    """Name, register, and where its first word stands in the block."""
    unit_id: int | None = None
    """None: the link's."""

    @property
    def place(self) -> str:
        return f"{self.table} {self.start}..{self.start + self.count - 1}"


def blocks(registers: Mapping[str, Field], most: int = MAX_REGISTERS_PER_READ) -> tuple[Block, ...]:
    """Registers joined into as few reads as possible, without touching one that the map does not name."""
    runs: list[list[tuple[str, Field]]] = []
    for name, register in sorted(registers.items(), key=lambda item: _order(item[1])):
        if runs and _continues(runs[-1], register, most):
            runs[-1].append((name, register))
        else:
            runs.append([(name, register)])
    return tuple(_block(run) for run in runs)


def _order(register: Field) -> tuple[int, str, int]:
    return -1 if register.unit_id is None else register.unit_id, register.table, register.address


def _continues(run: Sequence[tuple[str, Field]], register: Field, most: int) -> bool:
    first, stop = run[0][1], _stop(run)
    alike = (register.unit_id, register.table) == (first.unit_id, first.table)
    return alike and register.address <= stop and max(register.addresses.stop, stop) - first.address <= most


def _stop(run: Sequence[tuple[str, Field]]) -> int:
    return max(register.addresses.stop for _, register in run)


def _block(run: Sequence[tuple[str, Field]]) -> Block:
    first = run[0][1]
    return Block(
        unit_id=first.unit_id,
        table=first.table,
        start=first.address,
        count=_stop(run) - first.address,
        members=tuple((name, register, register.address - first.address) for name, register in run),
    )


def load_map(name_or_path: str, site_path: Path) -> RegisterMap:
    """Read and check a register map. Raises `InputError` with file and line of everything wrong."""
    return read_map(find_map(name_or_path, site_path))


def find_map(name_or_path: str, site_path: Path) -> Path:
    """The file of a map: a path beside the site file, or a name in `maps/` beside it or in the house's own."""
    if name_or_path.endswith((".yaml", ".yml")):
        return site_path.parent / name_or_path
    candidates = [folder / f"{name_or_path}.yaml" for folder in (site_path.parent / "maps", HOUSE_MAPS)]
    for path in candidates:
        if path.is_file():
            return path
    known = sorted({path.stem for folder in {item.parent for item in candidates} for path in folder.glob("*.yaml")})
    hint = did_you_mean(name_or_path, known)
    raise InputError(
        Problem(
            file=str(site_path),
            line=None,
            path="telemetry.links",
            found=f"map: {name_or_path}",
            expected=f"a path that ends in .yaml, or one of {', '.join(known)}{hint}",
        )
    )


def read_map(path: Path) -> RegisterMap:
    """The map in one file, in the house's form: addresses from 0, numbers in the house's units."""
    return in_house_form(check_document(read_yaml(path)))


def check_document(document: Document) -> RegisterMap:
    """The map in a document as it is written. Raises `InputError` with everything wrong with it."""
    parsed = document.validate(_adapter())
    problems = sorted(check_map(parsed, document), key=lambda problem: problem.line or 0)
    if problems:
        raise InputError(*problems)
    return parsed


def map_schema() -> dict[str, Any]:
    """JSON Schema of a register map, for editors."""
    schema = _adapter().json_schema()
    definitions = schema["$defs"]
    inherited = definitions["Formula"]["properties"] | definitions["Field"]["properties"]
    for key in ("Register", "Computed", "Setpoint", "Write"):
        # pydantic takes descriptions from the class itself only.
        for name, item in definitions[key]["properties"].items():
            known = inherited.get(name, {}).get("description")
            if known is not None:
                item.setdefault("description", known)
        inherited |= definitions[key]["properties"]
    return schema | {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "gridhelm register map"}


@cache
def _adapter() -> TypeAdapter[RegisterMap]:
    return TypeAdapter(RegisterMap)
