"""Cooling against published figures: EnergyPlus' chiller, Stull's wet bulb, evaporation of water."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq

from tests.contracts.device_rig import build
from twin.cooling.chiller import chiller_duty
from twin.cooling.chiller_curves import DOE2_CENTRIFUGAL
from twin.cooling.dry_cooler import DryCooler, dry_cooler_air_fraction
from twin.cooling.fans_and_pumps import pump_kw
from twin.cooling.tower import Tower, saturated_c, saturated_kj_per_kg
from twin.cooling.water import EVAPORATION_L_PER_KWH, evaporated_l, water_use
from twin.devices.base import Step
from twin.numeric import FloatArray
from twin.weather import wet_bulb_c


def duty_kw(heat_kw: float, chilled_c: float, condenser_c: float) -> tuple[float, float]:
    """Power and capacity of the DOE-2 centrifugal chiller of 1,000 kW."""
    done = chiller_duty(DOE2_CENTRIFUGAL, heat_kw, chilled_c, condenser_c, rated_heat_kw=1000.0, reference_cop=5.5)
    return float(done.compressor_kw), float(done.capacity_kw)


def cop(chilled_c: float, condenser_c: float, load_fraction: float = 1.0) -> float:
    """Of capacity at these temperatures, as a laboratory would measure it."""
    heat_kw = duty_kw(0.0, chilled_c, condenser_c)[1] * load_fraction
    return heat_kw / duty_kw(heat_kw, chilled_c, condenser_c)[0]


@pytest.mark.parametrize(
    ("chilled_c", "condenser_c", "load_fraction", "expected"),
    [
        (6.67, 29.4, 1.0, 5.51),
        (6.67, 24.0, 1.0, 6.18),
        (10.0, 24.0, 1.0, 6.48),
        (10.0, 35.0, 1.0, 5.20),
        (6.67, 29.4, 0.5, 5.55),
        (6.67, 29.4, 0.25, 4.17),
    ],
)
def test_chiller_at_check_points_of_the_energyplus_curves(
    chilled_c: float, condenser_c: float, load_fraction: float, expected: float
) -> None:
    assert cop(chilled_c, condenser_c, load_fraction) == pytest.approx(expected, abs=0.005)


def test_a_chiller_is_held_at_the_edge_of_what_its_curves_were_fitted_to() -> None:
    assert cop(18.0, 15.0) == cop(10.0, 24.0)
    assert cop(2.0, 45.0) == cop(5.0, 35.0)


def test_a_chiller_without_heat_rests_and_one_with_too_much_stays_at_full_power() -> None:
    def power_kw(heat_kw: float) -> float:
        return duty_kw(heat_kw, 6.67, 29.4)[0]

    assert power_kw(0.0) == 0.0
    assert power_kw(5000.0) == pytest.approx(power_kw(1003.0), rel=1e-3)
    assert power_kw(100.0) == pytest.approx(power_kw(200.6) / 2, rel=0.01), "it cycles below a fifth of its capacity"


def test_wet_bulb_of_the_example_in_stull_2011() -> None:
    """20 °C and 50% give 13.7 °C: the worked example of the paper, section 2."""
    assert wet_bulb_c(np.array([20.0]), np.array([0.5]))[0] == pytest.approx(13.7, abs=0.05)


def psychrometric_wet_bulb_c(dry_bulb_c: FloatArray, humidity_fraction: FloatArray) -> FloatArray:
    """Solved from the psychrometer equation at 101.325 kPa, with Bolton's saturation pressure."""

    def saturated_kpa(at_c: FloatArray) -> FloatArray:
        return np.asarray(0.6112 * np.exp(17.67 * at_c / (at_c + 243.5)))

    low, high = dry_bulb_c - 40.0, dry_bulb_c.copy()
    vapour_kpa = humidity_fraction * saturated_kpa(dry_bulb_c)
    for _ in range(60):
        middle = (low + high) / 2
        too_warm = saturated_kpa(middle) - 6.6e-4 * 101.325 * (dry_bulb_c - middle) > vapour_kpa
        low, high = np.where(too_warm, low, middle), np.where(too_warm, middle, high)
    return high


def test_wet_bulb_against_the_psychrometer_equation() -> None:
    dry_c, humid = (axis.ravel() for axis in np.meshgrid(np.linspace(0.0, 40.0, 41), np.linspace(0.2, 0.95, 16)))
    error_k = wet_bulb_c(dry_c, humid) - psychrometric_wet_bulb_c(dry_c, humid)
    assert np.abs(error_k).mean() < 0.3
    assert np.abs(error_k).max() < 1.0, "Stull states -1.0 to 0.65 K"


def test_water_for_a_kilowatt_hour_of_rejected_heat() -> None:
    assert evaporated_l(1.0) == pytest.approx(1.68, abs=0.005)
    assert evaporated_l(1.0, latent_fraction=1.0) == pytest.approx(1.98, abs=0.01)
    assert pytest.approx(2430.0, rel=0.005) == 3600.0 / EVAPORATION_L_PER_KWH, "latent heat near 30 °C, kJ/kg"


