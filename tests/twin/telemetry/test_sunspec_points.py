"""What devices say reaches the twin with its names, units and signs."""

from collections.abc import Mapping

import pytest

from tests.twin.telemetry.sunspec_rig import contents_of, device_of
from twin.telemetry.modbus import RefusedError
from twin.telemetry.sunspec_discovery import discover
from twin.telemetry.sunspec_exchange import Ask, run
from twin.telemetry.sunspec_model import known_models, layout, load_model
from twin.telemetry.sunspec_points import METERS, ROLES, Sign, Told, poll, told
from twin.telemetry.sunspec_types import Scalar, Words
from twin.units import has_unit


def told_by(
    models: Mapping[int, Mapping[str, Scalar]], meter_import: Sign | None = None, nominal_v: float | None = None
) -> Told:
    contents = contents_of(device_of(models).answer)
    return told(contents.values(), meter_import=meter_import, nominal_v=nominal_v)


def test_every_role_is_a_numeric_point_of_its_model_and_carries_its_unit() -> None:
    for model_id, roles in ROLES.items():
        places = layout(load_model(model_id), 65536, lambda _: 0)
        for role in roles:
            assert has_unit(role.name), role
            assert places[role.path].point.kind not in ("string", "enum16", "bitfield32", "sunssf"), role
    assert set(ROLES) <= set(known_models())


@pytest.mark.parametrize("model_id", [101, 102, 103])
def test_an_inverter_that_generates_takes_negative_power(model_id: int) -> None:
    says = told_by({model_id: {"W": 5000, "W_SF": 1, "VAr": 300, "VAr_SF": 0, "WH": 1_500_000, "WH_SF": 2}})
    assert says.values == {"p_kw": -5.0, "q_kvar": -0.3, "generation_kwh": 1500.0}
    assert says.absent["frequency_hz"].startswith(f"model {model_id} Hz: ")


@pytest.mark.parametrize("model_id", METERS)
def test_a_meter_keeps_its_sign_or_turns_it_as_it_was_connected(model_id: int) -> None:
    scales = {} if model_id == 213 else {"W_SF": 0, "VAR_SF": 0, "TotWh_SF": 0, "Hz_SF": -2}
    shown = {"W": 2500, "VAR": -500, "TotWhImp": 7000, "TotWhExp": 1000, "Hz": 50.0, **scales}
    taken = told_by({model_id: shown}, "positive").values
    assert taken == {"p_kw": 2.5, "q_kvar": -0.5, "import_kwh": 7.0, "export_kwh": 1.0, "frequency_hz": 50.0}
    turned = told_by({model_id: shown}, "negative").values
    assert turned == {**taken, "p_kw": -2.5, "q_kvar": 0.5}
    unstated = told_by({model_id: shown})
    assert unstated.values == {name: value for name, value in taken.items() if name not in ("p_kw", "q_kvar")}
    assert unstated.absent["p_kw"].endswith("whether import is positive or negative in this meter is not stated")


def test_a_battery_inverter_says_its_power_from_701_and_its_charge_from_713() -> None:
    says = told_by(
        {
            802: {"SoC": 40, "SoC_SF": 0, "W": 30_000, "W_SF": 2, "WHRtg": 2_000_000, "WHRtg_SF": 3},
            713: {"SoC": 55.5, "SoH": 98.0, "Pct_SF": -1},
            701: {"W": -400_000, "W_SF": 2, "Var": 20_000, "Var_SF": 2, "LLV": 480.0, "V_SF": -1},
        },
        nominal_v=480,
    )
    assert says.values["p_kw"] == 400.0, "what it absorbs flows into it"
    assert says.values["q_kvar"] == -20.0
    assert says.values["dc_kw"] == -30.0, "a bank that discharges takes negative power"
    assert says.values["soc"] == pytest.approx(0.555)
    assert says.values["soh"] == pytest.approx(0.98)
    assert says.values["rated_kwh"] == 2000.0, "what the preferred model does not say, the next one does"
    assert says.values["v_pu"] == 1.0


def test_a_charge_that_no_model_says_is_absent_with_the_reason_of_the_preferred_one() -> None:
    says = told_by({713: {"Pct_SF": -1}, 802: {}})
    assert "soc" not in says.values
    assert says.absent["soc"] == "model 713 SoC: the device does not implement it"


def test_a_poll_reads_what_tells_the_twin_something_and_says_what_it_cannot() -> None:
    device = device_of({1: {"Mn": "m"}, 701: {"W": -400_000, "W_SF": 2}, 704: {}, 713: {"SoC": 50, "Pct_SF": 0}})
    found = run(discover(), device.answer)
    addresses: list[int] = []

    def answer(ask: Ask) -> Words:
        addresses.append(ask.address)
        if ask.address == device.contents(713).address:
            raise RefusedError("device busy")
        return device.answer(ask)

    says = run(poll(found, nominal_v=480), answer)
    assert says["p_kw"] == 400.0
    assert says["soc"] == "model 713: device busy"
    assert says["frequency_hz"] == "model 701 Hz: the device does not implement it"
    assert device.contents(704).address not in addresses
    assert len(addresses) == 3
