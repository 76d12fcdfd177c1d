"""A day of Frontier's cooling, 7 April 2024: 25 distribution units, warm water and towers, stepped every 15 s.

    .venv/bin/python benchmarks/frontier.py

Heat of each unit and wet bulb are replayed (15 s, `frontier_25cdu_heatload_wetbulb_15s_2024-04-07`). The 25 units are
25 columns of one device, each with its 25th of pumps and towers. Read, and taken: 25 units of three racks, 8.47 kW of
pumps in each, 94.5% of the power in the water (ExaDigiT RAPS, `config/frontier.yaml`); some 6,000 gallons a minute of
water that no chiller cools (Bloomberg Businessweek, 5 January 2023); racks get 32 °C. Known and not read by us: towers
of 20 cells, tower water of 9,000 to 10,000 gallons a minute (Brewer and others, arXiv 2410.05133).

Assumed: heads of 300 kPa in the hot loop and 200 kPa over the towers, wheel and motor 0.75; towers for 40 MW, 5 K
above the 25.6 °C of Oak Ridge's design day; dry bulb 4 K above wet bulb, on which only the share of evaporation
depends; water flows as fast all day, as in the baseline of arXiv 2603.01198. The 5.5% of power that go to the room's
air are left out. The limit is that of ASHRAE's class W32: 3 K between facility water of 32 °C and the racks.

A second run gives racks 27 °C: published return temperatures of 30 to 38 °C (Sun and others 2024, Scientific Data 11,
1077) say that the plant usually runs colder than it has to.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from measured_data import measured

from twin.cooling.cdu import Cdu
from twin.cooling.cold_plate import PLATE_THERMAL, ColdPlate
from twin.cooling.hall import held_kwh_per_kw
from twin.cooling.hall_cooling import HallCooling, HallState
from twin.cooling.plants import HallPlant
from twin.cooling.technologies import HallTechnology
from twin.cooling.tower import Tower
from twin.cooling.wet_towers import WetTowers
from twin.devices.base import Step
from twin.numeric import FloatArray

UNITS, STEP_S = 25, 15.0
RATED_KW, PLANT_KW = 1300.0, 40_000.0 / UNITS
IN_WATER_FRACTION = 0.945
UNIT_PUMP_KW = 8.47
GALLON_PER_MINUTE_L_S = 3.785 / 60.0
HOT_L_S, TOWER_L_S = 6000.0 * GALLON_PER_MINUTE_L_S / UNITS, 9500.0 * GALLON_PER_MINUTE_L_S / UNITS
HOT_KPA, TOWER_KPA, PUMP_EFFICIENCY = 300.0, 200.0, 0.75
KJ_PER_L_K = 4.155
HOT_KW_PER_K = HOT_L_S * KJ_PER_L_K
TOWER_FAN_FRACTION = 1.0 / (3.23 * 4.155 * 5.56)
RACK_SUPPLIES_C, LIMIT_C = (32.0, 27.0), 35.0
DRY_ABOVE_WET_K = 4.0


def cooling(rack_supply_c: float) -> HallCooling:
    """One unit, with its share of the plant."""
    facility_rise_k = RATED_KW / HOT_KW_PER_K
    thermal = replace(PLATE_THERMAL, hall_above_supply_k=facility_rise_k)
    coolant_l_s = RATED_KW / (facility_rise_k * KJ_PER_L_K)
    unit = Cdu(
        rise_k=facility_rise_k,
        facility_rise_k=facility_rise_k,
        approach_k=3.0,
        min_flow_fraction=1.0,
        pump_efficiency=0.6,
        pressure_kpa=UNIT_PUMP_KW * 0.6 / (coolant_l_s / 1000.0),
    )
    tower = Tower(
        rated_heat_kw=PLANT_KW,
        approach_k=5.0,
        design_wet_bulb_c=25.6,
        range_k=PLANT_KW / (TOWER_L_S * KJ_PER_L_K),
        fan_kw=TOWER_FAN_FRACTION * PLANT_KW,
        pump_kw=TOWER_L_S / 1000.0 * TOWER_KPA / PUMP_EFFICIENCY,
    )
    towers = WetTowers(
        rated_heat_kw=PLANT_KW,
        tower=tower,
        rise_k=PLANT_KW / HOT_KW_PER_K,
        pump_kw=HOT_L_S / 1000.0 * HOT_KPA / PUMP_EFFICIENCY,
        min_flow_fraction=1.0,
    )
    plate = ColdPlate(inlet_c=rack_supply_c, max_inlet_c=LIMIT_C, residual_air_fraction=0.0, cdu=unit, thermal=thermal)
    return HallCooling(
        bus="cooling",
        serves=("racks",),
        rated_heat_kw=RATED_KW,
        technology=HallTechnology(cold_plate=plate),
        plant=HallPlant(wet_towers=towers),
    )


@dataclass(slots=True)
class Day:
    """Sums, and what thermometers showed: one row for each step."""

    p_kwh: float = 0.0
    heat_kwh: float = 0.0
    water_l: float = 0.0
    over_limit_h: float = 0.0
    unmet_kwh: float = 0.0
    shown: dict[str, list[FloatArray]] = field(default_factory=lambda: {"supply_c": [], "return_c": [], "inlet_c": []})

    def book(self, done: Step[HallState], heat_kw: FloatArray) -> None:
        hours = STEP_S / 3600.0
        self.p_kwh += float(np.sum(done.p_kw)) * hours
        self.heat_kwh += float(heat_kw.sum()) * hours
        for name, amount in (("water_l", "water_l"), ("over_limit_h", "over_limit_h"), ("unmet_kwh", "unmet_heat_kwh")):
            setattr(self, name, getattr(self, name) + float(np.sum(done.amounts[amount])))
        for name, values in self.shown.items():
            values.append(np.broadcast_to(done.points[name], heat_kw.shape))


def run(rack_supply_c: float) -> tuple[Day, FloatArray, float, float]:
    """The day, the racks' return temperatures, heat kept at its end against its beginning, and seconds it took."""
    table = pd.read_parquet(measured("cooling/frontier_25cdu_heatload_wetbulb_15s_2024-04-07.parquet"))
    heats_kw = table[[f"power[{unit}]" for unit in range(1, UNITS + 1)]].to_numpy(float) / 1000.0
    wet_c = table["OA Wetbulb Temp"].to_numpy(float)
    unit, day, began = cooling(rack_supply_c), Day(), time.perf_counter()

    def stepped(state: HallState, row: int, step_s: float) -> Step[HallState]:
        drive = {"dry_bulb_c": float(wet_c[row]) + DRY_ABOVE_WET_K, "wet_bulb_c": float(wet_c[row])}
        return unit.step(state, 0.0, drive, (Step(state=None, p_kw=heats_kw[row], heat_kw=heats_kw[row]),), step_s)

    thermal = unit.technology.chosen.thermal
    state = first = stepped(unit.initial(), 0, 1e6).state
    for row in range(len(heats_kw) - 1):
        done = stepped(state, row, STEP_S)
        state = done.state
        day.book(done, heats_kw[row])
    kept = held_kwh_per_kw(thermal, state.above_supply_k) - held_kwh_per_kw(thermal, first.above_supply_k)
    racks_c = np.array(day.shown["inlet_c"]) + heats_kw[:-1] / HOT_KW_PER_K
    return day, racks_c, float(np.sum(kept)) * RATED_KW, time.perf_counter() - began


