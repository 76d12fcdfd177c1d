"""What use and time cost a battery: a price for control, and the fade that an audit finds in a series of its states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import rainflow
from annotated_types import Ge, Gt, Le

from twin.devices.base import STRICT
from twin.numeric import FloatArray

ZERO_CELSIUS_K = 273.15
REFERENCE_K = 298.15
SEI_FRACTION, SEI_SPEED = 5.75e-2, 121.0
"""Capacity that the first film on the anode takes, and how much faster than the rest."""
DEPTH = (1.40e5, -5.01e-1, -1.23e5)
PER_SOC, REFERENCE_SOC = 1.04, 0.5
PER_K = 6.93e-2
PER_S = 4.14e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class Wear:
    """What a maker promises of cycles, as a price of throughput.

    Notes
    -----
    ``cost per kWh each way = replacement cost per kWh of capacity / (2 · cycles · depth)``. Inside a linear program it
    keeps all but 3.3% of the value that ignoring wear would lose 29% of (Foggo and Yu, "Improved Battery Storage
    Valuation Through Degradation Reduction", IEEE Trans. Smart Grid, 2018).
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    replacement_cost_per_kwh: Annotated[float, Ge(0)]
    """Of new cells, per kWh of nominal capacity."""
    life_cycles: Annotated[float, Gt(0)]
    """Cycles to the end of life."""
    cycle_depth_fraction: Annotated[float, Gt(0), Le(1)] = 0.8
    """Depth of discharge of those cycles."""

    @property
    def wear_cost_per_kwh(self) -> float:
        """Of each kWh into the cells, and of each out of them."""
        return self.replacement_cost_per_kwh / (2.0 * self.life_cycles * self.cycle_depth_fraction)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycles:
    """What rainflow counting finds in a series, one row for each cycle."""

    depth_fraction: FloatArray
    mean_soc: FloatArray
    count: FloatArray
    """1 for a full cycle, 0.5 for a half one."""
    mean_c: FloatArray
    """Of the cells, from its beginning to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fade:
    """What of the first capacity is gone."""

    calendar_fraction: float
    """Linear ageing by time; no capacity yet."""
    cycling_fraction: float
    """Linear ageing by cycles; no capacity yet."""
    capacity_fraction: float
    """Lost. `Battery.soh` is 1 less this."""


def counted_cycles(soc: FloatArray, cell_c: FloatArray) -> Cycles:
    """Cycles in a series of states of charge, by rainflow counting (ASTM E1049-85, section 5.4.4).

    Parameters
    ----------
    soc : one value for each instant, ``(steps,)``.
    cell_c : temperature of the cells at the same instants.
    """
    rows = [row for row in rainflow.extract_cycles(soc) if row[0] > 0.0]
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 5)
    first, last = table[:, 3].astype(np.intp), table[:, 4].astype(np.intp)
    sums_k = np.concatenate([[0.0], np.cumsum(cell_c)])
    return Cycles(
        depth_fraction=table[:, 0],
        mean_soc=table[:, 1],
        count=table[:, 2],
        mean_c=(sums_k[last + 1] - sums_k[first]) / (last + 1 - first),
    )


def depth_stress(depth_fraction: FloatArray) -> FloatArray:
    """Linear ageing of one full cycle at 50% mean state of charge and 25 °C: ``1 / (k1 · depth^k2 + k3)``.

    Depth above 0 to 1. Xu et al. 2016, equation 19 and table I, fitted to a lithium manganese oxide cell.
    """
    k1, k2, k3 = DEPTH
    return 1.0 / (k1 * np.minimum(depth_fraction, 1.0) ** k2 + k3)


def soc_stress(soc: FloatArray) -> FloatArray:
    """How much faster cells age at a mean state of charge than at 50%: ``exp(k · (soc − 0.5))``, Xu et al. 2016."""
    return np.exp(PER_SOC * (soc - REFERENCE_SOC))


def temperature_stress(cell_c: FloatArray) -> FloatArray:
    """How much faster cells age than at 25 °C: ``exp(k · (T − T₀) · T₀ / T)``, temperatures in kelvin.

    Arrhenius' law, whose constant is told as growth per kelvin at 25 °C. Valid from 15 °C: plating, which cold does to
    a cell that is charged, is not in it, so that it tells of less ageing than there is below. Xu et al. 2016.
    """
    kelvin = cell_c + ZERO_CELSIUS_K
    return np.exp(PER_K * (kelvin - REFERENCE_K) * REFERENCE_K / kelvin)


def capacity_lost_fraction(linear_fraction: float) -> float:
    """Capacity lost at a linear ageing: ``1 − a · exp(−b · f) − (1 − a) · exp(−f)``; a film first, then the rest."""
    quick = SEI_FRACTION * np.exp(-SEI_SPEED * linear_fraction)
    return float(1.0 - quick - (1.0 - SEI_FRACTION) * np.exp(-linear_fraction))


def capacity_fade(soc: FloatArray, cell_c: FloatArray, step_s: float, repeat_count: float = 1.0) -> Fade:
    """Capacity that a new battery has lost after a series of states, for the audit of a run.

    Parameters
    ----------
    soc, cell_c : state of charge and temperature of the cells, one value every `step_s`.
    repeat_count : how many such series in a row; 10 of a year are ten years.

    Notes
    -----
    B. Xu, A. Oudalov, A. Ulbig, G. Andersson, D. Kirschen, "Modeling of Lithium-Ion Battery Degradation for Cell Life
    Assessment", IEEE Trans. Smart Grid 9(2), 2018, doi 10.1109/TSG.2016.2578950. Its constants are those of one
    lithium manganese oxide cell; cells of iron phosphate live longer, so that it is on the safe side for them.
    """
    cycles = counted_cycles(soc, cell_c)
    stress = depth_stress(cycles.depth_fraction) * soc_stress(cycles.mean_soc) * temperature_stress(cycles.mean_c)
    cycling = repeat_count * float(np.sum(cycles.count * stress))
    calendar = repeat_count * PER_S * step_s * float(np.sum(soc_stress(soc) * temperature_stress(cell_c)))
    return Fade(
        calendar_fraction=calendar,
        cycling_fraction=cycling,
        capacity_fraction=capacity_lost_fraction(calendar + cycling),
    )
