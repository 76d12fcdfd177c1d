"""Inverters whose reactive power follows their own voltage, settled together with the flow.

The higher the voltage, the more they absorb, which lowers the voltage: one balance for all inverters. Solving by
turns (flow, curves, flow, …) swings or diverges where a curve is steep and the network weak, as every such loop in
the field can. So the balance is solved by Newton's method on the reactive powers, with the slopes of the curves,
piece by piece, and those of the voltages from the Jacobian that the flow keeps. A falling curve has one balance only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from twin.devices.inverter import VoltVarCurve
from twin.network.admittance import ComplexArray, IntArray
from twin.network.chord import TOLERANCE_PU, Chord
from twin.numeric import BoolArray, FloatArray, Num

MAX_ROUNDS = 60
SMALLEST_STEP = 1 / 64


@dataclass(frozen=True, slots=True, kw_only=True)
class VoltVar:
    """One inverter in one flow."""

    bus: str
    curve: VoltVarCurve
    available_kvar: Num
    """`twin.devices.inverter.Reactive.available_kvar` at its present active power."""

    def q_kvar(self, v_pu: FloatArray | float) -> Num:
        """What it absorbs at a voltage; with that of the solved flow, what it does there."""
        fraction = self.curve.absorbed_fraction(np.asarray(v_pu, dtype=np.float64))
        absorbed = self.available_kvar * fraction
        return float(absorbed) if np.ndim(absorbed) == 0 else absorbed


class VoltVarLoop:
    """The balance of some inverters, started from the previous one."""

    def __init__(self, places: tuple[int, ...]) -> None:
        """`places`: of the inverters' buses among those that the chord iterates."""
        self.places = places
        self._places: IntArray = np.array(places, dtype=np.intp)
        self._kvar = np.zeros((1, len(places)))

    def settle(
        self, chord: Chord, load: ComplexArray, slack_v_pu: Num, inverters: Sequence[VoltVar]
    ) -> tuple[ComplexArray, ComplexArray, BoolArray | None]:
        """The load with the inverters' reactive power, the voltages, and which scenarios are solved; see `Chord`."""
        rows = 1 if load.ndim == 1 else len(load)
        available = np.array([np.broadcast_to(item.available_kvar, rows) for item in inverters]).T
        kvar = self._kvar if self._kvar.shape == available.shape else np.zeros_like(available)
        step, before = np.ones((rows, 1)), np.full((rows, 1), np.inf)
        for _ in range(MAX_ROUNDS):
            total = self._with(load, kvar)
            voltage, solved = chord.voltages(total, slack_v_pu)
            v_pu = np.atleast_2d(np.abs(voltage[..., self._places]))
            falling = self._slopes(chord)
            gap = available * _of_curves(inverters, v_pu, VoltVarCurve.absorbed_fraction) - kvar
            if solved is not None:
                gap[~solved] = 0.0
            open_ = np.abs(gap @ falling.T).max(axis=1, keepdims=True)
            if open_.max() < TOLERANCE_PU / 10:
                break
            rising = available * _of_curves(inverters, v_pu, VoltVarCurve.slope_per_pu)
            step = np.where(open_ > 0.9 * before, np.maximum(step / 2, SMALLEST_STEP), np.minimum(2 * step, 1.0))
            before = open_
            kvar = kvar + step * _newton(rising, falling, gap)
        at_rest = open_[:, 0] < TOLERANCE_PU
        self._kvar = np.where(at_rest[:, None], kvar, 0.0)
        if solved is None and at_rest.all():
            return total, voltage, None
        return total, voltage, at_rest if solved is None else at_rest & solved

    def _with(self, load: ComplexArray, kvar: FloatArray) -> ComplexArray:
        total, absorbed = load.copy(), kvar.reshape(*load.shape[:-1], -1)
        for column, place in enumerate(self.places):
            total[..., place] += 1j * absorbed[..., column]
        return total

    def _slopes(self, chord: Chord) -> FloatArray:
        """(inverters, inverters): change of the voltage at each with a kvar absorbed at each; about, as it is kept."""
        voltage, places = chord.kept_voltage, self._places
        forced = -(1j / voltage[places]).conj()[:, None] * chord.impedance.T[places]
        moved = (np.ascontiguousarray(forced).view(np.float64) @ chord.newton).view(np.complex128)
        along = (moved * voltage.conj()).real / np.abs(voltage)
        return np.ascontiguousarray(along[:, places].T)


def _of_curves(
    inverters: Sequence[VoltVar], v_pu: FloatArray, of: Callable[[VoltVarCurve, FloatArray], FloatArray]
) -> FloatArray:
    """(scenarios, inverters): a property of each one's curve, together for those with the same."""
    found = np.empty_like(v_pu)
    for curve in {item.curve for item in inverters}:
        members = [place for place, item in enumerate(inverters) if item.curve == curve]
        found[:, members] = of(curve, v_pu[:, members])
    return found


def _newton(rising: FloatArray, falling: FloatArray, gap: FloatArray) -> FloatArray:
    """Step of the reactive powers that closes `gap`, scenario by scenario."""
    jacobian = np.eye(len(falling)) - rising[:, :, None] * falling
    return np.asarray(np.linalg.solve(jacobian, gap[:, :, None])[:, :, 0], dtype=np.float64)
