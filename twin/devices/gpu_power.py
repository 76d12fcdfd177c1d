"""Power of one GPU: by utilisation, by batch, by phase of its work, under a power limit, and by its temperature.

Pure functions. Powers are those that the board itself reports, in W; the node around it is `server_power`'s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le

from twin.devices.base import STRICT
from twin.devices.gpu_models import BatchFit, CapCurve, GpuModel
from twin.numeric import Num, clip, larger, smaller, where

WAKING_FRACTION = 0.01
"""Utilisation at which a GPU counts as awake all the time: at 1 to 2% the H100 and A40 of Cornell BioHPC draw what a
process without work draws."""
LEAKAGE_PER_K = 0.005
"""Relative rise of static power per kelvin of chip temperature. H100 PCIe at rest, Cornell BioHPC, 32 to 38 °C: 0.23 to
0.29 W/K of 50 W. Leakage grows faster than linearly (Price et al., arXiv 1407.8116); over ± 20 K a line is near."""
DECODE_FRACTION = 0.31
"""Of the thermal design power: middle of 137 to 300 W of 700 W, H200 (arXiv 2605.11999). Large batches draw more:
`batch_w`."""
PREFILL_FRACTION = 1.0
"""Compute-bound like training at its peak; a limit binds here, and not in decode (arXiv 2605.11999)."""


def utilised_w(utilisation: Num, *, idle_w: Num, awake_w: Num, busy_w: Num) -> Num:
    """Mean power of a GPU of which kernels run for the fraction `utilisation` of the time.

    ``idle + (awake - idle) · min(u / 0.01, 1) + (busy - awake) · u``; `utilisation` from 0 to 1, clamped. The
    first step is that of a process on the GPU, which raises the clocks. Utilisation says that a kernel runs, not
    how much of the chip it uses: `busy_w` differs between programs by a factor of two (benchmarks/gpu_power.py).
    """
    u = clip(utilisation, 0.0, 1.0)
    return idle_w + (awake_w - idle_w) * smaller(u / WAKING_FRACTION, 1.0) + (busy_w - awake_w) * u


def batch_w(batch_count: Num, fit: BatchFit) -> Num:
    """Power of a GPU that decodes `batch_count` requests at once, 1 at least.

    ``floor + range / (1 + exp(-k (log2 b - x0)))``, written with ``exp(-k log2 b) = b^(-k / ln 2)``. Fitted between 1
    and about 1,000; between its two limits everywhere.
    """
    requests = larger(batch_count, 1.0)
    fall = math.exp(fit.slope_factor * fit.middle_factor) * requests ** (-fit.slope_factor / math.log(2.0))
    power_w: Num = fit.floor_w + fit.range_w / (1.0 + fall)
    return power_w


def capped_w(limit_w: Num, wanted_w: Num, tdp_w: float, curve: CapCurve) -> Num:
    """Mean power under a limit, of work that draws `wanted_w` without: never above either of the two.

    ``wanted · (1 + (wanted / limit)^n - (wanted / tdp)^n)^(-1/n)``, a soft minimum: power within an epoch fluctuates,
    so that a limit above the mean already cuts peaks, and the thermal design power has cut the highest before. From
    there on a limit changes nothing, and `wanted_w` is taken for `tdp_w` at most. Fitted to Zeus between 33% and 92% of
    the thermal design power. An A40 does not hold 100 W (it draws up to 121 W), which this does not follow.
    """
    n = curve.sharpness_factor
    wanted, limit = smaller(wanted_w, tdp_w), smaller(limit_w, tdp_w)
    power_w: Num = wanted * (1.0 + (wanted / limit) ** n - (wanted / tdp_w) ** n) ** (-1.0 / n)
    return power_w


def clock_fraction(limit_w: Num, wanted_w: Num, tdp_w: float, curve: CapCurve) -> Num:
    """Clock under a limit, of the clock without.

    Dynamic power falls with the clock to the power of `steepness_factor` while the voltage falls too, and in proportion
    to the clock below `knee_fraction`, where the voltage stands at its lowest: the two regimes of voltage and
    frequency scaling (P = static + C V² f; Mei et al. 2017, doi 10.1016/j.dcan.2016.10.001).
    """
    static_w = curve.static_fraction * tdp_w
    share = clip((limit_w - static_w) / larger(wanted_w - static_w, 1e-9), 1e-3, 1.0)
    knee = curve.knee_fraction**curve.steepness_factor
    above = share ** (1.0 / curve.steepness_factor)
    below = share * (curve.knee_fraction / knee)
    return where(wanted_w <= limit_w, 1.0, where(share > knee, above, below))


def speed_fraction(limit_w: Num, wanted_w: Num, tdp_w: float, curve: CapCurve) -> Num:
    """Work per time under a limit, of that without: ``1 / (1 + bound · (1 / clock - 1))``.

    The part of the time that waits for memory does not stretch. Median error on configurations that the fit did not
    see, in benchmarks/README.md.
    """
    slower = 1.0 / clock_fraction(limit_w, wanted_w, tdp_w, curve) - 1.0
    speed: Num = 1.0 / (1.0 + curve.bound_fraction * slower)
    return speed


def leakage_w(static_w: Num, warmer_k: Num) -> Num:
    """Power on top of `static_w` of a chip that is warmer than at its reference, by `warmer_k` (± 30 K, clamped)."""
    return static_w * LEAKAGE_PER_K * clip(warmer_k, -30.0, 30.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phases:
    """What busy GPUs do, as shares of their busy time without a limit; together 1."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    training_share: Annotated[float, Ge(0), Le(1)] = 0.0
    prefill_share: Annotated[float, Ge(0), Le(1)] = 0.0
    """Reading of prompts."""
    decode_share: Annotated[float, Ge(0), Le(1)] = 0.0
    """Writing of answers."""
    checkpoint_share: Annotated[float, Ge(0), Le(1)] = 0.0
    """Synchronous saving: the GPU waits with its clocks up."""

    def __post_init__(self) -> None:
        total = self.training_share + self.prefill_share + self.decode_share + self.checkpoint_share
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"shares of the phases that are 1 together, not {total:g}")

    def powers_w(self, model: GpuModel, decode_w: float | None = None) -> tuple[tuple[float, float], ...]:
        """Share and power without a limit, of each phase; `decode_w` in place of the usual fraction."""
        decoding_w = DECODE_FRACTION * model.tdp_w if decode_w is None else decode_w
        return (
            (self.training_share, model.training_fraction * model.tdp_w),
            (self.prefill_share, PREFILL_FRACTION * model.tdp_w),
            (self.decode_share, max(decoding_w, model.awake_w)),
            (self.checkpoint_share, model.awake_w),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """A busy GPU over all phases of its work."""

    mean_w: float
    speed_fraction: float
    """Work per time, of that without a limit."""


def busy_gpu(phases: Phases, model: GpuModel, limit_w: float, decode_w: float | None = None) -> Busy:
    """Mean power and speed of a busy GPU under a limit: each phase keeps its work and takes ``share / speed`` of time.

    A limit of the thermal design power or more changes nothing.
    """
    powers = phases.powers_w(model, decode_w)
    times = [share / float(speed_fraction(limit_w, power_w, model.tdp_w, model.curve)) for share, power_w in powers]
    energies = [
        time * float(capped_w(limit_w, power_w, model.tdp_w, model.curve))
        for time, (_, power_w) in zip(times, powers, strict=True)
    ]
    return Busy(mean_w=sum(energies) / sum(times), speed_fraction=1.0 / sum(times))
