"""Cooling plants against published figures: chillers, towers, dry coolers, water, and a year of free cooling.

    python benchmarks/chiller.py

Reads the chiller library of PNNL's Copper (BSD-2) and a year of measured weather through `measured_data`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pandas as pd
from measured_data import measured

from twin.cooling.chiller import chiller_duty
from twin.cooling.chiller_curve_file import read_chiller_library
from twin.cooling.chiller_curves import DOE2_CENTRIFUGAL, ChillerCurves, ChillerName, carnot_cop
from twin.cooling.chillers import Chillers, Economiser
from twin.cooling.dry_cooler import DryCoolers
from twin.cooling.rejection import HeatRejection
from twin.cooling.tower import Tower
from twin.cooling.water import EVAPORATION_L_PER_KWH, evaporated_l
from twin.cooling.wet_towers import WetTowers
from twin.numeric import FloatArray
from twin.weather import wet_bulb_c

CHECK_POINTS = (
    (6.67, 29.4, 1.0, 5.51),
    (6.67, 24.0, 1.0, 6.18),
    (10.0, 24.0, 1.0, 6.48),
    (10.0, 35.0, 1.0, 5.20),
    (6.67, 29.4, 0.5, 5.55),
    (6.67, 29.4, 0.25, 4.17),
)
"""Chilled °C, condenser °C, load, COP of EnergyPlus' curves."""
WEATHER = {"Frankfurt 2022": "frankfurt_de_openmeteo_era5_2021_2022", "Dallas TMYx": "dallas_tx_tmyx2007_2021_epw"}
ANY_COP = 5.0
"""For sets without one: curves can be drawn all the same."""


def cop(curves: ChillerCurves, chilled_c: float, condenser_c: float, load: float) -> float:
    """Of the capacity at these temperatures."""
    reference = curves.reference_cop or ANY_COP

    def duty(heat_kw: float) -> tuple[float, float]:
        done = chiller_duty(curves, heat_kw, chilled_c, condenser_c, rated_heat_kw=1.0, reference_cop=reference)
        return float(done.compressor_kw), float(done.capacity_kw)

    heat_kw = duty(0.0)[1] * load
    return heat_kw / duty(heat_kw)[0]


def check_points() -> None:
    print("DOE-2 centrifugal chiller, COP\n  chilled  condenser  load   ours  EnergyPlus  difference")
    for chilled_c, condenser_c, load, expected in CHECK_POINTS:
        ours = cop(DOE2_CENTRIFUGAL, chilled_c, condenser_c, load)
        at = f"{chilled_c:7.2f}  {condenser_c:9.1f}  {load:4.2f}"
        print(f"  {at}  {ours:5.3f}  {expected:10.2f}  {ours - expected:+.3f}")


def library() -> None:
    sets = read_chiller_library(measured("cooling/copper_chiller_curves.json.gz"))
    print(f"\nCopper's library: {len(sets)} sets read")
    for (form, units, usable), count in sorted(Counter((s.form, s.units, s.curves is not None) for s in sets).items()):
        print(f"  {form:15s} {units}  {'usable' if usable else 'not usable'}: {count}")
    for found in sets:
        if found.curves is None:
            print(f"  set {found.key} ({found.compressor}, {found.condenser}): expected {found.trouble}")
    known = [(found, found.curves) for found in sets if found.curves is not None]
    print(f"  without a COP of their own: {sum(curves.reference_cop is None for _, curves in known)}")
    for name in ("min_chilled_c", "max_chilled_c", "min_condenser_c", "max_condenser_c", "min_load_fraction"):
        values = np.array([getattr(curves, name) for _, curves in known])
        finite = values[np.isfinite(values)]
        low, middle, high = np.percentile(finite, [0, 50, 100])
        print(f"  {name:18s} {low:6.2f} to {high:6.2f}, median {middle:6.2f}; unlimited: {len(values) - len(finite)}")
    at_reference = np.array([reached for _, curves in known for reached in reference_ratio(curves)])
    shares = [float(np.mean(np.abs(at_reference - 1.0) < limit)) for limit in (0.01, 0.02, 0.05)]
    print(f"  COP at its own reference within 1%, 2%, 5% of what is stated: {', '.join(f'{s:.0%}' for s in shares)}")
    beyond = [(found.key, count) for found, curves in known if (count := above_carnot(curves))]
    print(f"  sets with points above Carnot's COP (of 256, set: points): {beyond or 'none'}")


def reference_ratio(curves: ChillerCurves) -> Iterator[float]:
    """COP at full load and the reference temperatures, of what the set states."""
    if curves.reference_cop is None:
        return
    rise_k = 5.0 if curves.leaving_condenser else 0.0  # what entered, so that the reference is what leaves
    yield cop(curves, curves.reference_chilled_c, curves.reference_condenser_c - rise_k, 1.0) / curves.reference_cop


def above_carnot(curves: ChillerCurves) -> int:
    if not np.isfinite([curves.max_chilled_c, curves.max_condenser_c]).all():
        return 0
    rise_k = 5.0 if curves.leaving_condenser else 0.0
    return sum(
        not 0.0 < cop(curves, chilled_c, condenser_c - rise_k, load) < carnot_cop(chilled_c, condenser_c - rise_k)
        for chilled_c in np.linspace(curves.min_chilled_c, curves.max_chilled_c, 8).tolist()
        for condenser_c in np.linspace(curves.min_condenser_c, curves.max_condenser_c, 8).tolist()
        for load in (0.25, 0.5, 0.75, 1.0)
    )


