"""The import rules, sizes and manners of the house, held over every file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source_tree import PACKAGES, ROOT, all_files, imports, inside, source_files, tree

MAY_IMPORT = {"twin": {"twin"}, "controllers": {"controllers", "twin"}, "agents": {"agents", "controllers", "twin"}}

CONFINED = {
    "pandapower": ("twin/network/",),
    "lightsim2grid": ("twin/network/",),
    "power_grid_model": ("twin/network/",),
    "paho": ("twin/telemetry/", "twin/emulator.py"),
    "pymodbus": ("twin/telemetry/", "twin/emulator.py"),
    "httpx": ("twin/telemetry/",),
    "prometheus_client": ("twin/telemetry/",),
    "amqtt": ("twin/telemetry/", "twin/emulator.py"),
    "pydantic": (
        "twin/site.py",
        "twin/yaml_file.py",
        "twin/telemetry/config.py",
        "twin/telemetry/map_schema.py",
        "twin/telemetry/register_map.py",
        "controllers/rules/__init__.py",
        "controllers/rules/parse.py",
        "agents/scenario_plan.py",
        "agents/sizing_plan.py",
    ),
    "llvmlite": ("twin/native.py",),
    "ruamel": ("twin/yaml_file.py", "twin/yaml_ranges.py"),
    "highspy": ("controllers/optimiser/",),
}
"""Library → the only places that know it."""

CLOCK_READERS = {
    "time": {
        "time",
        "time_ns",
        "monotonic",
        "monotonic_ns",
        "perf_counter",
        "perf_counter_ns",
        "process_time",
        "localtime",
        "gmtime",
    },
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "Timestamp": {"now", "utcnow", "today"},
}
"""Name before the dot → attributes that read a system clock."""

MAY_CATCH_ALL: dict[str, str] = {
    "twin/telemetry/modbus.py:probe": "one device must not deafen us to all others; it is lost, with the reason",
    "twin/telemetry/modbus.py:poll": "as probe",
    "twin/telemetry/modbus_gateway.py:_on_data": "decoders fail in many ways on garbage; the unit is lost, and told",
    "twin/telemetry/modbus_gateway.py:_revive": "whatever forbids a connection is told, and tried again",
    "twin/telemetry/modbus_devices.py:_transmit": "as probe; the command is LOST",
    "twin/telemetry/mqtt_session.py:loop_forever": "as _on_message, for what paho itself cannot read",
    "twin/telemetry/redfish_node.py:_order": "as probe; the order is LOST",
    "twin/telemetry/redfish_node.py:look": "as probe",
    "twin/telemetry/dcgm.py:scrape": "as probe",
    "twin/telemetry/mqtt_session.py:_on_message": "it would end the thread of paho; the values grow stale",
}
"""`file:function` → why it must survive anything; it has to tell, not to hide."""

LONGEST_FILE = 350
LONGEST_BODY = 40


def test_a_layer_imports_only_the_layers_below_it() -> None:
    tell(
        [
            f"{path}:{line} imports {name}"
            for path in source_files()
            for line, name in imports(path)
            if (package := name.split(".")[0]) in PACKAGES and package not in MAY_IMPORT[path.parts[0]]
        ]
    )


def test_a_library_is_known_in_one_place() -> None:
    tell(
        [
            f"{path}:{line} imports {name}"
            for path in source_files()
            for line, name in imports(path)
            if (places := CONFINED.get(name.split(".")[0])) and not inside(path, places)
        ]
    )


def test_imports_are_absolute() -> None:
    tell(
        [
            f"{path}:{line} imports {name}"
            for path in all_files()
            for line, name in imports(path)
            if name.startswith(".")
        ]
    )


def test_only_the_clock_reads_a_system_clock() -> None:
    clock = Path("twin/clock.py")
    assert list(clock_reads(clock)), "a reader that is known must be found, or this test sees nothing"
    tell([read for path in source_files() if path != clock for read in clock_reads(path)])


def test_no_file_is_long() -> None:
    lengths = {str(path): (ROOT / path).read_text(encoding="utf-8").count("\n") for path in all_files()}
    tell([f"{path} has {length} lines" for path, length in lengths.items() if length >= LONGEST_FILE])


def test_no_function_is_long() -> None:
    tell(
        [
            f"{path}:{node.lineno} {node.name} has {length} lines"
            for path in all_files()
            for node in ast.walk(tree(path))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (length := body_length(node)) > LONGEST_BODY
        ]
    )


def test_nothing_catches_every_exception_without_a_reason() -> None:
    found = {place for path in source_files() for place in catches_all(path)}
    tell(sorted(found - set(MAY_CATCH_ALL)))
    tell([f"{place} may catch all, and does not" for place in MAY_CATCH_ALL if place not in found])


def tell(offences: list[str]) -> None:
    """Fail with one offence a line, all of them."""
    assert not offences, "\n" + "\n".join(offences)


def clock_reads(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and node.attr in CLOCK_READERS.get(last_name(node.value), ()):
            yield f"{path}:{node.lineno} reads {last_name(node.value)}.{node.attr}"
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (
                f"{path}:{node.lineno} imports time.{alias.name}"
                for alias in node.names
                if alias.name in CLOCK_READERS["time"]
            )


def last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def body_length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body, without the docstring and without functions defined inside (they count for themselves)."""
    described = ast.get_docstring(function) is not None
    statements = function.body[1:] if described else function.body
    return sum(
        1
        if isinstance(statement, ast.FunctionDef | ast.ClassDef)
        else (statement.end_lineno or 0) - statement.lineno + 1
        for statement in statements
    )


def catches_all(path: Path) -> Iterator[str]:
    for function in ast.walk(tree(path)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and any(
            isinstance(node, ast.ExceptHandler) and is_broad(node.type) for node in ast.walk(function)
        ):
            yield f"{path.as_posix()}:{function.name}"


def is_broad(caught: ast.expr | None) -> bool:
    if caught is None:
        return True
    kinds = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(last_name(kind) in ("Exception", "BaseException") for kind in kinds)
