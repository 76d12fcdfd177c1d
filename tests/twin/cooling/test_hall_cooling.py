"""A hall with its cooling: energy is kept, halves of a step are a step, and failures warm it as fast as water can."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tests.contracts.device_rig import numbers
from tests.twin.cooling.plain_plants import KW_PER_KW, RATED_KW, PlainPlant, hall, stepped
from twin.cooling.air import Air
from twin.cooling.cold_plate import ColdPlate
from twin.cooling.hall import held_kwh_per_kw
from twin.cooling.hall_cooling import HallCooling, HallState, above_fraction
from twin.cooling.immersion import Immersion
from twin.cooling.rear_door import RearDoor
from twin.cooling.technologies import HallTechnology
from twin.cooling.two_phase import TwoPhase
from twin.devices.base import Step
from twin.numeric import Num

TECHNOLOGIES = {
    "air": HallTechnology(air=Air(airside_economiser=True)),
    "rear_door": HallTechnology(rear_door=RearDoor()),
    "cold_plate": HallTechnology(cold_plate=ColdPlate(residual_air_fraction=0.2)),
    "immersion": HallTechnology(immersion=Immersion()),
    "two_phase": HallTechnology(two_phase=TwoPhase()),
}
every_technology = pytest.mark.parametrize("name", TECHNOLOGIES)
tried = settings(max_examples=25, deadline=None, derandomize=True)
plants = st.builds(
    PlainPlant,
    capacity_kw=st.sampled_from([0.0, 300.0, 700.0, 1e5]),
    effectiveness=st.sampled_from([0.5, 0.8, 1.0]),
)
heats_kw = st.lists(st.floats(0.0, 1.1 * RATED_KW), min_size=1, max_size=4)
lengths_s = st.sampled_from([1.0, 60.0, 300.0, 3600.0])
DEAD = PlainPlant(capacity_kw=0.0)
IDEAL = PlainPlant()


def reached(cooling: HallCooling, heats: list[float], length_s: float, dry_c: float) -> HallState:
    state = cooling.initial()
    for heat_kw in heats:
        state = stepped(cooling, state, heat_kw, length_s, dry_c).state
    return state


@every_technology
@tried
@given(plant=plants, heats=heats_kw, heat_kw=st.floats(0.0, RATED_KW), dry_c=st.floats(-10, 45), length_s=lengths_s)
def test_two_halves_are_one_step_when_the_plant_is_short_too(
    name: str, plant: PlainPlant, heats: list[float], heat_kw: float, dry_c: float, length_s: float
) -> None:
    cooling = hall(TECHNOLOGIES[name], plant)
    state = reached(cooling, heats, 300.0, dry_c)
    whole = stepped(cooling, state, heat_kw, length_s, dry_c)
    first = stepped(cooling, state, heat_kw, length_s / 2, dry_c)
    second = stepped(cooling, first.state, heat_kw, length_s / 2, dry_c)
    assert (first.p_kw + second.p_kw) / 2 == pytest.approx(whole.p_kw, rel=1e-9, abs=1e-9)
    assert numbers(second.state) == pytest.approx(numbers(whole.state), rel=1e-9, abs=1e-6)
    for key in whole.amounts.keys() - {"over_limit_h"}:
        amount = whole.amounts[key]
        assert first.amounts[key] + second.amounts[key] == pytest.approx(amount, rel=1e-9, abs=1e-6), key


@every_technology
@tried
@given(plant=plants, heats=heats_kw, heat_kw=st.floats(1.0, RATED_KW), dry_c=st.floats(-10, 45), length_s=lengths_s)
def test_heat_is_taken_outdoors_or_kept_in_the_hall_or_told_as_unmet(
    name: str, plant: PlainPlant, heats: list[float], heat_kw: float, dry_c: float, length_s: float
) -> None:
    cooling, hours = hall(TECHNOLOGIES[name], plant), length_s / 3600.0
    before = reached(cooling, heats, 300.0, dry_c)
    done = stepped(cooling, before, heat_kw, length_s, dry_c)
    (loop,) = cooling._loops(heat_kw, dry_c, dry_c - 5.0)
    lag_kwh = RATED_KW * (held(cooling, done.state) - held(cooling, before))
    arriving_kwh = (heat_kw + loop.electric_kw) * hours - lag_kwh
    kept_kwh = done.state.excess_kwh - before.excess_kwh + done.amounts["unmet_heat_kwh"]
    assert done.points["rejected_kw"] * hours + kept_kwh == pytest.approx(arriving_kwh, rel=1e-9, abs=1e-9)


@every_technology
@pytest.mark.parametrize("heat_kw", [100.0, 650.0, RATED_KW])
def test_what_a_plant_is_said_to_take_is_what_it_takes(name: str, heat_kw: float) -> None:
    """The plain plant's power tells its heat; at steady load, since heat that comes late is charged at a mean."""
    cooling = hall(TECHNOLOGIES[name], IDEAL)
    done = settled(cooling, heat_kw, 30.0)
    (loop,) = cooling._loops(heat_kw, 30.0, 25.0)
    taken_kw = (done.p_kw - loop.electric_kw) / KW_PER_KW
    assert taken_kw + loop.outdoor_kw == pytest.approx(done.points["rejected_kw"], rel=1e-9)
    assert done.points["rejected_kw"] == pytest.approx(heat_kw + loop.electric_kw, rel=1e-9)


