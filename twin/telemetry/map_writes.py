"""From a setpoint to the registers that have to be written for it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from twin.numeric import clip, first
from twin.telemetry.map_codec import Words, decode, encode
from twin.telemetry.map_formula import Place, place_of
from twin.telemetry.map_schema import Field, Modes, Register, Steering, Writes


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One write, and where it is read back."""

    field: Field
    words: tuple[int, ...]
    function: int
    always: bool
    """False: left out while the device is known to hold it."""
    shown: Field | None
    """None: it cannot be read back."""
    is_timer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What has to be written for one command, in its order."""

    value: float
    """The setpoint that will be held."""
    writes: tuple[Planned, ...]
    main: Field | None
    """Where the setpoint itself is read back; None where it cannot be, or where its writes are constants."""

    @property
    def final(self) -> tuple[Planned, ...]:
        """What stands in the end: of several writes to one register, the last."""
        return tuple({place_of(item.field): item for item in self.writes}.values())

    @property
    def shown(self) -> tuple[Field, ...]:
        """The registers to read back."""
        return tuple(item.shown for item in self.final if item.shown is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of a write that the device answered."""

    held: float | None
    """What the device says it now holds; None where it says nothing of it."""
    as_sent: bool
    timeout_s: float | None
    """Its dead-man, as it reads back."""
    timeout_as_sent: bool


def plan(steering: Steering, value: float, remaining_s: float, exponent: float = 0.0) -> Plan:
    """The writes for `value`, which a dead-man ends after `remaining_s`; `exponent` is that of its scale factor."""
    wanted = first(clip(stepped(value, steering.step), steering.min, steering.max))
    writes = [*_timer(steering.timeout_s, remaining_s)]
    if isinstance(steering, Modes):
        sequence = steering.above_zero if wanted > 0 else steering.below_zero if wanted < 0 else steering.at_zero
        writes += _sequence(sequence, wanted, verify=steering.verify, always=False)
        main = next((write for write in sequence if write.value == "setpoint"), None)
        return Plan(value=wanted, writes=tuple(writes), main=main if steering.verify else None)
    shown = (steering.read_back or steering) if steering.verify else None
    words = encode(steering, wanted, exponent)
    writes += _sequence(steering.before, wanted, verify=steering.verify, always=False)
    writes.append(_planned(steering, words, steering.function, always=True, shown=shown))
    writes += _sequence(steering.after, wanted, verify=False, always=True)
    return Plan(value=wanted, writes=tuple(writes), main=shown)


def release(steering: Steering) -> tuple[Planned, ...]:
    """The writes that give the device back to its own program."""
    return tuple(_sequence(steering.release, 0.0, verify=False, always=True))


def stepped(value: float, step: float | None) -> float:
    """The nearest value that the device takes."""
    return value if step is None else round(value / step) * step


def _timer(register: Register | None, remaining_s: float) -> Iterator[Planned]:
    """The device's dead-man in its own steps, rounded up, so that it never ends before the command does."""
    if register is not None:
        whole_s = math.ceil(remaining_s / register.scale) * register.scale
        words = encode(register, first(clip(whole_s, register.min, register.max)))
        yield _planned(register, words, None, always=False, shown=register, is_timer=True)


def _sequence(writes: Writes, setpoint: float, *, verify: bool, always: bool) -> Iterator[Planned]:
    for write in writes:
        is_setpoint = write.value == "setpoint"
        words = encode(write, setpoint if is_setpoint else float(write.value))
        shown = write if verify else None
        yield _planned(write, words, write.function, always=always or is_setpoint, shown=shown)


def _planned(
    field: Field,
    words: tuple[int, ...],
    function: int | None,
    *,
    always: bool,
    shown: Field | None,
    is_timer: bool = False,
) -> Planned:
    usual = 5 if field.table == "coil" else 16
    return Planned(field=field, words=words, function=function or usual, always=always, shown=shown, is_timer=is_timer)


def written(plan: Plan, held: Mapping[Place, Words], exponent: float = 0.0) -> Written:
    """What a device that was written to holds, from the words that were read back."""
    timer = next((item for item in plan.final if item.is_timer), None)
    timeout = None if timer is None else held[place_of(timer.field)]
    as_sent = all(_as_sent(item, plan, held) for item in plan.final if not item.is_timer)
    implied = plan.value if as_sent and plan.shown else None
    return Written(
        held=implied if plan.main is None else decode(plan.main, held[place_of(plan.main)], exponent),
        as_sent=as_sent,
        timeout_s=None if timer is None or timeout is None else decode(timer.field, timeout),
        timeout_as_sent=timer is None or timeout == list(timer.words),
    )


def _as_sent(item: Planned, plan: Plan, held: Mapping[Place, Words]) -> bool:
    if item.shown is None:
        return True
    words = held[place_of(item.shown)]
    if item.shown is item.field:
        return words == list(item.words)
    # Shown elsewhere, perhaps in other steps.
    value = decode(item.shown, words)
    return value is not None and abs(value - plan.value) <= abs(item.shown.scale) + abs(item.field.scale)
