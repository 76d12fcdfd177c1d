"""Management controllers of servers that speak Redfish, as a person writes them in the site file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, MinLen

from twin.devices.base import STRICT
from twin.telemetry.http_address import checked_address

RedfishPoint = Literal["p_kw", "limit_kw"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RedfishLink:
    """The nodes of a hall, each behind a management controller of its own (or several behind one).

    Redfish has no dead-man: a power limit stays until somebody sets another. While gridhelm runs, it returns a limit
    whose command has expired to the device's safe setpoint itself, and does so too when it ends in good order. When
    its machine or the management network dies, **the limit stays in force**. A hall is therefore steered over Redfish
    only where `left_in_force` says that this is known and wanted.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    protocol: Literal["redfish"]
    device: str
    controllers: Annotated[tuple[str, ...], MinLen(1)]
    """Addresses, ``https://host[:port]``. Plain ``http://`` only on this machine itself."""
    username: str
    password_file: str
    """Beside the site file."""
    ca_file: str | None = None
    """PEM certificates of who signed the controllers' certificates; else the operating system's authorities."""
    session: bool = True
    """True: log in once and show a token, as Redfish prefers. False: HTTP basic authentication with every question."""
    chassis: tuple[str, ...] = ()
    """The chassis of each controller that are nodes, by their Id. Needed only where several tell their power."""
    points: Annotated[tuple[RedfishPoint, ...], MinLen(1)] = ("p_kw", "limit_kw")
    """What is read of the device here; each point of a device comes over one link."""
    left_in_force: bool = False
    """True: the device's limit is set here, and stays in force when gridhelm dies."""
    other_kw: Annotated[float, Ge(0)] = 0.0
    """What the device draws beside its nodes (network, storage, pumps); added to their power and to their limit."""
    poll_s: Annotated[float, Gt(0), Le(300)] = 5.0
    """From one reading of a node to the next."""
    timeout_s: Annotated[float, Gt(0), Le(60)] = 10.0
    """A controller that takes longer over one answer is silent. They are slow: seconds are usual."""
    receipt_s: Annotated[float, Gt(0), Le(10)] = 0.5
    """How long a control cycle waits for the nodes to confirm a limit; what comes later is known in the next cycle."""
    max_missing_fraction: Annotated[float, Ge(0), Le(1)] = 0.1
    """With more of the nodes silent, the sum over all of them is bad."""

    def __post_init__(self) -> None:
        for address in self.controllers:
            checked_address(address, "controllers", secret=True)
        if len(set(self.controllers)) < len(self.controllers):
            raise ValueError("controllers each once")
        if len(set(self.chassis)) < len(self.chassis):
            raise ValueError("chassis each once")
