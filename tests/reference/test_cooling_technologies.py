"""Cooling of halls against published figures and second ways of working them out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from twin.cooling.air import Air, return_temperature_index, supply_heat_index
from twin.cooling.cdu import Cdu
from twin.cooling.cold_plate import PLATE_THERMAL
from twin.cooling.hall import fading, warmed
from twin.cooling.heat_exchanger import Exchanger, counterflow_effectiveness, counterflow_ntu
from twin.cooling.immersion import Immersion
from twin.cooling.server_fans import server_air_ratio, server_fan_ratio
from twin.cooling.two_phase import TwoPhase
from twin.cooling.usage import compute_kwh, kwh_per_gpu_h, pue, tue, wue_l_per_kwh
from twin.units import SECONDS_PER_HOUR


@pytest.mark.parametrize(("ntu", "capacity_ratio"), [(0.5, 0.0), (1.0, 0.25), (2.0, 0.5), (3.0, 0.9), (2.0, 1.0)])
def test_effectiveness_of_a_counterflow_exchanger_against_its_differential_equation(
    ntu: float, capacity_ratio: float
) -> None:
    """Temperatures along the exchanger, from the two balances solved as a boundary value problem by their exponential.

    The 0.7746 of 2 units at a ratio of 0.5 is also what Kays and London tabulate (0.774).
    """
    along = expm(ntu * np.array([[-1.0, 1.0], [-capacity_ratio, capacity_ratio]]))
    cold_out = -along[1, 0] / along[1, 1]
    hot_out = along[0, 0] + along[0, 1] * cold_out
    assert counterflow_effectiveness(ntu, capacity_ratio) == pytest.approx(1.0 - hot_out, rel=1e-9)
    assert counterflow_ntu(1.0 - hot_out, capacity_ratio) == pytest.approx(ntu, rel=1e-7)


def test_an_exchanger_has_its_approach_at_its_rated_point_and_a_smaller_one_at_part_load() -> None:
    exchanger = Exchanger(hot_fall_k=9.63, cold_rise_k=10.0, approach_k=3.0)
    assert exchanger.cold_inlet_c(49.63, 1.0, 1.0) == pytest.approx(37.0)
    half_k = 40.0 - exchanger.cold_inlet_c(40.0 + 9.63, 0.5, 0.5)
    assert 0.0 < half_k < 3.0


def test_the_network_of_a_hall_against_the_matrix_exponential() -> None:
    thermal, step_s, heat = PLATE_THERMAL, 137.0, 0.7
    capacity = np.array(thermal.kwh_per_k_per_kw)
    a, b, c = 1 / thermal.rack_above_row_k, 1 / thermal.row_above_hall_k, 1 / thermal.hall_above_supply_k
    matrix = -np.array([[a, -a, 0], [-a, a + b, -b], [0, -b, b + c]]) / capacity[:, None]
    wanted = expm(matrix * step_s / SECONDS_PER_HOUR)
    np.testing.assert_allclose(np.array(fading(thermal, step_s)), wanted, rtol=1e-9)
    start = (3.0, 9.0, 1.0)
    with_heat = expm(
        np.block([[matrix, np.array([[heat / capacity[0]], [0], [0]])], [np.zeros((1, 4))]]) * step_s / 3600
    )
    assert warmed(thermal, start, heat, step_s) == pytest.approx(tuple(with_heat[:3] @ np.array([*start, 1.0])))


def test_one_and_a_half_litres_a_minute_for_each_kilowatt_warm_by_ten_kelvin() -> None:
    assert Cdu().flow_l_per_minutes_per_kw == pytest.approx(1.5, rel=0.002)
    assert Cdu(coolant_kj_per_l_k=4.155, rise_k=9.6).flow_l_per_minutes_per_kw == pytest.approx(1.5, rel=0.01)


def test_the_pump_of_a_distribution_unit_takes_what_frontiers_do() -> None:
    """8.47 kW (ExaDigiT RAPS, `config/frontier.yaml`) at 1.07 MW, the highest heat of most units on 7 April 2024."""
    assert Cdu().rated_pump_fraction == pytest.approx(8.47 / 1070.0, rel=0.1)


def test_server_fans_take_twice_the_power_at_35_degrees_and_no_less_below_25() -> None:
    assert server_fan_ratio(20.0) == server_air_ratio(25.0) == 1.0
    assert server_fan_ratio(35.0) == pytest.approx(2.0, rel=0.05)


def test_air_that_goes_astray_shows_in_the_indices_it_was_told_by() -> None:
    hall = Air(recirculation_fraction=0.2, bypass_fraction=0.3, fan_pressure_kpa=0.0, min_flow_fraction=1.0)
    supply_c = hall.inlet_c - 0.2 / 0.8 * hall.server_rise_k
    return_c = supply_c + hall.loop_rise_k
    assert supply_heat_index(hall.inlet_c, hall.inlet_c + hall.server_rise_k, supply_c) == pytest.approx(0.2)
    assert return_temperature_index(return_c, supply_c, hall.server_rise_k) == pytest.approx(0.7 / 0.8)
    (loop,) = hall.streams(1.0, rated_heat_kw=1.0, inlet_c=hall.inlet_c, dry_bulb_c=20.0, wet_bulb_c=15.0)
    assert loop.supply_c == pytest.approx(supply_c - hall.approach_k)
    tight = Air(recirculation_fraction=0.02, bypass_fraction=0.05)
    (less,) = tight.streams(1.0, rated_heat_kw=1.0, inlet_c=25.0, dry_bulb_c=20.0, wet_bulb_c=15.0)
    assert less.supply_c > loop.supply_c
    assert tight.rated_fan_fraction < Air(recirculation_fraction=0.02, bypass_fraction=0.3).rated_fan_fraction


def test_outdoor_air_takes_all_heat_when_cold_none_when_warm_and_stays_out_when_humid() -> None:
    hall = Air(airside_economiser=True)

    def outdoor_fraction(dry_c: float, wet_c: float) -> float:
        (loop,) = hall.streams(1.0, rated_heat_kw=1.0, inlet_c=25.0, dry_bulb_c=dry_c, wet_bulb_c=wet_c)
        return float(loop.outdoor_kw / (loop.outdoor_kw + loop.heat_kw))

    assert outdoor_fraction(10.0, 8.0) == 1.0
    assert 0.0 < outdoor_fraction(30.0, 16.0) < 1.0
    assert outdoor_fraction(45.0, 16.0) == 0.0
    assert outdoor_fraction(10.0, 18.0) == 0.0


def test_a_boiling_bath_wants_warmer_water_the_less_heat_there_is() -> None:
    bath = TwoPhase()

    def water_c(heat: float) -> float:
        (loop,) = bath.streams(heat, rated_heat_kw=1.0, inlet_c=bath.inlet_c, dry_bulb_c=20.0, wet_bulb_c=15.0)
        return float(loop.supply_c)

    assert water_c(1.0) == pytest.approx(49.0 - 13.0, abs=0.1)
    assert water_c(0.5) > water_c(1.0)


def test_oil_is_pumped_for_less_than_the_three_per_cent_that_were_measured_with_its_cooler() -> None:
    """pPUE of cooling 1.03 with pump and radiator fans: Eiland and others 2017, J. Electronic Packaging 139, 041005."""
    assert 0.003 < Immersion().hall_electric_fraction < 0.03


def test_usage_as_worked_out_by_hand_and_tue_as_measured_at_jaguar() -> None:
    """Jaguar: PUE 1.25 and ITUE 1.49 give TUE 1.86 (Patterson and others 2013)."""
    assert pue(1000.0, 1250.0) == 1.25
    assert tue(1490.0, 1490.0 * 1.25, 1000.0) == pytest.approx(1.86, abs=0.005)
    assert compute_kwh(1000.0, 90.0, 0.96) == pytest.approx(870.0)
    assert wue_l_per_kwh(1800.0, 1000.0) == 1.8
    assert kwh_per_gpu_h(1250.0, 1000.0) == 1.25


def test_a_hall_without_server_fans_shows_it_in_tue_and_not_in_pue() -> None:
    """The same 1,000 kWh of computing and the same tenth for cooling, with and without fans in the servers."""
    efficiency = 0.96
    with_fans, without = (1000.0 + 90.0) / efficiency, 1000.0 / efficiency
    assert pue(with_fans, 1.1 * with_fans) == pytest.approx(pue(without, 1.1 * without))
    fans = compute_kwh(with_fans, 90.0, efficiency)
    assert tue(with_fans, 1.1 * with_fans, fans) > tue(without, 1.1 * without, compute_kwh(without, 0.0, efficiency))