@every_technology
@tried
@given(heats=heats_kw, heat_kw=st.floats(0.0, RATED_KW), dry_c=st.floats(-10, 45), length_s=lengths_s)
def test_power_stays_within_its_rating_after_any_load(
    name: str, heats: list[float], heat_kw: float, dry_c: float, length_s: float
) -> None:
    cooling = hall(TECHNOLOGIES[name], PlainPlant(capacity_kw=1200.0, effectiveness=0.8))
    done = stepped(cooling, reached(cooling, heats, length_s, dry_c), heat_kw, length_s, dry_c)
    assert done.p_kw <= cooling.rated_kw * (1 + 1e-12)


def held(cooling: HallCooling, state: HallState) -> Any:
    return held_kwh_per_kw(cooling.technology.chosen.thermal, state.above_supply_k)


def settled(cooling: HallCooling, heat_kw: float, dry_c: float = 20.0) -> Step[HallState]:
    state = cooling.initial()
    for _ in range(6):
        state = stepped(cooling, state, heat_kw, 3600.0, dry_c).state
    return stepped(cooling, state, heat_kw, 1.0, dry_c)


@pytest.mark.parametrize(("name", "low_s", "high_s"), [("cold_plate", 160.0, 180.0), ("air", 180.0, 420.0)])
def test_without_a_plant_ten_kelvin_take_a_liquid_loop_three_minutes_and_air_cooled_servers_several(
    name: str, low_s: float, high_s: float
) -> None:
    """4 L of water for each kW warm 10 K in about 170 s; air-cooled servers follow within minutes."""
    before, dead = settled(hall(TECHNOLOGIES[name], IDEAL), RATED_KW, 40.0), hall(TECHNOLOGIES[name], DEAD)
    after = stepped(dead, before.state, RATED_KW, 60.0, 40.0)
    rise_k = after.points["inlet_c"] - before.points["inlet_c"]
    assert low_s < 10.0 / rise_k * 60.0 < high_s


def test_a_failed_plant_warms_the_hall_past_its_limit_until_equipment_throttles_and_is_recovered_from() -> None:
    technology = TECHNOLOGIES["cold_plate"]
    failed, sound = hall(technology, DEAD, air_plant=None), hall(technology, PlainPlant(capacity_kw=1300.0))
    state = settled(sound, 900.0).state
    inlets: list[Num] = []
    over_h: Num = 0.0
    unmet_kwh: Num = 0.0
    for _ in range(10):
        done = stepped(failed, state, 900.0, 60.0)
        state, over_h = done.state, over_h + done.amounts["over_limit_h"]
        unmet_kwh += done.amounts["unmet_heat_kwh"]
        inlets.append(done.points["inlet_c"])
    assert inlets == sorted(inlets)
    margin_k = 2.0
    assert inlets[-1] == pytest.approx(40.0 + margin_k + failed.shut_off_k), "the air beside the plates has 2 K"
    warmed_h = margin_k * failed._kwh_per_k() / (900.0 + 0.0)
    assert over_h == pytest.approx(600.0 / 3600.0 - warmed_h, rel=0.05)
    assert unmet_kwh > 0.0
    done = stepped(sound, state, 900.0, 3600.0)
    assert done.state.excess_kwh == 0.0
    assert done.points["inlet_c"] == pytest.approx(40.0)
    fetching_kw = sound.fetch_fraction * RATED_KW
    assert done.amounts["over_limit_h"] == pytest.approx(sound.shut_off_k * sound._kwh_per_k() / fetching_kw)
    assert done.p_kw > settled(sound, 900.0).p_kw, "what was left is fetched back"


@every_technology
def test_more_heat_makes_it_hotter_and_costs_more(name: str) -> None:
    cooling = hall(TECHNOLOGIES[name], PlainPlant(effectiveness=0.8))
    done = [settled(cooling, heat_kw, 25.0) for heat_kw in (300.0, 500.0, 700.0, 1000.0)]
    for some, more in pairwise(done):
        assert more.points["rack_c"] - more.points["supply_c"] > some.points["rack_c"] - some.points["supply_c"]
        assert more.p_kw > some.p_kw


def test_a_cooler_that_lacks_temperature_difference_lets_the_loop_run_warmer_and_still_takes_all() -> None:
    cooling = hall(TECHNOLOGIES["immersion"], PlainPlant(effectiveness=0.6))
    cool, hot = settled(cooling, 900.0, 15.0), settled(cooling, 900.0, 34.0)
    assert cool.points["inlet_c"] == pytest.approx(40.0)
    assert 40.5 < hot.points["inlet_c"] < 50.0
    assert hot.state.excess_kwh == cool.state.excess_kwh == 0.0


@given(start=st.integers(0, 9), end=st.integers(0, 9), level=st.floats(0, 10))
def test_time_above_a_level_on_a_straight_way(start: float, end: float, level: float) -> None:
    way = start + (end - start) * (np.arange(1000) + 0.5) / 1000
    assert above_fraction(start, end, level) == pytest.approx(float(np.mean(way > level)), abs=2e-3)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"technology": {}}, "exactly one of air, rear_door, cold_plate, immersion, two_phase, not none"),
        ({"technology": {"air": {}, "immersion": {}}}, "not air and immersion"),
        ({"technology": {"two_phase": {}}, "air_plant": None, "inlet_c": 40}, "no inlet_c"),
        ({"technology": {"immersion": {}}}, "no air_plant"),
        ({"plant": {}}, "at least one of dry_coolers, wet_towers, chillers, not none"),
        ({"technology": {"cold_plate": {"cdu": {"facility_rise_k": 15}}}}, "cold_rise_k below 12.63"),
        ({"technology": {"two_phase": {"fluid": "water"}}}, "novec_649"),
    ],
)
def test_what_cannot_be_is_refused(keys: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        TypeAdapter(HallCooling).validate_python({**HallCooling.example, **keys})
