"""A site that differs from its drawing, as every built one does: the plant that the emulator runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from twin.network.topology import Line, Topology, Transformer
from twin.numeric import clip
from twin.points import Reading, Snapshot
from twin.site import Emulation, Site

UNCERTAIN = frozenset(
    {
        "charge_efficiency", "discharge_efficiency", "standby_kw", "losses_fraction", "availability_factor",
        "no_load_losses_kw", "proportional_losses_fraction", "square_losses_fraction", "reference_cop",
        "pump_kw", "fan_kw", "tower_fan_kw", "door_fan_kw", "idle_w_per_gpu", "active_w_per_gpu", "mean_kw",
        "fuel_no_load_l_per_h", "fuel_slope_l_per_kwh",
    }
)  # fmt: skip
"""Parameters that a drawing never has quite right."""


def perturbed(site: Site, seed: int) -> Site:
    """`site` with every uncertain parameter off by a normal error; the same seed gives the same plant."""
    rng = np.random.default_rng(seed)
    sigma = site.emulation.parameter_error_fraction
    devices = {name: _perturbed_device(device, rng, sigma) for name, device in site.devices.items()}
    return replace(site, devices=devices, network=_perturbed_network(site.network, rng, sigma))


def _perturbed_device(device: Any, rng: np.random.Generator, sigma: float) -> Any:
    changes = {}
    for item in fields(device):
        if item.name in UNCERTAIN:
            value = getattr(device, item.name) * (1 + sigma * float(clip(rng.standard_normal(), -2.5, 2.5)))
            changes[item.name] = min(value, 1.0) if _is_share(item.name) else value
    return replace(device, **changes)


def _is_share(name: str) -> bool:
    return name.endswith(("efficiency", "fraction", "factor"))


def _perturbed_network(topology: Topology, rng: np.random.Generator, sigma: float) -> Topology:
    def error() -> float:
        return 1 + sigma * float(clip(rng.standard_normal(), -2.5, 2.5))

    def line(item: Line) -> Line:
        return replace(
            item,
            resistance_ohm_per_km=item.resistance_ohm_per_km * error(),
            reactance_ohm_per_km=item.reactance_ohm_per_km * error(),
        )

    def transformer(item: Transformer) -> Transformer:
        return replace(
            item,
            short_circuit_fraction=item.short_circuit_fraction * error(),
            copper_fraction=item.copper_fraction * error(),
        )

    return replace(
        topology,
        lines={name: line(item) for name, item in topology.lines.items()},
        transformers={name: transformer(item) for name, item in topology.transformers.items()},
    )


class NoisyMeters:
    """What real meters make of a true snapshot: white noise of their accuracy class."""

    def __init__(self, site: Site, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._sigma = sigma_by_point(site, site.emulation)

    def __call__(self, snapshot: Snapshot) -> Snapshot:
        noise = self._rng.standard_normal(len(snapshot.readings)).tolist()
        readings = {
            point: self._spoiled(point, reading, error)
            for (point, reading), error in zip(snapshot.readings.items(), noise, strict=True)
        }
        return Snapshot(now=snapshot.now, readings=readings)

    def _spoiled(self, point: str, reading: Reading, error: float) -> Reading:
        sigma = self._sigma.get(point)
        return reading if sigma is None else replace(reading, value=reading.value + sigma * error)


def sigma_by_point(site: Site, emulation: Emulation) -> Mapping[str, float]:
    """Standard deviation of each noisy point, in the point's unit."""
    sigma: dict[str, float] = {}
    for name, device in site.devices.items():
        sigma[f"{name}.p_kw"] = sigma[f"{name}.q_kvar"] = emulation.power_noise_fraction * device.rated_kw
        sigma[f"{name}.v_pu"] = emulation.voltage_noise_fraction
    return sigma
