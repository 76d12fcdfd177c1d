"""Plants alone: what they take, what it costs, and that nothing is lost on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.cooling.chiller_curves import ChillerName
from twin.cooling.chillers import Chillers, Economiser
from twin.cooling.dry_cooler import DryCoolers
from twin.cooling.economiser import FirstThen, OutdoorAir
from twin.cooling.heat_reuse import HeatConsumer, ReusedFirst
from twin.cooling.plant_duty import PARTS, PlantDuty
from twin.cooling.rejection import HeatRejection, Rejection
from twin.cooling.tower import Tower
from twin.cooling.water import EVAPORATION_L_PER_KWH
from twin.cooling.wet_towers import WetTowers
from twin.native import Machine
from twin.tape import Tape

RATED_KW = 1000.0
TOWER = Tower(rated_heat_kw=1200.0, fan_kw=15.0, pump_kw=10.0)


def chillers(curves: ChillerName = "doe2_centrifugal", economiser: Economiser = "none", count: int = 1) -> Chillers:
    return Chillers(
        rated_heat_kw=RATED_KW,
        curves=curves,
        chiller_count=count,
        tower=None if curves.startswith("air") else TOWER,
        economiser=economiser,
        pump_kw=12.0,
    )


DRY = DryCoolers(rated_heat_kw=RATED_KW, pump_kw=12.0, fan_kw=40.0, pad_bleed_fraction=0.3)
TOWERS = WetTowers(rated_heat_kw=RATED_KW, tower=TOWER, pump_kw=12.0)
OUTDOOR = OutdoorAir(rated_heat_kw=RATED_KW, fan_kw=20.0, pad_effectiveness_fraction=0.8)
PLANTS: dict[str, Any] = {
    "dry coolers": DRY,
    "dry coolers without pads": DryCoolers(rated_heat_kw=RATED_KW, pump_kw=12.0, fan_kw=40.0, adiabatic_above_c=None),
    "wet towers": TOWERS,
    "outdoor air": OUTDOOR,
    "chillers": chillers(),
    "three chillers": chillers(count=3),
    "variable speed": chillers("centrifugal_vsd"),
    "not integrated": chillers(economiser="non_integrated"),
    "integrated": chillers("centrifugal_vsd", "integrated"),
    "air-cooled screw": chillers("air_screw_vsd"),
    "air-cooled scroll": chillers("air_scroll"),
    "air-cooled scroll, warm": chillers("air_scroll_warm"),
}
every_plant = pytest.mark.parametrize("name", PLANTS)
tried = settings(max_examples=60, deadline=None, derandomize=True)
loads = st.floats(0.0, 1.2)
supplies_c = st.floats(5.0, 40.0)
rises_k = st.floats(4.0, 15.0)
wet_bulbs_c = st.floats(-10.0, 28.0)
depressions_k = st.floats(0.0, 15.0)


def duty(name: str, load: float, supply_c: float, rise_k: float, wet_bulb_c: float, depression_k: float) -> PlantDuty:
    done: PlantDuty = PLANTS[name].duty(
        load * RATED_KW, supply_c + rise_k, supply_c, wet_bulb_c + depression_k, wet_bulb_c
    )
    return done


@every_plant
@tried
@given(load=loads, supply_c=supplies_c, rise_k=rises_k, wet_bulb_c=wet_bulbs_c, depression_k=depressions_k)
def test_energy_and_water_are_conserved(
    name: str, load: float, supply_c: float, rise_k: float, wet_bulb_c: float, depression_k: float
) -> None:
    plant, done = PLANTS[name], duty(name, load, supply_c, rise_k, wet_bulb_c, depression_k)
    heat_kw = load * RATED_KW
    assert done.to_air_kw == pytest.approx(done.taken_kw + done.compressor_kw + done.pump_kw, rel=1e-9)
    assert 0.0 <= done.taken_kw <= heat_kw * (1 + 1e-12)
    flow_kw_per_k = heat_kw / rise_k
    assert flow_kw_per_k * (supply_c + rise_k - done.supply_c) == pytest.approx(done.taken_kw, rel=1e-9, abs=1e-9)
    parts = [getattr(done, part) for part in PARTS if part != "supply_c"]
    assert min(parts) >= 0.0
    assert np.isfinite(parts).all()
    assert done.electric_kw <= plant.rated_kw * (1 + 1e-12)


@tried
@given(load=loads, supply_c=st.floats(20.0, 40.0), wet_bulb_c=wet_bulbs_c, depression_k=depressions_k)
def test_latent_and_sensible_heat_of_a_tower_are_all_of_it(
    load: float, supply_c: float, wet_bulb_c: float, depression_k: float
) -> None:
    done = duty("wet towers", load, supply_c, 8.0, wet_bulb_c, depression_k)
    fan = TOWER.fan_fraction(
        (done.to_air_kw - TOWER.pumps_kw(0.0, 0.3)) / TOWER.rated_heat_kw, supply_c - 2.0, wet_bulb_c
    )
    use = TOWER.water(done.to_air_kw, fan, wet_bulb_c + depression_k, wet_bulb_c)
    assert use.make_up_l_per_h == pytest.approx(
        use.evaporated_l_per_h + use.drift_l_per_h + use.blow_down_l_per_h, rel=1e-12
    )
    assert done.water_l_per_h == pytest.approx(done.evaporated_l_per_h * 4.0 / 3.0, rel=1e-9), "4 cycles"
    latent_kw = done.evaporated_l_per_h / EVAPORATION_L_PER_KWH
    assert latent_kw >= 0.0
    if depression_k == 0.0 and done.to_air_kw > 0.0:
        assert latent_kw <= done.to_air_kw * (1 + 1e-9), "air that comes saturated leaves no cooler than it came"


@every_plant
@tried
@given(load=loads, supply_c=supplies_c, rise_k=rises_k, wet_bulb_c=wet_bulbs_c, depression_k=depressions_k)
def test_warmer_and_more_humid_air_never_saves_energy_nor_lets_it_take_more(
    name: str, load: float, supply_c: float, rise_k: float, wet_bulb_c: float, depression_k: float
) -> None:
    cool = duty(name, load, supply_c, rise_k, wet_bulb_c, depression_k)
    warm = duty(name, load, supply_c, rise_k, wet_bulb_c + 1.0, depression_k)
    less = warm.taken_kw < cool.taken_kw * (1 - 1e-9)
    if depression_k > 0.0 and cool.water_l_per_h == 0.0 and warm.water_l_per_h > 0.0:
        return  # Pads are wetted from some dry bulb on: then they save fans.
    assert warm.taken_kw <= cool.taken_kw * (1 + 1e-9)
    assert less or warm.electric_kw >= cool.electric_kw * (1 - 1e-9)


@every_plant
@tried
@given(load=st.floats(0.0, 1.1), supply_c=supplies_c, rise_k=rises_k, wet_bulb_c=wet_bulbs_c)
def test_more_heat_never_takes_less_power(
    name: str, load: float, supply_c: float, rise_k: float, wet_bulb_c: float
) -> None:
    some = duty(name, load, supply_c, rise_k, wet_bulb_c, 5.0)
    more = duty(name, load + 0.05, supply_c, rise_k, wet_bulb_c, 5.0)
    if more.taken_kw < (load + 0.05) * RATED_KW * (1 - 1e-9):
        return  # It is at its limit, and lets go.
    assert more.electric_kw >= some.electric_kw * (1 - 1e-9)


@pytest.mark.parametrize("name", ["chillers", "three chillers", "variable speed", "not integrated", "integrated"])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    load=st.floats(0.3, 0.8),
    mean_wet_bulb_c=st.floats(0.0, 24.0),
    swing_k=st.floats(2.0, 8.0),
    supply_c=st.floats(5.0, 16.0),
)
def test_over_days_of_any_weather_a_warmer_supply_takes_less_energy(
    name: str, load: float, mean_wet_bulb_c: float, swing_k: float, supply_c: float
) -> None:
    """SustainDC has it the other way round: there a warmer setpoint raises the total by a tenth."""
    wet_bulb_c = mean_wet_bulb_c + swing_k * np.sin(np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False))

    def energy(at_c: float) -> float:
        heat_kw = np.full(48, load * RATED_KW)
        done = PLANTS[name].duty(heat_kw, at_c + 6.0, at_c, wet_bulb_c + 5.0, wet_bulb_c)
        assert np.all(done.taken_kw == heat_kw)
        return float(np.sum(done.electric_kw))

    assert energy(supply_c + 1.0) <= energy(supply_c) * (1 + PUBLISHED.get(name, 1e-9))


PUBLISHED = {"chillers": 0.01, "three chillers": 0.01, "not integrated": 0.01}
"""The DOE-2 curves themselves: from 9 to 10 °C and with cold condenser water their power rises by up to 1%."""


def test_a_year_of_warmer_chilled_water_saves_and_of_free_cooling_saves_more() -> None:
    hours = np.arange(8760)
    wet_bulb_c = 9.0 + 10.0 * np.sin(hours * 2 * np.pi / 8760) + 3.0 * np.sin(hours * 2 * np.pi / 24)

    def mwh(plant: Chillers, supply_c: float) -> float:
        heat_kw = np.full(8760, 700.0)
        done = plant.duty(heat_kw, supply_c + 6.0, supply_c, wet_bulb_c + 4.0, wet_bulb_c)
        return float(np.sum(done.electric_kw)) / 1e3

    for kind in ("doe2_centrifugal", "centrifugal_vsd"):
        alone, helped = (
            [mwh(chillers(kind, how), supply_c) for supply_c in (5.0, 7.0, 9.0, 12.0, 16.0)]
            for how in ("none", "integrated")
        )
        assert alone == sorted(alone, reverse=True)
        assert helped == sorted(helped, reverse=True)
        assert all(one <= other for one, other in zip(helped, alone, strict=True))
        assert helped[-1] < 0.7 * alone[-1]


def test_an_integrated_economiser_saves_more_than_one_that_works_alone() -> None:
    at = (700.0, 20.0, 14.0, 6.0, 5.0)
    none, alone, integrated = (
        float(chillers(economiser=how).duty(*at).electric_kw) for how in ("none", "non_integrated", "integrated")
    )
    assert integrated < alone == none, "tower water is too warm to do all of it"
    cold = (700.0, 20.0, 14.0, -5.0, -6.0)
    assert chillers(economiser="integrated").duty(*cold).compressor_kw == 0.0
    assert chillers(economiser="non_integrated").duty(*cold).compressor_kw == 0.0


def test_water_warmer_than_the_curves_know_is_told_and_earns_nothing() -> None:
    plant = chillers()
    known, warm = (plant.rejects(700.0, at_c + 6.0, at_c, 25.0, 20.0) for at_c in (10.0, 24.0))
    assert (known.clamped, warm.clamped) == (0.0, 1.0)
    assert warm.electric_kw == pytest.approx(float(known.electric_kw))


def test_heat_beyond_capacity_is_left_and_warms_the_supply() -> None:
    done = chillers().rejects(2000.0, 16.0, 10.0, 30.0, 24.0)
    assert 900.0 < float(done.taken_kw) < 1100.0
    assert done.supply_c == pytest.approx(16.0 - 6.0 * float(done.taken_kw) / 2000.0)


def test_each_chiller_more_lets_part_load_cost_no_more() -> None:
    load_kw = np.array([100.0, 200.0, 300.0, 600.0, 950.0])
    one, three = (
        np.asarray(chillers(count=count).duty(load_kw, 16.0, 10.0, 28.0, 22.0).compressor_kw) for count in (1, 3)
    )
    assert np.all(three <= one * (1 + 1e-12))
    assert three[2] < 0.8 * one[2], "a third of the load is all that one of them can do"


def test_outdoor_air_goes_first_and_leaves_to_the_chillers_what_it_cannot() -> None:
    both = FirstThen(first=OUTDOOR, then=chillers("air_screw_vsd"))
    cold, mild, hot = (both.rejects(600.0, 22.0, 10.0, dry_c, dry_c - 4.0) for dry_c in (5.0, 18.0, 32.0))
    assert cold.electric_kw < mild.electric_kw < hot.electric_kw
    for done in (cold, mild, hot):
        assert done.taken_kw == pytest.approx(600.0)
        assert done.supply_c == pytest.approx(10.0)
    alone = chillers("air_screw_vsd").rejects(600.0, 22.0, 10.0, 32.0, 28.0)
    assert hot.electric_kw == pytest.approx(float(alone.electric_kw)), "shut in hot and humid air"


CONSUMER = HeatConsumer(demand_kw=300.0, wanted_c=40.0, back_c=30.0)


def test_a_consumer_takes_what_is_warm_enough_for_it_and_the_plant_the_rest() -> None:
    assert CONSUMER.takes_kw(1000.0, 42.0, 32.0) == 0.0, "3 K are needed to pass the heat on"
    assert CONSUMER.takes_kw(1000.0, 45.0, 35.0) == 300.0
    assert CONSUMER.takes_kw(200.0, 45.0, 25.0) == pytest.approx(200.0 * 12.0 / 20.0), "no colder than it comes back"
    both, alone = ReusedFirst(consumer=CONSUMER, plant=DRY), DRY
    done, whole = (plant.rejects(900.0, 45.0, 35.0, 25.0, 18.0) for plant in (both, alone))
    assert done.taken_kw == pytest.approx(900.0)
    assert done.electric_kw < whole.electric_kw


COMPOSED: dict[str, HeatRejection] = {
    **PLANTS,
    "in series": FirstThen(first=OUTDOOR, then=chillers("air_scroll")),
    "reused": ReusedFirst(consumer=CONSUMER, plant=DRY),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_one_many_and_recorded_are_the_same(name: str) -> None:
    rng = np.random.default_rng(4)
    wet_c = rng.uniform(-8.0, 26.0, 40)
    supply_c = rng.uniform(6.0, 40.0, 40)
    rows = np.array(
        [
            rng.choice([0.0, 1.0], 40, p=[0.1, 0.9]) * rng.uniform(0.0, 1200.0, 40),
            supply_c + rng.uniform(3.0, 14.0, 40),
            supply_c,
            wet_c + rng.uniform(0.0, 12.0, 40),
            wet_c,
        ]
    )
    rejects: Callable[..., Rejection] = COMPOSED[name].rejects
    alone = np.array([numbers(rejects(*map(float, column))) for column in rows.T]).T
    many = np.array([np.broadcast_to(part, (40,)) for part in numbers(rejects(*rows))])
    tape = Tape()
    recorded = numbers(rejects(*[tape.input() for _ in rows]))
    machine = Machine(tape, recorded, 40)
    machine.table[machine.inputs.slice] = rows
    machine.run()
    np.testing.assert_allclose(many, alone, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(machine.table[machine.outputs.slice], alone, rtol=1e-12, atol=1e-9)


def numbers(done: Rejection) -> list[Any]:
    return [done.taken_kw, done.supply_c, done.electric_kw, done.water_l_per_h, done.clamped]
