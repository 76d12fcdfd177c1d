"""What a person should know of a run, said once when it begins and once when it is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agents.control import Cycle
from controllers.fallback import Rung
from twin.numeric import first
from twin.points import Outcome

ROUNDING_KW = 1.0


def alarms(cycle: Cycle) -> Mapping[str, str]:
    """Kind of alarm → what it says in this cycle. The kind stays the same while the words may change."""
    return dict(_alarms(cycle))


def _alarms(cycle: Cycle) -> Iterator[tuple[str, str]]:
    state, guarded = cycle.state, cycle.guarded
    yield from ((f"lost {device}", f"lost {why}") for device, why in state.lost.items())
    for name, asset in state.assets.items():
        if not asset.reliable and name not in state.lost:
            yield f"not reliable {name}", f"{name} is not relied on: {asset.reason}"
    if cycle.rung is Rung.INFERRED and state.grid is not None:
        yield "inferred", f"the import is {state.grid.reason}; margins are doubled"
    if cycle.rung is Rung.BLIND:
        yield "blind", "too little is seen to steer: every asset that hears is sent its safe setpoint"
    for receipt in cycle.receipts:
        if receipt.outcome is not Outcome.APPLIED:
            point, outcome = receipt.command.point, receipt.outcome.value
            yield f"{outcome} {point}", f"{point} {outcome}: {receipt.detail}"
    if cycle.record_problem:
        yield "record", f"the history has a gap: {cycle.record_problem}"
    if first(guarded.over_import_kw) > ROUNDING_KW:
        yield (
            "over import",
            f"{first(guarded.over_import_kw):,.0f} kW more are drawn than may be, and nothing is left to give",
        )
    if first(guarded.over_export_kw) > ROUNDING_KW:
        yield (
            "over export",
            f"{first(guarded.over_export_kw):,.0f} kW more are generated than may be, and nothing is left to take",
        )


class AlarmLog:
    """Remembers what was said, so that nothing is said twice."""

    def __init__(self) -> None:
        self._standing: Mapping[str, str] = {}

    def changes(self, cycle: Cycle) -> Iterator[str]:
        """A line for each alarm that begins in this cycle, and one for each that is over."""
        now = alarms(cycle)
        before, self._standing = self._standing, now
        yield from (line for kind, line in now.items() if kind not in before)
        yield from (f"over: {line}" for kind, line in before.items() if kind not in now)
