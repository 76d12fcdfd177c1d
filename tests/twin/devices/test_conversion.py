from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from twin.devices.base import Step
from twin.devices.conversion import ConversionState, Pdu, Rectifier
from twin.devices.ups import Ups, UpsState

PDU = Pdu(bus="hall", serves=("hall",), rated_kw=300, no_load_losses_kw=0.5, square_losses_fraction=0.014)
RECTIFIER = Rectifier(
    bus="hall",
    serves=("hall",),
    rated_kw=300,
    no_load_losses_kw=0.6,
    proportional_losses_fraction=0.04,
    dc_no_load_losses_kw=0.2,
    dc_proportional_losses_fraction=0.02,
)
UPS = Ups(
    bus="hall",
    serves=("hall", "pdu"),
    rated_kw=400,
    no_load_losses_kw=5,
    proportional_losses_fraction=0.018,
    square_losses_fraction=0.016,
)


def load(p_kw: float) -> Step[None]:
    return Step(state=None, p_kw=p_kw, heat_kw=p_kw)


def lost(device: Pdu | Rectifier, *served: Step[None] | Step[ConversionState]) -> Step[ConversionState]:
    return device.step(ConversionState(), 0.0, {}, served, 60.0)


@pytest.mark.parametrize("device", [PDU, RECTIFIER], ids=["pdu", "rectifier"])
def test_more_load_loses_more_and_all_of_it_is_heat(device: Pdu | Rectifier) -> None:
    steps = [lost(device, load(p_kw)) for p_kw in (0.0, 50.0, 100.0, 200.0, 300.0)]
    assert all(later.p_kw > earlier.p_kw for earlier, later in pairwise(steps))
    assert all(step.heat_kw == step.p_kw > 0.0 for step in steps)
    assert [step.points["load_kw"] for step in steps] == [0.0, 50.0, 100.0, 200.0, 300.0]


def test_a_rectifier_carries_what_its_dc_stage_loses() -> None:
    dc_kw = 0.2 + 0.02 * 200
    assert lost(RECTIFIER, load(200.0)).p_kw == pytest.approx(dc_kw + 0.6 + 0.04 * (200 + dc_kw))
    assert lost(RECTIFIER, load(200.0)).q_kvar > 0.0


def test_in_a_chain_the_stage_before_carries_the_losses_of_the_one_behind() -> None:
    hall = load(200.0)
    pdu = lost(PDU, hall)
    ups = UPS.step(UpsState(), 0.0, {}, (hall, pdu), 60.0)
    assert ups.points["load_kw"] == pytest.approx(200 + pdu.p_kw)
    alone = UPS.step(UpsState(), 0.0, {}, (hall,), 60.0)
    assert ups.p_kw > alone.p_kw


@pytest.mark.parametrize("device", [PDU, RECTIFIER], ids=["pdu", "rectifier"])
def test_what_loses_all_it_gets_is_refused(device: Pdu | Rectifier) -> None:
    with pytest.raises(ValueError, match="no_load_losses_kw, proportional_losses_fraction and square_losses_fraction"):
        replace(device, no_load_losses_kw=299.0)
