"""Batteries, engines and converters beside published numbers, and what a step of a battery costs.

.venv/bin/python benchmarks/storage.py
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import numpy as np
import repository_root  # noqa: F401

from tests.contracts.device_rig import build
from tests.reference.test_storage import (
    FUEL_L_PER_H,
    dynamic_stress_test,
    round_trip_efficiency,
    ups_efficiency,
)
from twin.clock import stopwatch_s
from twin.devices.battery import Battery, BatteryState
from twin.devices.battery_ageing import capacity_fade
from twin.devices.battery_course import Taper
from twin.devices.battery_thermal import Thermal
from twin.devices.ups import Ups
from twin.native import Machine
from twin.number_tree import numbers
from twin.tape import Tape

STRESS_TESTS = (
    (25, 100, 4384, 79.7), (40, 100, 4987, 81.2), (25, 85, 5251, 82.6), (50, 100, 5486, 82.2), (25, 75, 5226, 85.2),
    (45, 75, 6591, 87.0), (65, 75, 8393, 90.8),
)  # fmt: skip
"""Lowest and highest state of charge in %, cycles, and % of the capacity left in figure 5b of Xu et al. 2016."""
REPEATS, ROUNDS, SCENARIOS = 500, 20, 256
"""The quickest of the rounds counts: others use the machine too."""


def capacity_left() -> Iterator[str]:
    for low, high, cycles, published in STRESS_TESTS:
        soc = dynamic_stress_test(low / 100, high / 100)
        faded = capacity_fade(soc, np.full(soc.size, 20.0), 1.0, cycles)
        left = 100 * (1 - faded.capacity_fraction)
        yield f"  {low:3}-{high:3}%  {cycles} cycles  {left:5.1f}%  figure {published}%  {left - published:+.1f}"


def round_trips(battery: Battery) -> Iterator[str]:
    for fraction in (0.1, 0.2, 0.5, 0.7, 1.0):
        found = round_trip_efficiency(battery, fraction * battery.rated_kw, 0.5)
        yield f"  {fraction:4.0%} of rated power  {found:.1%}"


def fuel() -> Iterator[str]:
    (low_kw, low_l), full = FUEL_L_PER_H[0], (701, 161.0)
    slope = (full[1] - low_l) / (full[0] - low_kw)
    for power_kw, litres in FUEL_L_PER_H[1:]:
        ours = low_l + slope * (power_kw - low_kw)
        yield f"  {power_kw} kW  {ours:.1f} l/h  data sheet {litres}  {ours / litres - 1:+.1%}"


def supplies(ups: Ups) -> Iterator[str]:
    for fraction in (0.2, 0.5, 0.75, 1.0):
        load_kw = fraction * ups.rated_kw
        double, eco = ups_efficiency(replace(ups, eco=None), load_kw), ups_efficiency(ups, load_kw)
        yield f"  {fraction:4.0%} load  double conversion {double:.1%}  eco {eco:.1%}"


def costs(battery: Battery) -> Iterator[str]:
    """Of a step and the flexibility after it, as machine code, for each scenario."""
    thermal = Thermal(heat_capacity_kwh_per_k=7.0, conductance_kw_per_k=6.0)
    plain = replace(battery, no_load_losses_kw=0.0, square_losses_fraction=0.0, wear=None)
    full = replace(battery, thermal=thermal, taper=Taper(charge_above_soc=0.8, discharge_below_soc=0.2))
    for name, told in (("efficiencies", plain), ("losses, wear", battery), ("taper, temperature", full)):
        tape = Tape()
        state = BatteryState(soc=tape.input(), cell_c=tape.input())  # type: ignore[arg-type]
        done = told.step(state, tape.input(), {"air_c": 22.0}, (), 300.0)  # type: ignore[arg-type]
        machine = Machine(tape, numbers((done, told.flexibility(done.points))), SCENARIOS)
        rng = np.random.default_rng(1)
        given = [rng.uniform(0.1, 0.95, SCENARIOS), np.full(SCENARIOS, 25.0), rng.uniform(-1000, 1000, SCENARIOS)]
        machine.table[machine.inputs.slice] = given
        took_s = min(_took_s(machine) for _ in range(ROUNDS))
        yield f"  {name:20} {took_s / REPEATS / SCENARIOS * 1e9:6.1f} ns"


def _took_s(machine: Machine) -> float:
    begun_s = stopwatch_s()
    for _ in range(REPEATS):
        machine.run()
    return stopwatch_s() - begun_s


def main() -> None:
    """Print every table."""
    battery, ups = cast(Battery, build("battery")), cast(Ups, build("ups"))
    tables = {
        "AC round trip of the example": round_trips(battery),
        "Capacity left after dynamic stress tests at 20 °C": capacity_left(),
        "Fuel at half and three quarters of a line through the ends": fuel(),
        "Efficiency of the example supply": supplies(ups),
        f"One battery, one step, one of {SCENARIOS} scenarios": costs(battery),
    }
    for title, lines in tables.items():
        print(title, *lines, sep="\n")


if __name__ == "__main__":
    main()
