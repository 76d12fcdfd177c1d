"""Electric chiller by performance curves, as EnergyPlus' `Chiller:Electric:EIR` and `…:ReformulatedEIR`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from twin.cooling.chiller_curves import ChillerCurves
from twin.numeric import Flag, Num, clip, count_true, larger, smaller, where
from twin.quick import quick

CONDENSER_RISE_K = 5.0
"""Warming of the condenser water at rated load: 5.0 K of AHRI 551/591 (30 to 35 °C)."""
LEAVING_ITERATIONS = 4
"""Condenser water leaving follows from the power, and the power from it. A kelvin is 2 to 3% of a power that is a
sixth of the heat, so that each pass gains two digits."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class ChillerDuty:
    """What chillers do with a heat."""

    compressor_kw: Num
    capacity_kw: Num
    """Heat that they could take at these temperatures."""
    clamped: Num
    """1.0 where it had heat to take, and a temperature outside of what its curves were fitted to."""


def biquadratic(coefficients: tuple[float, ...], x: Num, y: Num) -> Num:
    """``a + b·x + c·x² + d·y + e·y² + f·x·y``."""
    a, b, c, d, e, f = coefficients
    return a + (b + c * x) * x + (d + e * y) * y + f * x * y


def bicubic(coefficients: tuple[float, ...], x: Num, y: Num) -> Num:
    """`biquadratic`, and ``+ g·x³ + h·y³ + i·x²·y + j·x·y²``."""
    g, h, i, j = coefficients[6:]
    return biquadratic(coefficients[:6], x, y) + g * x * x * x + h * y * y * y + (i * x + j * y) * x * y


def polynomial(coefficients: tuple[float, ...], x: Num) -> Num:
    """``a + b·x + c·x² + …``, by Horner's rule."""
    total: Num = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        total = coefficient + total * x
    return total


def available_kw(curves: ChillerCurves, chilled_c: Num, condenser_c: Num, rated_heat_kw: float) -> Num:
    """Heat that a chiller could take at these temperatures: ``Q_ref · CAPFT``."""
    return rated_heat_kw * biquadratic(
        curves.capacity_factor,
        clip(chilled_c, curves.min_chilled_c, curves.max_chilled_c),
        clip(condenser_c, curves.min_condenser_c, curves.max_condenser_c),
    )


def input_by_load(curves: ChillerCurves, load: Num, condenser_c: Num) -> Num:
    """EIRFPLR, the electric input of full load at these temperatures."""
    if curves.leaving_condenser:
        return bicubic(curves.load_factor, condenser_c, load)
    return polynomial(curves.load_factor, load)


def chiller_duty(
    curves: ChillerCurves,
    heat_kw: Num,
    chilled_c: Num,
    condenser_c: Num,
    *,
    rated_heat_kw: float,
    reference_cop: float,
    condenser_rise_k: float = CONDENSER_RISE_K,
) -> ChillerDuty:
    """Electric power of one chiller, and the heat that it can take at these temperatures.

    ``P = Q_ref / COP_ref · CAPFT(T_chw, T_c) · EIRFT(T_chw, T_c) · EIRFPLR(PLR)`` with ``PLR = Q / (Q_ref · CAPFT)``.
    Below its lowest part load it cycles, above 100% it stays at full power. Temperatures outside the curves' domain are
    held at its edge, and `clamped` says so.

    Parameters
    ----------
    heat_kw, chilled_c, condenser_c
        Heat to remove, chilled water leaving, and water (or air, dry bulb) entering the condenser.
    rated_heat_kw, reference_cop
        At the reference temperatures of the curves and full load.
    condenser_rise_k
        Of curves by the water leaving the condenser: its warming at rated load.

    Source: EnergyPlus Engineering Reference, Electric Chiller Model Based on Condenser Entering Temperature, and
    …Leaving Temperature (there EIRFPLR is a function of both temperature and load).
    """
    if not curves.leaving_condenser:
        return _duty(curves, heat_kw, chilled_c, condenser_c, rated_heat_kw, reference_cop)
    leaving_c = condenser_c + condenser_rise_k * larger(heat_kw, 0.0) / rated_heat_kw
    for _ in range(LEAVING_ITERATIONS):
        done = _duty(curves, heat_kw, chilled_c, leaving_c, rated_heat_kw, reference_cop)
        rejected_kw = smaller(larger(heat_kw, 0.0), done.capacity_kw) + done.compressor_kw
        leaving_c = condenser_c + condenser_rise_k * rejected_kw / (rated_heat_kw * (1.0 + 1.0 / reference_cop))
    return done


