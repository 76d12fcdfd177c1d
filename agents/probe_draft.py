"""A register map begun from what a probe saw: its guesses, and openly what nobody can know from registers alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from agents.probe_guess import NO_VALUE, Guess
from twin.telemetry.map_draft import Found, draft, draft_text
from twin.telemetry.map_types import Table

SIGNED_FORM = {"float32": "float32", "int32": "int32", "int16": "int16", "uint16": "int16"}
"""What a power would be: one that is positive now may be negative tomorrow."""
SENTINELS = {0x8000: 0x8000, 0xFFFF: 0xFFFF}
PLACE = re.compile(r"table: (\w+), address: (\d+)")
ONE_PHASE, THREE_PHASES = 1, 3


def drafted(title: str, remarks: Sequence[str], seen: Mapping[Table, Sequence[Guess]]) -> str:
    """A map as YAML, with what each register showed as a comment at its line."""
    roles = _roles(seen)
    found = [_found(table, guess, roles.get((table, guess.address))) for table, guess in _told(seen)]
    made = draft(title, found, remarks=(*remarks, *_advice(roles)))
    comments = {
        (table, guess.address): _comment(guess, roles.get((table, guess.address))) for table, guess in _all(seen)
    }
    return "".join(_commented(line, comments) + "\n" for line in draft_text(made).splitlines())


def _advice(roles: Mapping[tuple[Table, int], str]) -> Iterator[str]:
    yield "guessed from what the registers held; look each one up in the manual. The manual's number may be one higher,"
    yield "or 30001 or 40001 higher, than `address`, which counts from 0."
    if "p_kw" in roles.values():
        yield "p_kw is the first number that moves, no more: is it the power, in W or kW, and which sign has power"
        yield "into the device? `gridhelm check SITE --live` tells whether the sign fits the other meters."


def _all(seen: Mapping[Table, Sequence[Guess]]) -> Iterator[tuple[Table, Guess]]:
    for table, guesses in seen.items():
        for guess in guesses:
            yield table, guess


def _told(seen: Mapping[Table, Sequence[Guess]]) -> Iterator[tuple[Table, Guess]]:
    """Without the registers that hold nothing, of which there are many."""
    return ((table, guess) for table, guess in _all(seen) if guess.text or any(guess.values))


def _roles(seen: Mapping[Table, Sequence[Guess]]) -> dict[tuple[Table, int], str]:
    """Place → the point that it probably is."""
    known = {
        unit: [(table, guess.address) for table, guess in _all(seen) if guess.unit == unit]
        for unit in ("Hz", "V", "pu")
    }
    roles: dict[tuple[Table, int], str] = {}
    roles |= dict.fromkeys(known["Hz"][:1], "frequency_hz") | dict.fromkeys(known["pu"][:1], "v_pu")
    volts = known["V"]
    if len(volts) == ONE_PHASE:
        roles[volts[0]] = "voltage_v"
    elif len(volts) >= THREE_PHASES:
        roles |= dict(zip(volts, ("l1_v", "l2_v", "l3_v"), strict=False))
    power = [
        (table, guess.address)
        for table, guess in _told(seen)
        if guess.type in SIGNED_FORM and guess.unit is None and guess.moves and not _only_rises(guess)
    ]
    return roles | dict.fromkeys(power[:1], "p_kw")


def _only_rises(guess: Guess) -> bool:
    """As a counter does: whole numbers that grew in each sample."""
    steps = [after - before for before, after in pairwise(guess.values)]
    return guess.type != "float32" and len(steps) > 1 and min(steps) >= 0


def _found(table: Table, guess: Guess, role: str | None) -> Found:
    keys = {
        "table": table,
        "address": guess.address,
        "type": SIGNED_FORM[guess.type] if role == "p_kw" else guess.type,
        "length": guess.word_count if guess.type == "string" else None,
        "word_order": "little" if guess.word_order == "little" else None,
        "scale": None if guess.type == "string" else guess.scale,
        "sentinel": SENTINELS.get(int(guess.values[0])) if guess.word_count == 1 and guess.values else None,
    }
    return Found(name=f"{table}_{guess.address}", unit=guess.unit, keys=keys, role=role)


def _comment(guess: Guess, role: str | None) -> str:
    words = guess.words
    if guess.word_count == 1 and guess.values and int(guess.values[0]) in NO_VALUE:
        words = NO_VALUE[int(guess.values[0])]
    return f"{words}: a guess, it moves" if role == "p_kw" else words


def _commented(line: str, comments: Mapping[tuple[Table, int], str]) -> str:
    place = PLACE.search(line)
    if line.startswith("#") or place is None:
        return line
    words = comments.get((place[1], int(place[2])))  # type: ignore[arg-type]
    return line if words is None else f"{line}   # {words}"
