"""On-load tap changers: from the voltage that a changer holds to its next position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from twin.network.admittance import IntArray
from twin.network.topology import Taps, Topology
from twin.numeric import FloatArray


def tap_changers(topology: Topology) -> dict[str, Taps]:
    """Transformer → its taps, for those that change on load."""
    units = topology.transformers.items()
    return {name: unit.taps for name, unit in units if unit.taps is not None and unit.taps.on_load is not None}


def held_bus(topology: Topology, transformer: str) -> str:
    """The bus whose voltage an on-load tap changer holds."""
    unit = topology.transformers[transformer]
    taps = unit.taps
    on_hv = taps is not None and taps.on_load is not None and taps.on_load.side == "hv"
    return unit.hv_bus if on_hv else unit.lv_bus


def next_steps(taps: Taps, steps: IntArray, v_pu: FloatArray) -> IntArray:
    """Next position of an on-load tap changer, per scenario: at most one step, and none within the dead band.

    More turns on the winding whose voltage is held raise that voltage, on the other one they lower it.
    The position ends at the last tap. A dead bus (0 pu) moves nothing: without voltage nothing drives the
    changer.

    Notes
    -----
    The same steps as pandapower's ``DiscreteTapControl``. Time delays, line-drop compensation and the
    circulating currents of changers in parallel are not modelled.
    """
    on_load = taps.on_load
    if on_load is None:
        return steps
    raises = 1 if (taps.side == on_load.side) == (taps.step_fraction > 0) else -1
    low, high = (v_pu < on_load.min_v_pu) & (v_pu > 0), v_pu > on_load.max_v_pu
    wanted: IntArray = steps + raises * (low.astype(np.intp) - high.astype(np.intp))
    within: IntArray = np.minimum(np.maximum(wanted, taps.min_steps), taps.max_steps)
    return within


def at_steps(topology: Topology, steps: Mapping[str, int]) -> Topology:
    """The network with these tap changers in these positions."""
    transformers = dict(topology.transformers)
    for name, position in steps.items():
        unit = transformers[name]
        if unit.taps is not None:
            transformers[name] = replace(unit, taps=replace(unit.taps, position_steps=position))
    return replace(topology, transformers=transformers)
