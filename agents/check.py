"""`gridhelm check`: the site file, its register maps, and its network at rated power, before anything is started."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape

from agents.assemble import load
from twin.devices.base import Account, Group, Step
from twin.errors import InputError, PowerFlowError, Problem
from twin.network.limits import describe
from twin.network.pandapower_file import write_net
from twin.network.switched_flow import SwitchedFlow, SwitchedPowerFlow
from twin.numeric import FloatArray, first
from twin.site import Site
from twin.site_checks import FORMING

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


def sources(site: Site) -> dict[str, str]:
    """Device → bus of everything that can hold the voltage of a part that nothing else holds, the slack first."""
    able = [name for name, device in site.devices.items() if device.account in FORMING and name != site.slack]
    return {name: site.devices[name].bus for name in (site.slack, *able)}


def check_site(site_path: Path, console: Console, export: Path | None = None) -> bool:
    """Report on the site; True when all of it is supplied and nothing is overloaded.

    With `export`, the network with all loads at rated power is written there as a pandapower file. Raises
    `InputError` for a wrong file.
    """
    site = load(site_path).site
    console.print(f"{site_path}: valid, {len(site.devices)} devices, {len(site.telemetry.links)} links")
    power_flow = SwitchedPowerFlow(site.network, sources(site))
    told = [*_not_supplied(power_flow), *_infeasible(site)]
    for line in told:
        console.print(f"[red]{escape(line)}[/]", soft_wrap=True)
    found = [_check_case(site, power_flow, case, console) for case in rated_cases(site)]
    if export is not None:
        _export(site, power_flow, export)
        console.print(f"{export}: the network with all loads at rated power, for pandapower")
    healthy = all(found) and not told
    if healthy:
        console.print("every bus is supplied, nothing is overloaded")
    return healthy


def _not_supplied(power_flow: SwitchedPowerFlow) -> Iterator[str]:
    """Dead buses with the switches as the site file has them, and what would help."""
    network, energised = power_flow.topology, power_flow.energised()
    loads = {item.load_bus: name for name, item in network.transfer_switches.items()}
    for bus in energised.unsupplied:
        remedies = [
            name
            for name in sorted(power_flow.normal.open_switches)
            if bus in power_flow.energised(power_flow.normal.closed(name)).node
        ]
        help_ = f"closing {' or '.join(remedies)} would supply it" if remedies else "no single switch would supply it"
        if bus in loads:
            switch = network.transfer_switches[loads[bus]]
            feeds = f"the preferred {switch.preferred_bus} nor the alternate {switch.alternate_bus}"
            yield f"bus {bus} is not supplied: {loads[bus]} finds neither {feeds} alive; {help_}"
        else:
            yield f"bus {bus} is not supplied with the switches as they stand; {help_}"


def _infeasible(site: Site) -> Iterator[str]:
    """A load that all sources together cannot carry, whatever the controller does."""
    load_kw = sum(rated_load_kw(site, name) for name, device in site.devices.items() if device.account in LOADS)
    source_kw = sum(device.rated_kw for device in site.devices.values() if device.account not in LOADS)
    if load_kw > source_kw:
        yield f"infeasible: the loads are rated {load_kw:,.0f} kW, all sources together {source_kw:,.0f} kW"


def _check_case(site: Site, power_flow: SwitchedPowerFlow, case: RatedCase, console: Console) -> bool:
    try:
        flow = solve(site, power_flow, case)
    except PowerFlowError as error:
        console.print(f"[red]{case.name}: the power flow does not converge: {escape(str(error))}[/]", soft_wrap=True)
        return False
    console.print(f"{case.name}: {_in_words(site, flow)}", soft_wrap=True)
    faults = [*_violations(site, power_flow, flow), *_hunting(flow)]
    for line in faults:
        console.print(f"[red]  {escape(line)}[/]", soft_wrap=True)
    return not faults


def _in_words(site: Site, flow: SwitchedFlow) -> str:
    words = f"{first(flow.slack_p_kw):,.0f} kW at {site.slack}, losses {first(flow.losses_kw):,.1f} kW"
    for name, steps in flow.tap_steps.items():
        words += f", {name} at tap {first(steps):+.0f}"
    unserved_kw, rated_kw = first(flow.unserved_kw), site.devices[site.slack].rated_kw
    if unserved_kw > 0:
        words += f", {unserved_kw:,.0f} kW not served"
    if first(flow.slack_p_kw) > rated_kw:
        words += f" (more than its rated {rated_kw:,.0f} kW)"
    return words


def _violations(site: Site, power_flow: SwitchedPowerFlow, flow: SwitchedFlow) -> Iterator[str]:
    network = site.network
    kinds = dict.fromkeys(network.lines, "line") | dict.fromkeys(network.transformers, "transformer")
    found = describe(network, power_flow.buses, power_flow.branches, flow.v_pu, flow.loading_fraction)
    for name, value, limit in found:
        if value.endswith("loaded"):
            yield f"{kinds[name]} {name} is overloaded: {value}, permitted is {limit}"
        elif value.endswith("pu"):  # a dead bus has been told of before any case
            yield f"bus {name} is outside its voltage band: {value}, permitted is {limit}"


def _hunting(flow: SwitchedFlow) -> Iterator[str]:
    if not flow.tap_changers_settled:
        yield "the on-load tap changers hunt between positions: their dead bands are too narrow"


def _export(site: Site, power_flow: SwitchedPowerFlow, path: Path) -> None:
    slack_bus, loads = site.devices[site.slack].bus, next(rated_cases(site))
    try:
        write_net(path, site.network, slack_bus, power_flow.energised(), *consumption(site, power_flow, loads))
    except OSError as error:
        found = f"{path}: {error.strerror}"
        expected = "the path of a file that can be written"
        raise InputError(
            Problem(file="command line", line=None, path="--export", found=found, expected=expected)
        ) from None


def solve(site: Site, power_flow: SwitchedPowerFlow, case: RatedCase) -> SwitchedFlow:
    """Power flow of a rated case, switches as in the site file."""
    return power_flow.solve(*consumption(site, power_flow, case))


def consumption(site: Site, power_flow: SwitchedPowerFlow, case: RatedCase) -> tuple[FloatArray, FloatArray]:
    """Active and reactive power at the buses, every load at its power factor of 0.98."""
    p_kw, q_kvar = np.zeros(len(power_flow.buses)), np.zeros(len(power_flow.buses))
    for name, value in case.p_kw.items():
        if name != site.slack:
            index = power_flow.buses.index(site.devices[name].bus)
            p_kw[index] += value
            q_kvar[index] += 0.2 * max(value, 0.0)
    return p_kw, q_kvar
