"""NVIDIA's DCGM exporters, as a person writes them in the site file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, MinLen

from twin.devices.base import STRICT
from twin.telemetry.http_address import checked_address

DcgmPoint = Literal["p_kw", "gpu_kw", "gpu_kwh", "gpu_utilisation", "sm_clock_hz"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DcgmLink:
    """The GPUs of a hall, read from the Prometheus text of one exporter in each node. Nothing is commanded here."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    protocol: Literal["dcgm"]
    device: str
    exporters: Annotated[tuple[str, ...], MinLen(1)]
    """Addresses, for example ``http://node-7:9400/metrics``."""
    gpu_count: Annotated[int, Ge(1)]
    """GPUs that all exporters together should show: one that was never seen is missed, too."""
    host_w_per_gpu: Annotated[float, Ge(0)]
    """What a node draws beside its GPUs (processors, fans, power supplies), by each GPU; added for `p_kw`."""
    other_kw: Annotated[float, Ge(0)] = 0.0
    """What the device draws beside its nodes (network, storage, pumps); added for `p_kw`."""
    points: Annotated[tuple[DcgmPoint, ...], MinLen(1)] = ("p_kw", "gpu_kw", "gpu_utilisation", "sm_clock_hz")
    """What is read of the device here; each point of a device comes over one link."""
    username: str | None = None
    password_file: str | None = None
    """For an exporter that asks for HTTP basic authentication."""
    ca_file: str | None = None
    """PEM certificates of who signed the exporters' certificates; else the operating system's authorities."""
    poll_s: Annotated[float, Gt(0), Le(300)] = 5.0
    """From one scrape to the next."""
    collect_s: Annotated[float, Gt(0), Le(300)] = 30.0
    """The exporter's own collection interval (`--collect-interval`, 30 s unless told otherwise). A GPU that draws
    power while its energy counter stands still for twice as long is frozen, and its values are not relied on."""
    timeout_s: Annotated[float, Gt(0), Le(60)] = 5.0
    max_missing_fraction: Annotated[float, Ge(0), Le(1)] = 0.1
    """With more of the GPUs silent, their sum is bad."""

    def __post_init__(self) -> None:
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file together, or neither")
        for address in self.exporters:
            checked_address(address, "exporters", secret=self.username is not None, path=True)
        if len(set(self.exporters)) < len(self.exporters):
            raise ValueError("exporters each once")
