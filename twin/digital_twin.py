"""The twin in step: from what the meters say to what the site is, with how far each part may be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from twin import billing, demand_interval
from twin.devices.base import Device
from twin.devices.grid_connection import GridConnection
from twin.errors import PowerFlowError
from twin.network.estimate import Estimator, Measurement
from twin.numeric import Num, clip, first, where
from twin.points import Quality, Reading, Snapshot
from twin.simulator import sum_of
from twin.site import Site
from twin.state import AssetState, GridState, NetworkEstimate, SiteState
from twin.tariff import Terms
from twin.units import SECONDS_PER_HOUR

Power = Literal["p_kw", "q_kvar"]
LIE_SIGMAS = 5.0
"""Beyond this, a meter and the estimate differ by more than noise ever explains."""
NOISE_SIGMAS = 3.0
"""How far the estimate may correct a meter: the most that a smaller lie elsewhere can move it."""
POWERS: tuple[Power, ...] = ("p_kw", "q_kvar")
SLACK_POWERS: tuple[tuple[Literal["slack_p_kw", "slack_q_kvar"], Power], ...] = (
    ("slack_p_kw", "p_kw"),
    ("slack_q_kvar", "q_kvar"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """The points of one device, named once so that no cycle has to build strings."""

    device: Device[Any]
    points: tuple[tuple[str, str], ...]
    """(short name, full name) of `p_kw` and of each of the device's instruments."""
    max_age_s: float


def instrument(name: str, device: Device[Any], max_age_s: float) -> Instrument:
    """The points of `device`, by their short and full names."""
    short = ("p_kw", *device.instruments)
    return Instrument(device=device, points=tuple((key, f"{name}.{key}") for key in short), max_age_s=max_age_s)


@dataclass(slots=True, kw_only=True)
class MeterMemory:
    """What the twin carries from one cycle to the next, since the meters do not show it."""

    demand: demand_interval.DemandInterval | None = None
    registers: billing.Registers | None = None
    """Of the billing month that runs, as far as they decide what energy and demand cost now."""
    terms: Terms | None = None
    """Of the tariff, since the cycle before."""
    until: datetime | None = None
    """How far the demand interval is metered."""
    counter_kwh: Num | None = None
    """The connection's energy counter then."""


