"""What a DCGM exporter says of its GPUs: Prometheus text to values. Pure.

Units are those of the exporter's own counter list (NVIDIA/dcgm-exporter, `etc/default-counters.csv`): W, mJ, %, MHz.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

POWER = "DCGM_FI_DEV_POWER_USAGE"
ENERGY = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
UTILISATION = "DCGM_FI_DEV_GPU_UTIL"
SM_CLOCK = "DCGM_FI_DEV_SM_CLOCK"
NAMES = (POWER, ENERGY, UTILISATION, SM_CLOCK)

MJ_PER_KWH = 3.6e9
BLANK = float(0x7FFF_FFF0)
"""From here on DCGM means "no value" in 32 bits (`dcgm_structs.h`: DCGM_INT32_BLANK and the reasons above it)."""
BLANK_LONG = float(2**47)
"""The same in floating point (DCGM_FP64_BLANK); that of 64-bit integers, 0x7FFFFFFFFFFFFFF0, is above it."""
PER_CENT = 100.0
HZ_PER_MHZ = 1e6


class UnusableTextError(ValueError):
    """Not Prometheus text, with the reason in plain words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """What one GPU shows. What it does not show, or shows as blank, is None."""

    name: str
    """Host, number and UUID, as far as told."""
    power_w: float | None = None
    energy_kwh: float | None = None
    """Since its driver was loaded."""
    utilisation: float | None = None
    sm_clock_hz: float | None = None
    stamp_s: float | None = None
    """Seconds of the Unix epoch at which it was so, where the text says it (a federating Prometheus does)."""


def read_metrics(text: str, exporter: str) -> dict[str, Gpu]:
    """Every GPU in the text of an exporter, by its UUID. Raises `UnusableTextError`.

    A GPU that is divided (MIG) or shared by pods appears with the same power in several lines; it counts once.
    """
    values: dict[str, dict[str, Sample]] = {}
    for sample in _samples(text):
        values.setdefault(_key(sample.labels, exporter), {})[sample.name.removesuffix("_total")] = sample
    return {key: _gpu(samples, exporter) for key, samples in values.items()}


def _samples(text: str) -> Iterator[Sample]:
    # An exporter shows dozens of figures for each GPU, and the parser takes 10 µs for each: only ours are parsed.
    ours = "".join(f"{line}\n" for line in text.splitlines() if line.startswith(NAMES))
    try:
        for family in text_string_to_metric_families(ours):
            if family.name.removesuffix("_total") in NAMES:
                yield from family.samples
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise UnusableTextError(f"not Prometheus text: {str(error)[:100]}") from None
    if not ours and not text.lstrip().startswith("#") and text.strip():
        raise UnusableTextError(f"not the text of a DCGM exporter: {text.strip()[:40]!r}")


def _key(labels: Mapping[str, str], exporter: str) -> str:
    return labels.get("UUID") or f"{labels.get('Hostname', exporter)} {labels.get('gpu', '?')}"


def _gpu(samples: Mapping[str, Sample], exporter: str) -> Gpu:
    labels = next(iter(samples.values())).labels
    uuid = f" ({labels['UUID']})" if labels.get("UUID") else ""
    power = samples.get(POWER)
    return Gpu(
        name=f"{labels.get('Hostname') or exporter} GPU {labels.get('gpu', '?')}{uuid}",
        power_w=_value(power, BLANK),
        energy_kwh=_scaled(_value(samples.get(ENERGY), BLANK_LONG), 1.0 / MJ_PER_KWH),
        utilisation=_scaled(_value(samples.get(UTILISATION), BLANK), 1.0 / PER_CENT),
        sm_clock_hz=_scaled(_value(samples.get(SM_CLOCK), BLANK), HZ_PER_MHZ),
        stamp_s=None if power is None or power.timestamp is None else float(power.timestamp),
    )


def _value(sample: Sample | None, blank: float) -> float | None:
    if sample is None or not math.isfinite(sample.value) or not 0.0 <= sample.value < blank:
        return None
    return float(sample.value)


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