def _duty(
    curves: ChillerCurves, heat_kw: Num, chilled_c: Num, condenser_c: Num, rated_heat_kw: float, reference_cop: float
) -> ChillerDuty:
    heat_kw = larger(heat_kw, 0.0)
    capacity_kw = available_kw(curves, chilled_c, condenser_c, rated_heat_kw)
    outside = _outside(chilled_c, curves.min_chilled_c, curves.max_chilled_c) | _outside(
        condenser_c, curves.min_condenser_c, curves.max_condenser_c
    )
    chilled_c = clip(chilled_c, curves.min_chilled_c, curves.max_chilled_c)
    condenser_c = clip(condenser_c, curves.min_condenser_c, curves.max_condenser_c)
    wanted = heat_kw / capacity_kw
    cycling = smaller(wanted / curves.min_load_fraction, 1.0)
    load = clip(wanted, curves.min_load_fraction, 1.0)
    by_load = input_by_load(curves, load, condenser_c) * cycling
    by_temperature = biquadratic(curves.input_factor, chilled_c, condenser_c)
    return ChillerDuty(
        compressor_kw=capacity_kw / reference_cop * by_temperature * by_load,
        capacity_kw=capacity_kw,
        clamped=where(heat_kw > 0.0, count_true(outside), 0.0),
    )


def _outside(value: Num, low: float, high: float) -> Flag:
    return (value < low) | (value > high)


@lru_cache(maxsize=256)
def largest_input_factor(curves: ChillerCurves) -> float:
    """Largest electric power within the domain of the curves, of that at the reference point.

    Input by temperature and capacity are smooth: a grid of 65 by 65 points finds the largest of their product within
    0.1%, which is added. Without limits of the domain, from 0 to 60 °C.
    """
    chilled_c = np.linspace(max(curves.min_chilled_c, 0.0), min(curves.max_chilled_c, 60.0), 65)
    condenser_c = np.linspace(max(curves.min_condenser_c, -30.0), min(curves.max_condenser_c, 60.0), 65)
    x, y = np.meshgrid(chilled_c, condenser_c)
    load = np.linspace(curves.min_load_fraction, 1.0, 65)
    by_temperature = biquadratic(curves.capacity_factor, x, y) * biquadratic(curves.input_factor, x, y)
    by_load = input_by_load(curves, load, condenser_c[:, None])
    return float(np.max(by_temperature) * np.max(by_load)) * 1.001


def staged_duty(
    curves: ChillerCurves,
    heat_kw: Num,
    chilled_c: Num,
    condenser_c: Num,
    *,
    rated_heat_kw: float,
    reference_cop: float,
    chiller_count: int,
) -> ChillerDuty:
    """`chiller_duty` of several equal chillers, of which as many run, at the same load, as needs least power."""

    def running(number: int) -> ChillerDuty:
        each_kw = rated_heat_kw * number / chiller_count
        return chiller_duty(curves, heat_kw, chilled_c, condenser_c, rated_heat_kw=each_kw, reference_cop=reference_cop)

    everyone = running(chiller_count)
    least_kw = everyone.compressor_kw
    for number in range(1, chiller_count):
        some = running(number)
        enough = heat_kw <= some.capacity_kw
        least_kw = where(enough, smaller(some.compressor_kw, least_kw), least_kw)
    return ChillerDuty(compressor_kw=least_kw, capacity_kw=everyone.capacity_kw, clamped=everyone.clamped)
