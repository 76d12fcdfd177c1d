"""Halls with the plants of a site file: what a warmer setpoint, a colder day and another technology are worth."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from tests.contracts.device_rig import build
from tests.twin.cooling.test_hall_cooling import settled
from twin.cooling.hall_cooling import HallCooling
from twin.numeric import FloatArray

TOWER = {"rated_heat_kw": 1500, "fan_kw": 20, "pump_kw": 13}
CHILLED: dict[str, Any] = {"chillers": {"rated_heat_kw": 1300, "tower": TOWER, "pump_kw": 10, "rise_k": 8}}
ECONOMISED: dict[str, Any] = {"chillers": {**CHILLED["chillers"], "economiser": "integrated"}}
DRY: dict[str, Any] = {"dry_coolers": {"rated_heat_kw": 1300, "pump_kw": 8, "fan_kw": 50, "adiabatic_above_c": None}}


def hall(technology: dict[str, Any], plant: dict[str, Any], **others: Any) -> HallCooling:
    keys = {"bus": "cooling", "serves": ("hall",), "rated_heat_kw": 1000.0, "technology": technology, "plant": plant}
    found: HallCooling = TypeAdapter(HallCooling).validate_python({**keys, **others})
    return found


def power_kw(cooling: HallCooling, dry_c: float, heat_kw: float = 800.0) -> float:
    return float(settled(cooling, heat_kw, dry_c).p_kw)


@pytest.mark.parametrize("plant", [CHILLED, ECONOMISED])
@pytest.mark.parametrize("dry_c", [5.0, 15.0, 25.0, 35.0])
def test_a_warmer_setpoint_lowers_what_chillers_take(plant: dict[str, Any], dry_c: float) -> None:
    air = {"air": {"approach_k": 12}}
    powers = [power_kw(hall(air, plant, inlet_c=inlet_c), dry_c) for inlet_c in (18.0, 20.0, 22.0, 24.0)]
    for colder, warmer in pairwise(powers):
        assert warmer <= colder * (1 + 1e-12)
    assert powers[-1] < powers[0]


@pytest.mark.parametrize("technology", [{"cold_plate": {"residual_air_fraction": 0}}, {"immersion": {}}])
def test_a_warmer_loop_lowers_what_fans_of_dry_coolers_take(technology: dict[str, Any]) -> None:
    assert power_kw(hall(technology, DRY, inlet_c=42), 25.0) < power_kw(hall(technology, DRY, inlet_c=36), 25.0)


def test_servers_above_25_degrees_draw_more_than_warm_air_saves_where_outdoor_air_is_warm() -> None:
    """The reason why inlet temperatures stop near 27 °C: fans of servers, which a PUE does not see, rise by a cube."""
    air = {"air": {"approach_k": 5, "max_inlet_c": 35}}
    mild, warm, hot = (power_kw(hall(air, ECONOMISED, inlet_c=inlet_c), 10.0) for inlet_c in (25.0, 27.0, 33.0))
    assert hot > warm
    assert hot > mild


@pytest.mark.parametrize("dry_c", [0.0, 10.0, 20.0, 28.0])
def test_technologies_in_the_order_of_what_they_take(dry_c: float) -> None:
    """Air, rear doors, cold plates, and baths: fewer fans and warmer water each time."""
    two = {"chillers": {"rated_heat_kw": 200, "curves": "air_screw_vsd", "pump_kw": 2, "rise_k": 8}}
    plates = hall({"cold_plate": {}}, DRY, air_plant=two)
    halls = (
        hall({"air": {}}, ECONOMISED),
        hall({"rear_door": {}}, ECONOMISED),
        hall({"immersion": {}}, DRY),
        hall({"two_phase": {"fluid": "novec_7100"}}, DRY),
    )
    powers = [power_kw(one, dry_c) for one in halls]
    assert powers == sorted(powers, reverse=True)
    assert powers[2] < power_kw(plates, dry_c), "the air beside the plates needs compressors"


def test_dry_coolers_before_towers_save_water_in_the_cold_and_all_heat_goes_in_the_heat() -> None:
    towers = {"rated_heat_kw": 1300, "tower": TOWER, "pump_kw": 8}
    plates = {"cold_plate": {"residual_air_fraction": 0, "inlet_c": 30}}
    wet = hall(plates, {"wet_towers": towers})
    both = hall(plates, {"dry_coolers": {**DRY["dry_coolers"], "pump_kw": 0}, "wet_towers": towers})
    assert settled(both, 800.0, 5.0).amounts["water_l"] < 0.1 * settled(wet, 800.0, 5.0).amounts["water_l"]
    hot = settled(both, 800.0, 32.0)
    assert hot.amounts["water_l"] > 0.0
    assert hot.state.excess_kwh == 0.0


def test_a_year_of_hours_at_once_is_each_hour_by_itself() -> None:
    cooling = build("hall_cooling")
    assert isinstance(cooling, HallCooling)
    dry_c: FloatArray = np.linspace(-15.0, 42.0, 20)
    together = settled(cooling, np.full(20, 900.0), dry_c)  # type: ignore[arg-type]
    for place, one_c in enumerate(dry_c):
        alone = settled(cooling, 900.0, float(one_c))
        assert np.broadcast_to(together.p_kw, (20,))[place] == pytest.approx(alone.p_kw, rel=1e-12)
