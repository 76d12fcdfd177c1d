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
"""Enough down to 0.005 pu from none to all reactive power, a quarter of what IEEE 1547-2018 allows. Steeper curves
may not settle; their scenarios are told as not solved."""
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
        self._slopes_of: FloatArray | None = None
        self._kept_slopes: FloatArray = np.zeros((0, 0))

    def settle(
        self, chord: Chord, load: ComplexArray, slack_v_pu: Num, inverters: Sequence[VoltVar]
    ) -> tuple[ComplexArray, ComplexArray, BoolArray | None]:
        """The load with the inverters' reactive power, the voltages, and which scenarios are solved; see `Chord`."""
        rows = 1 if load.ndim == 1 else len(load)
        available = np.array([np.broadcast_to(item.available_kvar, rows) for item in inverters]).T
        search = _Search(self._kvar if self._kvar.shape == available.shape else np.zeros_like(available))
        groups = _by_curve(inverters)
        for _ in range(MAX_ROUNDS):
            total = self._with(load, search.trial_kvar)
            voltage, solved = chord.voltages(total, slack_v_pu)
            v_pu, falling = np.atleast_2d(np.abs(voltage[..., self._places])), self._slopes(chord)
            gap = available * _of_curves(groups, v_pu, VoltVarCurve.absorbed_fraction) - search.trial_kvar
            gap_pu = off_pu = np.abs(gap @ falling.T).max(axis=1)
            if solved is None and gap_pu.max() < TOLERANCE_PU / 10:
                break
            newton = _newton(available * _of_curves(groups, v_pu, VoltVarCurve.slope_per_pu), falling, gap)
            off_pu = np.abs(newton @ falling.T).max(axis=1)
            if solved is not None:
                gap_pu, off_pu = np.where(solved, gap_pu, np.inf), np.where(solved, off_pu, np.inf)
            if search.is_over(off_pu):
                break
            search.go_on(newton, gap_pu)
        at_rest = off_pu < TOLERANCE_PU
        self._kvar = np.where(at_rest[:, None], search.trial_kvar, 0.0)
        return total, voltage, None if at_rest.all() else at_rest

    def _with(self, load: ComplexArray, kvar: FloatArray) -> ComplexArray:
        total, absorbed = load.copy(), kvar.reshape(*load.shape[:-1], -1)
        for column, place in enumerate(self.places):
            total[..., place] += 1j * absorbed[..., column]
        return total

    def _slopes(self, chord: Chord) -> FloatArray:
        """(inverters, inverters): change of the voltage at each with a kvar absorbed at each; about, as it is kept."""
        if self._slopes_of is chord.newton:
            return self._kept_slopes
        voltage, places = chord.kept_voltage, self._places
        forced = -(1j / voltage[places]).conj()[:, None] * chord.impedance.T[places]
        moved = (np.ascontiguousarray(forced).view(np.float64) @ chord.newton).view(np.complex128)
        along = (moved * voltage.conj()).real / np.abs(voltage)
        self._kept_slopes, self._slopes_of = along[:, places].T.copy(), chord.newton
        return self._kept_slopes


class _Search:
    """Newton's steps, each halved until the balance comes nearer: scenario by scenario, a flow for each trial."""

    def __init__(self, start_kvar: FloatArray) -> None:
        rows = len(start_kvar)
        self.trial_kvar = start_kvar
        self._base, self._newton = np.zeros_like(start_kvar), np.zeros_like(start_kvar)
        self._gap_pu, self._step, self._lost = np.full(rows, np.inf), np.ones(rows), np.zeros(rows, dtype=bool)

    def is_over(self, off_pu: FloatArray) -> bool:
        """Whether every scenario is at rest, or has no flow even without any reactive power of the inverters."""
        self._lost = ~np.isfinite(off_pu) & ~np.isfinite(self._gap_pu) & (self.trial_kvar == 0.0).all(axis=1)
        return bool((self._lost | (off_pu < TOLERANCE_PU / 10)).all())

    def go_on(self, newton: FloatArray, gap_pu: FloatArray) -> None:
        """From a trial with this gap, told as a voltage, on to the next."""
        nearer = (gap_pu < (1.0 - 0.1 * self._step) * self._gap_pu) | (self._step < SMALLEST_STEP)
        nearer &= np.isfinite(gap_pu)
        self._base = np.where(nearer[:, None], self.trial_kvar, self._base)
        self._newton = np.where(nearer[:, None], newton, self._newton)
        self._gap_pu = np.where(nearer, gap_pu, self._gap_pu)
        self._step = np.where(nearer, 1.0, self._step / 2)
        self.trial_kvar = self._base + self._step[:, None] * self._newton


def _by_curve(inverters: Sequence[VoltVar]) -> list[tuple[VoltVarCurve, list[int]]]:
    """Each curve, and the inverters that have it."""
    groups: list[tuple[VoltVarCurve, list[int]]] = []
    for place, item in enumerate(inverters):
        members = next((known for curve, known in groups if curve is item.curve or curve == item.curve), None)
        if members is None:
            groups.append((item.curve, [place]))
        else:
            members.append(place)
    return groups


def _of_curves(
    groups: Sequence[tuple[VoltVarCurve, list[int]]],
    v_pu: FloatArray,
    of: Callable[[VoltVarCurve, FloatArray], FloatArray],
) -> FloatArray:
    """(scenarios, inverters): a property of each one's curve, together for those with the same."""
    if len(groups) == 1:
        return of(groups[0][0], v_pu)
    found = np.empty_like(v_pu)
    for curve, members in groups:
        found[:, members] = of(curve, v_pu[:, members])
    return found


def _newton(rising: FloatArray, falling: FloatArray, gap: FloatArray) -> FloatArray:
    """Step of the reactive powers that closes `gap`, scenario by scenario."""
    jacobian = np.eye(len(falling)) - rising[:, :, None] * falling
    return np.asarray(np.linalg.solve(jacobian, gap[:, :, None])[:, :, 0], dtype=np.float64)