class DigitalTwin:
    """Assimilates one snapshot a cycle. Holds what the meters do not: the demand interval."""

    def __init__(self, site: Site, estimator: Estimator | None = None, memory: MeterMemory | None = None) -> None:
        self.memory = memory or MeterMemory()
        self._site, self._grid = site, site.grid
        self._estimator = estimator
        telemetry = site.telemetry
        self._instruments = {
            name: instrument(name, device, telemetry.max_age_by_device_s.get(name, telemetry.max_age_s))
            for name, device in site.devices.items()
            if name != self._grid
        }

    def assimilate(self, snapshot: Snapshot) -> SiteState:
        """The state of the site at the snapshot's instant."""
        assets = {name: asset_state(parts, name, snapshot) for name, parts in self._instruments.items()}
        network = self._estimate(snapshot) if self._estimator else None
        grid = self._grid_state(snapshot, assets, network) if self._grid else None
        return SiteState(
            now=snapshot.now,
            assets=assets,
            grid=grid,
            grid_forming=self._site.grid_forming,
            network=network,
            lost=snapshot.lost,
        )

    def _grid_state(
        self, snapshot: Snapshot, assets: Mapping[str, AssetState], network: NetworkEstimate | None
    ) -> GridState:
        site = self._site
        grid = cast(GridConnection, site.devices[cast(str, self._grid)])
        import_kw, quality, reason = connection_power(site, snapshot, assets, network)
        local = snapshot.now.astimezone(site.location.zone)
        terms = self._meter_demand(grid, snapshot, import_kw, local)
        registers = cast(billing.Registers, self.memory.registers)
        free = billing.free_demand(grid.tariff, registers, terms.demand_share)
        block_per_kwh = billing.block_price_per_kwh(grid.tariff, registers, terms.period_share)
        emission = grid.emission(local)
        return GridState(
            import_kw=import_kw,
            quality=quality,
            contracted_import_kw=grid.contracted_import_kw,
            export_limit_kw=grid.export_limit_kw,
            price_per_kwh=terms.price_per_kwh + block_per_kwh,
            export_price_per_kwh=terms.export_price_per_kwh,
            free_demand_kw=free.free_kw,
            demand_price_per_kw=free.price_per_kw,
            carbon_g_per_kwh=emission.average_g_per_kwh,
            marginal_carbon_g_per_kwh=emission.marginal_g_per_kwh,
            demand=cast(demand_interval.DemandInterval, self.memory.demand),
            reason=reason,
        )

    def _meter_demand(self, grid: GridConnection, snapshot: Snapshot, import_kw: Num, local: datetime) -> Terms:
        """Follow the utility meter with what was imported since the last cycle; what holds now."""
        now, memory = snapshot.now, self.memory
        before = memory.demand or demand_interval.opening(now, local, grid.tariff.demand_interval_s)
        since = memory.until or now
        mean_kw = self._mean_import_kw(snapshot, import_kw, (now - since).total_seconds())
        passage = before.passage(since, now, local)
        memory.demand, memory.until = before.after(mean_kw, passage), now
        tariff, opened = grid.tariff, memory.demand.start.astimezone(self._site.location.zone)
        terms = tariff.terms(local, opened, memory.demand.billing_month[1])
        past = memory.terms or terms
        registers = memory.registers or billing.opening_registers(tariff)
        registers = billing.counted(registers, before, passage, mean_kw, 0.0, past)
        memory.registers, memory.terms = billing.turned(registers, passage, past), terms
        return terms

    def _mean_import_kw(self, snapshot: Snapshot, import_kw: Num, seconds: float) -> Num:
        """Mean import since the last cycle: from the meter's energy counter, or the present power without one."""
        reading = snapshot.readings.get(f"{self._grid}.import_kwh")
        fresh = usable(reading, snapshot.now, self._site.telemetry.max_age_s)
        counter_kwh = cast(Reading, reading).value if fresh else None
        before_kwh, self.memory.counter_kwh = self.memory.counter_kwh, counter_kwh
        if counter_kwh is None or before_kwh is None or seconds <= 0:
            return import_kw
        mean_kw = (counter_kwh - before_kwh) * SECONDS_PER_HOUR / seconds
        return where(counter_kwh < before_kwh, import_kw, mean_kw)  # one that runs backwards was reset or exchanged

    def _estimate(self, snapshot: Snapshot) -> NetworkEstimate | None:
        if self._estimator is None:
            return None
        try:
            return self._estimator.estimate(measurements(self._site, snapshot))
        except PowerFlowError:
            return None  # Nonsense from the meters must not stop control: it goes on without an estimate.


def asset_state(parts: Instrument, name: str, snapshot: Snapshot) -> AssetState:
    """One device from its readings: complete and fresh, or BAD with a reason. Never raises for what is missing."""
    values: dict[str, Num] = {}
    readings, good = snapshot.readings, Quality.GOOD
    worst, reason, now = good, "", snapshot.now
    oldest = now
    for short, full in parts.points:
        reading = readings.get(full)
        if reading is None:
            worst, reason = Quality.BAD, f"{full} was never read"
            continue
        values[short] = reading.value
        if reading.at is not oldest:  # those of one instant share it, and need no comparison
            oldest = min(oldest, reading.at)
        if reading.quality is not good and worst is not Quality.BAD:
            worst, reason = reading.quality, f"{full}: {reading.reason}"
    age_s = 0.0 if oldest is now else (now - oldest).total_seconds()
    if age_s > parts.max_age_s:
        worst, reason = Quality.BAD, f"newest values are {age_s:.0f} s old, older than {parts.max_age_s:.0f} s"
    if name in snapshot.lost:
        worst, reason = Quality.BAD, snapshot.lost[name]
    complete = len(values) == len(parts.points)
    return AssetState(
        group=parts.device.group,
        account=parts.device.account,
        p_kw=values.get("p_kw", 0.0),
        values=values,
        flexibility=parts.device.flexibility(values) if complete else None,
        quality=worst,
        age_s=age_s,
        reason=reason,
    )


