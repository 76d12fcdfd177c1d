"""Five ways to cool the same computing, over a year in eight climates: PUE, WUE, TUE and peak power.

    .venv/bin/python benchmarks/cooling_technologies.py [--plot benchmarks/plots/cooling_technologies.png | --no-plot]

Every hall does the same computing: 1,000 kW at rated load, at 76% of that all year, as H100 nodes in heavy training
draw (arXiv 2506.14551). Power supplies take 4% of the servers' power everywhere (Frontier's rectifiers: 96%, ExaDigiT
RAPS). Fans inside air-cooled servers take 9% (assumed), beside cold plates a fifth of that, in a bath none. So halls
differ in IT power, which PUE does not see and TUE does. Plants are sized 20% above rated heat; towers for the wet bulb
that is exceeded in 35 hours of the year (0.4%), dry coolers alike everywhere, with pads wetted above 32 °C. Parameters
and their sources stand below; none was fitted to any result.

Air comes twice. As halls were built: open aisles, fans of one speed, 22 °C at the servers, water of 7 °C, chillers
alone. As they are built now: contained aisles, 25 °C at the servers, water as warm as that allows, a plate exchanger
before the chillers. The two-phase bath's fluid is the coldest-boiling one that the climate lets dry coolers condense.

Each hour of the year is one scenario of the same device that a site file would name (`hall_cooling`), settled at
constant load. Prints Markdown, and draws with matplotlib in an environment of its own outside the repository.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from climates import CLIMATES, Climate
from environments import CACHE, NotToBeHadError, environment

from twin.cooling.air import Air
from twin.cooling.chiller_curves import AIR_SCREW_VSD, CENTRIFUGAL_VSD
from twin.cooling.chillers import Chillers, Economiser
from twin.cooling.cold_plate import ColdPlate
from twin.cooling.dry_cooler import DryCoolers
from twin.cooling.hall_cooling import HallCooling
from twin.cooling.immersion import Immersion
from twin.cooling.plants import HallPlant
from twin.cooling.rear_door import RearDoor
from twin.cooling.technologies import HallTechnology
from twin.cooling.tower import Tower
from twin.cooling.two_phase import BOILING_C, Fluid, TwoPhase
from twin.cooling.usage import compute_kwh, pue, tue, wue_l_per_kwh
from twin.devices.base import Step
from twin.numeric import FloatArray

COMPUTE_KW, LOAD_FRACTION = 1000.0, 0.76
SUPPLY_EFFICIENCY = 0.96
OVERSIZED_RATIO = 1.2
DESIGN_QUANTILE = 0.996
"""ASHRAE's 0.4% design condition."""
CHILLED_PUMP_FRACTION = 160.0 / (0.7 * 0.87) / (1000.0 * 4.155 * 8.0)
"""Of heat: 160 kPa and a motor of 0.87 (EnergyPlus' data centre example), wheel 0.7 (Grundfos and others), 8 K."""
WARM_PUMP_FRACTION = CHILLED_PUMP_FRACTION * 0.8
"""The same head with 10 K."""
TOWER_PUMP_FRACTION = 140.0 / (0.7 * 0.9) / (1000.0 * 4.155 * 5.0)
"""Of heat: 140 kPa and a motor of 0.9 (same example), 5 K."""
TOWER_FAN_FRACTION = 1.0 / (3.23 * 4.155 * 5.56)
"""Of heat: ASHRAE 90.1 asks of axial towers 3.23 L/s for each kW of fan, from 35 to 29.4 °C at 23.9 °C wet bulb."""
DRY_FAN_FRACTION = 0.04
"""Of heat, at 9 K approach and full air: data sheets of coolers with EC fans, 2.5 to 5%. The least that ASHRAE 90.1
allows, 0.38 L/s for each kW at 5.6 K approach, is 11%, which is 3% at 9 K by the affinity law."""
WETTED_ABOVE_C = 32.0
UPS_LOSS_RATIO, LIGHT_RATIO = 1.0 / 0.95 - 1.0, 0.005
"""Of IT power: double conversion at 95%, and light. Left out of the first PUE column, in the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A technology, with the plant that it is sold with."""

    technology: Callable[[Climate], HallTechnology]
    plant: Callable[[float, Climate], HallPlant]
    air_plant: Callable[[float, Climate], HallPlant] | None = None
    published: str
    """PUE of the trade's comparisons."""


def towers(heat_kw: float, climate: Climate) -> Tower:
    return Tower(
        rated_heat_kw=heat_kw,
        approach_k=5.0,
        design_wet_bulb_c=float(np.quantile(climate.wet_bulb_c, DESIGN_QUANTILE)),
        range_k=5.0,
        fan_kw=TOWER_FAN_FRACTION * heat_kw,
        pump_kw=TOWER_PUMP_FRACTION * heat_kw,
    )


