"""What the network of a site file must satisfy beyond the type of each key: names, voltages, taps, switches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from twin.errors import Problem
from twin.network.topology import Taps, Topology, Transformer
from twin.yaml_file import Document, Key, did_you_mean

Keys = Sequence[Key]
Ends = Mapping[str, str]
"""Key → the bus that it names."""


def network_problems(network: Topology, document: Document) -> Iterator[Problem]:
    """Every contradiction in the network, in the order of its sections."""
    yield from _buses(network, document)
    yield from _branches(network, document)
    yield from _breakers(network, document)
    yield from _couplers(network, document)
    yield from _names(network, document)


def one_of(name: str, known: Iterable[str], what: str) -> str:
    """What was expected where `name` is none of `known`, with the likeliest meant."""
    names = list(known)
    return f"{what} ({', '.join(names) or 'there is none'}){did_you_mean(name, names)}"


def _buses(network: Topology, document: Document) -> Iterator[Problem]:
    for name, bus in network.buses.items():
        if bus.min_v_pu >= bus.max_v_pu:
            yield document.problem(
                ("network", "buses", name),
                found=f"min_v_pu {bus.min_v_pu:g} and max_v_pu {bus.max_v_pu:g}",
                expected="min_v_pu below max_v_pu",
            )


def _branches(network: Topology, document: Document) -> Iterator[Problem]:
    for name, line in network.lines.items():
        keys = ("network", "lines", name)
        ends = {"from_bus": line.from_bus, "to_bus": line.to_bus}
        yield from _ends(network, document, keys, ends) or _one_voltage(
            network, document, keys, ends, "two buses of one rated voltage, or a transformer between them"
        )
    for name, transformer in network.transformers.items():
        keys = ("network", "transformers", name)
        ends = {"hv_bus": transformer.hv_bus, "lv_bus": transformer.lv_bus}
        yield from _ends(network, document, keys, ends) or _step_down(network, document, keys, transformer)
        yield from _short_circuit(document, keys, transformer)
        if transformer.taps is not None:
            yield from _taps(document, (*keys, "taps"), transformer.taps)


def _ends(network: Topology, document: Document, keys: Keys, ends: Ends) -> list[Problem]:
    unknown = [
        document.problem((*keys, end), found=repr(bus), expected=one_of(bus, network.buses, "a bus"))
        for end, bus in ends.items()
        if bus not in network.buses
    ]
    bus, times = Counter(ends.values()).most_common(1)[0]
    if not unknown and times > 1:
        where = "both ends" if len(ends) == 2 else f"{times} ends"
        number = "two" if len(ends) == 2 else "three"
        return [document.problem(keys, found=f"{where} on {bus}", expected=f"{number} different buses")]
    return unknown


def _one_voltage(
    network: Topology, document: Document, keys: Keys, ends: Ends, expected: str = "buses of one rated voltage"
) -> Iterator[Problem]:
    rated_v = {bus: network.buses[bus].rated_v for bus in ends.values()}
    if len(set(rated_v.values())) > 1:
        found = " and ".join(f"{bus} of {value:g} V" for bus, value in rated_v.items())
        yield document.problem(keys, found=found, expected=expected)


def _step_down(network: Topology, document: Document, keys: Keys, unit: Transformer) -> Iterator[Problem]:
    hv_v, lv_v = network.buses[unit.hv_bus].rated_v, network.buses[unit.lv_bus].rated_v
    if hv_v < lv_v:
        yield document.problem(
            keys,
            found=f"hv_bus {unit.hv_bus} of {hv_v:g} V and lv_bus {unit.lv_bus} of {lv_v:g} V",
            expected="hv_bus on the side of the higher voltage; exchange the two",
        )


def _short_circuit(document: Document, keys: Keys, unit: Transformer) -> Iterator[Problem]:
    if unit.copper_fraction > unit.short_circuit_fraction:
        yield document.problem(
            (*keys, "copper_fraction"),
            found=f"{unit.copper_fraction:g}",
            expected=f"at most short_circuit_fraction, {unit.short_circuit_fraction:g}, of which it is a part",
        )


def _taps(document: Document, keys: Keys, taps: Taps) -> Iterator[Problem]:
    if taps.step_fraction == 0:
        yield document.problem((*keys, "step_fraction"), found="0", expected="the turns of a step, for example 0.0125")
    if not taps.min_steps <= taps.position_steps <= taps.max_steps:
        yield document.problem(
            (*keys, "position_steps"),
            found=str(taps.position_steps),
            expected=f"from min_steps {taps.min_steps} to max_steps {taps.max_steps}",
        )
    on_load, step_pu = taps.on_load, abs(taps.step_fraction)
    if on_load is not None and on_load.max_v_pu - on_load.min_v_pu <= step_pu:
        yield document.problem(
            (*keys, "on_load"),
            found=f"a dead band from {on_load.min_v_pu:g} to {on_load.max_v_pu:g} pu",
            expected=f"one wider than a step of {step_pu:g}: in a narrower one the changer never comes to rest",
        )


def _breakers(network: Topology, document: Document) -> Iterator[Problem]:
    for name, breaker in network.breakers.items():
        keys = ("network", "breakers", name)
        if breaker.branch not in network.branches:
            yield document.problem(
                (*keys, "branch"),
                found=repr(breaker.branch),
                expected=one_of(breaker.branch, network.branches, "a line or transformer"),
            )
        elif breaker.bus not in network.ends(breaker.branch) and set(network.ends(breaker.branch)) <= set(
            network.buses
        ):
            yield document.problem(
                (*keys, "bus"),
                found=repr(breaker.bus),
                expected=one_of(breaker.bus, network.ends(breaker.branch), f"an end of {breaker.branch}"),
            )


def _couplers(network: Topology, document: Document) -> Iterator[Problem]:
    for name, coupler in network.couplers.items():
        keys = ("network", "couplers", name)
        ends = {"from_bus": coupler.from_bus, "to_bus": coupler.to_bus}
        yield from _ends(network, document, keys, ends) or _one_voltage(network, document, keys, ends)
    for name, switch in network.transfer_switches.items():
        keys = ("network", "transfer_switches", name)
        ends = {
            "load_bus": switch.load_bus,
            "preferred_bus": switch.preferred_bus,
            "alternate_bus": switch.alternate_bus,
        }
        yield from _ends(network, document, keys, ends) or _one_voltage(network, document, keys, ends)


def _names(network: Topology, document: Document) -> Iterator[Problem]:
    """A branch or switch is called by its name alone."""
    for sections in (("lines", "transformers"), ("breakers", "couplers", "transfer_switches")):
        owners: dict[str, str] = {}
        for section in sections:
            for name in getattr(network, section):
                owner = owners.setdefault(name, section)
                if owner != section:
                    line = document.line(("network", owner, name))
                    yield document.problem(
                        ("network", section, name),
                        found=f"a name that stands among the {owner} (line {line}) already",
                        expected="a name of its own",
                    )
