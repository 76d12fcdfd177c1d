"""Counts over a run through sockets: how the controller fared, and how well the twin knew the plant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.control import Cycle
from controllers.fallback import Rung
from twin.points import Outcome
from twin.state import NetworkEstimate


class ControllerTally:
    """Cycles, commands and fallbacks."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self.cycles = self.late_cycles = self.commands_written = self.commands_confirmed = self.fallbacks = 0
        self._rung: Rung | None = None

    def add(self, cycle: Cycle) -> None:
        self.cycles += 1
        self.late_cycles += sum(cycle.timings_ms.values()) > self._period_s * 1000.0
        self.commands_written += len(cycle.receipts)
        self.commands_confirmed += sum(receipt.outcome is Outcome.APPLIED for receipt in cycle.receipts)
        fell = self._rung is not None and cycle.rung.value > self._rung.value
        self.fallbacks += fell
        self._rung = cycle.rung

    def as_json(self) -> Mapping[str, int]:
        return {
            "cycles": self.cycles,
            "late_cycles": self.late_cycles,
            "commands_written": self.commands_written,
            "commands_confirmed": self.commands_confirmed,
            "fallbacks": self.fallbacks,
        }


class TwinTally:
    """Every estimated voltage and branch flow against the emulator's truth."""

    def __init__(self) -> None:
        self._inside = self._total = 0
        self._max_voltage_error_pu = 0.0

    def add(self, estimate: NetworkEstimate, truth: Mapping[str, Any]) -> None:
        for bus, voltage in estimate.buses.items():
            error = abs(voltage.v_pu - truth["v_pu"][bus])
            self._max_voltage_error_pu = max(self._max_voltage_error_pu, error)
            self._count(error, voltage.sigma_v_pu)
        for branch, flow in estimate.branches.items():
            self._count(abs(flow.p_kw - truth["branch_p_kw"][branch]), flow.sigma_p_kw)

    def _count(self, error: float, sigma: float) -> None:
        self._total += 1
        self._inside += error <= 3 * sigma

    def as_json(self) -> Mapping[str, float]:
        share = self._inside / self._total if self._total else 0.0
        return {"within_3_sigma_share": round(share, 6), "max_voltage_error_pu": self._max_voltage_error_pu}
