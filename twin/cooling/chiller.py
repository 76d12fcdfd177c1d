"""Electric chiller by performance curves, as in EnergyPlus `Chiller:Electric:EIR`."""

from __future__ import annotations

from twin.numeric import Num, clip, larger, smaller

CAPACITY = (0.257896, 0.0389016, -2.1708e-4, 0.0468684, -9.4284e-4, -3.4344e-4)
INPUT_BY_TEMPERATURE = (0.933884, -0.058212, 0.00450036, 0.00243, 4.86e-4, -0.001215)
INPUT_BY_LOAD = (0.222903, 0.313387, 0.463710)
"""DOE-2 centrifugal chiller, COP 5.50, from EnergyPlus' `Chillers` data set."""
MIN_CHILLED_C, MAX_CHILLED_C = 5.0, 10.0
MIN_CONDENSER_C, MAX_CONDENSER_C = 24.0, 35.0
MIN_UNLOADING_FRACTION = 0.2
"""Below this part load the chiller cycles."""


def biquadratic(coefficients: tuple[float, ...], x: Num, y: Num) -> Num:
    """``a + b·x + c·x² + d·y + e·y² + f·x·y``."""
    a, b, c, d, e, f = coefficients
    return a + (b + c * x) * x + (d + e * y) * y + f * x * y


def chiller_kw(
    heat_kw: Num, chilled_c: Num, condenser_c: Num, *, rated_heat_kw: float, reference_cop: float
) -> tuple[Num, Num]:
    """Electric power of a chiller, and the heat that it can take at these temperatures.

    ``P = Q_ref / COP_ref · CAPFT(T_chw, T_cw) · EIRFT(T_chw, T_cw) · EIRFPLR(PLR)`` with
    ``PLR = Q / (Q_ref · CAPFT)``; below 20% part load it cycles, above 100% it stays at full power.

    Parameters are the heat to remove, the temperatures of the chilled water leaving and of the
    condenser water entering the chiller, and the capacity and COP at 6.67 and 29.4 °C. Valid for
    5 to 10 °C and 24 to 35 °C, and held at those limits outside.

    Source: EnergyPlus Engineering Reference, Electric Chiller Model Based on Condenser Entering
    Temperature; coefficients of the DOE-2 centrifugal chiller.
    """
    chilled_c = clip(chilled_c, MIN_CHILLED_C, MAX_CHILLED_C)
    condenser_c = clip(condenser_c, MIN_CONDENSER_C, MAX_CONDENSER_C)
    capacity_kw = rated_heat_kw * biquadratic(CAPACITY, chilled_c, condenser_c)
    wanted = larger(heat_kw, 0.0) / capacity_kw
    cycling = smaller(wanted / MIN_UNLOADING_FRACTION, 1.0)
    load = clip(wanted, MIN_UNLOADING_FRACTION, 1.0)
    a, b, c = INPUT_BY_LOAD
    by_load = a + (b + c * load) * load
    by_temperature = biquadratic(INPUT_BY_TEMPERATURE, chilled_c, condenser_c)
    return capacity_kw / reference_cop * by_temperature * by_load * cycling, capacity_kw
