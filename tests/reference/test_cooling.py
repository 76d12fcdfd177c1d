"""Cooling against published figures: EnergyPlus' chiller, Stull's wet bulb, evaporation of water."""

from __future__ import annotations

import numpy as np
import pytest

from tests.contracts.device_rig import build
from twin.cooling.chiller import chiller_kw
from twin.cooling.dry_cooler import DryCooler
from twin.cooling.water import EVAPORATION_L_PER_KWH, evaporated_l
from twin.devices.base import Step
from twin.numeric import FloatArray
from twin.weather import wet_bulb_c


def cop(chilled_c: float, condenser_c: float, load_fraction: float = 1.0) -> float:
    """Of capacity at these temperatures, as a laboratory would measure it."""
    _, capacity_kw = chiller_kw(0.0, chilled_c, condenser_c, rated_heat_kw=1000.0, reference_cop=5.5)
    heat_kw = float(capacity_kw) * load_fraction
    power_kw, _ = chiller_kw(heat_kw, chilled_c, condenser_c, rated_heat_kw=1000.0, reference_cop=5.5)
    return heat_kw / float(power_kw)


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
    assert cop(chilled_c, condenser_c, load_fraction) == pytest.approx(expected, abs=0.01)


def test_a_chiller_is_held_at_the_edge_of_what_its_curves_were_fitted_to() -> None:
    assert cop(18.0, 15.0) == cop(10.0, 24.0)
    assert cop(2.0, 45.0) == cop(5.0, 35.0)


def test_a_chiller_without_heat_rests_and_one_with_too_much_stays_at_full_power() -> None:
    def power_kw(heat_kw: float) -> float:
        return float(chiller_kw(heat_kw, 6.67, 29.4, rated_heat_kw=1000.0, reference_cop=5.5)[0])

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
    done = dry_cooled(cooler.rated_heat_kw, air_c, air_c)
    assert done.points["supply_c"] == pytest.approx(air_c + cooler.approach_k)
    assert done.p_kw == pytest.approx(cooler.rated_kw)
    assert done.amounts["unmet_heat_kwh"] == 0.0


def test_wetted_pads_use_water_on_hot_days_only_and_heat_beyond_capacity_is_told() -> None:
    assert dry_cooled(1000.0, 27.9, 20.0).amounts["water_l"] == 0.0
    assert dry_cooled(1000.0, 35.0, 20.0).amounts["water_l"] > 0.0
    overloaded = dry_cooled(3000.0, 39.0, 39.0)
    assert float(overloaded.points["supply_c"]) > 40.0
    assert overloaded.amounts["unmet_heat_kwh"] == pytest.approx(3000.0 - 1500.0 * (40.0 - 39.0) / 9.0)