def test_drift_is_a_part_of_the_blow_down_until_it_is_more() -> None:
    usual = water_use(850.0, 48.0, concentration_ratio=4.0, drift_fraction=5e-5)
    assert usual.make_up_l_per_h / 1000.0 == pytest.approx(1.68, abs=0.005)
    assert usual.drift_l_per_h == pytest.approx(8.64)
    wasteful = water_use(850.0, 48.0, concentration_ratio=4.0, drift_fraction=0.01)
    assert wasteful.blow_down_l_per_h == 0.0
    assert wasteful.make_up_l_per_h == wasteful.evaporated_l_per_h + wasteful.drift_l_per_h


def saturated_humidity(at_c: FloatArray) -> FloatArray:
    """kg of vapour per kg of dry air at 101.325 kPa, by Magnus' formula (Alduchov and Eskridge 1996)."""
    vapour_kpa = 0.61094 * np.exp(17.625 * at_c / (at_c + 243.04))
    return np.asarray(0.621945 * vapour_kpa / (101.325 - vapour_kpa))


def magnus_kj_per_kg(at_c: FloatArray) -> FloatArray:
    return np.asarray(1.006 * at_c + saturated_humidity(at_c) * (2501.0 + 1.86 * at_c))


def test_enthalpy_of_saturated_air_against_magnus_and_back() -> None:
    at_c = np.linspace(-10.0, 42.0, 105)
    assert np.abs(saturated_kj_per_kg(at_c) - magnus_kj_per_kg(at_c)).max() < 1.6
    np.testing.assert_allclose(saturated_c(saturated_kj_per_kg(at_c)), at_c, atol=1e-9)


@pytest.mark.parametrize(("dry_bulb_c", "wet_c"), [(35.0, 20.0), (30.0, 24.0), (22.0, 18.0), (12.0, 9.0), (5.0, 3.0)])
def test_water_that_a_tower_loses_is_the_humidity_that_its_air_gains(dry_bulb_c: float, wet_c: float) -> None:
    """By psychrometry: humidity in from both bulbs (ASHRAE Fundamentals, ch. 1, eq. 33), out saturated by enthalpy."""
    tower = Tower(rated_heat_kw=1000.0, fan_kw=0.0)
    fan = float(tower.fan_fraction(0.9, max(float(tower.coldest_c(wet_c, 1.0, 1.0)), 20.0), wet_c))
    air_kg_s = fan * 1000.0 / tower.air_warming_kj_per_kg
    bulbs_c = np.array([wet_c])
    humidity_in = ((2501.0 - 2.326 * wet_c) * saturated_humidity(bulbs_c)[0] - 1.006 * (dry_bulb_c - wet_c)) / (
        2501.0 + 1.86 * dry_bulb_c - 4.186 * wet_c
    )
    enthalpy_in = 1.006 * dry_bulb_c + humidity_in * (2501.0 + 1.86 * dry_bulb_c)
    leaving_c = brentq(lambda at_c: magnus_kj_per_kg(np.array([at_c]))[0] - enthalpy_in - 900.0 / air_kg_s, 0.0, 60.0)
    gained_l_per_h = air_kg_s * 3600.0 * (saturated_humidity(np.array([leaving_c]))[0] - humidity_in)
    ours = tower.water(900.0, fan, dry_bulb_c, wet_c).evaporated_l_per_h
    assert ours == pytest.approx(gained_l_per_h, rel=0.06)


YORK = (
    (-0.359741205, -0.055053608, 0.0023850432),
    (0.173926877, -0.0248473764, 0.00048430224),
    (-0.005589849456, 0.0005770079712, -0.00001342427256),
    (2.84765801111111, -0.121765149, 0.0014599242),
    (1.680428651, -0.0166920786, -0.0007190532),
    (-0.025485194448, 0.0000487491696, 0.00002719234152),
    (-0.0653766255555556, -0.002278167, 0.0002500254),
    (-0.0910565458, 0.00318176316, 0.000038621772),
    (-0.0034285382352, 0.00000856589904, -0.000001516821552),
)


def york_approach_k(wet_bulb_c: float, range_k: float, liquid_to_gas: float) -> float:
    """`YorkCalc` of EnergyPlus' variable-speed tower: a polynomial fitted to a maker's measurements."""
    rows = [a + b * wet_bulb_c + c * wet_bulb_c**2 for a, b, c in YORK]
    by_range = [rows[at] + rows[at + 1] * range_k + rows[at + 2] * range_k**2 for at in (0, 3, 6)]
    return by_range[0] + by_range[1] * liquid_to_gas + by_range[2] * liquid_to_gas**2


def test_a_tower_against_the_york_correlation() -> None:
    """Sized at York's own design point: 25.56 °C wet bulb, approach 3.89 K, range 5.56 K."""
    tower = Tower(rated_heat_kw=1.0, approach_k=3.89, design_wet_bulb_c=25.56, range_k=5.56, fan_kw=0.0)
    error_k = np.array(
        [
            float(tower.coldest_c(wet_c, load, fan)) - wet_c - york_approach_k(wet_c, 5.56, load / fan)
            for wet_c in (0.0, 5.0, 10.0, 15.0, 20.0, 25.0)
            for load in (0.5, 0.75, 1.0)
            for fan in (0.5, 0.75, 1.0)
            if load / fan <= 1.25
        ]
    )
    assert np.sqrt((error_k**2).mean()) < 0.6
    assert np.abs(error_k).max() < 1.0


