"""How the power of a store's cells goes on over a step: steady, then fading as it comes near its end, then none.

Charging with constant current and then constant voltage looks like this, and what a management system allows near the
empty end, too. Below its onset the limit is the rated power; beyond it, it falls in a straight line with the state of
charge, which in time is an exponential. The limit ends above 0, where a charger switches off, so that the end is
reached in finite time. All of it is solved, not stepped: two half steps are one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Gt, Lt

from twin.devices.base import STRICT
from twin.numeric import Num, exp, larger, log, ratio, smaller, where
from twin.quick import quick

FOREVER_H = 1e9
"""Longer than any course lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taper:
    """Where the power of the cells begins to be limited; without a key it is not limited there."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    charge_above_soc: Annotated[float, Gt(0), Lt(1)] | None = None
    """Constant voltage begins here at rated power, and earlier at none."""
    discharge_below_soc: Annotated[float, Gt(0), Lt(1)] | None = None
    end_fraction: Annotated[float, Gt(0), Lt(1)] = 0.05
    """Of the rated power, at which it ends; 0.05 C is a usual end of charging."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fade:
    """A limit of power that falls with the content that is left: ``end + rate · left``."""

    rate_per_h: Num
    end_kw: Num


NEVER = Fade(rate_per_h=1.0, end_kw=FOREVER_H)
"""No limit that would be felt."""


def fade(rated_kw: Num, end_fraction: float, width_kwh: Num) -> Fade:
    """From `rated_kw` at `width_kwh` before the end to a part of it at the end."""
    return Fade(rate_per_h=rated_kw * (1.0 - end_fraction) / width_kwh, end_kw=rated_kw * end_fraction)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One stretch of steady power, one that fades, and nothing for the rest."""

    kw: Num
    """Of the cells, while it is steady and when the fading begins."""
    steady_h: Num
    fading_h: Num
    energy_kwh: Num
    """Into or out of the cells."""
    square_kw2_h: Num
    """Integral of the squared power, for losses in resistances."""

    @property
    def running_h(self) -> Num:
        return self.steady_h + self.fading_h


def steady_course(wanted_kw: Num, left_kwh: Num, hours: float) -> Course:
    """`wanted_kw` until the hard stop."""
    steady_h = smaller(ratio(left_kwh, wanted_kw), hours)
    energy_kwh = wanted_kw * steady_h
    return Course(
        kw=wanted_kw, steady_h=steady_h, fading_h=0.0, energy_kwh=energy_kwh, square_kw2_h=wanted_kw * energy_kwh
    )


def fading_course(wanted_kw: Num, left_kwh: Num, hours: float, rate_per_h: Num, end_kw: Num) -> Course:
    """`wanted_kw` as far as the limit ``end + rate · left`` allows, until the hard stop.

    On the limit ``d(kw)/dt = rate · d(left)/dt = −rate · kw``: an exponential, whose energy is
    ``(kw₀ − kw) / rate`` and whose integral of squares is ``(kw₀² − kw²) / (2 · rate)``.
    """
    kw = smaller(wanted_kw, end_kw + rate_per_h * left_kwh)
    above_kw = larger(kw - end_kw, 0.0)
    steady_h = smaller(ratio(larger(left_kwh - above_kw / rate_per_h, 0.0), kw), hours)
    rest_h = hours - steady_h
    faded_kw = smaller(kw * (1.0 - exp(0.0 - rate_per_h * rest_h)), above_kw)
    last_kw = kw - faded_kw
    fading_h = smaller(log(ratio(kw, last_kw, 1.0)) / rate_per_h, rest_h)
    steady_kwh, fading_kwh = kw * steady_h, faded_kw / rate_per_h
    return Course(
        kw=kw,
        steady_h=steady_h,
        fading_h=where(faded_kw < above_kw, rest_h, fading_h),
        energy_kwh=steady_kwh + fading_kwh,
        square_kw2_h=kw * steady_kwh + 0.5 * (kw + last_kw) * fading_kwh,
    )
