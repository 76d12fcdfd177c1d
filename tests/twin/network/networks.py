"""Networks that the tests of this package share."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from twin.network.power_flow import PowerFlow
from twin.network.topology import Breaker, Bus, Coupler, Line, Taps, Topology, TransferSwitch, Transformer
from twin.numeric import FloatArray
from twin.yaml_file import read_yaml

CAMPUS_FILE = Path(__file__).parents[3] / "site_configs" / "campus.yaml"
CAMPUS_SLACK = "pcc_110kv"
CAMPUS_RATED_KW = {
    "hall_a_480v": 2700.0,
    "hall_b_480v": 3500.0,
    "cooling_480v": 1000.0,
    "office_480v": 400.0,
    "battery_690v": 2500.0,
    "solar_690v": 2600.0,
    "wind_690v": 2000.0,
    "genset_480v": 4000.0,
}
"""Of all devices at each bus that has any."""
CABLE = Line(
    from_bus="",
    to_bus="",
    length_m=1000,
    resistance_ohm_per_km=0.2,
    reactance_ohm_per_km=0.12,
    capacitance_nf_per_km=250.0,
    rated_a=250,
)
UNIT = Transformer(
    hv_bus="",
    lv_bus="",
    rated_kva=800,
    short_circuit_fraction=0.05,
    copper_fraction=0.01,
    iron_losses_kw=1.1,
    no_load_current_fraction=0.004,
)


@cache
def campus() -> Topology:
    topology: Topology = read_yaml(CAMPUS_FILE).validate(TypeAdapter(Topology), ("network",))
    return topology


@cache
def ring() -> Topology:
    """Meshed, slack not first, two parallel units, a transformer without phase shift beside one with."""
    return Topology(
        frequency_hz=50.0,
        slack_v_pu=1.02,
        buses={
            "south": Bus(rated_v=400),
            "west": Bus(rated_v=10000),
            "grid": Bus(rated_v=10000),
            "east": Bus(rated_v=10000),
            "north": Bus(rated_v=690),
        },
        lines={
            "grid_west": replace(CABLE, from_bus="grid", to_bus="west", length_m=900),
            "east_grid": replace(CABLE, from_bus="east", to_bus="grid", length_m=600, rated_a=500, parallel_count=2),
            "west_east": replace(CABLE, from_bus="west", to_bus="east", length_m=1500),
        },
        transformers={
            "t_south": replace(UNIT, hv_bus="west", lv_bus="south", parallel_count=3),
            "t_north": replace(
                UNIT, hv_bus="east", lv_bus="north", rated_kva=2500, iron_losses_kw=2.4, phase_shift_deg=150
            ),
        },
    )


SWITCHES: Any = {
    "breakers": {
        "q_a": Breaker(branch="feeder_a", bus="bar_a"),
        "q_a_grid": Breaker(branch="feeder_a", bus="grid"),
        "q_b": Breaker(branch="feeder_b", bus="grid"),
        "q_tie": Breaker(branch="tie_line", bus="bar_b", closed=False),
        "q_t_a": Breaker(branch="t_a", bus="bar_a"),
        "q_t_a_low": Breaker(branch="t_a", bus="hall_a"),
        "q_t_b": Breaker(branch="t_b", bus="hall_b"),
    },
    "couplers": {
        "halls": Coupler(from_bus="hall_a", to_bus="hall_b", closed=False),
        "bars": Coupler(from_bus="bar_a", to_bus="bar_b", closed=False),
    },
    "transfer_switches": {
        "ats_core": TransferSwitch(load_bus="core", preferred_bus="rack", alternate_bus="standby"),
        "ats_rack": TransferSwitch(load_bus="rack", preferred_bus="hall_a", alternate_bus="hall_b"),
    },
}
"""Of `two_feeds`: a tie line open at one end, couplers, a transfer switch behind another."""


@cache
def two_feeds() -> Topology:
    """Two feeds with a tie line, taps on both sides, a coupler, and two transfer switches one behind the other."""
    unit = replace(UNIT, phase_shift_deg=330)
    hv_taps = Taps(side="hv", step_fraction=0.0125, position_steps=-2, min_steps=-8, max_steps=8)
    lv_taps = Taps(side="lv", step_fraction=0.02, position_steps=3, neutral_steps=2, min_steps=0, max_steps=4)
    return Topology(
        slack_v_pu=1.01,
        buses={
            "core": Bus(rated_v=480),
            "grid": Bus(rated_v=20000),
            "bar_a": Bus(rated_v=20000),
            "bar_b": Bus(rated_v=20000),
            "hall_a": Bus(rated_v=480),
            "hall_b": Bus(rated_v=480),
            "rack": Bus(rated_v=480),
            "standby": Bus(rated_v=480),
        },
        lines={
            "feeder_a": replace(CABLE, from_bus="grid", to_bus="bar_a", length_m=2300),
            "feeder_b": replace(CABLE, from_bus="grid", to_bus="bar_b", length_m=1400, parallel_count=2),
            "tie_line": replace(CABLE, from_bus="bar_a", to_bus="bar_b", length_m=4000),
        },
        transformers={
            "t_a": replace(unit, hv_bus="bar_a", lv_bus="hall_a", taps=hv_taps),
            "t_b": replace(unit, hv_bus="bar_b", lv_bus="hall_b", parallel_count=2, taps=lv_taps),
        },
        **SWITCHES,
    )


FEEDS = {"utility": "grid", "genset": "standby"}
"""Sources of `two_feeds`."""


def consumption(
    power_flow: PowerFlow, rng: np.random.Generator, scenarios: int | None = None
) -> tuple[FloatArray, FloatArray]:
    """Consumption and generation at every bus of the campus, anywhere within the ratings."""
    rated = np.array([CAMPUS_RATED_KW.get(bus, 0.0) for bus in power_flow.buses])
    shape = rated.shape if scenarios is None else (rated.size, scenarios)
    rated = rated if scenarios is None else rated[:, None]
    return rated * rng.uniform(-1.0, 1.0, shape), rated * rng.uniform(-0.2, 0.3, shape)
