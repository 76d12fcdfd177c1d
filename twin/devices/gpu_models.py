"""Published and measured figures of GPUs: power at rest, parked and under load, and speed under a power limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True, kw_only=True)
class CapCurve:
    """How power and speed of one kind of GPU answer to a power limit; see `twin.devices.gpu_power`."""

    static_fraction: float
    """Power that no clock lowers, of the thermal design power."""
    steepness_factor: float
    """Exponent of dynamic power over clock while the voltage follows the clock."""
    knee_fraction: float
    """Clock, of the uncapped one, below which the voltage stays and power falls in proportion to the clock."""
    bound_fraction: float
    """Part of the running time that stretches as the clock falls; the rest waits for memory."""
    sharpness_factor: float
    """Exponent of the soft minimum of limit and wanted power: large where power hardly fluctuates."""


V100_CURVE = CapCurve(
    static_fraction=0.05, steepness_factor=2.39, knee_fraction=0.814, bound_fraction=1.0, sharpness_factor=2.47
)
"""Fitted to Zeus (NSDI 2023), V100 at 100 to 225 of 250 W, 408 points; benchmarks/gpu_power.py fits it again. The data
do not settle the static part, which stands at the least that the fit allows."""
A40_CURVE = CapCurve(
    static_fraction=0.204, steepness_factor=4.10, knee_fraction=0.912, bound_fraction=1.0, sharpness_factor=4.36
)
"""As `V100_CURVE`: A40 at 100 to 275 of 300 W, 400 points. Its memory is GDDR6, not HBM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuModel:
    """One kind of GPU."""

    tdp_w: float
    """Thermal design power, by the datasheet: the highest power limit."""
    idle_w: float
    """No process on it."""
    awake_w: float
    """A process holds it and no work runs: clocks up, 26 to 66 W above idle (arXiv 2605.23918)."""
    training_fraction: float = 0.90
    """Mean power in training, of the thermal design power. Zeus, BERT and ResNet-50 without a limit: 0.89 to 0.91 on
    V100, 0.78 to 0.92 on A40."""
    curve: CapCurve = V100_CURVE
    """Measured for V100 and A40 alone; the V100's for every other GPU with HBM, which is an assumption."""
    source: str
    """Where idle and awake power come from; thermal design power is the maker's."""


_CONTEXT = "awake: idle + 38 W, middle of 26 to 50 W with HBM (arXiv 2605.23918)"
_BLACKWELL = "assumed: the H200's 11% of thermal design power, no measured figure found; " + _CONTEXT

GPU_MODELS: Mapping[str, GpuModel] = {
    "V100_PCIE": GpuModel(
        tdp_w=250,
        idle_w=35,
        awake_w=38,
        source="Zeus NSDI 2023: 34.8 W at least, 38 W median of NCF, which hardly loads it",
    ),
    "V100_SXM": GpuModel(tdp_w=300, idle_w=40, awake_w=46, source="assumed: V100_PCIE in proportion"),
    "A40": GpuModel(
        tdp_w=300,
        idle_w=29,
        awake_w=73,
        curve=A40_CURVE,
        source="Cornell BioHPC cbsugpu05, medians at rest and at 1 to 5% utilisation; from 2024 on also 22 W at rest",
    ),
    "A100_SXM": GpuModel(
        tdp_w=400, idle_w=63, awake_w=93, source="Acme Seren (CC-BY-4.0), 10th and 45th percentile of all GPU samples"
    ),
    "A100_PCIE": GpuModel(tdp_w=300, idle_w=55, awake_w=93, source="assumed: below A100_SXM; " + _CONTEXT),
    "L40S": GpuModel(
        tdp_w=350,
        idle_w=29,
        awake_w=95,
        curve=A40_CURVE,
        source="idle assumed as A40; 66 W for the process (arXiv 2605.23918)",
    ),
    "H100_PCIE": GpuModel(
        tdp_w=350, idle_w=50, awake_w=86, source="Cornell BioHPC cbsugpu08, medians at rest and at 1 to 2% utilisation"
    ),
    "H100_SXM": GpuModel(tdp_w=700, idle_w=77, awake_w=115, source="assumed as H200_SXM, the same chip; " + _CONTEXT),
    "H200_SXM": GpuModel(tdp_w=700, idle_w=77, awake_w=115, source="74 to 80 W (weak sources); " + _CONTEXT),
    "B200_SXM": GpuModel(tdp_w=1000, idle_w=110, awake_w=148, source=_BLACKWELL),
    "GB200": GpuModel(tdp_w=1200, idle_w=132, awake_w=170, source=_BLACKWELL),
    "MI250X": GpuModel(tdp_w=560, idle_w=88, awake_w=126, source="ExaDigiT RAPS, Frontier; " + _CONTEXT),
}
"""Name in the site file → figures."""


def gpu_model(name: str) -> GpuModel:
    """The figures of a GPU; `ValueError` with the known names, and the nearest, for one that is not here."""
    if name not in GPU_MODELS:
        near = get_close_matches(name.upper(), GPU_MODELS, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"gpu one of {', '.join(GPU_MODELS)}, not {name!r}{hint}")
    return GPU_MODELS[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFit:
    """Power of one GPU that decodes, by the number of requests in the batch; see `gpu_power.batch_w`."""

    gpu: str
    floor_w: float
    """At small batches. Not idle: the weights are read for every token."""
    range_w: float
    """From the floor to the largest batch."""
    slope_factor: float
    """Per doubling of the batch."""
    middle_factor: float
    """Binary logarithm of the batch at which half of the range is reached."""


BATCH_FITS: Mapping[str, BatchFit] = {
    "H100_llama_8b_tp1": BatchFit(gpu="H100_SXM", floor_w=480, range_w=214, slope_factor=1.21, middle_factor=5.5),
    "H100_llama_70b_tp4": BatchFit(gpu="H100_SXM", floor_w=431, range_w=220, slope_factor=0.87, middle_factor=7.0),
    "H100_llama_405b_fp8_tp8": BatchFit(gpu="H100_SXM", floor_w=394, range_w=241, slope_factor=1.01, middle_factor=5.9),
    "B200_llama_405b_tp8": BatchFit(gpu="B200_SXM", floor_w=729, range_w=222, slope_factor=1.83, middle_factor=5.0),
    "B200_llama_70b_tp2": BatchFit(gpu="B200_SXM", floor_w=858, range_w=106, slope_factor=2.55, middle_factor=6.1),
}
"""Our fits to the chat task of the ML.ENERGY benchmark v3; median in-sample error 1.5% over 82 groups. Llama 3.1."""
