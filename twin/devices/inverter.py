"""Reactive power of an inverter: at a fixed power factor, or by its own voltage, within what its current allows.

The functions of IEEE Std 1547-2018, clause 5.3. Reactive power follows the house's sign: positive into the device
(absorbed, which lowers the voltage), negative out of it (injected).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from annotated_types import Gt, Le

from twin.devices.base import STRICT
from twin.numeric import FloatArray, Num, clip, larger, magnitude, smaller


@dataclass(frozen=True, slots=True, kw_only=True)
class VoltVarCurve:
    """Reactive power by voltage: straight between its points, level beyond its ends.

    IEEE 1547-2018, table 8, category B by default: 0.92, 0.98, 1.02, 1.08 pu and 0.44, 0, 0, -0.44. The standard
    counts in fractions of the rated apparent power; here it is a fraction of what is available at the moment
    (`Inverter.available_kvar`), so that a curve never asks for more than there is.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    v_pu: tuple[Annotated[float, Gt(0)], ...] = (0.92, 0.98, 1.02, 1.08)
    injected_fraction: tuple[float, ...] = (0.44, 0.0, 0.0, -0.44)
    """Of the available reactive power at each of these voltages; negative is absorbed."""

    def __post_init__(self) -> None:
        if len(self.v_pu) != len(self.injected_fraction) or len(self.v_pu) < 2:
            raise ValueError("v_pu and injected_fraction with the same number of points, two at least")
        if any(later <= earlier for earlier, later in pairwise(self.v_pu)):
            raise ValueError("v_pu that rises from point to point")
        if any(later > earlier for earlier, later in pairwise(self.injected_fraction)):
            raise ValueError("injected_fraction that never rises: a higher voltage asks for less")
        if max(map(abs, self.injected_fraction)) > 1.0:
            raise ValueError("injected_fraction between -1 and 1")

    @property
    def largest_fraction(self) -> float:
        return max(map(abs, self.injected_fraction))

    def absorbed_fraction(self, v_pu: FloatArray) -> FloatArray:
        """Of the available reactive power, at voltages `v_pu`."""
        return 0.0 - np.interp(v_pu, self.v_pu, self.injected_fraction)

    def slope_per_pu(self, v_pu: FloatArray) -> FloatArray:
        """Change of `absorbed_fraction` with the voltage; never negative."""
        piece = np.searchsorted(self.v_pu, v_pu)
        slopes = -np.diff(self.injected_fraction) / np.diff(self.v_pu)
        return np.concatenate([[0.0], slopes, [0.0]])[piece]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reactive:
    """How an inverter handles reactive power: one of `power_factor` and `volt_var`, or none, which is 0 kvar."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    rated_kva: Annotated[float, Gt(0)]
    """Apparent power that its current allows at rated voltage."""
    priority: Literal["active", "reactive"] = "active"
    """Which of the two is kept where both do not fit. With `reactive`, the active power leaves room for the
    largest reactive power that may be asked for."""
    power_factor: Annotated[float, Gt(0), Le(1)] | None = None
    direction: Literal["absorbing", "injecting"] = "absorbing"
    """Of reactive power at a fixed power factor."""
    volt_var: VoltVarCurve | None = None

    def __post_init__(self) -> None:
        if self.power_factor is not None and self.volt_var is not None:
            raise ValueError("power_factor or volt_var, not both")

    @property
    def max_kw(self) -> Num:
        """Largest active power, either way."""
        if self.priority == "active":
            return self.rated_kva
        if self.power_factor is not None:
            return self.rated_kva * self.power_factor
        return other_leg(self.rated_kva, self._reserved_kvar)

    def available_kvar(self, p_kw: Num) -> Num:
        """Reactive power that may be absorbed or injected beside `p_kw`: ``√(S² − P²)``, or what is reserved."""
        if self.priority == "reactive" and self.volt_var is not None:
            return self.rated_kva + 0.0 * p_kw
        return other_leg(self.rated_kva, p_kw)

    def q_kvar(self, p_kw: Num) -> Num:
        """At the fixed power factor, as far as the current allows; 0 without one."""
        if self.power_factor is None:
            return 0.0
        wanted_kvar = magnitude(p_kw) * (1.0 / self.power_factor**2 - 1.0) ** 0.5
        kvar = smaller(wanted_kvar, self.available_kvar(p_kw))
        return kvar if self.direction == "absorbing" else 0.0 - kvar

    @property
    def _reserved_kvar(self) -> Num:
        return self.rated_kva * (self.volt_var.largest_fraction if self.volt_var is not None else 0.0)


def other_leg(hypotenuse: Num, leg: Num) -> Num:
    """The other short side of a right triangle; 0 where there is none."""
    return larger(hypotenuse * hypotenuse - leg * leg, 0.0) ** 0.5


def limited_kw(p_kw: Num, rated_kw: Num, reactive: Reactive | None) -> Num:
    """`p_kw` within the rated power, and within what the current leaves for it."""
    limit_kw = max_kw(rated_kw, reactive)
    return clip(p_kw, 0.0 - limit_kw, limit_kw)


def max_kw(rated_kw: Num, reactive: Reactive | None) -> Num:
    """Largest active power of an inverter."""
    return rated_kw if reactive is None else smaller(rated_kw, reactive.max_kw)


def check_rating(rated_kw: float, reactive: Reactive | None) -> None:
    """Raise `ValueError` for an inverter that could not carry the rated active power alone."""
    if reactive is not None and reactive.rated_kva < rated_kw:
        raise ValueError(f"reactive.rated_kva of rated_kw at least, not {reactive.rated_kva:g} and {rated_kw:g}")


def fixed_q_kvar(p_kw: Num, reactive: Reactive | None) -> Num:
    """Reactive power that the device itself decides; by voltage, the power flow does."""
    return 0.0 if reactive is None else reactive.q_kvar(p_kw)


@runtime_checkable
class HasInverter(Protocol):
    """A device behind an inverter."""

    @property
    def reactive(self) -> Reactive | None: ...


def reactive_of(device: object) -> Reactive | None:
    """What a device does with reactive power; None for one that decides nothing about it."""
    return device.reactive if isinstance(device, HasInverter) else None