def test_a_tower_stands_four_to_six_kelvin_above_wet_bulb_in_summer_and_twice_as_much_in_winter() -> None:
    tower = Tower(rated_heat_kw=1000.0, fan_kw=20.0)
    assert tower.coldest_c(24.0, 1.0, 1.0) == pytest.approx(29.0)
    assert 4.0 < tower.coldest_c(20.0, 0.8, 1.0) - 20.0 < 6.0
    assert 2.0 < (tower.coldest_c(0.0, 1.0, 1.0) - 0.0) / 5.0 < 3.0


def cross_flow_kw(air: float, water: float, difference_k: float, ua: float, rise_k: float, air_rise_k: float) -> float:
    """Heat of an unmixed cross-flow coil, of rated, by effectiveness and NTU (Incropera, table 11.3).

    Resistance of 60% on the side of the air, where the coefficient goes with the flow to the 0.6, and 40% on that of
    the water, to the 0.8; `difference_k` between the water and the air that enter.
    """
    sides = air / air_rise_k, water / rise_k
    least, ratio = min(sides), min(sides) / max(sides)
    ntu = ua / (0.6 / air**0.6 + 0.4 / water**0.8) / least
    effectiveness = 1.0 - np.exp(ntu**0.22 / ratio * (np.exp(-ratio * ntu**0.78) - 1.0))
    return float(effectiveness * least * difference_k)


@pytest.mark.parametrize(("rise_k", "air_rise_k"), [(10.0, 10.0), (6.0, 12.0), (10.0, 12.0)])
def test_air_of_a_dry_cooler_against_a_coil_by_effectiveness_and_ntu(rise_k: float, air_rise_k: float) -> None:
    approach_k = 9.0
    ua = brentq(lambda ua: cross_flow_kw(1.0, 1.0, approach_k + rise_k, ua, rise_k, air_rise_k) - 1.0, 0.01, 5.0)
    for load in (0.3, 0.5, 0.8, 1.0):
        for above_air_k in (9.0, 14.0, 20.0, 30.0):
            needed = brentq(
                lambda air, load=load, above_air_k=above_air_k: (
                    cross_flow_kw(air, load, above_air_k + rise_k, ua, rise_k, air_rise_k) - load
                ),
                0.01,
                1.5,
            )
            ours = float(dry_cooler_air_fraction(load, approach_k, above_air_k))
            assert 0.87 < ours / needed < 1.36, (load, above_air_k)


@pytest.mark.parametrize(("static_head_fraction", "exponent"), [(0.0, 3.0), (0.1, 2.8), (0.25, 2.5)])
def test_static_head_lowers_the_exponent_of_a_pump(static_head_fraction: float, exponent: float) -> None:
    """2.5 to 2.8 are the exponents met in practice."""
    up, down = (float(pump_kw(1.0, flow, static_head_fraction)) for flow in (1.001, 0.999))
    assert np.log(up / down) / np.log(1.001 / 0.999) == pytest.approx(exponent, abs=1e-3)
    assert pump_kw(1.0, 0.01, 0.25) == pytest.approx(0.0025, rel=1e-3), "where friction has gone, head stays"


def dry_cooled(heat_kw: float, dry_bulb_c: float, wet_c: float) -> Step[object]:
    cooler = build("dry_cooler")
    served = (Step(state=None, p_kw=heat_kw, heat_kw=heat_kw),)
    done: Step[object] = cooler.step(
        cooler.initial(), 0.0, {"dry_bulb_c": dry_bulb_c, "wet_bulb_c": wet_c}, served, 3600.0
    )
    return done


def test_a_dry_cooler_at_its_design_point_runs_flat_out_one_approach_above_the_air() -> None:
    cooler = build("dry_cooler")
    assert isinstance(cooler, DryCooler)
    air_c = cooler.max_supply_c - cooler.margin_k - cooler.approach_k
    done = dry_cooled(cooler.rated_heat_kw - cooler.pump_kw, air_c, air_c)
    assert done.points["supply_c"] == pytest.approx(air_c + cooler.approach_k)
    assert done.p_kw == pytest.approx(cooler.rated_kw, rel=0.01)
    assert done.amounts["unmet_heat_kwh"] == 0.0


def test_wetted_pads_use_water_on_hot_days_only_and_heat_beyond_capacity_is_told() -> None:
    assert dry_cooled(1000.0, 27.9, 20.0).amounts["water_l"] == 0.0
    assert dry_cooled(1000.0, 35.0, 20.0).amounts["water_l"] > 0.0
    overloaded = dry_cooled(3000.0, 39.0, 39.0)
    assert float(overloaded.points["supply_c"]) > 40.0
    assert overloaded.amounts["unmet_heat_kwh"] == pytest.approx(3018.0 - 1500.0 * (40.0 - 39.0) / 9.0)
