"""Power of a server around its GPUs, at the socket: host, switches, fans, and what the power supplies lose."""

from __future__ import annotations

from dataclasses import dataclass

from twin.numeric import Num, clip

REFERENCE_INLET_C = 22.0
"""Inlet at which figures without a temperature hold."""
DESIGN_INLET_C = 35.0
"""Inlet at which the fans carry full load at full speed: ASHRAE class A2."""
CHIP_LIMIT_C = 85.0
"""Temperature at which the fans hold the hottest chip; GPUs slow themselves a little above."""
SLOWEST_FAN_FRACTION = 0.3
MIN_INLET_C, MAX_INLET_C = 10.0, 45.0
"""Inlets beyond are taken for these."""


def fan_speed_fraction(load_fraction: Num, inlet_c: Num) -> Num:
    """Fan speed that holds the chips at their limit; `load_fraction` is heat, of the rated heat.

    A heat sink's resistance falls about as its air flow rises: ``speed = load · (limit - design) / (limit - inlet)``,
    between 0.3 and 1. At 22 °C and full load 0.79.
    """
    inlet = clip(inlet_c, MIN_INLET_C, MAX_INLET_C)
    return clip(load_fraction * (CHIP_LIMIT_C - DESIGN_INLET_C) / (CHIP_LIMIT_C - inlet), SLOWEST_FAN_FRACTION, 1.0)


def fan_w(rated_w: Num, load_fraction: Num, inlet_c: Num) -> Num:
    """Fan power: the affinity law, ``rated · speed³``."""
    power_w: Num = rated_w * fan_speed_fraction(load_fraction, inlet_c) ** 3
    return power_w


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePower:
    """Where the power goes that one node draws; the fields add up to `drawn_w`."""

    gpus_w: Num
    host_w: Num
    """Processors, memory, network, disks."""
    switches_w: Num
    fans_w: Num
    dc_losses_w: Num
    """Of the intermediate DC stage."""
    psu_losses_w: Num
    """Of rectifier or power supplies."""

    @property
    def useful_w(self) -> Num:
        """Behind the last conversion."""
        return self.gpus_w + self.host_w + self.switches_w + self.fans_w

    @property
    def drawn_w(self) -> Num:
        """At the socket."""
        return self.useful_w + self.dc_losses_w + self.psu_losses_w


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A server with GPUs. By default one with two processors, as ExaDigiT RAPS has it for Selene (DGX A100).

    Host: two processors of 90 W at rest and 280 W under load, memory 74 W, eight network cards of 20 W, disks 30 W: 444
    to 824 W. Acme's servers without GPUs draw 468 to 960 W at the socket. Fans and switches have no published
    figure that we found: fans at full speed 15% of what the node draws with them is an assumption, as is 37.5 W of
    switches per GPU.
    """

    gpu_count: int
    gpu_tdp_w: float
    host_idle_w: float = 444.0
    host_active_w: float = 824.0
    switch_w_per_gpu: float = 37.5
    fan_share: float = 0.15
    """Of the node's rated power, at full speed."""
    psu_efficiency: float = 0.96
    """Rectifier (Frontier, RAPS)."""
    dc_efficiency: float = 0.98
    """Intermediate DC stage (Frontier, RAPS)."""

    @property
    def rated_heat_w(self) -> float:
        """Of everything but the fans."""
        return self.gpu_count * (self.gpu_tdp_w + self.switch_w_per_gpu) + self.host_active_w

    @property
    def rated_fan_w(self) -> float:
        return self.rated_heat_w * self.fan_share / (1.0 - self.fan_share)

    def power(self, gpus_w: Num, busy_fraction: Num, inlet_c: Num = REFERENCE_INLET_C) -> NodePower:
        """With GPUs that draw `gpus_w` together, of which `busy_fraction` work; the host's load follows theirs."""
        host_w = self.host_idle_w + (self.host_active_w - self.host_idle_w) * busy_fraction
        switches_w = self.gpu_count * self.switch_w_per_gpu
        heat_w = gpus_w + host_w + switches_w
        fans_w = fan_w(self.rated_fan_w, heat_w / self.rated_heat_w, inlet_c)
        into_dc_w = (heat_w + fans_w) / self.dc_efficiency
        return NodePower(
            gpus_w=gpus_w,
            host_w=host_w,
            switches_w=switches_w,
            fans_w=fans_w,
            dc_losses_w=into_dc_w - (heat_w + fans_w),
            psu_losses_w=into_dc_w / self.psu_efficiency - into_dc_w,
        )
