"""`gridhelm drill`: each fault on each link, while the controller runs: noticed, contained, and over with its cause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from agents.control import Cycle
from agents.drill_faults import RECOVER_S, DrillFault
from agents.drill_proxies import Proxies, Target
from twin.clock import stopwatch_s
from twin.points import Quality
from twin.site import Site
from twin.telemetry.fault_proxy import Fault

SETTLE_S = 30.0
HELD_CYCLES = 4
"""For so many cycles a fault stays after it was noticed: what is lost must stay lost, and alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of one fault on one link."""

    link: str
    fault: str
    detected_s: float | None
    recovered_s: float | None
    worst_cycle_ms: float
    failures: tuple[str, ...]
    """Why it is not passed; empty when it is."""
    remark: str = ""

    @property
    def passed(self) -> bool:
        return not self.failures


@dataclass(slots=True)
class Watch:
    """What is noticed of one fault, cycle by cycle."""

    target: Target
    others: frozenset[str]
    """Devices that must not notice anything."""
    began_s: float = field(default_factory=stopwatch_s)
    detected_s: float | None = None
    worst_cycle_ms: float = 0.0
    cycles_since: int = 0
    affected: dict[str, str] = field(default_factory=dict)
    commanded: set[str] = field(default_factory=set)

    def see(self, cycle: Cycle) -> None:
        self.worst_cycle_ms = max(self.worst_cycle_ms, sum(cycle.timings_ms.values()))
        if self.detected_s is not None:
            self.cycles_since += 1
        elif any(not healthy(cycle, device) for device in self.target.devices):
            self.detected_s = stopwatch_s() - self.began_s
        for device in self.others:
            if (trouble := unusable(cycle, device)) is not None:
                self.affected.setdefault(device, trouble)
        self.commanded |= {command.device for command in cycle.commands} & set(cycle.snapshot.lost)


def healthy(cycle: Cycle, device: str) -> bool:
    """Whether a device is heard, and everything that it says is good."""
    readings = [item for point, item in cycle.snapshot.readings.items() if point.partition(".")[0] == device]
    fine = bool(readings) and all(item.quality is Quality.GOOD for item in readings)
    return fine and device not in cycle.snapshot.lost


def unusable(cycle: Cycle, device: str) -> str | None:
    """Why a device is not relied on; None while it is. What is merely doubted is still used."""
    if device in cycle.snapshot.lost:
        return cycle.snapshot.lost[device]
    readings = cycle.snapshot.readings.items()
    bad = [item for point, item in readings if point.partition(".")[0] == device and item.quality is Quality.BAD]
    return bad[0].reason if bad else None


class Drill:
    """Runs faults one after the other on a plant whose links lead through proxies."""

    def __init__(self, site: Site, proxies: Proxies, cycles: Iterator[Cycle], *, period_s: float) -> None:
        """`cycles`: runs one control cycle each time it is asked, in the pace of control."""
        self._proxies, self._cycles, self._period_s = proxies, cycles, period_s
        self._devices = frozenset(link.device for link in site.telemetry.links.values())

    def run(self, target: Target, fault: DrillFault, most_s: float | None = None) -> Verdict:
        """One fault on one link, for `most_s` at most; by default as long as it may take to notice it."""
        if (sick := self._settle()) is not None:
            failure = f"not begun: {sick} within {SETTLE_S:g} s"
            return Verdict(
                link=target.name, fault=fault.name, detected_s=None, recovered_s=None, worst_cycle_ms=0.0,
                failures=(failure,),
            )  # fmt: skip
        spared = (*target.devices, *(target.neighbours if fault.whole_connection else ()))
        watch = Watch(target, self._devices - set(spared))
        self._proxies.set(target, fault.fault, fault.skew_s)
        try:
            self._suffer(watch, fault.within_s if most_s is None else most_s)
        finally:
            self._proxies.set(target, Fault())
        return self._verdict(watch, fault, self._recover(watch, spared))

    def _settle(self) -> str | None:
        """Wait until all is well; otherwise who is not."""
        end_s = stopwatch_s() + SETTLE_S
        while True:
            cycle = next(self._cycles)
            sick = [device for device in sorted(self._devices) if not healthy(cycle, device)]
            if not sick:
                return None
            if stopwatch_s() > end_s:
                return f"{', '.join(sick)} did not become healthy"

    def _suffer(self, watch: Watch, most_s: float) -> None:
        while watch.cycles_since < HELD_CYCLES:
            watch.see(next(self._cycles))
            if watch.detected_s is None and stopwatch_s() - watch.began_s > most_s:
                return

    def _recover(self, watch: Watch, spared: Sequence[str]) -> float | None:
        began_s = stopwatch_s()
        while stopwatch_s() - began_s <= RECOVER_S:
            cycle = next(self._cycles)
            watch.see(cycle)
            if all(healthy(cycle, device) for device in spared):
                return stopwatch_s() - began_s
        return None

    def _verdict(self, watch: Watch, fault: DrillFault, recovered_s: float | None) -> Verdict:
        failures = [*self._failures(watch, fault)]
        if recovered_s is None:
            failures.append(f"not back {RECOVER_S:g} s after the fault was over")
        unseen = watch.detected_s is None and not fault.must_be_seen
        return Verdict(
            link=watch.target.name,
            fault=fault.name,
            detected_s=watch.detected_s,
            recovered_s=recovered_s,
            worst_cycle_ms=watch.worst_cycle_ms,
            failures=tuple(failures),
            remark="unnoticed: no reading was seen to be wrong or too old" if unseen else "",
        )

    def _failures(self, watch: Watch, fault: DrillFault) -> Iterator[str]:
        if watch.detected_s is None and fault.must_be_seen:
            yield f"not noticed within {fault.within_s:g} s"
        for device, why in watch.affected.items():
            yield f"{device} suffered too: {why}"
        if watch.commanded:
            yield f"{', '.join(sorted(watch.commanded))} was sent commands while it was lost"
        if watch.worst_cycle_ms > 1000.0 * self._period_s:
            yield f"a cycle took {watch.worst_cycle_ms:,.0f} ms, longer than the control period"
