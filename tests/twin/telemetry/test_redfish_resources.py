"""What controllers say of power, read and ordered in the shapes that makers use."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.telemetry.redfish_resources import (
    CONTROL,
    ENVIRONMENT_METRICS,
    POWER,
    Form,
    link,
    not_writable,
    refusal,
)

# As DMTF's public-rackmount1 mock-up has them (Redfish-Mockup-Server 1.2.6).
DMTF_METRICS = {
    "PowerWatts": {"Reading": 374, "DataSourceUri": "/redfish/v1/Chassis/1U/Sensors/TotalPower"},
    "PowerLimitWatts": {"SetPoint": 500, "AllowableMax": 1000, "AllowableMin": 150, "ControlMode": "Automatic"},
}
DMTF_POWER = {
    "PowerControl": [
        {
            "PowerConsumedWatts": 344,
            "PowerCapacityWatts": 800,
            "PowerLimit": {"LimitInWatts": 500, "LimitException": "LogEventOnly", "CorrectionInMs": 50},
        }
    ]
}
# NVIDIA BlueField BMC 24.10, Power Capping: in per cent of what, only its manual says.
BLUEFIELD_CONTROL = {"AllowableMax": 300, "AllowableMin": 200, "SetPoint": 10, "SetPointUnits": "%"}
# An HGX baseboard of a GB200: a place for a limit in which none is told.
HGX_METRICS = {"EnergykWh": [], "PowerLimitWatts": {"AllowableMax": 1200, "DefaultSetPoint": 1200}}

FORMS = (ENVIRONMENT_METRICS, CONTROL, POWER)
KEYS = ("PowerWatts", "Reading", "PowerLimitWatts", "SetPoint", "PowerControl", "PowerLimit", "LimitInWatts", "error")
LEAVES: st.SearchStrategy[object] = st.sampled_from(
    (None, True, 0, -5, 700, 10**400, 1e308, float("nan"), float("inf"), "", "700", [], {}, [[]])
)
INNER = st.dictionaries(st.sampled_from(KEYS), LEAVES, max_size=4)
SHAPES = st.dictionaries(st.sampled_from(KEYS), LEAVES | INNER | st.lists(INNER, max_size=2), max_size=5)


def test_the_published_examples_are_read() -> None:
    metrics, power = ENVIRONMENT_METRICS.read(DMTF_METRICS), POWER.read(DMTF_POWER)
    assert (metrics.power_w, metrics.limit_w, metrics.lowest_w, metrics.highest_w) == (374, 500, 150, 1000)
    assert (power.power_w, power.limit_w, power.lowest_w, power.highest_w) == (344, 500, None, 800)
    hgx = ENVIRONMENT_METRICS.read(HGX_METRICS)
    assert (hgx.power_w, hgx.limit_w, hgx.highest_w, hgx.limited) == (None, None, 1200, True)


def test_a_limit_in_per_cent_is_not_taken_for_watts() -> None:
    held = CONTROL.read(BLUEFIELD_CONTROL)
    assert (held.limit_w, held.highest_w, held.limited) == (None, None, False)


@pytest.mark.parametrize("value", [None, 0])
def test_no_limit_is_told_as_null_or_as_zero(value: float | None) -> None:
    body = {"PowerControl": [{"PowerLimit": {"LimitInWatts": value}}]}
    assert POWER.read(body).limit_w is None
    assert POWER.read(body).limited


@pytest.mark.parametrize("form", FORMS)
@given(body=SHAPES)
def test_whatever_a_controller_says_is_read_or_left_out(form: Form, body: dict[str, Any]) -> None:
    held = form.read(body)
    for value in (held.power_w, held.limit_w, held.lowest_w, held.highest_w):
        assert value is None or abs(value) < 1e9
    assert refusal(400, body)
    form.order(400.0, body)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_ordered_reads_back_as_such(form: Form) -> None:
    assert form.read(form.order(450.0, {})).limit_w == 450.0


@pytest.mark.parametrize("target", ["https://elsewhere/x", "//elsewhere/x", "x", 3, None])
def test_a_link_stays_on_its_controller(target: object) -> None:
    assert link({"Power": {"@odata.id": target}}, "Power") is None


def test_a_refusal_is_told_in_the_words_of_the_controller() -> None:
    info = [{"MessageId": "Base.1.8.PropertyNotWritable", "Message": "The property SetPoint is read-only."}]
    body = {"error": {"message": "See info.", "@Message.ExtendedInfo": info}}
    assert refusal(400, body) == "refuses (400): The property SetPoint is read-only."
    assert not_writable(body)
    assert refusal(503, {}) == "refuses: busy (503)"
    assert refusal(418, {}) == "refuses: status 418"
