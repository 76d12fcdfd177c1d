"""A network as a pandapower JSON file, in both directions.

Read, names of elements become names of buses and branches; an element without a name is called after its
table and index. Elements out of service are left out. Loads, static generators and storages are left out
too, because the devices of the site file say what is consumed. Whatever else the power flow here cannot
represent is refused by name.

pandapower builds objects that its JSON names, so read only files whose origin you trust.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

from annotated_types import Gt

from twin.devices.base import STRICT
from twin.network.build import TRANSFER_TYPES, PandapowerNet, add_tap_controls, build_net
from twin.network.pandapower_refusals import (
    Refused,
    is_missing,
    is_tap_control,
    lacking_columns,
    name_of,
    refusals,
    rows,
)
from twin.network.switching import Energised
from twin.network.topology import Breaker, Coupler, Line, Topology, TransferSwitch, Transformer
from twin.numeric import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class BusChange:
    """What a site file says about a bus of a pandapower file, or about one beside it."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    rated_v: Annotated[float, Gt(0)] | None = None
    min_v_pu: Annotated[float, Gt(0)] | None = None
    max_v_pu: Annotated[float, Gt(0)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFile:
    """A network that stands in a pandapower file, with what the site file changes or adds."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    pandapower: str
    """JSON file of `pandapower.to_json`, beside the site file."""
    buses: Mapping[str, BusChange] = field(default_factory=dict)
    lines: Mapping[str, Line] = field(default_factory=dict)
    transformers: Mapping[str, Transformer] = field(default_factory=dict)
    breakers: Mapping[str, Breaker] = field(default_factory=dict)
    couplers: Mapping[str, Coupler] = field(default_factory=dict)
    transfer_switches: Mapping[str, TransferSwitch] = field(default_factory=dict)
    slack_v_pu: Annotated[float, Gt(0)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetContent:
    """What a pandapower file holds, in the keys of a site file."""

    network: dict[str, Any]
    slack_bus: str | None
    """Where its external grid is; None without one."""
    refused: Sequence[Refused]


class NotANetError(ValueError):
    """The file is no pandapower net."""


def read_net(path: Path) -> NetContent:
    """The network of a file of `pandapower.to_json`. Raises `NotANetError`, and `OSError` where it cannot be read."""
    net = _load(path)
    names = {table: _names(net, table) for table in ("bus", "line", "trafo")}
    grids = rows(net, "ext_grid")
    slack = names["bus"].get(grids[0][1]["bus"]) if grids else None
    network = {
        "frequency_hz": float(net.get("f_hz", 50.0)),
        "buses": {names["bus"][index]: _bus(row) for index, row in rows(net, "bus")},
        "lines": {names["line"][index]: _line(row, names["bus"]) for index, row in _joined(net, "line")},
        "transformers": {
            names["trafo"][index]: _transformer(row, names["bus"], _held(net, index))
            for index, row in _joined(net, "trafo")
        },
        **_switches(net, names),
        "slack_v_pu": float(grids[0][1]["vm_pu"]) if grids else 1.0,
    }
    return NetContent(network=network, slack_bus=slack, refused=tuple(refusals(net)))


def merged(content: NetContent, told: NetworkFile) -> dict[str, Any]:
    """The network of the file with what the site file says about it, in the keys of a site file."""
    network = dict(content.network)
    buses = dict(network["buses"])
    for name, change in told.buses.items():
        changed = {key: getattr(change, key) for key in ("rated_v", "min_v_pu", "max_v_pu")}
        buses[name] = buses.get(name, {}) | {key: value for key, value in changed.items() if value is not None}
    network["buses"] = buses
    for section in ("lines", "transformers", "breakers", "couplers", "transfer_switches"):
        network[section] = {**network[section], **getattr(told, section)}
    if told.slack_v_pu is not None:
        network["slack_v_pu"] = told.slack_v_pu
    return network


def write_net(
    path: Path, topology: Topology, slack_bus: str, energised: Energised, p_kw: FloatArray, q_kvar: FloatArray
) -> None:
    """Write the network with `p_kw` and `q_kvar` consumed at its buses, transfer switches as in `energised`."""
    import pandapower

    net = build_net(topology, slack_bus)
    net.load["p_mw"], net.load["q_mvar"] = p_kw / 1e3, q_kvar / 1e3
    halves = dict(zip(TRANSFER_TYPES, ("preferred", "alternate"), strict=True))
    for index, row in net.switch.iterrows():
        if row["type"] in halves:
            net.switch.loc[index, "closed"] = energised.feeds[row["name"]] == halves[row["type"]]
    add_tap_controls(net, topology)
    pandapower.to_json(net, str(path))


def _load(path: Path) -> PandapowerNet:
    import pandapower

    text = path.read_text(encoding="utf-8")
    try:
        net = pandapower.from_json_string(text)
    except (UserWarning, AttributeError, KeyError, TypeError, ValueError, ImportError) as error:
        raise NotANetError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    if not isinstance(net, pandapower.pandapowerNet) or not len(net.get("bus", ())):
        raise NotANetError("no pandapower net with a bus")
    lacking = lacking_columns(net)
    if lacking:
        raise NotANetError(f"a net without {', '.join(lacking)}")
    return net


def _joined(net: PandapowerNet, table: str) -> list[tuple[int, Any]]:
    """Branches in service between buses in service."""
    alive = {index for index, _ in rows(net, "bus")}
    ends = ("from_bus", "to_bus") if table == "line" else ("hv_bus", "lv_bus")
    return [(index, row) for index, row in rows(net, table) if {row[end] for end in ends} <= alive]


def _names(net: PandapowerNet, table: str) -> dict[int, str]:
    return {index: name_of(table, index, row) for index, row in rows(net, table)}


def _bus(row: Any) -> dict[str, Any]:
    limits = {"min_v_pu": row.get("min_vm_pu"), "max_v_pu": row.get("max_vm_pu")}
    return {"rated_v": row["vn_kv"] * 1e3} | {
        key: float(value) for key, value in limits.items() if not is_missing(value)
    }


def _line(row: Any, bus: Mapping[int, str]) -> dict[str, Any]:
    return {
        "from_bus": bus[row["from_bus"]],
        "to_bus": bus[row["to_bus"]],
        "length_m": row["length_km"] * 1e3,
        "resistance_ohm_per_km": row["r_ohm_per_km"],
        "reactance_ohm_per_km": row["x_ohm_per_km"],
        "capacitance_nf_per_km": row["c_nf_per_km"],
        "rated_a": row["max_i_ka"] * row["df"] * row["parallel"] * 1e3,
        "parallel_count": int(row["parallel"]),
    }


def _transformer(row: Any, bus: Mapping[int, str], held: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "hv_bus": bus[row["hv_bus"]],
        "lv_bus": bus[row["lv_bus"]],
        "rated_kva": row["sn_mva"] * 1e3,
        "short_circuit_fraction": row["vk_percent"] / 100,
        "copper_fraction": row["vkr_percent"] / 100,
        "iron_losses_kw": row["pfe_kw"],
        "no_load_current_fraction": row["i0_percent"] / 100,
        "phase_shift_deg": row["shift_degree"],
        "parallel_count": int(row["parallel"]),
        "hv_rated_v": row["vn_hv_kv"] * 1e3,
        "lv_rated_v": row["vn_lv_kv"] * 1e3,
        "taps": _taps(row, held),
    }


def _taps(row: Any, held: dict[str, Any] | None) -> dict[str, Any] | None:
    if row.get("tap_changer_type") != "Ratio" or is_missing(row.get("tap_pos")):
        return None
    position = row["tap_pos"]
    low, high = (position if is_missing(row.get(key)) else row[key] for key in ("tap_min", "tap_max"))
    return {
        "side": row.get("tap_side"),
        "step_fraction": row.get("tap_step_percent", math.nan) / 100,
        "position_steps": position,
        "neutral_steps": 0 if is_missing(row.get("tap_neutral")) else row["tap_neutral"],
        "min_steps": low,
        "max_steps": high,
        "on_load": held,
    }


def _held(net: PandapowerNet, transformer: int) -> dict[str, Any] | None:
    for _, row in rows(net, "controller"):
        control = row["object"]
        if is_tap_control(control) and int(control.element_index) == transformer:
            return {
                "side": control.side,
                "min_v_pu": float(control.vm_lower_pu),
                "max_v_pu": float(control.vm_upper_pu),
            }
    return None


def _switches(net: PandapowerNet, names: Mapping[str, Mapping[int, str]]) -> dict[str, dict[str, Any]]:
    """Breakers, couplers and transfer switches; those of what is out of service are left out with it."""
    found: dict[str, dict[str, Any]] = {"breakers": {}, "couplers": {}, "transfer_switches": {}}
    live = {"b": names["bus"], "l": names["line"], "t": names["trafo"]}
    for index, row in rows(net, "switch"):
        name, element = name_of("switch", index, row), live.get(row["et"], {}).get(row["element"])
        bus = names["bus"].get(row["bus"])
        if bus is None or element is None:
            continue
        if row.get("type") in TRANSFER_TYPES:
            switch = found["transfer_switches"].setdefault(name, {"load_bus": element})
            switch["preferred_bus" if row["type"] == TRANSFER_TYPES[0] else "alternate_bus"] = bus
        elif row["et"] == "b":
            found["couplers"][name] = {"from_bus": bus, "to_bus": element, "closed": bool(row["closed"])}
        else:
            found["breakers"][name] = {"branch": element, "bus": bus, "closed": bool(row["closed"])}
    return found
