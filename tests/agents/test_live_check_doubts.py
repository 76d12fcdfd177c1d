"""Mistakes of a map, each found in what the meters show, with the change that would mend it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace

import pytest

from agents.live_check_doubts import Doubt, Look, Raw, doubts, out_of_range
from tests.scenarios.running_site import SITES
from twin.site import load_site
from twin.telemetry.map_codec import encode
from twin.telemetry.map_schema import Register

SITE = load_site(SITES / "edge.yaml")
DAY = {
    "grid.p_kw": 31.0, "solar.p_kw": -20.0, "battery.p_kw": 10.0, "hall.p_kw": 36.0, "ups.p_kw": 1.8,
    "dry_cooler.p_kw": 1.0, "auxiliaries.p_kw": 1.7, "battery.soc": 0.6, "grid.v_pu": 1.01,
}  # fmt: skip


def found(changes: Mapping[str, float], *, elevation_deg: float = 50.0, raw: Raw | None = None) -> list[Doubt]:
    values = {**DAY, **changes}
    held = {} if raw is None else {"battery.p_kw": raw}
    return list(doubts(SITE, Look(values=values, elevation_deg=elevation_deg, raw=held)))


def test_a_plant_that_fits_together_raises_no_doubt() -> None:
    assert not found({})
    assert not found({"grid.p_kw": 31.5})


@pytest.mark.parametrize("device", ["grid", "battery"])
def test_a_reversed_sign_is_named(device: str) -> None:
    (doubt,) = found({f"{device}.p_kw": -DAY[f"{device}.p_kw"]})
    assert "do not add up" in doubt.found
    assert any(f"{device}.p_kw with the other sign" in change for change in doubt.would_fit)


def test_watts_taken_for_kilowatts_are_named() -> None:
    found_doubts = found({"auxiliaries.p_kw": 1700.0})
    assert any(
        "auxiliaries.p_kw with 0.001 times the scale" in item for doubt in found_doubts for item in doubt.would_fit
    )


def test_a_swapped_word_order_is_named() -> None:
    register = Register(table="input", address=0, type="float32", min=-100, max=100, word_order="little")
    words = encode(replace(register, word_order="big"), 10.0)
    assert struct.pack(">HH", *words) == struct.pack(">f", 10.0)
    raw = Raw(register=register, held=dict(enumerate(words)))
    (doubt,) = found({"battery.p_kw": 0.0}, raw=raw)
    assert any("word_order: big (10.0 kW instead of 0.0)" in change for change in doubt.would_fit)
    out = out_of_range("battery.p_kw", "outside", raw)
    assert "word_order: big (10)" in out.would_fit


def test_the_sun_tells_a_wrong_sign_and_a_wrong_place() -> None:
    by_day = {doubt.point: doubt for doubt in found({"solar.p_kw": 20.0})}
    assert "takes 20.0 kW with the sun 50° above the horizon" in by_day["solar.p_kw"].found
    assert by_day["solar.p_kw"].would_fit == ("the other sign (-20.0 kW)",)
    by_night = {doubt.point: doubt for doubt in found({}, elevation_deg=-40.0)}
    assert "generates 20.0 kW with the sun 40° below the horizon" in by_night["solar.p_kw"].found
    assert not found({"solar.p_kw": 0.1, "grid.p_kw": 51.2}, elevation_deg=-40.0)


def test_a_load_that_generates_a_power_beyond_the_rating_and_a_voltage_are_doubted() -> None:
    points = {doubt.point for doubt in found({"hall.p_kw": -36.0, "battery.p_kw": 900.0, "grid.v_pu": 0.6})}
    assert {"hall.p_kw", "battery.p_kw", "grid.v_pu"} <= points


def test_a_scale_of_a_voltage_and_a_fraction_is_named() -> None:
    by_point = {doubt.point: doubt for doubt in found({"grid.v_pu": 101.0, "battery.soc": 60.0})}
    assert "0.01 times the scale (1.01)" in by_point["grid.v_pu"].would_fit
    assert "0.01 times the scale (0.6)" in by_point["battery.soc"].would_fit
