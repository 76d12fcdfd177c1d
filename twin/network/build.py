"""From the network as written in the site file to a pandapower net, element names unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin.network.topology import Topology

if TYPE_CHECKING:
    from collections.abc import Iterator

PandapowerNet = Any
"""pandapower ships no types."""


def build_net(topology: Topology, slack_bus: str) -> PandapowerNet:
    """A pandapower net with one load at each bus, of the same name, that carries the bus's net consumption.

    The loads are created at zero. Transformers are pandapower's T model; currents are rated at the
    rated voltages of the buses they connect.
    """
    import pandapower

    net = pandapower.create_empty_network(f_hz=topology.frequency_hz)
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
    return net


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
            vn_hv_kv=topology.buses[unit.hv_bus].rated_v / 1e3,
            vn_lv_kv=topology.buses[unit.lv_bus].rated_v / 1e3,
            vk_percent=unit.short_circuit_fraction * 100,
            vkr_percent=unit.copper_fraction * 100,
            pfe_kw=unit.iron_losses_kw,
            i0_percent=unit.no_load_current_fraction * 100,
            shift_degree=unit.phase_shift_deg,
            parallel=unit.parallel_count,
            name=name,
        )


def branch_ends(topology: Topology) -> Iterator[tuple[str, str]]:
    """From (hv) and to (lv) bus of every branch: lines, then transformers, as everywhere in this package."""
    yield from ((line.from_bus, line.to_bus) for line in topology.lines.values())
    yield from ((unit.hv_bus, unit.lv_bus) for unit in topology.transformers.values())


def buses_not_supplied(topology: Topology, slack_bus: str) -> tuple[str, ...]:
    """Buses that no chain of lines and transformers connects to `slack_bus`."""
    neighbours: dict[str, set[str]] = {name: set() for name in topology.buses}
    for one, other in branch_ends(topology):
        neighbours.setdefault(one, set()).add(other)
        neighbours.setdefault(other, set()).add(one)
    reached, frontier = {slack_bus}, [slack_bus]
    while frontier:
        fresh = neighbours.get(frontier.pop(), set()) - reached
        reached |= fresh
        frontier.extend(fresh)
    return tuple(name for name in topology.buses if name not in reached)
