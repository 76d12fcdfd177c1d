"""Instruments that a device has only where its file describes what they measure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Instruments:
    """Of a class: every instrument that it may have. Of a device: those that it has."""

    def __init__(self, *always: str, described: Mapping[str, tuple[str, ...]]) -> None:
        """`described`: a key of the device → what is shown where that key is told."""
        self._always, self._described = always, described

    def __get__(self, device: Any, owner: type) -> tuple[str, ...]:
        told = [shown for key, shown in self._described.items() if device is None or getattr(device, key)]
        return (*self._always, *(name for shown in told for name in shown))
