"""The `hardware` and `inlet` blocks of a GPU hall: what stands in it, and how warm the air is that it draws in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, MinLen

from twin.devices.base import STRICT
from twin.devices.gpu_models import BATCH_FITS, GpuModel, gpu_model
from twin.devices.gpu_power import Busy, Phases, batch_w, busy_gpu, leakage_w
from twin.devices.server_power import MAX_INLET_C, MIN_INLET_C, REFERENCE_INLET_C, Node
from twin.numeric import Num, clip

FAN_SHARE = {"air": 0.15, "liquid": 0.02}
"""Of a node's rated power, at full speed. Cold plates leave the air a small part of the heat; both are assumptions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """Nodes of one kind. What a GPU draws, its share of the node included, is taken from published figures.

    Idle: no process on any GPU. Active: every GPU of the node busy with the work of `phases`. Fans answer to a node's
    whole load, so that a half-busy node draws less than the mean of the two: 4% at an inlet of 22 °C, 6% at 27 °C, 10%
    at 35 °C. Jobs usually fill nodes.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    gpu: Annotated[str, MinLen(1)]
    """Kind of GPU, for example H100_SXM; `twin.devices.gpu_models` has the list."""
    count: Annotated[int, Ge(1)]
    """Number of GPUs."""
    nodes_of: Annotated[int, Ge(1)] = 8
    """GPUs in one node."""
    cooling: Literal["air", "liquid"] = "air"
    """What takes the heat of the chips: with liquid, fans are small."""
    phases: Phases = field(default_factory=lambda: Phases(training_share=1.0))
    """What busy GPUs do."""
    decode_fit: str | None = None
    """Measured curve of power over batch for the decode phase, for example H100_llama_70b_tp4."""
    batch_count: Annotated[float, Ge(1)] | None = None
    """Requests decoded at once, for `decode_fit`."""
    power_limit_w: Annotated[float, Gt(0)] | None = None
    """Limit that is set on each GPU; none: its thermal design power."""
    host_idle_w: Annotated[float, Ge(0)] = 444.0
    """Processors, memory, network and disks of one node at rest; see `Node`."""
    host_active_w: Annotated[float, Ge(0)] = 824.0
    """The same under load."""

    def __post_init__(self) -> None:
        model = gpu_model(self.gpu)
        if self.count % self.nodes_of:
            raise ValueError(f"count a multiple of nodes_of, not {self.count} and {self.nodes_of}")
        if self.power_limit_w is not None and not model.awake_w < self.power_limit_w <= model.tdp_w:
            held = (
                f"above {model.awake_w:g} W, which {self.gpu} draws awake without work, and at most {model.tdp_w:g} W"
            )
            raise ValueError(f"power_limit_w {held}, not {self.power_limit_w:g}")
        if self.host_active_w < self.host_idle_w:
            raise ValueError(f"host_active_w of host_idle_w at least, which is {self.host_idle_w:g}")
        self._check_decode()

    def _check_decode(self) -> None:
        if (self.decode_fit is None) != (self.batch_count is None):
            raise ValueError("decode_fit and batch_count together, or neither")
        known = [name for name, fit in BATCH_FITS.items() if fit.gpu == self.gpu]
        if self.decode_fit is not None and self.decode_fit not in known:
            raise ValueError(
                f"decode_fit one of those for {self.gpu} ({', '.join(known) or 'none'}), not {self.decode_fit!r}"
            )

    @property
    def model(self) -> GpuModel:
        return gpu_model(self.gpu)

    @property
    def node(self) -> Node:
        return Node(
            gpu_count=self.nodes_of,
            gpu_tdp_w=self.model.tdp_w,
            host_idle_w=self.host_idle_w,
            host_active_w=self.host_active_w,
            fan_share=FAN_SHARE[self.cooling],
        )

    @property
    def busy(self) -> Busy:
        """One busy GPU, at the reference inlet."""
        decode_w = None
        if self.decode_fit is not None and self.batch_count is not None:
            decode_w = float(batch_w(self.batch_count, BATCH_FITS[self.decode_fit]))
        limit_w = self.model.tdp_w if self.power_limit_w is None else self.power_limit_w
        return busy_gpu(self.phases, self.model, limit_w, decode_w)

    def idle_w(self, inlet_c: Num = REFERENCE_INLET_C) -> Num:
        """Share of one GPU in its node at rest, at the socket."""
        return self._socket_w(self.model.idle_w, self.model.idle_w, 0.0, inlet_c)

    def active_w(self, inlet_c: Num = REFERENCE_INLET_C) -> Num:
        """Share of one GPU in its node under load, at the socket."""
        return self._socket_w(self.busy.mean_w, self.model.awake_w, 1.0, inlet_c)

    @property
    def compute_w(self) -> float:
        """Of `active_w` at the reference inlet: what processors, memory and network draw, behind fans and supplies."""
        node = self.node.power(self.nodes_of * self.busy.mean_w, 1.0)
        return float(node.useful_w - node.fans_w) / self.nodes_of

    def _socket_w(self, gpu_w: float, static_w: float, busy_fraction: float, inlet_c: Num) -> Num:
        """A limit holds whatever the temperature: what leaks then lacks for work, which is not followed."""
        inlet = clip(inlet_c, MIN_INLET_C, MAX_INLET_C)
        warm_w = gpu_w + leakage_w(static_w, inlet - REFERENCE_INLET_C)
        if self.power_limit_w is not None:
            warm_w = clip(warm_w, 0.0, self.power_limit_w)
        return self.node.power(self.nodes_of * warm_w, busy_fraction, inlet).drawn_w / self.nodes_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Inlet:
    """Air that the nodes draw in: so much warmer than outdoors, kept within the band that the cooling holds."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    min_c: Annotated[float, Ge(MIN_INLET_C)] = 18.0
    """Colder air is mixed with return air. ASHRAE recommends 18 to 27 °C."""
    max_c: float = 27.0
    """What the cooling holds on a hot day."""
    above_outdoor_k: Annotated[float, Ge(0)] = 3.0

    def __post_init__(self) -> None:
        if not self.min_c <= self.max_c <= MAX_INLET_C:
            raise ValueError(f"max_c from min_c to {MAX_INLET_C:g}, not {self.max_c:g} with min_c {self.min_c:g}")

    def inlet_c(self, dry_bulb_c: Num) -> Num:
        return clip(dry_bulb_c + self.above_outdoor_k, self.min_c, self.max_c)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All hardware of a hall. Work spreads over all kinds alike, and one GPU's hour counts as much as another's."""

    hardware: Sequence[Hardware]

    @property
    def gpu_count(self) -> int:
        return sum(item.count for item in self.hardware)

    @property
    def speed_fraction(self) -> float:
        """Work per time of all GPUs, of that without limits."""
        return sum(item.count * item.busy.speed_fraction for item in self.hardware) / self.gpu_count

    @property
    def compute_fraction(self) -> float:
        """Of the power of a hall at work, what reaches compute components."""
        return sum(item.count * item.compute_w for item in self.hardware) / (self.gpu_count * float(self.active_w()))

    def idle_w(self, inlet_c: Num = REFERENCE_INLET_C) -> Num:
        """Mean over the GPUs."""
        return sum((item.count * item.idle_w(inlet_c) for item in self.hardware), 0.0 * inlet_c) / self.gpu_count

    def active_w(self, inlet_c: Num = REFERENCE_INLET_C) -> Num:
        """Mean over the GPUs."""
        return sum((item.count * item.active_w(inlet_c) for item in self.hardware), 0.0 * inlet_c) / self.gpu_count
