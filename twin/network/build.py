"""From the network as written in the site file to a pandapower net, element names unchanged."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import TYPE_CHECKING, Any

from twin.network.topology import Taps, Topology

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PandapowerNet = Any
"""pandapower ships no types."""

BREAKER_TYPE = "CB"
"""Circuit breaker, in pandapower's words."""
TRANSFER_TYPES = ("transfer_preferred", "transfer_alternate")
"""The two halves of a transfer switch; pandapower has no such element, and any word is a type to it."""


def build_net(topology: Topology, slack_bus: str) -> PandapowerNet:
    """A pandapower net with one load at each bus, of the same name, that carries the bus's net consumption.

    The loads are created at zero. Transformers are pandapower's T model; currents are rated at the
    rated voltages of the windings. Switches stand as `topology` says, transfer switches on their
    preferred feed; a transfer switch is a pair of bus-bus switches of one name, told apart by their type.
    """
    import pandapower

    net = deepcopy(_empty_net())
    net["f_hz"] = topology.frequency_hz
    bus = {
        name: pandapower.create_bus(
            net, vn_kv=row.rated_v / 1e3, name=name, min_vm_pu=row.min_v_pu, max_vm_pu=row.max_v_pu
        )
        for name, row in topology.buses.items()
    }
    pandapower.create_ext_grid(net, bus[slack_bus], vm_pu=topology.slack_v_pu, name=slack_bus)
    for name, index in bus.items():
        pandapower.create_load(net, index, p_mw=0.0, q_mvar=0.0, name=name)
    _add_lines(pandapower, net, bus, topology)
    _add_transformers(pandapower, net, bus, topology)
    _add_switches(pandapower, net, bus, topology)
    return net


@cache
def _empty_net() -> PandapowerNet:
    """A net without elements, made once: its hundred empty tables take most of the time of a small net."""
    import pandapower

    return pandapower.create_empty_network()


def _add_lines(pandapower: Any, net: PandapowerNet, bus: dict[str, int], topology: Topology) -> None:
    for name, line in topology.lines.items():
        pandapower.create_line_from_parameters(
            net,
            bus[line.from_bus],
            bus[line.to_bus],
            length_km=line.length_m / 1e3,
            r_ohm_per_km=line.resistance_ohm_per_km,
            x_ohm_per_km=line.reactance_ohm_per_km,
            c_nf_per_km=line.capacitance_nf_per_km,
            max_i_ka=line.rated_a / line.parallel_count / 1e3,
            parallel=line.parallel_count,
            name=name,
        )


def _add_transformers(pandapower: Any, net: PandapowerNet, bus: dict[str, int], topology: Topology) -> None:
    for name, unit in topology.transformers.items():
        pandapower.create_transformer_from_parameters(
            net,
            bus[unit.hv_bus],
            bus[unit.lv_bus],
            sn_mva=unit.rated_kva / 1e3,
            vn_hv_kv=(unit.hv_rated_v or topology.buses[unit.hv_bus].rated_v) / 1e3,
            vn_lv_kv=(unit.lv_rated_v or topology.buses[unit.lv_bus].rated_v) / 1e3,
            vk_percent=unit.short_circuit_fraction * 100,
            vkr_percent=unit.copper_fraction * 100,
            pfe_kw=unit.iron_losses_kw,
            i0_percent=unit.no_load_current_fraction * 100,
            shift_degree=unit.phase_shift_deg,
            parallel=unit.parallel_count,
            name=name,
            **_tap_columns(unit.taps),
        )


def _tap_columns(taps: Taps | None) -> dict[str, Any]:
    if taps is None:
        return {}
    return {
        "tap_side": taps.side,
        "tap_neutral": taps.neutral_steps,
        "tap_min": taps.min_steps,
        "tap_max": taps.max_steps,
        "tap_pos": taps.position_steps,
        "tap_step_percent": taps.step_fraction * 100,
        "tap_changer_type": "Ratio",
        "oltc": taps.on_load is not None,
    }


def _add_switches(pandapower: Any, net: PandapowerNet, bus: dict[str, int], topology: Topology) -> None:
    kinds = {"l": list(topology.lines), "t": list(topology.transformers)}
    for name, breaker in topology.breakers.items():
        et = "l" if breaker.branch in topology.lines else "t"
        element = kinds[et].index(breaker.branch)
        pandapower.create_switch(
            net, bus[breaker.bus], element, et=et, closed=breaker.closed, type=BREAKER_TYPE, name=name
        )
    for name, coupler in topology.couplers.items():
        pair = bus[coupler.from_bus], bus[coupler.to_bus]
        pandapower.create_switch(net, *pair, et="b", closed=coupler.closed, type=BREAKER_TYPE, name=name)
    for name, transfer in topology.transfer_switches.items():
        for kind, feed in zip(TRANSFER_TYPES, (transfer.preferred_bus, transfer.alternate_bus), strict=True):
            closed = kind == TRANSFER_TYPES[0]
            pandapower.create_switch(
                net, bus[feed], bus[transfer.load_bus], et="b", closed=closed, type=kind, name=name
            )


def add_tap_controls(net: PandapowerNet, topology: Topology) -> None:
    """On-load tap changers as pandapower's own controllers, for its `run_control` and for a file it can run."""
    from pandapower.control import DiscreteTapControl

    for index, unit in enumerate(topology.transformers.values()):
        if unit.taps is not None and unit.taps.on_load is not None:
            on_load = unit.taps.on_load
            DiscreteTapControl(
                net, index, vm_lower_pu=on_load.min_v_pu, vm_upper_pu=on_load.max_v_pu, side=on_load.side
            )


def branch_ends(topology: Topology) -> Iterator[tuple[str, str]]:
    """From (hv) and to (lv) bus of every branch: lines, then transformers, as everywhere in this package."""
    return map(topology.ends, topology.branches)


def buses_not_supplied(topology: Topology, slack_bus: str) -> tuple[str, ...]:
    """Buses that nothing, were every switch closed, could connect to `slack_bus`."""
    pairs = [*branch_ends(topology)]
    pairs += [(item.from_bus, item.to_bus) for item in topology.couplers.values()]
    for item in topology.transfer_switches.values():
        pairs += [(item.preferred_bus, item.load_bus), (item.alternate_bus, item.load_bus)]
    reached = connected(pairs, {slack_bus})
    return tuple(name for name in topology.buses if name not in reached)


def connected(pairs: Iterable[tuple[str, str]], start: Iterable[str]) -> set[str]:
    """Everything that a chain of `pairs` joins to one of `start`, itself included."""
    neighbours: dict[str, set[str]] = {}
    for one, other in pairs:
        neighbours.setdefault(one, set()).add(other)
        neighbours.setdefault(other, set()).add(one)
    reached = set(start)
    frontier = list(reached)
    while frontier:
        fresh = neighbours.get(frontier.pop(), set()) - reached
        reached |= fresh
        frontier.extend(fresh)
    return reached
