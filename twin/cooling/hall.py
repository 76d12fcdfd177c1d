"""A hall's warmth: rack, row and hall as a lumped thermal network, stepped exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Gt

from twin.devices.base import STRICT
from twin.numeric import Num
from twin.units import SECONDS_PER_HOUR

Nodes = tuple[Num, Num, Num]
"""Rack, row and hall."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thermal:
    """Heat capacities of a hall and its temperatures at rated heat; capacities for each kW of rated heat.

    Three nodes in a chain: the rack with its equipment, the row (manifolds, the hot aisle or the bath), and the hall
    (the main in which facility water returns), from which the plant takes the heat. Couplings are those of rated flow.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    rack_kj_per_k_per_kw: Annotated[float, Gt(0)]
    row_kj_per_k_per_kw: Annotated[float, Gt(0)]
    hall_kj_per_k_per_kw: Annotated[float, Gt(0)]
    rack_above_row_k: Annotated[float, Gt(0)]
    """At rated heat."""
    row_above_hall_k: Annotated[float, Gt(0)]
    """At rated heat."""
    hall_above_supply_k: Annotated[float, Gt(0)]
    """At rated heat: what the plant cools it by."""

    @property
    def kwh_per_k_per_kw(self) -> Nodes:
        """Heat capacity of each node."""
        rack, row, hall = self.rack_kj_per_k_per_kw, self.row_kj_per_k_per_kw, self.hall_kj_per_k_per_kw
        return rack / SECONDS_PER_HOUR, row / SECONDS_PER_HOUR, hall / SECONDS_PER_HOUR

    @property
    def settled_k(self) -> tuple[float, float, float]:
        """Each node above the supply when rated heat has passed for long."""
        hall_k = self.hall_above_supply_k
        row_k = hall_k + self.row_above_hall_k
        return row_k + self.rack_above_row_k, row_k, hall_k


@lru_cache(maxsize=256)
def fading(thermal: Thermal, step_s: float) -> tuple[tuple[float, float, float], ...]:
    """``exp(-C⁻¹ G t)``: what is left after `step_s` of each node's distance (column) at each node (row).

    G holds the couplings from rack to row, row to hall and hall to supply. Since C and G are symmetric and C is
    diagonal, the exponential follows from the eigenvalues of ``C^(-1/2) G C^(-1/2)``, all of them real and positive.
    """
    root = np.sqrt(np.array(thermal.kwh_per_k_per_kw))
    a, b, c = 1 / thermal.rack_above_row_k, 1 / thermal.row_above_hall_k, 1 / thermal.hall_above_supply_k
    coupling = np.array([[a, -a, 0.0], [-a, a + b, -b], [0.0, -b, b + c]])
    rates, vectors = np.linalg.eigh(coupling / np.outer(root, root))
    left = (vectors * np.exp(-rates * step_s / SECONDS_PER_HOUR)) @ vectors.T
    rows = left * root[None, :] / root[:, None]
    return tuple((float(row[0]), float(row[1]), float(row[2])) for row in rows)


def warmed(thermal: Thermal, above_supply_k: Nodes, heat_fraction: Num, step_s: float) -> Nodes:
    """Nodes above the supply after `step_s` of constant heat, given as a fraction of rated heat.

    ``T(t) = T∞ + exp(-C⁻¹ G t) · (T(0) - T∞)``: exact, so that two half steps are one step.
    """
    settled = [node_k * heat_fraction for node_k in thermal.settled_k]
    distance = [node_k - settled_k for node_k, settled_k in zip(above_supply_k, settled, strict=True)]
    rack, row, hall = (
        settled_k + left[0] * distance[0] + left[1] * distance[1] + left[2] * distance[2]
        for settled_k, left in zip(settled, fading(thermal, step_s), strict=True)
    )
    return rack, row, hall


def held_kwh_per_kw(thermal: Thermal, above_supply_k: Nodes) -> Num:
    """Heat that the nodes hold above the supply, for each kW of rated heat."""
    rack, row, hall = (c * node_k for c, node_k in zip(thermal.kwh_per_k_per_kw, above_supply_k, strict=True))
    return rack + row + hall