def span(values: FloatArray) -> str:
    return f"{values.min():.1f} | {values.mean():.1f} | {values.max():.1f}"


def report(rack_supply_c: float) -> None:
    day, racks_c, kept_kwh, seconds = run(rack_supply_c)
    it_kwh, shown = day.heat_kwh / IN_WATER_FRACTION, {name: np.array(rows) for name, rows in day.shown.items()}
    print(f"\n| racks at {rack_supply_c:g} °C; all units and steps | lowest | mean | highest |")
    print("| --- | ---: | ---: | ---: |")
    print(f"| rack supply, °C (limit {LIMIT_C:g}) | {span(shown['inlet_c'])} |")
    print(f"| rack return, °C | {span(racks_c)} |")
    print(f"| facility supply, °C | {span(shown['supply_c'])} |")
    print(f"| facility return, °C | {span(shown['return_c'])} |")
    print(f"\nheat {day.heat_kwh / 1000:,.1f} MWh, IT {it_kwh / 1000:,.1f} MWh, cooling {day.p_kwh / 1000:,.2f} MWh,")
    print(f"PUE of liquid cooling {1 + day.p_kwh / it_kwh:.3f},")
    print(f"water {day.water_l / 1000:,.0f} m³, {day.water_l / it_kwh:.2f} L/kWh,")
    print(f"hot water {HOT_L_S * UNITS:.0f} L/s, above limit {day.over_limit_h:.2f} unit hours,")
    print(f"unmet heat {day.unmet_kwh:.1f} kWh, kept in the loops {kept_kwh:+.0f} kWh;")
    print(f"{len(racks_c):,} steps of {UNITS} units in {seconds:.1f} s")


def main() -> None:
    for rack_supply_c in RACK_SUPPLIES_C:
        report(rack_supply_c)


if __name__ == "__main__":
    main()
