from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twin.cooling.chiller import bicubic, biquadratic, chiller_duty, largest_input_factor, polynomial
from twin.cooling.chiller_curve_file import read_chiller_library
from twin.cooling.chiller_curves import AIR_SCROLL_WARM, CHILLERS, DOE2_CENTRIFUGAL, ChillerCurves, carnot_cop

every_set = pytest.mark.parametrize("name", CHILLERS)


def cop(curves: ChillerCurves, chilled_c: float, condenser_c: float, load_fraction: float = 1.0) -> float:
    def duty(heat_kw: float) -> tuple[float, float]:
        done = chiller_duty(
            curves, heat_kw, chilled_c, condenser_c, rated_heat_kw=1000.0, reference_cop=curves.reference_cop or 5.0
        )
        return float(done.compressor_kw), float(done.capacity_kw)

    heat_kw = duty(0.0)[1] * load_fraction
    return heat_kw / duty(heat_kw)[0]


@every_set
def test_a_set_has_its_own_cop_at_its_own_reference_point(name: Any) -> None:
    curves = CHILLERS[name]
    reached = cop(curves, curves.reference_chilled_c, curves.reference_condenser_c)
    assert reached == pytest.approx(curves.reference_cop, rel=0.03), "as well as its curves are normalised"


@every_set
def test_no_set_beats_carnot_anywhere_in_its_domain(name: Any) -> None:
    curves = CHILLERS[name]
    for chilled_c in np.linspace(curves.min_chilled_c, curves.max_chilled_c, 7):
        for condenser_c in np.linspace(curves.min_condenser_c, curves.max_condenser_c, 7):
            for load in (0.25, 0.5, 0.75, 1.0):
                reached = cop(curves, float(chilled_c), float(condenser_c), load)
                assert 0.0 < reached < carnot_cop(float(chilled_c), float(condenser_c))


@every_set
def test_its_largest_power_is_not_exceeded(name: Any) -> None:
    curves, rng = CHILLERS[name], np.random.default_rng(1)
    at = [rng.uniform(low, high, 5000) for low, high in ((0.0, 1500.0), (0.0, 40.0), (-20.0, 60.0))]
    done = chiller_duty(curves, *at, rated_heat_kw=1000.0, reference_cop=5.0)
    most_kw = 200.0 * largest_input_factor(curves)
    assert 0.9 * most_kw < np.max(done.compressor_kw) <= most_kw


def test_outside_its_domain_a_chiller_is_held_at_the_edge_and_tells() -> None:
    def at(chilled_c: float, condenser_c: float, heat_kw: float = 500.0) -> tuple[float, float]:
        done = chiller_duty(AIR_SCROLL_WARM, heat_kw, chilled_c, condenser_c, rated_heat_kw=1000.0, reference_cop=2.8)
        return float(done.compressor_kw), float(done.clamped)

    assert at(15.56, 29.44)[1] == 0.0
    assert at(18.0, 20.0) == (at(15.56, 29.44)[0], 1.0)
    assert at(18.0, 20.0, heat_kw=0.0) == (0.0, 0.0), "nothing to do, nothing to tell"


LEAVING = replace(
    DOE2_CENTRIFUGAL,
    reference_condenser_c=35.0,
    leaving_condenser=True,
    load_factor=(0.1, 0.002, 0.0, 0.5, 0.3, 0.001, 0.0, 0.0, 0.0, 0.0),
    min_condenser_c=20.0,
    max_condenser_c=40.0,
)


def test_curves_by_leaving_water_agree_with_the_heat_that_warms_it() -> None:
    """What is assumed to leave the condenser is what the heat and the power make of it."""
    done = chiller_duty(LEAVING, 800.0, 7.0, 27.0, rated_heat_kw=1000.0, reference_cop=5.5, condenser_rise_k=6.0)
    leaving_c = 27.0 + 6.0 * (800.0 + float(done.compressor_kw)) / (1000.0 * (1 + 1 / 5.5))
    capacity_kw = 1000.0 * biquadratic(LEAVING.capacity_factor, 7.0, leaving_c)
    by_load = bicubic(LEAVING.load_factor, leaving_c, 800.0 / capacity_kw)
    expected_kw = capacity_kw / 5.5 * biquadratic(LEAVING.input_factor, 7.0, leaving_c) * by_load
    assert done.compressor_kw == pytest.approx(expected_kw, rel=1e-6)


