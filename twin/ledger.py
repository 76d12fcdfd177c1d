"""The books of a run: every kWh, litre, gram and cent, per scenario, and whether they balance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from twin import billing, demand_interval
from twin.devices.base import Account, Device
from twin.devices.battery import Battery
from twin.devices.genset import Genset
from twin.devices.gpu_cluster import GpuCluster
from twin.devices.grid_connection import GridConnection
from twin.network.limits import KINDS, NetworkLimits
from twin.network.power_flow import FlowResult
from twin.numeric import Flag, Num, any_true, count_true, larger, magnitude, ratio, smaller, where
from twin.simulator import PlantStep
from twin.site import Site
from twin.tariff import Tariff
from twin.units import SECONDS_PER_HOUR

ENERGY = (
    "import", "export", "pv", "wind", "genset", "battery_charge", "battery_discharge",
    "it", "cooling", "ups_losses", "network_losses", "other",
)  # fmt: skip
GENERATING = {Account.PV: "pv", Account.WIND: "wind", Account.GENSET: "genset"}
CONSUMING = {
    Account.IT: "it",
    Account.COOLING: "cooling",
    Account.UPS_LOSSES: "ups_losses",
    Account.OTHER: "other",
}
MONTHLY = ("energy_cost", "demand_cost", "fixed_cost")
"""Sums that are there before anything is added to them: a billing month does so at its end."""
TOLERANCE = 1e-6
"""Of the limit: what a solver may leave is not a violation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The closed books of a run; every number is a float, or an array over scenarios."""

    energy_kwh: Mapping[str, Num]
    """By the names in `ENERGY`."""
    peak_import_kw: Num
    """Highest mean import of one step."""
    energy_cost: Num
    """Energy bought, less energy sold, plus fuel."""
    fuel_cost: Num
    """The part of `energy_cost` that is fuel."""
    demand_cost: Num
    fixed_cost: Num
    """Fixed charges of the connection, and what was missing to its minimum bill."""
    currency: str
    carbon_kg: Num
    """Of imported energy by the grid's average factor, and of fuel."""
    marginal_carbon_kg: Num
    """As `carbon_kg`, by the grid's marginal factor."""
    pue: Num
    """(IT + cooling + UPS losses + network losses) / IT. Offices (`other`) are left out, as ISO/IEC 30134-2
    asks of a mixed-use site; server fans count as IT."""
    tue: Num | None
    """Energy counted in `pue` over that of compute components; PUE hides server fans and power supplies, this does not.
    None: some equipment does not tell what of its power reaches them."""
    wue_l_per_kwh: Num
    kwh_per_gpu_h: Num
    """Energy counted in `pue` for each GPU-hour of work done."""
    unmet_heat_kwh: Num
    """Heat that no cooling took."""
    over_limit_h: Num
    """In which a hall's inlet was above its limit; several halls add up."""
    unbacked_kwh: Num
    """Load behind a UPS that lost its input and had no reserve left."""
    wear_cost: Num
    """Of batteries, by their throughput; no part of `energy_cost`."""
    min_soc: Num
    max_soc: Num
    equivalent_full_cycles: Num
    """Energy discharged over nominal capacity."""
    delivered_gpu_h: Num
    deferred_gpu_h: Num
    missed_deadlines: Num
    """Jobs whose work was not done at their deadline."""
    violations: Mapping[str, Num]
    """Kind → number of steps."""
    max_balance_residual_kw: Num
    """Largest of any step."""
    longest_import_excess_steps: Num


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Where one device is booked."""

    device: str
    sum: str
    """The name in `ENERGY` to which its power is added; empty for a battery, which has two."""
    sign_factor: float
    genset: Genset | None
    """Set where it burns fuel."""


def _line(name: str, device: Device[Any]) -> Line:
    account = device.account
    return Line(
        device=name,
        sum=CONSUMING.get(account) or GENERATING.get(account, ""),
        sign_factor=-1.0 if account in GENERATING else 1.0,
        genset=cast(Genset, device) if account is Account.GENSET else None,
    )


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a ledger has added up so far; all of its memory. Every number is a float, or an array over scenarios."""

    sums: dict[str, Num] = field(default_factory=lambda: defaultdict(float))
    violations: dict[str, Num]
    demand: demand_interval.DemandInterval | None = None
    registers: billing.Registers | None = None
    """Of the billing month that runs."""
    peak_import_kw: Num = 0.0
    residual_kw: Num = 0.0
    min_soc: Num = 1.0
    max_soc: Num = 0.0
    import_excess_steps: Num = 0.0
    """Running at present."""
    longest_import_excess_steps: Num = 0.0


