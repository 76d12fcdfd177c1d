"""The utility's meter over a billing month, and the bill at its end: blocks, demand charges, ratchet, minimum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from twin.demand_interval import DemandInterval, Passage
from twin.numeric import UNBOUNDED, Num, any_true, larger, ratio, smaller, where
from twin.quick import quick
from twin.tariff import DemandCharge, EnergyBlock, Tariff, Terms
from twin.units import SECONDS_PER_HOUR


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Registers:
    """What has been counted in the running billing month, and what is remembered of those before."""

    energy_kwh: tuple[Num, ...]
    """Bought in each period of the bill; nothing where no period has blocks."""
    peaks_kw: tuple[Num, ...]
    """Of each demand charge: highest interval average so far, the open interval taken as if it ended now."""
    peak_kw: Num
    """Highest at any hour."""
    spent_cost: Num
    """Energy bought at the first block's price, less energy sold."""
    begun_share: Num
    """1 once something was counted in this month."""
    earlier_kw: tuple[Num, ...]
    """What the ratchet holds of each earlier month, the last one first."""
    billed_share: tuple[Num, ...]
    """Of `Terms`, of the interval counted last."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a billing month costs beside `Registers.spent_cost`."""

    blocks_cost: Num
    """Energy beyond the first block: what its price differs from the first block's."""
    demand_cost: Num
    fixed_cost: Num
    """Fixed charges, and what is missing to the minimum."""


def opening_registers(tariff: Tariff) -> Registers:
    """Nothing counted yet."""
    ratchet = tariff.ratchet
    months = ratchet.look_back_months if ratchet is not None else 0
    before_kw = [ratchet.before_start_kw * ratchet.held_fraction] if ratchet is not None else []
    return Registers(
        energy_kwh=tuple(0.0 for _ in tariff.blocks),
        peaks_kw=tuple(0.0 for _ in tariff.charges),
        peak_kw=0.0,
        spent_cost=0.0,
        begun_share=0.0,
        earlier_kw=tuple([*before_kw, *[0.0] * months][:months]),
        billed_share=tuple(0.0 for _ in tariff.charges),
    )


def counted(
    registers: Registers, demand: DemandInterval, passage: Passage, import_kw: Num, spent_cost: Num, terms: Terms
) -> Registers:
    """The registers after a passage of the demand interval `demand`, with its part of the interval that was open.

    An average rises while its interval runs, since export does not count against it: so the peak of intervals
    that are taken as if they ended now is that of finished ones.
    """
    bought_kwh = larger(import_kw, 0.0) * (passage.old_s + passage.new_s) / SECONDS_PER_HOUR
    average_kw = demand.closed_kw(import_kw, passage)
    return replace(
        registers,
        energy_kwh=tuple(
            [old + bought_kwh * share for old, share in zip(registers.energy_kwh, terms.period_share, strict=True)]
        ),
        peaks_kw=tuple(
            [larger(old, average_kw * share) for old, share in zip(registers.peaks_kw, terms.demand_share, strict=True)]
        ),
        peak_kw=larger(registers.peak_kw, average_kw),
        spent_cost=registers.spent_cost + spent_cost,
        begun_share=1.0,
        billed_share=terms.billed_share,
    )


def with_open_interval(tariff: Tariff, registers: Registers, demand: DemandInterval) -> Registers:
    """The registers at the end of a run, with an interval that its last step opened and did not finish.

    It counts as if it ended now, for the demand charges of all hours: of others, nobody says whether it would.
    """
    open_kw = demand.energy_kwh * SECONDS_PER_HOUR / demand.length_s
    peaks_kw = [
        old if charge.hours else larger(old, open_kw)
        for charge, old in zip(tariff.charges, registers.peaks_kw, strict=True)
    ]
    begun_share = where(open_kw > 0.0, 1.0, registers.begun_share)
    return replace(registers, peaks_kw=tuple(peaks_kw), begun_share=begun_share)


def turned(registers: Registers, passage: Passage, terms: Terms) -> Registers:
    """The registers for what follows a passage: empty if a billing month ended with it, and its peak remembered."""
    ended = passage.month_ended
    if not any_true(ended):
        return registers
    remembered_kw = registers.peak_kw * terms.remembered_fraction
    shifted = (remembered_kw, *registers.earlier_kw[:-1]) if registers.earlier_kw else ()
    return replace(
        registers,
        energy_kwh=tuple([where(ended, 0.0, value) for value in registers.energy_kwh]),
        peaks_kw=tuple([where(ended, 0.0, value) for value in registers.peaks_kw]),
        peak_kw=where(ended, 0.0, registers.peak_kw),
        spent_cost=where(ended, 0.0, registers.spent_cost),
        begun_share=where(ended, 0.0, registers.begun_share),
        earlier_kw=tuple([where(ended, new, old) for new, old in zip(shifted, registers.earlier_kw, strict=True)]),
    )


def bill_of(tariff: Tariff, registers: Registers) -> Bill:
    """The bill of a month with these registers; of one that is not over, as if it ended now."""
    blocks_cost = sum(_blocks_costs(tariff, registers), 0.0)
    demand_cost = sum(
        [
            charge_cost(charge, larger(peak_kw, floor_kw * share)) * registers.begun_share
            for charge, peak_kw, floor_kw, share in _charges(tariff, registers)
        ],
        0.0,
    )
    total_cost = registers.spent_cost + blocks_cost + demand_cost + tariff.fixed_monthly_cost
    missing_cost = larger(tariff.minimum_monthly_cost - total_cost, 0.0) if tariff.minimum_monthly_cost else 0.0
    return Bill(
        blocks_cost=blocks_cost,
        demand_cost=demand_cost,
        fixed_cost=(tariff.fixed_monthly_cost + missing_cost) * registers.begun_share,
    )


