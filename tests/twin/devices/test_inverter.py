"""Reactive power of PV, wind and battery: fixed power factor, by voltage, within the inverter's current."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from twin.devices.battery import Battery
from twin.devices.inverter import Reactive, VoltVarCurve, reactive_of
from twin.devices.pv import Pv
from twin.devices.wind import Wind
from twin.flexibility import Envelope, Store
from twin.tape import Symbol, Tape

AVAILABLE = {"available_kw": 950.0}


def built(cls: Any, **reactive: Any) -> Any:
    return TypeAdapter(cls).validate_python({**cls.example, "rated_kw": 1000, "reactive": reactive})


def stepped(device: Any, setpoint: Any, available_kw: Any = 950.0) -> Any:
    return device.step(device.initial(), setpoint, {"available_kw": available_kw}, [], 1.0)


@pytest.mark.parametrize("cls", [Pv, Wind])
def test_a_fixed_power_factor_holds_between_active_and_apparent_power(cls: Any) -> None:
    absorbing = stepped(built(cls, rated_kva=1200, power_factor=0.95), 1000.0)
    injecting = stepped(built(cls, rated_kva=1200, power_factor=0.95, direction="injecting"), 1000.0)
    assert absorbing.p_kw == injecting.p_kw == -950.0
    assert absorbing.q_kvar == pytest.approx(950.0 * np.tan(np.arccos(0.95)))
    assert injecting.q_kvar == -absorbing.q_kvar


def test_without_the_block_there_is_no_reactive_power() -> None:
    battery = TypeAdapter(Battery).validate_python(Battery.example)
    assert stepped(battery, 500.0).q_kvar == 0.0
    assert reactive_of(battery) is None


def test_active_power_goes_first_unless_told_otherwise() -> None:
    active = stepped(built(Pv, rated_kva=1000, power_factor=0.9), 1000.0)
    assert active.p_kw == -950.0
    assert np.hypot(active.p_kw, active.q_kvar) == pytest.approx(1000.0), "what is left of the current"
    reactive = stepped(built(Pv, rated_kva=1000, power_factor=0.9, priority="reactive"), 1000.0)
    assert reactive.p_kw == -900.0
    assert np.hypot(reactive.p_kw, reactive.q_kvar) == pytest.approx(1000.0)


@pytest.mark.parametrize("setpoint_kw", [-1000.0, -200.0, 0.0, 700.0, 1000.0])
def test_a_battery_stays_within_its_current_both_ways(setpoint_kw: float) -> None:
    battery = built(Battery, rated_kva=1000, power_factor=0.8, priority="reactive")
    step = stepped(battery, setpoint_kw)
    assert abs(step.p_kw) <= 800.0 + 1e-9
    assert step.q_kvar == pytest.approx(0.75 * abs(step.p_kw))
    can = battery.flexibility({"soc": 0.5})
    assert isinstance(can, Store)
    assert (can.min_p_kw, can.max_p_kw) == (-800.0, 800.0)


def test_what_a_renewable_can_do_leaves_room_for_reactive_power() -> None:
    curve = {"v_pu": [0.9, 0.99, 1.01, 1.1], "injected_fraction": [0.6, 0, 0, -0.6]}
    pv = built(Pv, rated_kva=1000, volt_var=curve, priority="reactive")
    can = pv.flexibility(AVAILABLE)
    assert isinstance(can, Envelope)
    assert can.min_p_kw == pytest.approx(-800.0)
    step = stepped(pv, 1000.0)
    assert step.p_kw == pytest.approx(-800.0)
    assert step.q_kvar == 0.0, "by voltage it is the power flow that decides"
    assert pv.reactive.available_kvar(step.p_kw) * 0.6 == pytest.approx(600.0)


def test_with_active_power_first_what_is_available_is_the_rest() -> None:
    reactive = Reactive(rated_kva=1000.0, volt_var=VoltVarCurve())
    np.testing.assert_allclose(reactive.available_kvar(np.array([0.0, -800.0, 1000.0])), [1000.0, 600.0, 0.0])


def test_scenarios_and_what_is_recorded_follow_the_same_formula() -> None:
    pv = built(Pv, rated_kva=1050, power_factor=0.9)
    limits, available = np.array([1000.0, 1000.0, 300.0]), np.array([999.0, 400.0, 999.0])
    together = stepped(pv, limits, available)
    for at in range(3):
        assert together.q_kvar[at] == stepped(pv, float(limits[at]), float(available[at])).q_kvar
    tape = Tape()
    assert isinstance(stepped(pv, tape.input(), tape.input()).q_kvar, Symbol)


def test_the_curve_of_the_standard() -> None:
    """IEEE 1547-2018, table 8, category B."""
    curve, v_pu = VoltVarCurve(), np.array([0.8, 0.92, 0.95, 1.0, 1.05, 1.08, 1.2])
    np.testing.assert_allclose(curve.absorbed_fraction(v_pu), [-0.44, -0.44, -0.22, 0.0, 0.22, 0.44, 0.44])
    inside = np.array([0.8, 0.95, 1.0, 1.05, 1.2])
    np.testing.assert_allclose(curve.slope_per_pu(inside), [0.0, 0.44 / 0.06, 0.0, 0.44 / 0.06, 0.0])


@pytest.mark.parametrize(
    ("reactive", "expected"),
    [
        ({"rated_kva": 1200, "power_factor": 0.9, "volt_var": {}}, "not both"),
        ({"rated_kva": 900, "power_factor": 0.9}, "rated_kva of rated_kw at least"),
        ({"rated_kva": 1200, "volt_var": {"v_pu": [1.0, 0.9], "injected_fraction": [0.4, 0]}}, "rises"),
        ({"rated_kva": 1200, "volt_var": {"v_pu": [0.9, 1.0], "injected_fraction": [0, 0.4]}}, "never rises"),
        ({"rated_kva": 1200, "volt_var": {"v_pu": [0.9, 1.0], "injected_fraction": [0.4]}}, "same number"),
        ({"rated_kva": 1200, "volt_var": {"v_pu": [0.9, 1.0], "injected_fraction": [1.4, 0]}}, "between -1 and 1"),
        ({"power_factor": 0.9}, "rated_kva"),
    ],
)
def test_a_block_that_makes_no_sense_is_refused(reactive: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        built(Pv, **reactive)
