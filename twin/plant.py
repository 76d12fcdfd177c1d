"""The plant: one of the two objects in which simulation and live operation differ."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from twin.points import Command, Receipt, Snapshot


class Plant(Protocol):
    """Something that can be read and commanded: steel behind Modbus and MQTT, or a model."""

    def read(self, now: datetime) -> Snapshot:
        """The newest process image. Never raises for a device that is silent: it is then in `lost`."""
        ...

    def apply(self, commands: Sequence[Command], now: datetime) -> tuple[Receipt, ...]:
        """Send each command; one receipt for each, in order."""
        ...

    def close(self) -> None:
        """Release links. The plant's own dead-man then returns every device to its safe setpoint."""
        ...
