"""The registered plants with what their examples leave out: other chillers, economisers, a tank, a consumer of heat."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from tests.contracts.device_rig import build, numbers
from twin.cooling.chiller_plant import ChillerPlant
from twin.cooling.chillers import Chillers
from twin.cooling.dry_cooler import DryCooler, DryCoolers
from twin.cooling.economiser import OutdoorAir
from twin.cooling.heat_reuse import HeatConsumer, energy_reuse_effectiveness, energy_reuse_factor
from twin.cooling.thermal_store import ChilledWaterTank
from twin.cooling.tower import Tower
from twin.cooling.wet_towers import WetTowers
from twin.devices.base import DEVICES, Step
from twin.scenario import with_parameters
from twin.site import Site

PLANT, COOLER = cast(ChillerPlant, build("chiller_plant")), cast(DryCooler, build("dry_cooler"))
TANK = ChilledWaterTank(volume_l=100_000.0, max_kw=400.0)
WITH_TANK = replace(PLANT, tank=TANK)
WEATHER = {"dry_bulb_c": 30.0, "wet_bulb_c": 22.0}


def stepped(device: Any, heat_kw: Any, step_s: float = 3600.0, state: Any = None, **weather: float) -> Step[Any]:
    served = (Step(state=None, p_kw=heat_kw, heat_kw=heat_kw),)
    done: Step[Any] = device.step(state or device.initial(), 0.0, {**WEATHER, **weather}, served, step_s)
    return done


def test_hours_outside_the_curves_are_counted() -> None:
    assert stepped(PLANT, 800.0).amounts["curve_clamped_h"] == 0.0
    warm = replace(PLANT, supply_c=20.0)
    assert stepped(warm, 800.0, 1800.0).amounts["curve_clamped_h"] == 0.5


def test_air_cooled_chillers_need_no_water_and_more_power() -> None:
    air = TypeAdapter(ChillerPlant).validate_python(
        {**PLANT.example, "curves": "air_screw_vsd", "reference_cop": None, "tower_fan_kw": 0.0}
    )
    done = stepped(air, 1000.0)
    assert done.amounts["water_l"] == 0.0
    assert done.p_kw > stepped(PLANT, 1000.0).p_kw
    assert done.p_kw <= air.rated_kw


def test_coefficients_of_ones_own_machine_may_stand_in_the_site_file() -> None:
    own = {
        "reference_cop": 6.1,
        "reference_chilled_c": 7.0,
        "reference_condenser_c": 30.0,
        "capacity_factor": [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        "input_factor": [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        "load_factor": [0.0, 1.0, 0.0],
        "min_chilled_c": 5.0,
        "max_chilled_c": 20.0,
        "min_condenser_c": 15.0,
        "max_condenser_c": 40.0,
    }
    plain = {**PLANT.example, "curves": own, "reference_cop": None, "pump_kw": 0, "tower_fan_kw": 0, "door_fan_kw": 0}
    assert stepped(TypeAdapter(ChillerPlant).validate_python(plain), 610.0).p_kw == pytest.approx(100.0)
    with pytest.raises(ValidationError, match="Carnot"):
        TypeAdapter(ChillerPlant).validate_python({**plain, "reference_cop": 20.0})


def test_a_tank_bridges_a_peak_and_is_filled_again() -> None:
    peak = stepped(WITH_TANK, 1700.0)
    without = stepped(PLANT, 1700.0)
    assert without.amounts["unmet_heat_kwh"] > 0.0
    assert peak.amounts["unmet_heat_kwh"] == 0.0
    given_kwh = TANK.capacity_kwh - float(peak.state.stored_kwh)
    assert given_kwh == pytest.approx(float(without.amounts["unmet_heat_kwh"]), rel=1e-9)
    assert peak.p_kw == pytest.approx(float(without.p_kw)), "the chillers are at their limit all the same"
    after = stepped(WITH_TANK, 900.0, state=peak.state)
    assert after.state.stored_kwh == pytest.approx(TANK.capacity_kwh)
    assert after.p_kw > stepped(PLANT, 900.0).p_kw
    assert stepped(WITH_TANK, 900.0, state=after.state).p_kw == pytest.approx(float(stepped(PLANT, 900.0).p_kw))


@pytest.mark.parametrize("heat_kw", [0.0, 900.0, 1400.0, 1700.0, 2500.0])
@pytest.mark.parametrize("stored_kwh", [0.0, 50.0, 400.0, TANK.capacity_kwh])
def test_with_a_tank_two_half_steps_are_one_step(heat_kw: float, stored_kwh: float) -> None:
    start = replace(WITH_TANK.initial(), stored_kwh=stored_kwh)
    whole = stepped(WITH_TANK, heat_kw, 7200.0, start)
    first = stepped(WITH_TANK, heat_kw, 3600.0, start)
    second = stepped(WITH_TANK, heat_kw, 3600.0, first.state)
    assert (first.p_kw + second.p_kw) / 2 == pytest.approx(whole.p_kw, rel=1e-9)
    assert numbers(second.state) == pytest.approx(numbers(whole.state), abs=1e-9)
    for name, amount in whole.amounts.items():
        assert first.amounts[name] + second.amounts[name] == pytest.approx(amount, rel=1e-9, abs=1e-9), name
    many = stepped(WITH_TANK, np.array([heat_kw, heat_kw]), 7200.0, start)
    np.testing.assert_allclose(many.p_kw, whole.p_kw, rtol=1e-12)


def test_a_tank_holds_what_its_water_holds() -> None:
    assert TANK.capacity_kwh == pytest.approx(100_000 * 0.9 * 4.186 * 6.0 / 3600.0)
    half = TANK.step(TANK.capacity_kwh / 2, 1000.0, 3600.0)
    assert half.charge_kw == pytest.approx(TANK.capacity_kwh / 2), "no faster than 400 kW, and then it is full"
    assert half.busy_fraction == pytest.approx(TANK.capacity_kwh / 2 / 400.0)
    assert TANK.step(0.0, -300.0, 3600.0).charge_kw == 0.0
    assert TANK.step(10.0, 0.0, 3600.0).stored_kwh == 10.0


def test_reused_heat_is_told_and_spares_the_fans() -> None:
    consumer = HeatConsumer(demand_kw=400.0, wanted_c=38.0, back_c=30.0)
    reusing = replace(COOLER, consumer=consumer)
    done, plain = stepped(reusing, 1200.0), stepped(COOLER, 1200.0)
    assert done.amounts["reused_heat_kwh"] == 400.0
    assert done.p_kw < plain.p_kw
    assert "reused_heat_kwh" not in plain.amounts


def test_energy_reuse_as_it_is_reported() -> None:
    """PUE 1.2, a quarter of everything reused: ERE = PUE · (1 - ERF)."""
    assert energy_reuse_factor(300.0, 1200.0) == 0.25
    assert energy_reuse_effectiveness(1000.0, 1200.0, 300.0) == pytest.approx(1.2 * 0.75)


def test_a_bleed_of_the_pads_is_paid_in_water_alone() -> None:
    dry, wet = (stepped(replace(COOLER, pad_bleed_fraction=bleed), 1200.0, dry_bulb_c=33.0) for bleed in (0.0, 0.5))
    assert wet.amounts["water_l"] == pytest.approx(1.5 * dry.amounts["water_l"])
    assert wet.p_kw == dry.p_kw
    without = stepped(replace(COOLER, adiabatic_above_c=None), 1200.0, dry_bulb_c=33.0)
    assert without.amounts["water_l"] == 0.0
    assert without.p_kw > dry.p_kw


@pytest.mark.parametrize(
    ("device", "parameter", "values"),
    [
        (PLANT, "reference_cop", (4.0, 6.0)),
        (PLANT, "tower_approach_k", (3.0, 7.0)),
        (PLANT, "supply_c", (6.0, 12.0)),
        (WITH_TANK, "rated_heat_kw", (900.0, 1800.0)),
        (replace(PLANT, economiser="integrated"), "concentration_ratio", (3.0, 6.0)),
        (COOLER, "approach_k", (7.0, 11.0)),
        (COOLER, "pad_bleed_fraction", (0.0, 0.5)),
        (COOLER, "rise_k", (6.0, 12.0)),
    ],
)
def test_scenarios_may_differ_in_a_parameter(device: Any, parameter: str, values: tuple[float, float]) -> None:
    site = cast(Site, SimpleSite(devices={"it": device}))
    several = with_parameters(site, {f"it.{parameter}": np.array(values)}).devices["it"]
    together = numbers(stepped(several, 1200.0))
    for place, value in enumerate(values):
        for path, number in numbers(stepped(replace(device, **{parameter: value}), 1200.0)).items():
            assert np.broadcast_to(together[path], (2,))[place] == pytest.approx(number, rel=1e-12), path


@dataclass(frozen=True)
class SimpleSite:
    """All of a site that parameters touch."""

    devices: dict[str, Any]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (DryCoolers, {"rated_heat_kw": 100, "pump_kw": 1, "fan_kw": 4}),
        (WetTowers, {"rated_heat_kw": 100, "tower": {"rated_heat_kw": 100, "fan_kw": 2}}),
        (Chillers, {"rated_heat_kw": 100, "pump_kw": 1, "tower": {"rated_heat_kw": 120, "fan_kw": 2}}),
        (Chillers, {"rated_heat_kw": 100, "pump_kw": 1, "curves": "air_scroll"}),
        (OutdoorAir, {"rated_heat_kw": 100, "fan_kw": 2}),
    ],
)
def test_a_plant_by_itself_may_stand_in_a_persons_file(kind: Any, told: dict[str, Any]) -> None:
    plant = TypeAdapter(kind).validate_python(told)
    done = plant.rejects(50.0, 35.0, 25.0, 15.0, 10.0)
    assert done.taken_kw == pytest.approx(50.0)
    assert 0.0 < done.electric_kw <= plant.rated_kw
    with pytest.raises(ValidationError, match="max_kva"):
        TypeAdapter(kind).validate_python({**told, "max_kva": 1})


TOWER = Tower(rated_heat_kw=1000.0, fan_kw=10.0)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: replace(PLANT, reference_cop=12.5), "below Carnot's 12.3"),
        (lambda: replace(PLANT, curves="air_scroll", economiser="integrated"), "economiser none without a tower"),
        (lambda: replace(PLANT, tower_range_k=0.0), "range_k above 0, not 0"),
        (lambda: replace(PLANT, concentration_ratio=1.0), "concentration_ratio above 1, not 1"),
        (lambda: replace(PLANT, chiller_count=0), "chiller_count above 0, not 0"),
        (lambda: DryCoolers(rated_heat_kw=1.0, approach_k=0.0, pump_kw=0.0, fan_kw=0.0), "approach_k above 0, not 0"),
        (lambda: WetTowers(rated_heat_kw=0.0, tower=TOWER), "rated_heat_kw above 0, not 0"),
        (lambda: ChilledWaterTank(volume_l=0.0, max_kw=1.0), "volume_l above 0, not 0"),
        (lambda: HeatConsumer(demand_kw=1.0, wanted_c=30.0, back_c=30.0), "back_c below wanted_c, not 30 and 30"),
    ],
)
def test_impossible_plants_are_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


@pytest.mark.parametrize("technology", ["chiller_plant", "dry_cooler"])
@pytest.mark.parametrize("key", ["pump_kw", "bus", "serves"])
def test_what_cannot_be_guessed_must_be_given(technology: str, key: str) -> None:
    cls = DEVICES[technology]
    with pytest.raises(ValidationError, match=key):
        TypeAdapter(cls).validate_python({name: value for name, value in cls.example.items() if name != key})
