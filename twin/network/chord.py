"""Newton's method with a Jacobian that is kept from solve to solve, over the buses that carry a load.

In rectangular coordinates and on the current injection equation ``V = V₀ − Z·conj(S/V)`` (da Costa, Martins and
Pereira 1999, "Developments in the Newton Raphson power flow formulation based on current injections",
doi:10.1109/59.801891). All scenarios iterate together as matrix products. Each scenario is a row of its own: one
that has no solution costs the others time, and changes nothing in their numbers.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from twin.network.admittance import ComplexArray, IntArray
from twin.numeric import BoolArray, FloatArray, Num

TOLERANCE_PU = 1e-9
"""Step below which the iteration ends; the step is still taken, which leaves about a hundredth of it or less."""
MAX_CHORD_STEPS = 16
MAX_COMMON_STEPS = 8
"""Of many scenarios together; the few that need more go on alone."""
MAX_NEWTON_STEPS = 30
FRESH_ENOUGH_STEPS = 4
"""A kept Jacobian that needs more steps than this is computed anew."""
MAX_PAUSE_SOLVES = 64
"""Longest pause until a fresh Jacobian is tried again where the last ones did not help, as in mixed scenarios."""


class Chord:
    """The voltages of the buses that carry a load. It starts from the previous solution: one object, one thread."""

    def __init__(self, impedance: ComplexArray, open_circuit: ComplexArray, seed: ComplexArray) -> None:
        """Of these buses only, per unit on 1 kVA; `seed` are voltages to begin with."""
        self.impedance, self._open_circuit, self._seed = impedance, open_circuit, seed
        self._impedance_t = np.ascontiguousarray(impedance.T)
        self._in_vain, self._pause_solves = 0, 0
        self._start_from(seed)
        self._keep(np.zeros_like(seed), seed)

    def voltages(self, load: ComplexArray, slack_v_pu: Num) -> tuple[ComplexArray, BoolArray | None]:
        """At a complex `load` in kVA, ``(buses,)`` or ``(scenarios, buses)``; and which scenarios are solved.

        None in its place: all are. Where there is no solution the voltages are those without any load.
        """
        if self._voltage.shape != load.shape:
            self._start_from(np.broadcast_to(self._seed, load.shape))
        with np.errstate(all="ignore"):
            steps = self._iterate(load.conj(), slack_v_pu)
            if steps is None:
                return self._rescued(load, slack_v_pu)
            voltage: ComplexArray = self._voltage.conj()
            self._note(steps, load, voltage)
        return voltage, None

    def _start_from(self, voltage: ComplexArray) -> None:
        """Lay out the row to iterate on: conjugate voltages and currents, then the slack voltage."""
        buses = voltage.shape[-1]
        row = np.empty((*voltage.shape[:-1], 2 * buses + 1), dtype=np.complex128)
        self._voltage, self._current, self._slack_v = row[..., :buses], row[..., buses:-1], row[..., -1]
        self._row_parts, self._voltage_parts = row.view(np.float64), self._voltage.view(np.float64)
        np.conjugate(voltage, out=self._voltage)

    def _iterate(self, conjugate_load: ComplexArray, slack_v_pu: Num) -> int | None:
        """Steps that all scenarios together needed, None where that was not enough; see `_update_matrix`."""
        before = self._voltage_parts
        self._slack_v[...] = slack_v_pu
        for step in range(MAX_CHORD_STEPS if before.ndim == 1 else MAX_COMMON_STEPS):
            np.divide(conjugate_load, self._voltage, out=self._current)
            after = self._row_parts.dot(self._update)
            change = (after - before).ravel()
            before[...] = after
            if change.dot(change) < TOLERANCE_PU**2:
                return step
        self._change = change.reshape(before.shape)
        return None

    def _note(self, steps: int, load: ComplexArray, voltage: ComplexArray) -> None:
        """Compute the Jacobian anew where it has become slow, at longer intervals where that did not help."""
        if steps <= FRESH_ENOUGH_STEPS:
            self._in_vain, self._pause_solves = 0, 0
        elif self._pause_solves > 0:
            self._pause_solves -= 1
        else:
            self._in_vain += 1
            self._pause_solves = min(max(2**self._in_vain - 8, 0), MAX_PAUSE_SOLVES)
            self._keep(*_typical(load, voltage))

    def _keep(self, load: ComplexArray, voltage: ComplexArray) -> None:
        self.kept_voltage, self.newton = voltage, newton_matrix(self.impedance, load, voltage)
        self._update = self._update_matrix(self.newton)

    def _update_matrix(self, newton: FloatArray) -> FloatArray:
        """One chord step as a single real matrix; what it keeps is the inverse Jacobian `newton`.

        A step is linear in voltages V, in currents S/V and in the slack voltage. Rows are the real and
        imaginary parts of conj(V), of conj(S/V) and of the slack voltage, columns those of the next conj(V).
        """
        conjugate = np.tile([1.0, -1.0], len(newton) // 2)
        kept = conjugate[:, None] * (np.eye(len(newton)) - newton)
        driven = -_as_real(self._impedance_t) @ newton
        constant = _as_real(self._open_circuit[None, :]) @ newton
        return np.ascontiguousarray(np.vstack([kept, driven, constant]) * conjugate)

    def _rescued(self, load: ComplexArray, slack_v_pu: Num) -> tuple[ComplexArray, BoolArray]:
        """The scenarios that did not come to rest with the others: alone, then by full Newton, then given up."""
        loads, voltage = np.atleast_2d(load), np.atleast_2d(self._voltage.conj())
        levels = np.broadcast_to(slack_v_pu, len(loads))
        open_circuit = np.multiply.outer(levels, self._open_circuit)
        solved = _at_rest(np.atleast_2d(self._change))
        late = np.flatnonzero(~solved)
        if load.ndim > 1:
            rows = self._row_parts[late]
            solved[late] = self._alone(rows, loads[late].conj(), voltage, late)
        for scenario in np.flatnonzero(~solved).tolist():
            found = self._full_newton(loads[scenario], open_circuit[scenario], self._seed)
            solved[scenario] = found is not None
            voltage[scenario] = open_circuit[scenario] if found is None else found
        self._start_from(voltage.reshape(load.shape))
        if solved[late].any():
            self._note(MAX_CHORD_STEPS, loads[solved], voltage[solved])
        return voltage.reshape(load.shape), solved

    def _alone(
        self, rows: FloatArray, conjugate_loads: ComplexArray, voltage: ComplexArray, late: IntArray
    ) -> BoolArray:
        """Go on with some rows only; whether each has come to rest. The voltages of those that have are written."""
        before = rows[:, : 2 * voltage.shape[1]]
        conjugate_voltage, current = before.view(np.complex128), rows[:, before.shape[1] : -2].view(np.complex128)
        for _ in range(MAX_CHORD_STEPS - MAX_COMMON_STEPS):
            np.divide(conjugate_loads, conjugate_voltage, out=current)
            after = rows.dot(self._update)
            done = _at_rest(after - before)
            before[...] = after
            if done.all():
                break
        voltage[late[done]] = conjugate_voltage[done].conj()
        return done

    def _full_newton(
        self, load: ComplexArray, open_circuit: ComplexArray, voltage: ComplexArray
    ) -> ComplexArray | None:
        """From some `voltage`; None where there is no solution."""
        for _ in range(MAX_NEWTON_STEPS):
            mismatch = voltage - open_circuit + (load / voltage).conj() @ self._impedance_t
            if not np.isfinite(mismatch).all():
                return None
            if np.abs(mismatch).max() < TOLERANCE_PU / 100:
                return voltage
            try:
                step = np.linalg.solve(_jacobian(self.impedance, load, voltage), mismatch.view(np.float64))
            except np.linalg.LinAlgError:
                return None
            voltage = voltage - step.view(np.complex128)
        return None


def newton_matrix(impedance: ComplexArray, load: ComplexArray, voltage: ComplexArray) -> FloatArray:
    """Inverse Jacobian of the current injection equation, transposed, real and imaginary parts interleaved."""
    return cast(FloatArray, np.ascontiguousarray(np.linalg.inv(_jacobian(impedance, load, voltage)).T))


def _jacobian(impedance: ComplexArray, load: ComplexArray, voltage: ComplexArray) -> FloatArray:
    slope = impedance * (load / voltage**2).conj()
    jacobian = np.eye(2 * len(voltage))
    jacobian[0::2, 0::2] -= slope.real
    jacobian[0::2, 1::2] -= slope.imag
    jacobian[1::2, 0::2] -= slope.imag
    jacobian[1::2, 1::2] += slope.real
    return jacobian


def _as_real(matrix: ComplexArray) -> FloatArray:
    """The real matrix that multiplies interleaved real and imaginary parts (as rows) as `matrix` multiplies numbers."""
    rows, columns = matrix.shape
    real = np.empty((2 * rows, 2 * columns))
    real[0::2, 0::2] = real[1::2, 1::2] = matrix.real
    real[0::2, 1::2] = matrix.imag
    real[1::2, 0::2] = -matrix.imag
    return real


def _at_rest(change: FloatArray) -> BoolArray:
    """Row by row; what is not a number is not at rest."""
    rest: BoolArray = np.einsum("ij,ij->i", change, change) < TOLERANCE_PU**2
    return rest


def _typical(load: ComplexArray, voltage: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
    """The operating point itself, or the mean over scenarios."""
    return (load, voltage) if load.ndim == 1 else (load.mean(axis=0), voltage.mean(axis=0))