def charge_cost(charge: DemandCharge, billed_kw: Num) -> Num:
    """What a billed demand costs: each kW at the price of its own block."""
    cost: Num = billed_kw * charge.price_per_kw
    before_per_kw = charge.price_per_kw
    for block in charge.blocks:
        cost = cost + larger(billed_kw - block.above_kw, 0.0) * (block.price_per_kw - before_per_kw)
        before_per_kw = block.price_per_kw
    return cost


def _charges(tariff: Tariff, registers: Registers) -> Iterator[tuple[DemandCharge, Num, Num, Num]]:
    """Each demand charge, its peak, what the ratchet holds it at, and 1 where it applies in this month."""
    held_kw = _held_kw(registers)
    for charge, peak_kw, share in zip(tariff.charges, registers.peaks_kw, registers.billed_share, strict=True):
        yield charge, peak_kw, held_kw if charge.ratchet else 0.0, share


def _held_kw(registers: Registers) -> Num:
    """What the ratchet holds billed demand at."""
    held_kw: Num = 0.0
    for value in registers.earlier_kw:
        held_kw = larger(held_kw, value)
    return held_kw


def _blocks_costs(tariff: Tariff, registers: Registers) -> Iterator[Num]:
    """Of each block of each period: the energy beyond its bound, times what the price rises there.

    Blocks are counted over the energy of all periods together, and each period has the same part of its energy in
    a block as the whole month has: the rule of NREL's System Advisor Model (`utilityrate5`, settled by the month), by
    which a bill follows from the registers at the month's end alone.
    """
    total_kwh = sum(registers.energy_kwh, 0.0)
    for energy_kwh, rise_per_kwh, bound_kwh in _rises(tariff, registers):
        yield energy_kwh * ratio(larger(total_kwh - bound_kwh, 0.0), total_kwh) * rise_per_kwh


def block_price_per_kwh(tariff: Tariff, registers: Registers, period_share: Sequence[Num]) -> Num:
    """What the next kWh costs beyond the price of the first block: the derivative of the bill, in the present period.

    With the total T of the month and the energy E of each period, the bill beyond the first block is the sum of
    E · r · (1 - t/T) over all blocks with T > t, where r is by how much the price rises at bound t. The next kWh adds
    r · (1 - t/T) for the blocks of its own period, and E · r · t / T² for those of every period.
    """
    total_kwh = sum(registers.energy_kwh, 0.0)
    shares = dict(zip(tariff.blocks, period_share, strict=True))
    price_per_kwh: Num = 0.0
    owners = (name for name, (_, blocks) in tariff.blocks.items() for _ in blocks)
    for name, (energy_kwh, rise_per_kwh, bound_kwh) in zip(owners, _rises(tariff, registers), strict=True):
        part = ratio(bound_kwh, total_kwh)
        own, others = shares[name] * (1.0 - part), ratio(energy_kwh, total_kwh) * part
        reached = (total_kwh >= bound_kwh) & (total_kwh > 0.0)
        price_per_kwh = price_per_kwh + where(reached, (own + others) * rise_per_kwh, 0.0)
    return price_per_kwh


def _rises(tariff: Tariff, registers: Registers) -> Iterator[tuple[Num, float, Num]]:
    """Energy of the period, rise of the price and bound, of every block of every period."""
    billed_kw = larger(registers.peak_kw, _held_kw(registers))
    for energy_kwh, (first_per_kwh, blocks) in zip(registers.energy_kwh, tariff.blocks.values(), strict=True):
        below_per_kwh = (first_per_kwh, *(block.price_per_kwh for block in blocks))
        for block, below in zip(blocks, below_per_kwh, strict=False):
            yield energy_kwh, block.price_per_kwh - below, _bound_kwh(block, billed_kw)


def _bound_kwh(block: EnergyBlock, billed_kw: Num) -> Num:
    return block.above_kwh if block.above_use_h is None else block.above_use_h * billed_kw  # type: ignore[return-value]


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeDemand:
    """How much demand is paid for already."""

    free_kw: Num
    """Highest interval average that adds nothing to the bill now; unbounded where no demand charge counts now."""
    price_per_kw: Num
    """What each kW above it costs, up to the peak of the next charge."""


def free_demand(tariff: Tariff, registers: Registers, demand_share: Sequence[Num]) -> FreeDemand:
    """What the demand charges that count now leave free: the lowest of their peaks binds."""
    levels = [
        (charge, larger(peak_kw, floor_kw * share), counts)
        for (charge, peak_kw, floor_kw, share), counts in zip(_charges(tariff, registers), demand_share, strict=True)
    ]
    free_kw: Num = UNBOUNDED
    for _, level_kw, counts in levels:
        free_kw = smaller(free_kw, where(counts > 0.0, level_kw, UNBOUNDED))
    price_per_kw: Num = 0.0
    for charge, level_kw, counts in levels:
        binding = (counts > 0.0) & (level_kw <= free_kw)
        price_per_kw = price_per_kw + where(binding, _rate_per_kw(charge, level_kw), 0.0)
    return FreeDemand(free_kw=free_kw, price_per_kw=price_per_kw)


def _rate_per_kw(charge: DemandCharge, level_kw: Num) -> Num:
    """Price of the next kW above a level."""
    rate_per_kw: Num = charge.price_per_kw
    for block in charge.blocks:
        rate_per_kw = where(level_kw >= block.above_kw, block.price_per_kw, rate_per_kw)
    return rate_per_kw
