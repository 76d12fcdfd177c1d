"""Meters held against each other: what flows in at the connection is what the devices take, and losses.

Of powers that are each plausible, two kinds are found out by the balance of all. One that is frozen: it repeats
itself bit for bit while the rest has moved. And one that jumped alone: the balance is wrong by just as much as it
changed. A jump is taken for a lie for `DOUBT_CYCLES` cycles, in which the last believed value stands in for it;
if it stays, it is believed and marked, for it may be a load that nobody meters; and after `RELEARN_CYCLES` all
meters are taken as they are, and compared anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from twin.numeric import first
from twin.points import Quality, Reading
from twin.site import Site
from twin.telemetry.frozen import SIGMAS, Watched, deviation, is_frozen, watched

SKEW_S = 2.0
"""Readings further apart than this are not of one instant, and are not added up."""
DOUBT_CYCLES = 3
RELEARN_CYCLES = 60
LOSSES_FRACTION = 0.01
"""How far losses may change, of the powers that flow: they are not metered, and not known here."""
REACH_RATIO = 1.2
"""No device has more power than this, of its rating."""

Powers = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meters:
    """The power meters of a site, and how exact they are."""

    grid: str
    rated_kw: Mapping[str, float]
    """Device → its rating; the connection is one of them."""
    power_sigma_fraction: float

    def excess_kw(self, powers_kw: Powers) -> float:
        """What flows in at the connection beyond what the devices take: losses, and lies."""
        return 2 * powers_kw[self.grid] - sum(powers_kw.values())

    def sigma_kw(self, powers_kw: Powers) -> float:
        """Standard deviation of the excess from noise of meters and from what is not known of losses."""
        noise = sum((self.power_sigma_fraction * rated_kw) ** 2 for rated_kw in self.rated_kw.values())
        flow_kw = sum(abs(power_kw) for power_kw in powers_kw.values()) / 2
        return float((noise + (LOSSES_FRACTION * flow_kw) ** 2) ** 0.5)

    def expected_kw(self, name: str, powers_kw: Powers) -> float:
        """What all others say that one meter should show, but for losses."""
        excess_kw = self.excess_kw(powers_kw)
        return powers_kw[name] + (-excess_kw if name == self.grid else excess_kw)


@dataclass(slots=True, kw_only=True)
class _Memory:
    meters: dict[str, Watched] = field(default_factory=dict)
    believed: dict[str, Reading] = field(default_factory=dict)
    doubted: dict[str, int] = field(default_factory=dict)


class BalanceCheck:
    """Judges the power readings of a site, cycle by cycle. Says nothing where one of them is missing or old."""

    def __init__(self, site: Site) -> None:
        rated_kw = {name: device.rated_kw for name, device in site.devices.items()}
        sigma_fraction = site.telemetry.power_sigma_fraction
        self._meters = (
            Meters(grid=site.grid, rated_kw=rated_kw, power_sigma_fraction=sigma_fraction) if site.grid else None
        )
        self._memory = _Memory()

    def judged(self, readings: Mapping[str, Reading], now: datetime) -> dict[str, Reading]:
        """The readings of power that are not to be believed as they are, marked with the reason."""
        meters, memory = self._meters, self._memory
        if meters is None:
            return {}
        fresh = {name: readings.get(f"{name}.p_kw") for name in meters.rated_kw}
        known = {name: reading for name, reading in fresh.items() if reading is not None and _sound(reading, now)}
        if len(known) < len(fresh):
            return {}
        powers_kw = {name: float(first(reading.value)) for name, reading in known.items()}
        sigma_kw = meters.sigma_kw(powers_kw)
        memory.meters = {
            name: watched(memory.meters.get(name), power_kw, meters.expected_kw(name, powers_kw), sigma_kw)
            for name, power_kw in powers_kw.items()
        }
        moving, at_rest = suspects(meters, memory.meters, sigma_kw)
        marked = _frozen(moving, known, Quality.BAD if len(moving) == 1 else Quality.SUSPECT)
        if not moving:
            marked = self._jumped(meters, known, powers_kw, sigma_kw)
            if not self._is_new_doubt():
                marked = _frozen(at_rest, known, Quality.SUSPECT) | marked
        memory.believed |= {name: reading for name, reading in known.items() if name not in marked}
        return {f"{name}.p_kw": reading for name, reading in marked.items()}

    def _is_new_doubt(self) -> bool:
        return any(count <= DOUBT_CYCLES for count in self._memory.doubted.values())

    def _jumped(
        self, meters: Meters, known: Mapping[str, Reading], powers_kw: Powers, sigma_kw: float
    ) -> dict[str, Reading]:
        memory = self._memory
        before_kw = {name: float(first(reading.value)) for name, reading in memory.believed.items()}
        wrong_kw = meters.excess_kw(powers_kw) + memory.meters[meters.grid].mean
        jumper = lone_jumper(meters, before_kw, powers_kw, wrong_kw, sigma_kw)
        if jumper is None and abs(wrong_kw) > SIGMAS * sigma_kw:
            jumper = next(iter(memory.doubted), None)
        memory.doubted = {} if jumper is None else {jumper: memory.doubted.get(jumper, 0) + 1}
        if jumper is None:
            return {}
        if memory.doubted[jumper] > RELEARN_CYCLES:
            self._memory = _Memory()
            return {}
        last, reason = memory.believed[jumper], f"{powers_kw[jumper]:.0f} kW do not agree with all others together"
        if memory.doubted[jumper] > DOUBT_CYCLES:
            mine = known[jumper]
            return {jumper: Reading(value=mine.value, at=mine.at, quality=Quality.SUSPECT, reason=reason)}
        reason = f"substituted by the last value that was believed: {reason}"
        return {jumper: Reading(value=last.value, at=last.at, quality=Quality.SUSPECT, reason=reason)}


def _sound(reading: Reading, now: datetime) -> bool:
    return reading.quality is Quality.GOOD and abs((now - reading.at).total_seconds()) <= SKEW_S


def _frozen(accused: Mapping[str, Watched], known: Mapping[str, Reading], quality: Quality) -> dict[str, Reading]:
    return {
        name: Reading(
            value=known[name].value,
            at=known[name].at,
            quality=quality,
            reason=f"frozen: the same {meter.value:g} kW {meter.repeated_count + 1} times, "
            f"while all others say that it moved by {deviation(meter):+.0f} kW",
        )
        for name, meter in accused.items()
    }


def suspects(
    meters: Meters, known: Mapping[str, Watched], sigma_kw: float
) -> tuple[dict[str, Watched], dict[str, Watched]]:
    """Those that may be frozen: first those that show a power, then those at 0, which may well be at rest.

    Nobody is accused of standing at 0 while one that shows a power begins to repeat itself.
    """
    repeating = {
        name: meter
        for name, meter in known.items()
        if meter.repeated_count > 0
        and abs(deviation(meter)) > SIGMAS * sigma_kw
        and abs(meter.value + deviation(meter)) <= REACH_RATIO * meters.rated_kw[name]
    }
    moving = {name: meter for name, meter in repeating.items() if meter.value != 0.0}
    at_rest = {} if moving else repeating
    return (
        {name: meter for name, meter in moving.items() if is_frozen(meter, sigma_kw)},
        {name: meter for name, meter in at_rest.items() if is_frozen(meter, sigma_kw)},
    )


def lone_jumper(meters: Meters, before_kw: Powers, powers_kw: Powers, wrong_kw: float, sigma_kw: float) -> str | None:
    """Whose change since it was last believed is just what the balance is wrong by; None for nobody.

    `wrong_kw` is what flows in at the connection beyond what the devices take, against what is usual.
    """
    if len(before_kw) < len(powers_kw) or abs(wrong_kw) <= SIGMAS * sigma_kw:
        return None
    lies_kw = {name: wrong_kw if name == meters.grid else -wrong_kw for name in powers_kw}
    gaps_kw = {name: abs(powers_kw[name] - before_kw[name] - lies_kw[name]) for name in powers_kw}
    jumper = min(gaps_kw, key=lambda name: gaps_kw[name])
    return jumper if gaps_kw[jumper] <= SIGMAS * sigma_kw else None
