"""Networks that the tests of this package share."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from twin.network.power_flow import PowerFlow
from twin.network.topology import Bus, Line, Topology, Transformer
from twin.numeric import FloatArray
from twin.yaml_file import read_yaml

CAMPUS_FILE = Path(__file__).parents[3] / "site_configs" / "campus.yaml"
CAMPUS_SLACK = "pcc_20kv"
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


def consumption(
    power_flow: PowerFlow, rng: np.random.Generator, scenarios: int | None = None
) -> tuple[FloatArray, FloatArray]:
    """Consumption and generation at every bus of the campus, anywhere within the ratings."""
    rated = np.array([CAMPUS_RATED_KW.get(bus, 0.0) for bus in power_flow.buses])
    shape = rated.shape if scenarios is None else (rated.size, scenarios)
    rated = rated if scenarios is None else rated[:, None]
    return rated * rng.uniform(-1.0, 1.0, shape), rated * rng.uniform(-0.2, 0.3, shape)