def chillers(heat_kw: float, climate: Climate, economiser: Economiser) -> HallPlant:
    """COP 6.04 at 6.67 and 29.4 °C, on variable-speed drives, with towers."""
    plant = Chillers(
        rated_heat_kw=heat_kw,
        curves=CENTRIFUGAL_VSD,
        chiller_count=2,
        tower=towers(heat_kw * (1.0 + 1.0 / 6.04), climate),
        economiser=economiser,
        pump_kw=CHILLED_PUMP_FRACTION * heat_kw,
        rise_k=8.0,
    )
    return HallPlant(chillers=plant)


def chillers_alone(heat_kw: float, climate: Climate) -> HallPlant:
    return chillers(heat_kw, climate, "none")


def economised(heat_kw: float, climate: Climate) -> HallPlant:
    return chillers(heat_kw, climate, "integrated")


def coolers(heat_kw: float, pump_kw: float, rise_k: float, wetted_above_c: float | None) -> DryCoolers:
    return DryCoolers(
        rated_heat_kw=heat_kw,
        fan_kw=DRY_FAN_FRACTION * heat_kw,
        pump_kw=pump_kw,
        rise_k=rise_k,
        adiabatic_above_c=wetted_above_c,
    )


def dry(heat_kw: float, _: Climate) -> HallPlant:
    return HallPlant(dry_coolers=coolers(heat_kw, WARM_PUMP_FRACTION * heat_kw, 10.0, WETTED_ABOVE_C))


def dry_then_air_cooled(heat_kw: float, _: Climate) -> HallPlant:
    """For the air beside cold plates: a dry cooler while it is cool, air-cooled chillers for the rest."""
    pump_kw = CHILLED_PUMP_FRACTION * heat_kw
    plant = Chillers(rated_heat_kw=heat_kw, curves=AIR_SCREW_VSD, pump_kw=pump_kw, rise_k=8.0)
    return HallPlant(dry_coolers=coolers(heat_kw, 0.0, 8.0, None), chillers=plant)


def boiling(climate: Climate) -> HallTechnology:
    """The bath has to be 22 K above the air of design: 13 K to the coil's water, 9 K from there to the air."""
    design_c = float(np.quantile(climate.dry_bulb_c, DESIGN_QUANTILE))
    fits: list[Fluid] = [
        fluid for fluid, boiling_c in BOILING_C.items() if boiling_c - 22.0 * LOAD_FRACTION >= design_c
    ]
    return HallTechnology(two_phase=TwoPhase(fluid=fits[0]))


