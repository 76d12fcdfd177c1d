"""A small site made up by hand, with something of everything: a fleet, and states of it from plain numbers.

Every number may be a float or an array over scenarios; `NUMBERS` draws them one scenario at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import strategies as st

from controllers.fleet import Fleet, Steerable
from twin.demand_interval import DemandInterval
from twin.devices.base import Account, Group
from twin.flexibility import Envelope, Flexibility, Modes, Store
from twin.forecast import Forecast, Signal
from twin.numeric import Num, larger, smaller, where
from twin.points import Quality
from twin.state import AssetState, GridState, SiteState

NOON = datetime(2025, 7, 16, 12, 5, tzinfo=UTC)
"""Five minutes into a demand interval."""
INTERVAL_S = 900.0
CONTRACTED_KW, EXPORT_LIMIT_KW = 2000.0, 600.0

GROUPS = {
    "sun": Group.RENEWABLES,
    "wind": Group.RENEWABLES,
    "battery": Group.STORAGE,
    "battery_b": Group.STORAGE,
    "hall": Group.COMPUTE,
    "hall_b": Group.COMPUTE,
    "engine": Group.GENSETS,
    "engine_b": Group.GENSETS,
}
ACCOUNTS = {
    "sun": Account.PV,
    "wind": Account.WIND,
    "battery": Account.BATTERY,
    "battery_b": Account.BATTERY,
    "hall": Account.IT,
    "hall_b": Account.IT,
    "engine": Account.GENSET,
    "engine_b": Account.GENSET,
    "cooling": Account.COOLING,
    "office": Account.OTHER,
}
RATED_KW = {
    "sun": 1500.0,
    "wind": 500.0,
    "battery": 1000.0,
    "battery_b": 500.0,
    "hall": 1200.0,
    "hall_b": 800.0,
    "engine": 800.0,
    "engine_b": 800.0,
}
CAPACITY_KWH = {"battery": 4000.0, "battery_b": 1000.0}
LIGHTEST_KW, START_S = 240.0, 15.0
STANDBY_KW, MIN_SOC, MAX_SOC = 4.0, 0.1, 0.95

QUIET: Mapping[str, Num] = {
    "sun_available_kw": 0.0,
    "wind_available_kw": 0.0,
    "sun_limit_kw": 1500.0,
    "wind_limit_kw": 500.0,
    "battery_soc": 0.5,
    "battery_kw": 0.0,
    "battery_b_soc": 0.5,
    "battery_b_kw": 0.0,
    "hall_firm_kw": 500.0,
    "hall_wanted_kw": 900.0,
    "hall_kw": 900.0,
    "hall_b_firm_kw": 300.0,
    "hall_b_wanted_kw": 500.0,
    "hall_b_kw": 500.0,
    "engine_running": 0.0,
    "engine_kw": 0.0,
    "engine_b_running": 0.0,
    "engine_b_kw": 0.0,
    "cooling_kw": 140.0,
    "office_kw": 100.0,
    "price_per_kwh": 0.1,
    "used_kwh": 100.0,
    "billed_peak_kw": 0.0,
}
"""An import of 1,640 kW that nothing needs to be done about."""

RANGES: Mapping[str, tuple[float, float]] = {
    "sun_available_kw": (0, 1500),
    "wind_available_kw": (0, 500),
    "sun_limit_kw": (0, 1500),
    "wind_limit_kw": (0, 500),
    "battery_soc": (0.08, 0.97),
    "battery_kw": (-1000, 1000),
    "battery_b_soc": (0.08, 0.97),
    "battery_b_kw": (-500, 500),
    "hall_firm_kw": (0, 1200),
    "hall_wanted_kw": (0, 1200),
    "hall_kw": (0, 1200),
    "hall_b_firm_kw": (0, 800),
    "hall_b_wanted_kw": (0, 800),
    "hall_b_kw": (0, 800),
    "engine_kw": (240, 800),
    "engine_b_kw": (240, 800),
    "cooling_kw": (0, 600),
    "office_kw": (0, 2500),
    "used_kwh": (0, 1000),
    "billed_peak_kw": (0, 2500),
}
CHOICES: Mapping[str, Sequence[float]] = {
    "engine_running": (0.0, 1.0),
    "engine_b_running": (0.0, 1.0),
    "price_per_kwh": (-0.05, 0.02, 0.06, 0.1, 0.13, 0.3),
}
NUMBERS = st.fixed_dictionaries(
    {name: st.floats(low, high) for name, (low, high) in RANGES.items()}
    | {name: st.sampled_from(values) for name, values in CHOICES.items()}
)


def drawn(rng: np.random.Generator) -> dict[str, float]:
    """As `NUMBERS`, for tests that want many states rather than a small one that fails."""
    numbers = {name: float(rng.uniform(low, high)) for name, (low, high) in RANGES.items()}
    return numbers | {name: float(rng.choice(values)) for name, values in CHOICES.items()}


def scenarios(several: Sequence[Mapping[str, float]]) -> dict[str, Num]:
    """The same numbers as arrays over scenarios."""
    return {name: np.array([one[name] for one in several]) for name in several[0]}


def fleet(*names: str) -> Fleet:
    """All steerable assets, or those that are named."""
    members = [
        Steerable(
            name=name,
            group=group,
            setpoint="p_kw" if group is Group.STORAGE else "limit_kw",
            rated_kw=RATED_KW[name],
            free_setpoint=RATED_KW[name] if group in (Group.RENEWABLES, Group.COMPUTE) else 0.0,
            safe_setpoint=RATED_KW[name] * (0.6 if group is Group.COMPUTE else 1.0)
            if group in (Group.RENEWABLES, Group.COMPUTE)
            else 0.0,
        )
        for name, group in GROUPS.items()
        if not names or name in names
    ]
    groups = {group: tuple(member for member in members if member.group is group) for group in Group}
    return Fleet(groups={group: found for group, found in groups.items() if found})


def state(numbers: Mapping[str, Num] = QUIET, *, now: datetime = NOON, former: str | None = None) -> SiteState:
    """The site as `numbers` say; with `former`, an island on which that battery takes what is left over."""
    powers = {name: power(name, numbers) for name in ACCOUNTS}
    total: Num = 0.0
    for name, p_kw in powers.items():
        if name != former:
            total = total + p_kw
    if former:
        powers[former] = 0.0 - total
    assets = {name: asset(name, p_kw, numbers) for name, p_kw in powers.items()}
    grid = None if former else connection(total, numbers, now)
    return SiteState(now=now, assets=assets, grid=grid, grid_forming=former)


def power(name: str, numbers: Mapping[str, Num]) -> Num:
    """Present power into an asset."""
    if ACCOUNTS[name] in (Account.PV, Account.WIND):
        return 0.0 - smaller(numbers[f"{name}_available_kw"], numbers[f"{name}_limit_kw"])
    if ACCOUNTS[name] is Account.GENSET:
        return 0.0 - numbers[f"{name}_kw"] * numbers[f"{name}_running"]
    return numbers[f"{name}_kw"]


def asset(name: str, p_kw: Num, numbers: Mapping[str, Num]) -> AssetState:
    return AssetState(
        group=GROUPS.get(name),
        account=ACCOUNTS[name],
        p_kw=p_kw,
        values={"p_kw": p_kw},
        flexibility=flexibility(name, numbers) if name in GROUPS else None,
        quality=Quality.GOOD,
        age_s=0.0,
    )


def flexibility(name: str, numbers: Mapping[str, Num]) -> Flexibility:
    """As the devices themselves derive it."""
    group, rated_kw = GROUPS[name], RATED_KW[name]
    if group is Group.RENEWABLES:
        return Envelope(min_p_kw=0.0 - numbers[f"{name}_available_kw"], max_p_kw=0.0)
    if group is Group.COMPUTE:
        firm_kw = numbers[f"{name}_firm_kw"]
        return Envelope(min_p_kw=firm_kw, max_p_kw=larger(firm_kw, numbers[f"{name}_wanted_kw"]))
    if group is Group.GENSETS:
        running = numbers[f"{name}_running"]
        return Modes(min_generation_kw=LIGHTEST_KW, max_generation_kw=rated_kw, running=running, start_s=START_S)
    soc, capacity_kwh = numbers[f"{name}_soc"], CAPACITY_KWH[name]
    stored_kwh = larger(soc - MIN_SOC, 0.0) * capacity_kwh * 0.94
    room_kwh = larger(MAX_SOC - soc, 0.0) * capacity_kwh / 0.94
    return Store(
        min_p_kw=where(stored_kwh > 0.0, -rated_kw, STANDBY_KW),
        max_p_kw=where(room_kwh > 0.0, rated_kw, STANDBY_KW),
        stored_kwh=stored_kwh,
        room_kwh=room_kwh,
        soc=soc,
        capacity_kwh=capacity_kwh,
    )


def connection(import_kw: Num, numbers: Mapping[str, Num], now: datetime) -> GridState:
    return GridState(
        import_kw=import_kw,
        quality=Quality.GOOD,
        contracted_import_kw=CONTRACTED_KW,
        export_limit_kw=EXPORT_LIMIT_KW,
        price_per_kwh=numbers["price_per_kwh"],
        export_price_per_kwh=0.03,
        demand=DemandInterval(
            length_s=INTERVAL_S,
            start=now.replace(minute=now.minute // 15 * 15, second=0),
            billing_month=(now.year, now.month),
            energy_kwh=numbers["used_kwh"],
            billed_peak_kw=numbers["billed_peak_kw"],
        ),
    )


def without(site: SiteState, *names: str, known: bool = True) -> SiteState:
    """The same site with assets that cannot be relied on; with `known` False they were never read at all."""
    changed = dict(site.assets)
    for name in names:
        gone = replace(changed[name], quality=Quality.BAD, reason="no answer")
        changed[name] = gone if known else replace(gone, flexibility=None, p_kw=0.0, values={})
    return replace(site, assets=changed)


def lost(site: SiteState, *names: str) -> SiteState:
    """The same site with assets from which nothing is heard."""
    return replace(without(site, *names), lost=dict.fromkeys(names, "no answer"))


def metered(site: SiteState, quality: Quality) -> SiteState:
    """The same site with another trust in the grid meter."""
    assert site.grid is not None
    return replace(site, grid=replace(site.grid, quality=quality, reason="the grid meter is lost"))


def forecast(**mean_kw: Sequence[float]) -> Forecast:
    """Quarter hours from `NOON` on; `sun` stands for `sun.available_kw`, a hall for its demand."""
    signals = {}
    for name, values in mean_kw.items():
        series = np.array(values, dtype=np.float64)
        given = GROUPS.get(name) is Group.RENEWABLES
        signal = Signal(mean=series, low=series, high=series, method="made up")
        signals[f"{name}.available_kw" if given else f"{name}.demand_kw"] = signal
    return Forecast(issued_at=NOON, step_s=900.0, valid_until=NOON + timedelta(hours=1), signals=signals)
