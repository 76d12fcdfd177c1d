"""`gridhelm check`: the site file, its register maps, and its network at rated power, before anything is started."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from agents.assemble import load
from twin.devices.base import Account, Group, Step
from twin.errors import PowerFlowError
from twin.network.limits import describe
from twin.network.power_flow import FlowResult, PowerFlow
from twin.numeric import first
from twin.site import Site

LOADS = (Account.IT, Account.OTHER, Account.COOLING, Account.UPS_LOSSES)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedCase:
    """A loading of the whole site that its network must bear."""

    name: str
    p_kw: dict[str, float]
    """Device → power, positive into the device."""


def rated_cases(site: Site) -> Iterator[RatedCase]:
    """All loads with no generation; all generation with no load; all loads while the batteries charge."""
    idle = dict.fromkeys(site.devices, 0.0)
    loads = {name: rated_load_kw(site, name) for name, device in site.devices.items() if device.account in LOADS}
    sources = {name: -device.rated_kw for name, device in site.devices.items() if device.group is Group.RENEWABLES}
    yield RatedCase(name="all loads, no generation", p_kw=idle | loads)
    yield RatedCase(name="sun and wind at rated power, no load", p_kw=idle | sources)
    if site.grid is not None:
        spare_kw = site.devices[site.grid].rated_kw - sum(loads.values())
        yield RatedCase(
            name="all loads, batteries charging too",
            p_kw=idle | loads | charging(site, spare_kw),
        )


def rated_load_kw(site: Site, name: str) -> float:
    """Power of a load at rated power of whatever it serves."""
    device = site.devices[name]
    if device.account is not Account.UPS_LOSSES:
        return device.rated_kw
    # What a UPS is rated for is the load behind it; the network carries that at the halls, and its losses here.
    served = [Step(state=None, p_kw=site.devices[other].rated_kw) for other in device.serves]
    return first(device.step(device.initial(), device.free_setpoint, {}, served, 1.0).p_kw)


def charging(site: Site, spare_kw: float) -> dict[str, float]:
    """Every battery at its share of `spare_kw`, at rated power at most."""
    stores = {name: device.rated_kw for name, device in site.devices.items() if device.group is Group.STORAGE}
    share = min(max(spare_kw, 0.0) / sum(stores.values()), 1.0) if stores else 0.0
    return {name: share * rated_kw for name, rated_kw in stores.items()}


def check_site(site_path: Path, console: Console) -> bool:
    """Report on the site; True when nothing is overloaded. Raises `InputError` for a wrong file."""
    site = load(site_path).site
    console.print(f"{site_path}: valid, {len(site.devices)} devices, {len(site.telemetry.links)} links")
    power_flow = PowerFlow(site.network, site.devices[site.slack].bus)
    found = [_check_case(site, power_flow, case, console) for case in rated_cases(site)]
    if all(found):
        console.print("nothing is overloaded")
    return all(found)


def _check_case(site: Site, power_flow: PowerFlow, case: RatedCase, console: Console) -> bool:
    try:
        flow = solve(site, power_flow, case)
    except PowerFlowError as error:
        console.print(f"[red]{case.name}: no power flow solution: {error}[/]")
        return False
    import_kw = first(flow.slack_p_kw)
    console.print(f"{case.name}: {import_kw:,.0f} kW at {site.slack}, losses {first(flow.losses_kw):,.1f} kW")
    found = describe(site.network, power_flow.buses, power_flow.branches, flow.v_pu, flow.loading_fraction)
    if found:
        table = Table("where", "found", "limit")
        for line in found:
            table.add_row(*line)
        console.print(table)
    return not found


def solve(site: Site, power_flow: PowerFlow, case: RatedCase) -> FlowResult:
    """Power flow of a rated case, every load at its power factor of 0.98."""
    p_kw, q_kvar = np.zeros(len(power_flow.buses)), np.zeros(len(power_flow.buses))
    for name, value in case.p_kw.items():
        if name != site.slack:
            index = power_flow.buses.index(site.devices[name].bus)
            p_kw[index] += value
            q_kvar[index] += 0.2 * max(value, 0.0)
    return power_flow.solve(p_kw, q_kvar)
