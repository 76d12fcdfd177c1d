"""`gridhelm probe`: what stands behind an address of which nothing is known yet. Reads only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from agents.probe_address import ProbeAddress
from agents.probe_draft import drafted
from agents.probe_guess import Guess, guesses, pair
from agents.probe_sunspec import probe_sunspec
from twin.errors import LinkError
from twin.telemetry.bus_scan import Area, Budget, Bus, Seen, Told, answers, look
from twin.telemetry.map_types import Table
from twin.telemetry.modbus import RefusedError, SilentError
from twin.telemetry.sunspec_discovery import BASES, SUNS

LIKELY_UNITS = (*range(1, 17), 247, 255)
"""Where devices are found that nobody has renumbered, and 255 for those that do not look at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a device is treated."""

    timeout_s: float = 0.5
    pause_s: float = 0.02
    limit_s: float = 120.0
    """For everything."""
    samples: int = 3
    apart_s: float = 1.0


def probe(address: ProbeAddress, console: Console, tell: Told, pace: Pace) -> str:
    """Show what is there; returns a register map begun from it. Raises `LinkError` when nothing answers."""
    return asyncio.run(_probe(address, console, tell, pace))


async def _probe(address: ProbeAddress, console: Console, tell: Told, pace: Pace) -> str:
    rtu = address.scheme == "modbus-rtu-over-tcp"
    bus = Bus(address.host, address.port, rtu=rtu, timeout_s=pace.timeout_s, pause_s=pace.pause_s)
    await bus.open()
    budget = Budget.of(pace.limit_s)
    try:
        units = await _units(bus, address, console, tell)
        if address.scheme == "sunspec":
            texts = [await probe_sunspec(bus, address, unit_id, console, tell) for unit_id in units]
        else:
            texts = [await _probe_unit(bus, address, unit_id, console, tell, pace, budget) for unit_id in units]
    finally:
        bus.close()
    return "---\n".join(texts)


async def _units(bus: Bus, address: ProbeAddress, console: Console, tell: Told) -> Sequence[int]:
    silent: dict[int, str] = {}
    there: list[int] = []
    for unit_id in address.units or LIKELY_UNITS:
        tell(f"unit {unit_id}: is it there?")
        reason = await answers(bus, unit_id)
        if reason is None:
            there.append(unit_id)
        else:
            silent[unit_id] = reason
    if not there:
        raise LinkError(_nobody(address, silent))
    console.print(f"{address.place}: unit {', '.join(map(str, there))} answers")
    if silent and not address.units:
        console.print(
            f"  silent: unit {', '.join(map(str, silent))}; ask for others with unit=, for example unit=1-247"
        )
    if len(there) == len(LIKELY_UNITS):
        console.print("  it answers to every unit id, so that the id does not matter here; only the first is shown")
        return there[:1]
    return there


def _nobody(address: ProbeAddress, silent: Mapping[int, str]) -> str:
    reasons = "; ".join(f"unit {unit_id}: {reason}" for unit_id, reason in silent.items())
    if len(set(silent.values())) == 1:
        ids = ", ".join(map(str, silent))
        reasons = f"unit {ids}: {next(iter(silent.values()))}"
    other = "modbus" if address.scheme == "modbus-rtu-over-tcp" else "modbus-rtu-over-tcp"
    return (
        f"{address.place} takes connections, and no unit answers ({reasons}). "
        f"Is the unit id right (try unit=1-247)? Does the port speak another framing (try {other}://)? "
        "Is another client connected to a device that serves only one?"
    )


async def _probe_unit(
    bus: Bus, address: ProbeAddress, unit_id: int, console: Console, tell: Told, pace: Pace, budget: Budget
) -> str:
    found: dict[Table, Sequence[Guess]] = {}
    for table in address.tables:
        area = Area(unit_id=unit_id, table=table, addresses=address.addresses)
        seen = await look(bus, area, budget, tell, samples=pace.samples, apart_s=pace.apart_s)
        found[table] = _shown(seen, console)
    if (base := await _sunspec_base(bus, unit_id)) is not None:
        console.print(
            f"unit {unit_id} speaks SunSpec (SunS at {base}), which tells names, units and scales by itself: "
            f"gridhelm probe 'sunspec://{address.place}?unit={unit_id}'"
        )
    remarks = [f"unit {unit_id} at {address.place}, as probed"]
    return drafted(f"device at {address.place} unit {unit_id}", remarks, found)


async def _sunspec_base(bus: Bus, unit_id: int) -> int | None:
    for base in BASES:
        try:
            if tuple(await bus.read(unit_id, "holding", base, len(SUNS))) == SUNS:
                return base
        except (RefusedError, SilentError):
            continue
    return None


def _shown(seen: Seen, console: Console) -> Sequence[Guess]:
    """Print what an area holds; returns what its registers may be."""
    for line in _summary(seen):
        console.print(line, soft_wrap=True)
    if not seen.words:
        return ()
    if seen.area.table in ("coil", "discrete"):
        ones = [str(address) for address, bit in seen.words.items() if bit]
        console.print(f"  on: {', '.join(ones) or 'none'}", soft_wrap=True)
        return ()
    likely = guesses(seen.samples)
    console.print(_grid(seen, likely))
    return likely


def _summary(seen: Seen) -> Iterator[str]:
    where = f"unit {seen.area.unit_id} {seen.area.table}"
    readable = ranges(seen.words)
    yield f"{where}: {readable} readable" if readable else f"{where}: nothing readable"
    reasons: dict[str, list[int]] = {}
    for address, reason in seen.refused.items():
        reasons.setdefault(reason, []).append(address)
    for reason, addresses in reasons.items():
        yield f"  {ranges(addresses)}: {escape(reason)}"
    if seen.stopped:
        yield f"  [yellow]the time was up at {seen.stopped}; ask for less with from= and to=, or give it --limit[/]"


def ranges(addresses: Mapping[int, object] | Sequence[int]) -> str:
    """Addresses as people write them: `0..8, 100`."""
    runs: list[list[int]] = []
    for address in sorted(addresses):
        if runs and address == runs[-1][1] + 1:
            runs[-1][1] = address
        else:
            runs.append([address, address])
    return ", ".join(str(first) if first == last else f"{first}..{last}" for first, last in runs)


HEADS = ("address", "likely", "hex", "uint16", "int16", "int32 ABCD", "int32 CDAB", "float ABCD", "float CDAB")


def _grid(seen: Seen, likely: Sequence[Guess]) -> Grid:
    grid = Grid(title_justify="left", pad_edge=False)
    for head in HEADS:
        grid.add_column(head, justify="left" if head == "likely" else "right", no_wrap=head != "likely")
    by_address = {guess.address: guess for guess in likely}
    inside = {guess.address + 1 for guess in likely if guess.word_count == 2}
    zeros: list[int] = []
    for address, word in seen.words.items():
        guess = by_address.get(address)
        if word == 0 and address not in inside and (guess is None or not any(guess.values)):
            zeros.append(address)
            continue
        _add_zeros(grid, zeros)
        grid.add_row(*_row(seen, address, guess))
    _add_zeros(grid, zeros)
    return grid


def _add_zeros(grid: Grid, zeros: list[int]) -> None:
    if zeros:
        grid.add_row(ranges(zeros), "0")
        zeros.clear()


def _row(seen: Seen, address: int, guess: Guess | None) -> Iterator[str]:
    word = seen.words[address]
    yield str(address)
    yield "" if guess is None else _likely(guess)
    yield from (f"{word:04X}", str(word), str(word - 0x10000 if word >= 0x8000 else word))
    chosen = None if guess is None else (guess.type, guess.word_order)
    for kind in ("int32", "float32"):
        for order in ("big", "little"):
            values = pair(seen.samples, address, kind, order)
            cell = "" if values is None else f"{values[0]:.6g}"
            yield f"[bold green]{cell}[/]" if chosen == (kind, order) else f"[dim]{cell}[/]"


def _likely(guess: Guess) -> str:
    what = escape(f"{guess.type}{' CDAB' if guess.word_order == 'little' else ''} {guess.words}")
    return f"[bold green]{what}[/]" if guess.unit or guess.type in ("float32", "string") else what
