"""What a pandapower net holds that the power flow here cannot represent, each thing by its name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from twin.network.build import TRANSFER_TYPES, PandapowerNet

KNOWN = ("bus", "line", "trafo", "ext_grid", "controller")
DEVICES_SAY = ("load", "sgen", "storage")
"""Tables that are left out: consumption and generation come from the devices of the site file."""

UNUSUAL: Mapping[str, Mapping[str, float]] = {
    "line": {"g_us_per_km": 0.0},
    "trafo": {
        "tap_step_degree": 0.0,
        "tap_dependency_table": 0.0,
        "df": 1.0,
        "leakage_resistance_ratio_hv": 0.5,
        "leakage_reactance_ratio_hv": 0.5,
    },
    "switch": {"z_ohm": 0.0},
}
"""Table → column → the only value that can be represented; no value is as good."""

NEEDED: Mapping[str, Sequence[str]] = {
    "bus": ("vn_kv",),
    "line": (
        *("from_bus", "to_bus", "length_km", "r_ohm_per_km", "x_ohm_per_km"),
        *("c_nf_per_km", "max_i_ka", "df", "parallel"),
    ),
    "trafo": (
        *("hv_bus", "lv_bus", "sn_mva", "vn_hv_kv", "vn_lv_kv", "vk_percent", "vkr_percent"),
        *("pfe_kw", "i0_percent", "shift_degree", "parallel"),
    ),
    "ext_grid": ("bus", "vm_pu"),
    "switch": ("bus", "element", "et", "closed"),
}
"""Table → columns without which it says nothing."""

POINTS_TO: Mapping[str, Sequence[str]] = {
    "line": ("from_bus", "to_bus"),
    "trafo": ("hv_bus", "lv_bus"),
    "ext_grid": ("bus",),
    "switch": ("bus",),
}
"""Table → its columns that hold the index of a bus."""

Refused = tuple[str, str]
"""What is in the file, and what could be there instead."""


def lacking_columns(net: PandapowerNet) -> list[str]:
    """Columns without which the net cannot be read."""
    return [f"{table}.{name}" for table, names in NEEDED.items() for name in names if not _has(net, table, name)]


def _has(net: PandapowerNet, table: str, column: str) -> bool:
    frame = net.get(table)
    return frame is None or not len(frame) or column in frame.columns


def refusals(net: PandapowerNet) -> Iterator[Refused]:
    """What would be lost by reading the net as it is."""
    yield from _dangling(net)
    yield from _foreign(net)
    yield from _unusual(net)
    yield from _same_names(net)
    for index, row in rows(net, "ext_grid")[1:]:
        yield f"a second external grid {name_of('ext_grid', index, row)}", "one external grid"
    for index, row in rows(net, "controller"):
        if not is_tap_control(row["object"]):
            yield f"controller {index} ({row['object']})", "DiscreteTapControl of one transformer, or none"


def _dangling(net: PandapowerNet) -> Iterator[Refused]:
    """References to rows that the file does not hold; without this they would be left out in silence."""
    for table, columns in POINTS_TO.items():
        for index, row in rows(net, table):
            for column in columns:
                if row[column] not in net.bus.index:
                    yield f"{table} {name_of(table, index, row)} at {column} {row[column]}", "the index of a bus"
    tables = {"b": "bus", "l": "line", "t": "trafo"}
    for index, row in rows(net, "switch"):
        pointed = tables.get(row["et"])
        if pointed is not None and row["element"] not in net[pointed].index:
            yield f"switch {name_of('switch', index, row)} at {pointed} {row['element']}", f"the index of a {pointed}"


def _foreign(net: PandapowerNet) -> Iterator[Refused]:
    for table in net:
        frame = net[table]
        element = hasattr(frame, "columns") and "in_service" in frame.columns and not table.startswith("res_")
        if element and table not in (*KNOWN, *DEVICES_SAY):
            for index, row in rows(net, table):
                yield f"{table} {name_of(table, index, row)}", "buses, lines, two-winding transformers and switches"
    for index, row in rows(net, "switch"):
        if row["et"] not in ("b", "l", "t"):
            yield (
                f"switch {name_of('switch', index, row)} at a {row['et']}",
                "switches at buses, lines and transformers",
            )


def _unusual(net: PandapowerNet) -> Iterator[Refused]:
    for table, columns in UNUSUAL.items():
        for index, row in rows(net, table):
            for column, usual in columns.items():
                value = row.get(column)
                if not is_missing(value) and not math.isclose(float(value), usual, abs_tol=1e-12):
                    yield f"{column} {float(value):g} of {table} {name_of(table, index, row)}", f"{usual:g}"
    for index, row in rows(net, "trafo"):
        for second in ("tap_changer_type", "tap2_changer_type"):
            kind = row.get(second)
            if isinstance(kind, str) and (kind != "Ratio" or second.startswith("tap2")):
                yield (
                    f"{second} {kind} of trafo {name_of('trafo', index, row)}",
                    "one tap changer of type Ratio, or none",
                )


def _same_names(net: PandapowerNet) -> Iterator[Refused]:
    for table in ("bus", "line", "trafo", "switch"):
        seen = set[tuple[str, str]]()
        for index, row in rows(net, table):
            name = name_of(table, index, row)
            kind = str(row["type"]) if table == "switch" and row.get("type") in TRANSFER_TYPES else ""
            if (name, kind) in seen:
                yield f"the name {name} twice among {table}", "names that tell elements apart"
            seen.add((name, kind))


def rows(net: PandapowerNet, table: str) -> list[tuple[int, Any]]:
    """Index and row of everything in service in a table."""
    frame = net.get(table)
    if frame is None:
        return []
    return [(index, row) for index, row in frame.iterrows() if bool(row.get("in_service", True))]


def name_of(table: str, index: int, row: Any) -> str:
    """An element without a name is called after its table and index."""
    name = row.get("name")
    return name if isinstance(name, str) and name else f"{table}_{index}"


def is_missing(value: Any) -> bool:
    """None and NaN, which pandas takes for the same."""
    import pandas as pd

    return bool(pd.isna(value))


def is_tap_control(control: Any) -> bool:
    """The only controller that is represented: an on-load tap changer of one two-winding transformer."""
    if type(control).__name__ != "DiscreteTapControl" or control.element != "trafo":
        return False
    return bool(np.ndim(control.element_index) == 0)
