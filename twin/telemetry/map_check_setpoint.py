"""What is wrong with the setpoint of a register map."""

from __future__ import annotations

from collections.abc import Iterator

from twin.errors import Problem
from twin.telemetry.map_codec import decode, encode
from twin.telemetry.map_entries import Keys, write_sections
from twin.telemetry.map_roles import CURRENTS, SIGNED, setpoints
from twin.telemetry.map_schema import Field, Modes, Register, RegisterMap, Setpoint, Steering, Write
from twin.telemetry.map_types import BYTES
from twin.yaml_file import Document, did_you_mean

AT = ("setpoint",)


def check_setpoint(written: RegisterMap, house: RegisterMap, document: Document) -> Iterator[Problem]:
    """Everything wrong with the setpoint, beside what is wrong with any field."""
    steering, settled = written.setpoint, house.setpoint
    if steering is None or settled is None:
        return
    yield from _check_common(steering, document)
    if isinstance(steering, Setpoint) and isinstance(settled, Setpoint):
        yield from _check_direct(steering, settled, document)
    elif isinstance(steering, Modes):
        yield from _check_modes(steering, document)
    if steering.timeout_s is not None and settled.timeout_s is not None:
        yield from _check_range((*AT, "timeout_s"), steering.timeout_s, settled.timeout_s, document)
    for section, writes in write_sections(steering):
        for index, write in enumerate(writes):
            yield from _check_write((*AT, section, index), write, steering, document)


def _check_common(steering: Steering, document: Document) -> Iterator[Problem]:
    if steering.name not in setpoints():
        hint = did_you_mean(steering.name, setpoints())
        expected = f"one of {', '.join(sorted(setpoints()))}{hint}"
        yield document.problem((*AT, "name"), found=steering.name or "nothing", expected=expected)
    if not steering.min < steering.max:
        found = f"min {steering.min:g}, max {steering.max:g}"
        yield document.problem((*AT, "min"), found=found, expected="min below max")
    if steering.step is not None and steering.step > steering.max - steering.min > 0:
        expected = f"at most {steering.max - steering.min:g}, from min to max"
        yield document.problem((*AT, "step"), found=f"step {steering.step:g}", expected=expected)
    yield from _check_loss(steering, document)


def _check_loss(steering: Steering, document: Document) -> Iterator[Problem]:
    """A device that goes on for ever with the last command of a dead controller must be known to do so."""
    reverts = [key for key in ("timeout_s", "dead_man_s") if getattr(steering, key) is not None]
    if not reverts and steering.at_loss is None:
        yield document.problem(
            (*AT, "timeout_s"),
            found="nothing",
            expected="the register of its dead-man or revert timer; dead_man_s where that is fixed in the device; "
            "or at_loss: holds, where it has none and goes on with its last command for ever",
        )
    elif len(reverts) > 1:
        expected = "timeout_s for a timer that can be set, or dead_man_s for a fixed one"
        yield document.problem((*AT, "dead_man_s"), found="both timeout_s and dead_man_s", expected=expected)
    if reverts and steering.at_loss == "holds":
        expected = f"returns_to_safe, as {reverts[0]} says, or no {reverts[0]}"
        yield document.problem((*AT, "at_loss"), found="holds", expected=expected)
    if not reverts and steering.at_loss == "returns_to_safe":
        expected = "after how long it returns: timeout_s or dead_man_s"
        yield document.problem((*AT, "at_loss"), found="returns_to_safe", expected=expected)


def _check_direct(written: Setpoint, settled: Setpoint, document: Document) -> Iterator[Problem]:
    yield from _check_sign(AT, written.name, written, document)
    yield from _check_range(AT, written, settled, document)
    yield from _check_function(AT, written, written.function, document)
    if not written.verify and written.read_back is not None:
        yield document.problem(
            (*AT, "read_back"), found="a register to verify in, with verify: false", expected="one of them"
        )
    if written.read_back is not None:
        yield from _check_sign((*AT, "read_back"), written.name, written.read_back, document)