def water() -> None:
    print("\nwater, l/kWh rejected              ours  reference")
    print(f"  evaporation of latent heat       {EVAPORATION_L_PER_KWH:.2f}  1.48")
    print(f"  85% latent, 4 cycles             {evaporated_l(1.0):.2f}  1.68")
    print(f"  all latent, 4 cycles             {evaporated_l(1.0, latent_fraction=1.0):.2f}  1.98")
    tower = Tower(rated_heat_kw=1000.0, fan_kw=15.0)
    print("  tower at 80% load, 4 cycles, by weather (dry bulb, wet bulb):")
    for dry_c, wet_c in ((35.0, 20.0), (30.0, 23.0), (20.0, 15.0), (10.0, 8.0), (0.0, -1.0)):
        water_c = max(float(tower.coldest_c(wet_c, 1.0, 1.0)), DOE2_CENTRIFUGAL.min_condenser_c)
        fan = tower.fan_fraction(0.8, water_c, wet_c)
        use = tower.water(800.0, fan, dry_c, wet_c)
        latent = tower.latent_fraction(0.8, fan, dry_c, wet_c)
        print(f"    {dry_c:5.1f} {wet_c:5.1f}: {float(latent):4.0%} latent, {float(use.make_up_l_per_h) / 800.0:.2f}")


def approaches() -> None:
    tower = Tower(rated_heat_kw=1000.0, fan_kw=15.0)
    print("\napproach of a tower sized for 5 K at 24 °C wet bulb (usual: 4 to 6 K), full load and air:")
    print(
        "  " + ", ".join(f"{w:.0f} °C: {float(tower.coldest_c(w, 1.0, 1.0)) - w:.1f} K" for w in (24, 20, 15, 10, 5, 0))
    )
    cooler = DryCoolers(rated_heat_kw=1000.0, pump_kw=0.0, fan_kw=40.0, adiabatic_above_c=None)
    air_c = np.arange(20.0, 35.0, 0.01)
    holds = cooler.rejects(1000.0, 45.0, 35.0, air_c, air_c).taken_kw > 999.999
    print(f"dry cooler at rated heat and air: {35.0 - air_c[holds].max():.1f} K above dry bulb (usual: 8 to 10 K)")


def read_weather(place: str) -> tuple[FloatArray, FloatArray]:
    """Dry and wet bulb of a year, hourly."""
    rows = pd.read_parquet(measured(f"weather/{WEATHER[place]}.parquet"))
    if "temperature_2m" in rows:
        rows = rows[rows["time_utc"].dt.year == 2022]
        dry_c, humid = rows["temperature_2m"], rows["relative_humidity_2m"]
    else:
        dry_c, humid = rows["temp_air"], rows["relative_humidity"]
    dry = dry_c.to_numpy(float)
    return dry, np.minimum(wet_bulb_c(dry, humid.to_numpy(float) / 100.0), dry)


def year(place: str) -> None:
    """A hall of 1 MW (700 kW all year) behind each plant."""
    dry_c, wet_c = read_weather(place)
    heat_kw = np.full(len(dry_c), 700.0)
    print(f"\n{place}: 700 kW all year, plant of 1 MW; kWh electric per kWh of heat, l/kWh, hours outside the curves")
    for name, supplies_c, plant in plants():
        for supply_c in supplies_c:
            done = plant.rejects(heat_kw, supply_c + 6.0, supply_c, dry_c, wet_c)
            electric, litres, hours, left = (
                float(np.sum(part))
                for part in (done.electric_kw, done.water_l_per_h, done.clamped, heat_kw - done.taken_kw)
            )
            total = float(np.sum(heat_kw))
            print(
                f"  {name:42s} {supply_c:3.0f} °C  {electric / total:.4f}  {litres / total:5.2f}  {hours:5.0f} h"
                + (f"  {left / total:.2%} of the heat left" if left > 1e-6 * total else "")
            )


def plants() -> Iterator[tuple[str, tuple[float, ...], HeatRejection]]:
    tower = Tower(rated_heat_kw=1200.0, fan_kw=15.0, pump_kw=10.0)
    cold, warm = (7.0, 10.0, 14.0, 18.0), (18.0, 24.0, 30.0)
    economisers: tuple[Economiser, ...] = ("none", "non_integrated", "integrated")
    curves: tuple[ChillerName, ...] = ("doe2_centrifugal", "centrifugal_vsd")
    for name in curves:
        for how in economisers:
            label = f"{name}, economiser {how}"
            yield (
                label,
                cold,
                Chillers(rated_heat_kw=1e3, curves=name, chiller_count=2, tower=tower, economiser=how, pump_kw=12.0),
            )
    yield "air_screw_vsd", cold[:2], Chillers(rated_heat_kw=1e3, curves="air_screw_vsd", chiller_count=2, pump_kw=12.0)
    yield "wet towers alone", warm, WetTowers(rated_heat_kw=1e3, tower=tower, pump_kw=12.0, rise_k=6.0)
    yield "dry coolers with pads", warm, DryCoolers(rated_heat_kw=1e3, fan_kw=35.0, pump_kw=12.0, rise_k=6.0)


def main() -> None:
    check_points()
    library()
    water()
    approaches()
    for place in WEATHER:
        year(place)


if __name__ == "__main__":
    main()
