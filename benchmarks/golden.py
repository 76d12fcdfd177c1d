"""Warm-water liquid cooling in Golden, Colorado: the PUE of 1.04 that NREL's data centre in the ESIF measures there.

    .venv/bin/python benchmarks/golden.py

What is known of it, and taken: no chillers; one energy recovery water loop at 24 °C (75 °F) for liquid-cooled racks and
for fan walls, evaporative towers behind a plate exchanger, since August 2016 a thermosyphon (a dry cooler) before them;
some 1 MW of IT; PUE 1.04 over twelve months (Van Geet, Sickinger and Carter 2018, NREL/PR-2C00-70433); 2.5 million
gallons of water a year with towers alone, of which the thermosyphon saved 1.16 million in its first year (NREL,
23 August 2018). 90% of the heat in liquid is what its first racks were built for (HP Apollo 8000).

What is assumed: heads of pumps as in `cooling_technologies.py`; towers for 18.5 °C wet bulb, about the design value of
Denver; losses of transformers and distribution of 1%, light and the like 0.5%, since racks take 480 V and most have no
UPS; a thermosyphon for all of the heat; humidity, which the weather file does not hold (see `climates.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from climates import CLIMATES, Climate
from cooling_technologies import DRY_FAN_FRACTION, TOWER_FAN_FRACTION, TOWER_PUMP_FRACTION, WARM_PUMP_FRACTION

from twin.cooling.air import Air
from twin.cooling.cold_plate import ColdPlate
from twin.cooling.dry_cooler import DryCoolers
from twin.cooling.hall_cooling import HallCooling
from twin.cooling.plants import HallPlant
from twin.cooling.technologies import HallTechnology
from twin.cooling.tower import Tower
from twin.cooling.usage import pue, wue_l_per_kwh
from twin.cooling.wet_towers import WetTowers
from twin.devices.base import Step

IT_KW, RATED_KW = 1000.0, 1300.0
DISTRIBUTION_FRACTION, LIGHT_FRACTION = 0.01, 0.005
MEASURED_PUE = 1.04
L_PER_GALLON = 3.785
TOWERS_GALLONS, SAVED_GALLONS = 2.5e6, 1.16e6
HOURS = 8760


def technology() -> HallTechnology:
    """Racks with coolant at 27 °C, fan walls that hold 27 °C: both from water at 24 °C."""
    air = Air(inlet_c=27.0, max_inlet_c=32.0, approach_k=3.0, water_rise_k=10.0, server_fan_fraction=0.0)
    return HallTechnology(cold_plate=ColdPlate(inlet_c=27.0, max_inlet_c=32.0, residual_air_fraction=0.1, air=air))


def wet_towers(pump_kw: float) -> WetTowers:
    tower = Tower(
        rated_heat_kw=RATED_KW,
        approach_k=3.5,
        design_wet_bulb_c=18.5,
        fan_kw=TOWER_FAN_FRACTION * RATED_KW * 1.5,
        pump_kw=TOWER_PUMP_FRACTION * RATED_KW,
    )
    return WetTowers(rated_heat_kw=RATED_KW, tower=tower, pump_kw=pump_kw)


def plants() -> dict[str, HallPlant]:
    pump_kw = WARM_PUMP_FRACTION * RATED_KW
    thermosyphon = DryCoolers(rated_heat_kw=IT_KW, fan_kw=DRY_FAN_FRACTION * IT_KW, pump_kw=0.0, adiabatic_above_c=None)
    return {
        "towers": HallPlant(wet_towers=wet_towers(pump_kw)),
        "thermosyphon, then towers": HallPlant(dry_coolers=thermosyphon, wet_towers=wet_towers(pump_kw)),
    }


def rows(climate: Climate) -> Iterator[str]:
    it_kw = np.full(HOURS, IT_KW)
    served = (Step(state=None, p_kw=it_kw, heat_kw=it_kw),)
    drive = {"dry_bulb_c": climate.dry_bulb_c, "wet_bulb_c": climate.wet_bulb_c}
    for name, plant in plants().items():
        cooling = HallCooling(
            bus="cooling", serves=("hall",), rated_heat_kw=RATED_KW, technology=technology(), plant=plant
        )
        settled = cooling.step(cooling.initial(), 0.0, drive, served, 1e6).state
        done = cooling.step(replace(settled, excess_kwh=np.zeros(HOURS)), 0.0, drive, served, 3600.0)
        it_kwh, cooling_kwh = it_kw.sum(), float(np.sum(done.p_kw))
        other_kwh = (DISTRIBUTION_FRACTION + LIGHT_FRACTION) * it_kwh
        water_l = float(np.sum(done.amounts["water_l"]))
        alone, whole = pue(it_kwh, it_kwh + cooling_kwh), pue(it_kwh, it_kwh + cooling_kwh + other_kwh)
        yield (
            f"| {name} | {alone:.3f} | {whole:.3f} |"
            f" {MEASURED_PUE} | {wue_l_per_kwh(water_l, it_kwh):.2f} | {water_l / L_PER_GALLON / 1e6:.2f} |"
            f" {np.min(done.points['supply_c']):.1f} to {np.max(done.points['supply_c']):.1f} |"
            f" {np.mean(done.points['return_c']):.1f} | {np.sum(done.amounts['over_limit_h']):.0f} |"
        )


def main() -> None:
    climate = CLIMATES["Golden CO"]()
    print(
        "| plant | PUE, cooling alone | PUE | measured | WUE, L/kWh | million gallons | supply, °C | return, °C |",
        "above limit, h |",
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    print(*rows(climate), sep="\n")
    measured_l = TOWERS_GALLONS * L_PER_GALLON
    print(
        f"\nMeasured water: {TOWERS_GALLONS / 1e6:.1f} million gallons with towers alone"
        f" ({measured_l / (IT_KW * HOURS):.2f} L/kWh at {IT_KW:,.0f} kW), {SAVED_GALLONS / TOWERS_GALLONS:.0%} less"
        " with the thermosyphon."
    )


if __name__ == "__main__":
    main()
