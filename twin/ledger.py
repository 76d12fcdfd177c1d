"""The books of a run: every kWh, litre, gram and cent, per scenario, and whether they balance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from twin import demand_interval
from twin.devices.base import Account, Device
from twin.devices.battery import Battery
from twin.devices.genset import Genset
from twin.devices.grid_connection import GridConnection
from twin.network.limits import KINDS, NetworkLimits
from twin.numeric import Num, any_true, count_true, larger, largest_magnitude, ratio, smaller
from twin.simulator import PlantStep
from twin.site import Site
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
    currency: str
    carbon_kg: Num
    """Of imported energy and of fuel."""
    pue: Num
    """(IT + cooling + UPS losses + network losses) / IT. Offices (`other`) are left out, as ISO/IEC 30134-2
    asks of a mixed-use site; server fans count as IT."""
    wue_l_per_kwh: Num
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
    max_balance_residual_kw: float
    longest_import_excess_steps: int


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


class Ledger:
    """Adds up the steps of one run. All sums are floats, or arrays over scenarios."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._limits = NetworkLimits(site.network)
        self._grid = cast(GridConnection, site.devices[site.grid]) if site.grid else None
        self._zone = site.location.zone
        self._lines = tuple(_line(name, device) for name, device in site.devices.items() if name != site.grid)
        self._sums: dict[str, Num] = defaultdict(float)
        self._violations: dict[str, Num] = defaultdict(float, dict.fromkeys(KINDS, 0.0))
        self._demand: demand_interval.DemandInterval | None = None
        self._peak_import_kw: Num = 0.0
        self._residual_kw = 0.0
        self._steps = 0
        self._min_soc: Num = 1.0
        self._max_soc: Num = 0.0
        self._import_excess_run = 0
        self.longest_import_excess_steps = 0

    def book(self, step: PlantStep) -> None:
        """Add one step."""
        hours = step.step_s / SECONDS_PER_HOUR
        self._steps += 1
        self._book_devices(step, hours)
        self._book_violations(step)
        self._sums["network_losses"] += step.flow.losses_kw * hours
        self._residual_kw = max(self._residual_kw, largest_magnitude(step.balance_residual_kw))
        if self._grid is not None:
            self._book_grid(self._grid, step, hours)

    def _book_devices(self, step: PlantStep, hours: float) -> None:
        sums = self._sums
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
        sums = self._sums
        sums["fuel_cost"] += fuel_l * genset.fuel_cost_per_l
        sums["carbon_kg"] += fuel_l * genset.carbon_kg_per_l

    def _book_battery(self, p_kw: Num, soc: Num, hours: float) -> None:
        sums = self._sums
        sums["battery_charge"] += larger(p_kw, 0.0) * hours
        sums["battery_discharge"] -= smaller(p_kw, 0.0) * hours
        self._min_soc, self._max_soc = smaller(self._min_soc, soc), larger(self._max_soc, soc)

    def _book_grid(self, grid: GridConnection, step: PlantStep, hours: float) -> None:
        sums, local, tariff = self._sums, step.start.astimezone(self._zone), grid.tariff
        bought_kwh, sold_kwh = larger(step.import_kw, 0.0) * hours, -smaller(step.import_kw, 0.0) * hours
        sums["import"] += bought_kwh
        sums["export"] += sold_kwh
        sums["energy_cost"] += bought_kwh * tariff.price_per_kwh(local) - sold_kwh * tariff.export_price_per_kwh
        sums["carbon_kg"] += bought_kwh * (grid.carbon_g_per_kwh / 1000.0)
        self._peak_import_kw = larger(self._peak_import_kw, step.import_kw)
        self._book_demand(grid, step, local)

    def _book_demand(self, grid: GridConnection, step: PlantStep, local: datetime) -> None:
        length_s = max(grid.tariff.demand_interval_s, step.step_s)
        before = self._demand or demand_interval.opening(step.start, local, length_s)
        now = before.roll(step.start, local)
        if now.billing_month != before.billing_month:
            self._bill(before)
        self._demand = now.add(step.import_kw, step.step_s)

    def _bill(self, interval: demand_interval.DemandInterval) -> None:
        """Charge a billing month for its highest interval, the one still open included."""
        rate_per_kw = self._grid.tariff.demand_charge_per_kw if self._grid else 0.0
        self._sums["demand_cost"] = self._sums["demand_cost"] + interval.peak_kw * rate_per_kw

    def _book_violations(self, step: PlantStep) -> None:
        found = self._violations
        if not self._limits.quiet(step.flow.v_pu, step.flow.loading_fraction):
            for kind, flag in self._limits.violations(step.flow.v_pu, step.flow.loading_fraction).items():
                found[kind] += count_true(flag)
        found["unserved"] += count_true(step.unserved_kw > 1e-6)
        if self._grid is None:
            found["surplus"] += count_true(step.unserved_kw < -1e-3)
            return
        over = step.import_kw > self._grid.contracted_import_kw * (1 + TOLERANCE)
        found["import_limit"] += count_true(over)
        found["export_limit"] += count_true(-step.import_kw > self._grid.export_limit_kw * (1 + TOLERANCE))
        self._import_excess_run = self._import_excess_run + 1 if any_true(over) else 0
        self.longest_import_excess_steps = max(self.longest_import_excess_steps, self._import_excess_run)

    def close(self) -> Books:
        """Bill the last month and return the books; call once, at the end of a run."""
        if self._demand is not None:
            self._bill(self._demand)
        sums, grid = self._sums, self._grid
        it_kwh = sums["it"]
        facility_kwh = it_kwh + sums["cooling"] + sums["ups_losses"] + sums["network_losses"]
        return Books(
            energy_kwh={name: sums[name] for name in ENERGY},
            peak_import_kw=self._peak_import_kw,
            energy_cost=sums["energy_cost"] + sums["fuel_cost"],
            fuel_cost=sums["fuel_cost"],
            demand_cost=sums["demand_cost"],
            currency=grid.tariff.currency if grid else "USD",
            carbon_kg=sums["carbon_kg"],
            pue=ratio(facility_kwh, it_kwh),
            wue_l_per_kwh=ratio(sums["water_l"], it_kwh),
            min_soc=self._min_soc,
            max_soc=self._max_soc,
            equivalent_full_cycles=ratio(sums["battery_discharge"], self._capacity_kwh()),
            delivered_gpu_h=sums["delivered_gpu_h"],
            deferred_gpu_h=sums["deferred_gpu_h"],
            missed_deadlines=sums["missed_jobs"],
            violations=dict(self._violations),
            max_balance_residual_kw=self._residual_kw,
            longest_import_excess_steps=self.longest_import_excess_steps,
        )

    def _capacity_kwh(self) -> float:
        devices = self._site.devices.values()
        return sum(device.capacity_kwh for device in devices if isinstance(device, Battery))