AS_BUILT = Air(
    inlet_c=22.0,
    recirculation_fraction=0.2,
    bypass_fraction=0.3,
    min_flow_fraction=1.0,
    water_rise_k=6.0,
    approach_k=15.0,
)
"""A fifth of what servers breathe is hot air, so the supply is 19 °C; the coils then want water of 7 to 8 °C."""
DESIGNS: Mapping[str, Design] = {
    "air, as built": Design(
        technology=lambda _: HallTechnology(air=AS_BUILT), plant=chillers_alone, published="1.3 to 1.6"
    ),
    "air": Design(technology=lambda _: HallTechnology(air=Air()), plant=economised, published=""),
    "rear doors": Design(
        technology=lambda _: HallTechnology(rear_door=RearDoor()), plant=economised, published="1.2 to 1.3"
    ),
    "cold plates": Design(
        technology=lambda _: HallTechnology(cold_plate=ColdPlate()),
        plant=dry,
        air_plant=dry_then_air_cooled,
        published="1.05 to 1.15",
    ),
    "immersion": Design(
        technology=lambda _: HallTechnology(immersion=Immersion()), plant=dry, published="1.02 to 1.10"
    ),
    "two-phase": Design(technology=boiling, plant=dry, published="1.01 to 1.05"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """What one design did in one climate."""

    climate: str
    design: str
    pue: float
    """Cooling alone."""
    pue_with_ups: float
    wue_l_per_kwh: float
    tue: float
    facility_peak_kw: float
    """With UPS and light."""
    cooling_peak_kw: float
    over_limit_h: float
    unmet_heat_kwh: float
    clamped_fraction: float
    it_kw: float


def hall(design: Design, climate: Climate, rated_it_kw: float) -> HallCooling:
    technology = design.technology(climate)
    share = technology.cold_plate.residual_air_fraction if technology.cold_plate else 0.0
    heat_kw = OVERSIZED_RATIO * rated_it_kw
    return HallCooling(
        bus="cooling",
        serves=("hall",),
        rated_heat_kw=rated_it_kw,
        technology=technology,
        plant=design.plant(heat_kw * (1.0 - share), climate),
        air_plant=design.air_plant(heat_kw * share, climate) if design.air_plant else None,
    )


def year(name: str, design: Design, climate: Climate) -> Year:
    fans = design.technology(climate).chosen.server_fan_fraction
    rated_it_kw = COMPUTE_KW / (SUPPLY_EFFICIENCY - fans)
    cooling, hours = hall(design, climate, rated_it_kw), len(climate.dry_bulb_c)
    it_kw = np.full(hours, LOAD_FRACTION * rated_it_kw)
    drive: dict[str, float | FloatArray] = {"dry_bulb_c": climate.dry_bulb_c, "wet_bulb_c": climate.wet_bulb_c}
    served = (Step(state=None, p_kw=it_kw, heat_kw=it_kw),)
    settled = cooling.step(cooling.initial(), 0.0, drive, served, 1e6).state
    done = cooling.step(replace(settled, excess_kwh=np.zeros(hours)), 0.0, drive, served, 3600.0)
    it_kwh, cooling_kwh = float(it_kw.sum()), float(done.p_kw.sum())
    other_kw = (UPS_LOSS_RATIO + LIGHT_RATIO) * it_kw
    computing_kwh = compute_kwh(it_kwh, fans * it_kwh, SUPPLY_EFFICIENCY)
    facility_kwh = it_kwh + cooling_kwh + float(other_kw.sum())
    return Year(
        climate=climate.name,
        design=name,
        pue=float(pue(it_kwh, it_kwh + cooling_kwh)),
        pue_with_ups=float(pue(it_kwh, facility_kwh)),
        wue_l_per_kwh=float(wue_l_per_kwh(float(np.sum(done.amounts["water_l"])), it_kwh)),
        tue=float(tue(it_kwh, facility_kwh, computing_kwh)),
        facility_peak_kw=float(np.max(it_kw + done.p_kw + other_kw)),
        cooling_peak_kw=float(np.max(done.p_kw)),
        over_limit_h=float(np.sum(done.amounts["over_limit_h"]) * 8760 / hours),
        unmet_heat_kwh=float(np.sum(done.amounts["unmet_heat_kwh"])),
        clamped_fraction=float(np.mean(done.amounts["clamped_h"])),
        it_kw=float(it_kw[0]),
    )


def years() -> Iterator[Year]:
    for read in CLIMATES.values():
        climate = read()
        for name, design in DESIGNS.items():
            yield year(name, design, climate)


HEAD = (
    "| climate | technology | PUE, cooling alone | with UPS and light | WUE, L/kWh | TUE | peak, kW |"
    " of it cooling, kW | above limit, h | chiller curves at their edge |\n"
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def row(one: Year) -> str:
    return (
        f"| {one.climate} | {one.design} | {one.pue:.3f} | {one.pue_with_ups:.3f} | {one.wue_l_per_kwh:.2f} |"
        f" {one.tue:.3f} | {one.facility_peak_kw:,.0f} | {one.cooling_peak_kw:,.0f} | {one.over_limit_h:.0f} |"
        f" {one.clamped_fraction:.0%} |"
    )


def ranges(found: list[Year]) -> Iterator[str]:
    """Over all climates, beside what the trade's comparisons say."""
    yield "| technology | PUE, cooling alone | with UPS and light | published | TUE | IT, kW |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for name, design in DESIGNS.items():
        own = [one for one in found if one.design == name]
        alone, whole, total = ([getattr(one, key) for one in own] for key in ("pue", "pue_with_ups", "tue"))
        yield (
            f"| {name} | {min(alone):.3f} to {max(alone):.3f} | {min(whole):.3f} to {max(whole):.3f} |"
            f" {design.published} | {min(total):.3f} to {max(total):.3f} | {own[0].it_kw:,.0f} |"
        )


DRAW = """
import json, sys
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
found, path = json.loads(sys.stdin.read()), sys.argv[1]
climates = list(dict.fromkeys(one["climate"] for one in found))
designs = list(dict.fromkeys(one["design"] for one in found))
figure, axes = plt.subplots(1, 3, figsize=(12, 4.2), sharey=True, layout="constrained")
for axis, (key, title) in zip(axes, (("pue", "PUE, cooling alone"), ("tue", "TUE"), ("wue_l_per_kwh", "WUE, L/kWh"))):
    for place, design in enumerate(designs):
        values = [one[key] for one in found if one["design"] == design]
        axis.plot(values, range(len(climates)), "o", label=design, markersize=6)
    axis.set_title(title)
    axis.grid(alpha=0.3)
axes[0].set_yticks(range(len(climates)), climates)
axes[0].invert_yaxis()
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False)
figure.savefig(path, dpi=100)
"""


def draw(found: list[Year], path: Path) -> None:
    python = environment("plots", ("matplotlib==3.10.0",), CACHE)
    numbers = [
        {key: getattr(one, key) for key in ("climate", "design", "pue", "tue", "wue_l_per_kwh")} for one in found
    ]
    path.parent.mkdir(exist_ok=True)
    subprocess.run([str(python), "-c", DRAW, str(path)], input=json.dumps(numbers), text=True, check=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--plot", type=Path, default=Path(__file__).parent / "plots" / "cooling_technologies.png")
    arguments.add_argument("--no-plot", action="store_true")
    chosen = arguments.parse_args()
    found = list(years())
    print(HEAD, *map(row, found), "", *ranges(found), sep="\n")
    if not chosen.no_plot:
        try:
            draw(found, chosen.plot)
        except NotToBeHadError as error:
            print(f"not drawn: {error} (its environment lies in {CACHE})")


if __name__ == "__main__":
    main()
