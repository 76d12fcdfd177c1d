"""What the network must not exceed: voltage bands of the buses, current ratings of the branches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from twin.network.topology import Topology
from twin.numeric import BoolArray, Flag, FloatArray

TOLERANCE = 1e-6
"""Of the limit: a value that stands exactly on it is no violation, whatever its last digits."""


KINDS = ("under_voltage", "over_voltage", "line_loading", "transformer_loading")


class NetworkLimits:
    """The limits of one topology as arrays, for code that asks at every step."""

    def __init__(self, topology: Topology) -> None:
        buses = topology.buses.values()
        self._min_v_pu = np.array([bus.min_v_pu for bus in buses]) * (1 - TOLERANCE)
        self._max_v_pu = np.array([bus.max_v_pu for bus in buses]) * (1 + TOLERANCE)
        self._lines = len(topology.lines)

    def quiet(self, v_pu: FloatArray, loading_fraction: FloatArray) -> bool:
        """Whether nothing is violated anywhere, in any scenario: nearly every step of a simulation."""
        by_bus = v_pu.T
        if loading_fraction.max(initial=0.0) > 1 + TOLERANCE:
            return False
        return bool((by_bus >= self._min_v_pu).all() and (by_bus <= self._max_v_pu).all())

    def violations(self, v_pu: FloatArray, loading_fraction: FloatArray) -> Mapping[str, Flag]:
        """Kind → whether it occurs anywhere, per scenario; arrays in the order of the site file, lines first.

        A bus without supply, at 0 pu, is under its voltage too.
        """
        by_bus, overload = v_pu.T, loading_fraction > 1 + TOLERANCE
        return {
            "under_voltage": _anywhere(by_bus < self._min_v_pu),
            "over_voltage": _anywhere(by_bus > self._max_v_pu),
            "line_loading": _anywhere(overload[: self._lines].T),
            "transformer_loading": _anywhere(overload[self._lines :].T),
        }


def describe(
    topology: Topology,
    buses: Sequence[str],
    branches: Sequence[str],
    v_pu: FloatArray,
    loading_fraction: FloatArray,
) -> tuple[tuple[str, str, str], ...]:
    """Every violation of one scenario in words: where, what was found, what is permitted."""
    voltages = zip(buses, v_pu.tolist(), strict=True)
    loadings = zip(branches, loading_fraction.tolist(), strict=True)
    return (*_voltage_problems(topology, voltages), *_loading_problems(topology, loadings))


def _voltage_problems(topology: Topology, found: Iterator[tuple[str, float]]) -> Iterator[tuple[str, str, str]]:
    for name, v_pu in found:
        bus = topology.buses[name]
        if v_pu == 0:
            yield name, "without supply", "a way to a source"
        elif v_pu < bus.min_v_pu * (1 - TOLERANCE):
            yield name, f"{v_pu:.4f} pu", f"at least {bus.min_v_pu:g} pu"
        elif v_pu > bus.max_v_pu * (1 + TOLERANCE):
            yield name, f"{v_pu:.4f} pu", f"at most {bus.max_v_pu:g} pu"


def _loading_problems(topology: Topology, found: Iterator[tuple[str, float]]) -> Iterator[tuple[str, str, str]]:
    for name, fraction in found:
        if fraction > 1 + TOLERANCE:
            line, unit = topology.lines.get(name), topology.transformers.get(name)
            limit = f"{line.rated_a:g} A" if line else f"{unit.rated_kva * unit.parallel_count:g} kVA" if unit else ""
            yield name, f"{fraction:.1%} loaded", f"at most 100%, which is {limit}"


def _anywhere(flags: BoolArray) -> Flag:
    """Any over the last axis; a plain bool for one scenario."""
    # Counting is several times cheaper than `any`, and is all that one scenario needs.
    return bool(np.count_nonzero(flags)) if flags.ndim == 1 else np.asarray(flags.any(axis=-1))