def _check_modes(written: Modes, document: Document) -> Iterator[Problem]:
    for section, reach in (("above_zero", written.max), ("below_zero", -written.min)):
        writes = getattr(written, section)
        if reach <= 0 or any(write.value == "setpoint" for write in writes):
            continue
        if not writes:
            yield document.problem((*AT, section), found="nothing", expected="writes for that side of zero")
        elif written.step != reach:
            expected = f"one of them with value: setpoint; or step: {reach:g}, where the device knows on and off only"
            yield document.problem((*AT, section), found="no write of the setpoint", expected=expected)
    for index, write in enumerate(written.at_zero):
        if write.value == "setpoint" and write.into_device is None and written.name in SIGNED:
            yield from _check_sign((*AT, "at_zero", index), written.name, write, document)


def _check_sign(keys: Keys, name: str, item: Field, document: Document) -> Iterator[Problem]:
    asked = "into_device: positive or negative, the sign the device gives to power flowing into it"
    if name not in setpoints():
        return  # Its name decides whether it has a sign.
    if name in SIGNED and item.into_device not in ("positive", "negative"):
        found = f"{name} without its sign" if item.into_device is None else f"the sign of {name} undecided"
        yield document.problem(keys, found=found, expected=asked)
    if name not in SIGNED | CURRENTS and item.into_device is not None:
        yield document.problem((*keys, "into_device"), found=f"a sign for {name}", expected="none: it has no direction")


def _check_range(keys: Keys, written: Register, settled: Register, document: Document) -> Iterator[Problem]:
    if written.table not in ("holding", "coil"):
        expected = "holding, or coil: others cannot be written"
        yield document.problem((*keys, "table"), found=written.table, expected=expected)
    if not written.min < written.max and keys != AT:
        found = f"min {written.min:g}, max {written.max:g}"
        yield document.problem((*keys, "min"), found=found, expected="min below max")
    for end in ("min", "max"):
        bound = getattr(settled, end)
        held = decode(settled, encode(settled, bound)) if settled.type != "string" else None
        slack = abs(settled.scale) * (1.0 if settled.enumeration is None else 1e-9)
        if settled.scale_factor is None and (held is None or abs(held - bound) > slack):
            expected = f"what {written.type} times {written.scale:g} can hold"
            yield document.problem((*keys, end), found=f"{bound:g}", expected=expected)


def _check_function(keys: Keys, item: Field, function: int | None, document: Document) -> Iterator[Problem]:
    if item.table == "holding" and (item.type in ("bit", *BYTES) or item.bits is not None):
        expected = "a whole register: what shares it would be overwritten"
        yield document.problem((*keys, "type"), found=f"a write to a part of {item.place}", expected=expected)
    if function is None:
        return
    allowed = (5, 15) if item.table == "coil" else (6, 16) if item.word_count == 1 else (16,)
    if function not in allowed:
        expected = f"{' or '.join(map(str, allowed))}, which write{'s' if len(allowed) == 1 else ''} {item.place}"
        yield document.problem((*keys, "function"), found=f"function {function}", expected=expected)


def _check_write(keys: Keys, write: Write, steering: Steering, document: Document) -> Iterator[Problem]:
    if write.table not in ("holding", "coil"):
        expected = "holding, or coil: others cannot be written"
        yield document.problem((*keys, "table"), found=write.table, expected=expected)
    yield from _check_function(keys, write, write.function, document)
    if write.value == "setpoint":
        if keys[1] in ("before", "release"):
            yield document.problem((*keys, "value"), found="setpoint", expected="a number: there is none at that time")
        elif write.into_device is None and steering.name in SIGNED:
            yield from _check_sign(keys, steering.name, write, document)
        return
    held = decode(write, encode(write, float(write.value)))
    if write.scale_factor is None and (held is None or abs(held - float(write.value)) > abs(write.scale)):
        expected = f"what {write.type} times {write.scale:g} can hold"
        yield document.problem((*keys, "value"), found=f"{float(write.value):g}", expected=expected)