Watch = Callable[[FlowResult], Mapping[str, Num]]
"""Counts what of the network's limits is violated in a flow, by kind."""


def watch_limits(site: Site) -> Watch:
    """The voltage bands and ratings of a site, watched."""
    limits = NetworkLimits(site.network)

    def watch(flow: FlowResult) -> Mapping[str, Num]:
        if limits.quiet(flow.v_pu, flow.loading_fraction):
            return {}
        found = limits.violations(flow.v_pu, flow.loading_fraction)
        return {kind: count_true(flag) for kind, flag in found.items()}

    return watch


class Ledger:
    """Adds up the steps of one run. All sums are floats, or arrays over scenarios."""

    def __init__(self, site: Site, watch: Watch | None = None, tally: Tally | None = None) -> None:
        """`watch` counts violations of the network's limits; those of the site by default."""
        self._site = site
        self._watch = watch or watch_limits(site)
        self._grid = cast(GridConnection, site.devices[site.grid]) if site.grid else None
        self._zone = site.location.zone
        self._lines = tuple(_line(name, device) for name, device in site.devices.items() if name != site.grid)
        of_connection = ("import_limit", "export_limit") if self._grid else ("surplus",)
        self.tally = tally or Tally(
            sums=defaultdict(float, dict.fromkeys(MONTHLY if self._grid else (), 0.0)),
            violations=dict.fromkeys((*KINDS, "unserved", *of_connection), 0.0),
        )

    def book(self, step: PlantStep) -> None:
        """Add one step."""
        hours = step.step_s / SECONDS_PER_HOUR
        tally = self.tally
        self._book_devices(step, hours)
        self._book_violations(step)
        tally.sums["network_losses"] += step.flow.losses_kw * hours
        tally.residual_kw = larger(tally.residual_kw, magnitude(step.balance_residual_kw))
        if self._grid is not None:
            self._book_grid(self._grid, step, hours)

    def _book_devices(self, step: PlantStep, hours: float) -> None:
        sums = self.tally.sums
        for line in self._lines:
            done = step.steps[line.device]
            if line.sum:
                sums[line.sum] += done.p_kw * (line.sign_factor * hours)
            else:
                self._book_battery(done.p_kw, done.points["soc"], hours)
            if line.genset:
                self._book_fuel(line.genset, done.amounts["fuel_l"])
            for amount, value in done.amounts.items():
                sums[amount] += value

    def _book_fuel(self, genset: Genset, fuel_l: Num) -> None:
        sums = self.tally.sums
        sums["fuel_cost"] += fuel_l * genset.fuel_cost_per_l
        sums["carbon_kg"] += fuel_l * genset.carbon_kg_per_l
        sums["marginal_carbon_kg"] += fuel_l * genset.carbon_kg_per_l

    def _book_battery(self, p_kw: Num, soc: Num, hours: float) -> None:
        sums = self.tally.sums
        sums["battery_charge"] += larger(p_kw, 0.0) * hours
        sums["battery_discharge"] -= smaller(p_kw, 0.0) * hours
        tally = self.tally
        tally.min_soc, tally.max_soc = smaller(tally.min_soc, soc), larger(tally.max_soc, soc)

    def _book_grid(self, grid: GridConnection, step: PlantStep, hours: float) -> None:
        sums, local = self.tally.sums, step.start.astimezone(self._zone)
        bought_kwh, sold_kwh = larger(step.import_kw, 0.0) * hours, -smaller(step.import_kw, 0.0) * hours
        sums["import"] += bought_kwh
        sums["export"] += sold_kwh
        emission = grid.emission(local)
        sums["carbon_kg"] += bought_kwh * (emission.average_g_per_kwh / 1000.0)
        sums["marginal_carbon_kg"] += bought_kwh * (emission.marginal_g_per_kwh / 1000.0)
        self.tally.peak_import_kw = larger(self.tally.peak_import_kw, step.import_kw)
        self._bill(grid.tariff, step, local, bought_kwh, sold_kwh)

    def _bill(self, tariff: Tariff, step: PlantStep, local: datetime, bought_kwh: Num, sold_kwh: Num) -> None:
        """Meter the step; a billing month that ends with it is charged."""
        tally = self.tally
        length_s, end = max(tariff.demand_interval_s, step.step_s), step.start + timedelta(seconds=step.step_s)
        before = tally.demand or demand_interval.opening(step.start, local, length_s)
        terms = tariff.terms(local, before.start.astimezone(self._zone), before.billing_month[1])
        spent_cost = bought_kwh * terms.price_per_kwh - sold_kwh * terms.export_price_per_kwh
        passage = before.passage(step.start, end, end.astimezone(self._zone))
        registers = tally.registers or billing.opening_registers(tariff)
        registers = billing.counted(registers, before, passage, step.import_kw, spent_cost, terms)
        tally.sums["energy_cost"] += spent_cost
        if any_true(passage.month_ended):
            self._charge(billing.bill_of(tariff, registers), passage.month_ended)
        tally.registers = billing.turned(registers, passage, terms)
        tally.demand = before.after(step.import_kw, passage)

    def _charge(self, bill: billing.Bill, due: Flag) -> None:
        sums = self.tally.sums
        sums["energy_cost"] += where(due, bill.blocks_cost, 0.0)
        sums["demand_cost"] += where(due, bill.demand_cost, 0.0)
        sums["fixed_cost"] += where(due, bill.fixed_cost, 0.0)

    def _book_violations(self, step: PlantStep) -> None:
        found = self.tally.violations
        for kind, count in self._watch(step.flow).items():
            found[kind] += count
        found["unserved"] += count_true(step.unserved_kw > 1e-6)
        if self._grid is None:
            found["surplus"] += count_true(step.unserved_kw < -1e-3)
            return
        tally = self.tally
        over = step.import_kw > self._grid.contracted_import_kw * (1 + TOLERANCE)
        found["import_limit"] += count_true(over)
        found["export_limit"] += count_true(-step.import_kw > self._grid.export_limit_kw * (1 + TOLERANCE))
        tally.import_excess_steps = where(over, tally.import_excess_steps + 1.0, 0.0)
        tally.longest_import_excess_steps = larger(tally.longest_import_excess_steps, tally.import_excess_steps)

    def close(self) -> Books:
        """Bill the last month and return the books; call once, at the end of a run."""
        tally, grid = self.tally, self._grid
        sums = tally.sums
        if grid is not None and tally.registers is not None and tally.demand is not None:
            registers = billing.with_open_interval(grid.tariff, tally.registers, tally.demand)
            self._charge(billing.bill_of(grid.tariff, registers), True)
        it_kwh = sums["it"]
        facility_kwh = it_kwh + sums["cooling"] + sums["ups_losses"] + sums["network_losses"]
        return Books(
            energy_kwh={name: sums[name] for name in ENERGY},
            peak_import_kw=tally.peak_import_kw,
            energy_cost=sums["energy_cost"] + sums["fuel_cost"],
            fuel_cost=sums["fuel_cost"],
            demand_cost=sums["demand_cost"],
            fixed_cost=sums["fixed_cost"],
            currency=grid.tariff.currency if grid else "USD",
            carbon_kg=sums["carbon_kg"],
            marginal_carbon_kg=sums["marginal_carbon_kg"],
            pue=ratio(facility_kwh, it_kwh),
            tue=ratio(facility_kwh, sums["compute_kwh"]) if self._computing_is_told() else None,
            wue_l_per_kwh=ratio(sums["water_l"], it_kwh),
            kwh_per_gpu_h=ratio(facility_kwh, sums["delivered_gpu_h"]),
            unmet_heat_kwh=sums["unmet_heat_kwh"],
            over_limit_h=sums["over_limit_h"],
            unbacked_kwh=sums["unbacked_kwh"],
            wear_cost=sums["wear_cost"],
            min_soc=tally.min_soc,
            max_soc=tally.max_soc,
            equivalent_full_cycles=ratio(sums["battery_discharge"], self._capacity_kwh()),
            delivered_gpu_h=sums["delivered_gpu_h"],
            deferred_gpu_h=sums["deferred_gpu_h"],
            missed_deadlines=sums["missed_jobs"],
            violations=dict(tally.violations),
            max_balance_residual_kw=tally.residual_kw,
            longest_import_excess_steps=tally.longest_import_excess_steps,
        )

    def _computing_is_told(self) -> bool:
        """Whether each piece of IT equipment says what of its power reaches compute components."""
        equipment = [device for device in self._site.devices.values() if device.account is Account.IT]
        return all(isinstance(device, GpuCluster) and device.compute_fraction is not None for device in equipment)

    def _capacity_kwh(self) -> float:
        devices = self._site.devices.values()
        return sum(device.capacity_kwh for device in devices if isinstance(device, Battery))
