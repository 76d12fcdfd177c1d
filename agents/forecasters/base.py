"""What every forecaster has in common, and which signals of a site are forecast.

To add a method, write one file with one registered class; the contract suite in
`tests/contracts/test_forecasters.py` then tests it without a further line.

Arrays here have the axes ``(signals, steps, scenarios)``, or fewer where an axis makes no sense. A
single scenario is an axis of length 1: the agent takes it off again at its border.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from agents.clear_sky_table import ClearSkyTable
from twin.devices.base import Account, Group
from twin.numeric import BoolArray, FloatArray, Num
from twin.registry import Registry
from twin.site import Site
from twin.timegrid import TimeGrid

Positions = npt.NDArray[np.int64]
LOADS = frozenset({Account.IT, Account.COOLING, Account.UPS_LOSSES, Account.OTHER})


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalSpec:
    """One signal that is forecast, and where it is observed."""

    name: str
    """`<device>.available_kw` or `<device>.demand_kw`."""
    device: str
    value: str
    """Key of `AssetState.values` that shows it."""
    rated_kw: Num
    """It is never above, and never below 0. An array over scenarios where they differ."""
    solar: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a forecaster knows beside its signals."""

    site: Site
    step_s: float
    """Length of the epoch-aligned intervals that are observed and forecast."""
    clear_sky: ClearSkyTable


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Interval:
    """What was observed of all signals of a forecaster during one interval."""

    number: int
    """Counted from the epoch in intervals of `Setting.step_s`."""
    mean_kw: FloatArray
    """``(signals, scenarios)``; means nothing where `known` is false."""
    known: BoolArray
    """``(signals,)``: whether it was observed at all."""
    seen_s: FloatArray
    """``(signals,)``: when it was observed last, seconds since the epoch."""

    def only(self, rows: npt.NDArray[np.int64]) -> Interval:
        """Some of the signals."""
        return Interval(
            number=self.number, mean_kw=self.mean_kw[rows], known=self.known[rows], seen_s=self.seen_s[rows]
        )


class Forecaster(Protocol):
    """One method, for some signals at once. It is told what was, and knows nothing of what will be."""

    name: ClassVar[str]

    def __init__(self, signals: Sequence[SignalSpec], setting: Setting) -> None: ...

    @classmethod
    def suits(cls, signal: SignalSpec) -> bool:
        """Whether the method can forecast this signal."""
        ...

    def observe(self, interval: Interval) -> None:
        """Learn from a finished interval, or from what is known so far of the running one. In order of time."""
        ...

    def predict(self, grid: TimeGrid, at: Positions) -> FloatArray:
        """Expected means of the intervals `at` of `grid`, ``(signals, len(at), scenarios)``, kW.

        Anything for a signal never observed. What `observe` learns replaces arrays and changes none, so that a
        shallow copy goes on predicting as of now.
        """
        ...

    def scale_kw(self, first: int, steps: int) -> FloatArray:
        """What the method's errors are in proportion to, from interval `first` on: ``(signals, steps, scenarios)``,
        the last of length one where scenarios do not differ."""
        ...

    def prior_error_fraction(self, lead_h: FloatArray) -> FloatArray:
        """Mean absolute error to expect at each lead time before any was seen, of `scale_kw`."""
        ...


FORECASTERS: Registry[Forecaster] = Registry("forecaster")
"""Method name → class."""


def rated_kw(signals: Sequence[SignalSpec]) -> FloatArray:
    """``(signals, scenarios)``, the last of length one where scenarios do not differ."""
    each = np.broadcast_arrays(*(np.atleast_1d(signal.rated_kw) for signal in signals))
    return np.array(each, dtype=np.float64).reshape(len(signals), -1)


def signals_of(site: Site) -> tuple[SignalSpec, ...]:
    """What is forecast for a site: what sun and wind offer, what halls want, what other loads draw."""
    found = []
    for name, device in site.devices.items():
        solar = device.account is Account.PV
        if device.group is Group.RENEWABLES:
            kind, value = "available_kw", "available_kw"
        elif device.account in LOADS:
            kind, value = "demand_kw", "demand_kw" if "demand_kw" in device.instruments else "p_kw"
        else:
            continue
        found.append(SignalSpec(name=f"{name}.{kind}", device=name, value=value, rated_kw=device.rated_kw, solar=solar))
    return tuple(found)