def test_polynomials_have_the_order_of_energyplus() -> None:
    assert polynomial((1.0, 10.0, 100.0, 1000.0), 2.0) == 1 + 20 + 400 + 8000
    assert biquadratic((1.0, 10.0, 100.0, 0.1, 0.01, 5.0), 2.0, 3.0) == pytest.approx(1 + 20 + 400 + 0.3 + 0.09 + 30)
    extra = bicubic((0.0,) * 6 + (1.0, 10.0, 100.0, 1000.0), 2.0, 3.0)
    assert extra == pytest.approx(8 + 270 + 100 * 4 * 3 + 1000 * 2 * 9)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"reference_cop": 13.0}, "below Carnot's 12.3 at 6.67 and 29.4 °C, not 13"),
        ({"reference_cop": -1.0}, "above 0"),
        ({"load_factor": (1.0, 2.0)}, "three, four or ten by load"),
        ({"input_factor": (1.0,)}, "six coefficients"),
        ({"leaving_condenser": True}, "bicubic"),
        ({"min_chilled_c": 10.0}, "below its upper one"),
        ({"min_load_fraction": 0.0}, "min_load_fraction above 0"),
    ],
)
def test_impossible_curves_are_refused(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(DOE2_CENTRIFUGAL, **changed)


def curve(kind: str, *coefficients: float, **limits: float | None) -> dict[str, Any]:
    padded = [*coefficients, *[0.0] * (10 - len(coefficients))]
    known = {"x_min": 5.0, "x_max": 10.0, "y_min": 24.0, "y_max": 35.0, "ref_lwt": 6.67, "ref_ect": 29.4}
    named = {f"coeff{place}": value for place, value in enumerate(padded, start=1)}
    return {"out_var": "any", "type": kind, "units": "si", "ref_lct": 35.0, **known, **limits, **named}


def published(**changed: Any) -> dict[str, Any]:
    curves = {
        "cap-f-t": curve("bi_quad", *DOE2_CENTRIFUGAL.capacity_factor, **changed.pop("limits", {})),
        "eir-f-t": curve("bi_quad", *DOE2_CENTRIFUGAL.input_factor),
        "eir-f-plr": curve("quad", 0.222903, 0.313387, 0.463710, 0.6, x_min=0.0, x_max=1.0),
    }
    about = {"model": "ect_lwt", "full_eff": 5.5, "full_eff_unit": "cop", "ref_cap": 100.0, "min_unloading": 0.2}
    kind = {"compressor_type": "centrifugal", "condenser_type": "water", "compressor_speed": None}
    return {**about, **kind, "set_of_curves": curves, **changed}


def library(folder: Path, **sets: dict[str, Any]) -> Path:
    path = folder / "curves.json.gz"
    path.write_bytes(gzip.compress(json.dumps(sets).encode()))
    return path


def test_a_library_is_read_with_form_units_and_domain(tmp_path: Path) -> None:
    bicubic_by_load = curve("bi_cub", *[0.1] * 10, x_min=20.0, x_max=35.0, y_min=0.3, y_max=1.0)
    leaving = published(model="lct_lwt")
    leaving["set_of_curves"]["eir-f-plr"] = bicubic_by_load
    one, other, imperial, unlimited = read_chiller_library(
        library(
            tmp_path,
            one=published(),
            other=leaving,
            imperial=published(full_eff=9.6, full_eff_unit="eer"),
            unlimited=published(limits={"x_max": None}, full_eff=None, full_eff_unit=None),
        )
    )
    assert one.curves == DOE2_CENTRIFUGAL, "what is left over of another fit is not read"
    assert (one.form, one.units, one.speed) == ("EIR", "si", "")
    assert one.rated_heat_kw == pytest.approx(351.685)
    assert other.curves is not None
    assert (other.form, other.curves.min_load_fraction, len(other.curves.load_factor)) == ("ReformulatedEIR", 0.3, 10)
    assert imperial.curves is not None
    assert imperial.curves.reference_cop == pytest.approx(2.8135, abs=1e-3)
    assert unlimited.curves is not None
    assert (unlimited.curves.max_chilled_c, unlimited.curves.reference_cop) == (10.0, None)


def test_a_set_that_cannot_be_used_says_why_and_one_of_another_format_is_named(tmp_path: Path) -> None:
    (upside_down,) = read_chiller_library(library(tmp_path, it=published(limits={"y_max": 1.3})))
    assert upside_down.curves is None
    assert "below its upper one" in upside_down.trouble
    with pytest.raises(ValueError, match="chiller set it: not in Copper's format"):
        read_chiller_library(library(tmp_path, it={"model": "ect_lwt"}))