def usable(reading: Reading | None, now: datetime, max_age_s: float) -> bool:
    """Whether a reading is there, not bad, and young enough."""
    return (
        reading is not None and reading.quality is not Quality.BAD and (now - reading.at).total_seconds() <= max_age_s
    )


def connection_power(
    site: Site, snapshot: Snapshot, assets: Mapping[str, AssetState], network: NetworkEstimate | None
) -> tuple[Num, Quality, str]:
    """Import at the connection point: metered, else inferred from every device, else bad."""
    grid = cast(str, site.grid)
    reading = snapshot.readings.get(f"{grid}.p_kw")
    if grid not in snapshot.lost and usable(reading, snapshot.now, site.telemetry.max_age_s):
        sigma_kw = site.telemetry.power_sigma_fraction * site.devices[grid].rated_kw
        return reconciled_kw(cast(Reading, reading).value, sigma_kw, network), Quality.GOOD, ""
    why = snapshot.lost.get(grid, "the grid meter's value is missing, bad or stale")
    losses_kw = network.losses_kw if network else 0.0
    inferred_kw = sum_of(asset.p_kw for asset in assets.values()) + losses_kw
    blind = [name for name, asset in assets.items() if not asset.reliable]
    if blind:
        return inferred_kw, Quality.BAD, f"{why}; and {', '.join(blind)} cannot be read either"
    return inferred_kw, Quality.SUSPECT, f"{why}; inferred from all devices"


def reconciled_kw(metered_kw: Num, sigma_kw: float, network: NetworkEstimate | None) -> Num:
    """The import as all meters together have it, which is less noisy than one of them.

    The connection's own meter, of standard deviation `sigma_kw`, is corrected by `NOISE_SIGMAS` at
    most. Where the others disagree by more than noise can explain, one of them lies, and it is believed.
    """
    correction_kw = 0.0 if network is None else network.slack_p_kw - first(metered_kw)
    if abs(correction_kw) > LIE_SIGMAS * sigma_kw:
        return metered_kw
    return metered_kw + clip(correction_kw, -NOISE_SIGMAS * sigma_kw, NOISE_SIGMAS * sigma_kw)


def measurements(site: Site, snapshot: Snapshot) -> tuple[Measurement, ...]:
    """What the state estimation may use: one injection per bus, every voltage, the connection point."""
    found: list[Measurement] = []
    telemetry = site.telemetry
    for bus in {device.bus: None for device in site.devices.values()}:
        names = [name for name, device in site.devices.items() if device.bus == bus and name != site.slack]
        found += [_injection(site, snapshot, bus, names, kind) for kind in POWERS]
    for name, device in site.devices.items():
        reading = snapshot.readings.get(f"{name}.v_pu")
        if usable(reading, snapshot.now, telemetry.max_age_s):
            value = first(cast(Reading, reading).value)
            found.append(Measurement(kind="v_pu", bus=device.bus, value=value, sigma=telemetry.voltage_sigma_fraction))
    slack = site.devices[site.slack]
    sign = 1.0 if site.grid else -1.0
    for slack_kind, kind in SLACK_POWERS:
        reading = snapshot.readings.get(f"{site.slack}.{kind}")
        if usable(reading, snapshot.now, telemetry.max_age_s):
            found.append(
                Measurement(
                    kind=slack_kind,
                    bus=slack.bus,
                    value=sign * first(cast(Reading, reading).value),
                    sigma=telemetry.power_sigma_fraction * slack.rated_kw,
                )
            )
    return tuple(found)


def _injection(site: Site, snapshot: Snapshot, bus: str, names: list[str], kind: Power) -> Measurement:
    """All devices of one bus together; one that cannot be read counts with half its rating as sigma."""
    telemetry, total, variance = site.telemetry, 0.0, 1e-6
    for name in names:
        device = site.devices[name]
        reading = snapshot.readings.get(f"{name}.{kind}")
        fresh = name not in snapshot.lost and usable(reading, snapshot.now, telemetry.max_age_s)
        if reading is not None:
            total += first(reading.value)
        sigma_fraction = telemetry.power_sigma_fraction if fresh else 0.5
        variance += (sigma_fraction * device.rated_kw) ** 2
    return Measurement(kind=kind, bus=bus, value=total, sigma=variance**0.5)
