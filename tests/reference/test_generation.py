"""Sun and wind against sources of their own: pvlib's model chain and almanac, windpowerlib, and makers' data.

Against measured plants they are held in benchmarks/sun.py and benchmarks/wind.py.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pvlib
import pytest
import windpowerlib

from tests.contracts.device_rig import GREENSBORO, build
from twin.devices.pv import Pv, dc_to_ac_kw
from twin.devices.pv_modules import Soiling, plane_irradiance_w_m2, soiling_loss_fraction
from twin.devices.wind import Wind, air_density_kg_m3, hub_wind_m_s, sheared_wind_m_s
from twin.numeric import FloatArray
from twin.sun import Sun, beam_and_diffuse_w_m2, sun_at
from twin.timegrid import TimeGrid
from twin.weather import Weather, clear_sky_on, read_weather
from twin.weather_source import WeatherSource

YEAR = TimeGrid(start=datetime(2025, 1, 1, 5, tzinfo=UTC), step_s=3600.0, steps=8760)


@pytest.fixture(scope="module")
def year() -> Weather:
    return read_weather(WeatherSource(), GREENSBORO, YEAR, Path())


def by_model_chain(device: Pv, weather: Weather) -> FloatArray:
    """AC power, kW, by pvlib's own chain, with its own sun (NREL's SPA)."""
    array = pvlib.pvsystem.Array(
        pvlib.pvsystem.FixedMount(device.tilt_deg, device.azimuth_deg),
        albedo=device.albedo_fraction,
        module_parameters={"pdc0": device.rated_dc_kw, "gamma_pdc": -device.power_drop_fraction_per_k},
        temperature_model_parameters={"u_c": 29.0, "u_v": 0.0},
    )
    system = pvlib.pvsystem.PVSystem(
        [array],
        inverter_parameters={
            "pdc0": device.rated_kw / device.inverter_efficiency,
            "eta_inv_nom": device.inverter_efficiency,
        },
        losses_parameters=dict.fromkeys(LOSSES, 0.0) | {"soiling": device.losses_fraction * 100},
    )
    place = pvlib.location.Location(weather.latitude_deg, weather.longitude_deg, altitude=weather.altitude_m)
    chain = pvlib.modelchain.ModelChain(
        system,
        place,
        transposition_model="haydavies",
        dc_model="pvwatts",
        ac_model="pvwatts",
        aoi_model="no_loss",
        spectral_model="no_loss",
        temperature_model="pvsyst",
        losses_model="pvwatts",
    )
    table = {"ghi": weather.ghi_w_m2, "dni": weather.dni_w_m2, "dhi": weather.dhi_w_m2}
    table |= {"temp_air": weather.dry_bulb_c, "wind_speed": weather.wind_m_s}
    chain.run_model(pd.DataFrame(table, index=weather.index))
    return np.asarray(chain.results.ac.fillna(0.0).to_numpy(), dtype=np.float64)


LOSSES = ("soiling", "shading", "snow", "mismatch", "wiring", "connections", "lid", "nameplate_rating", "availability")


def test_solar_year_against_the_model_chain_of_pvlib(year: Weather) -> None:
    device = build("pv")
    assert isinstance(device, Pv)
    ours_kw, theirs_kw = device.drive(year, 0)["available_kw"], by_model_chain(device, year)
    assert ours_kw.sum() == pytest.approx(theirs_kw.sum(), rel=0.005)
    assert np.abs(ours_kw - theirs_kw).max() < 0.02 * device.rated_kw


def test_solar_year_yields_what_is_usual_for_its_place(year: Weather) -> None:
    """PVWatts gives some 1,400 kWh per kWp for a tilted plant in Greensboro."""
    device = build("pv")
    assert isinstance(device, Pv)
    assert 1250 < device.drive(year, 0)["available_kw"].sum() / device.rated_dc_kw < 1550


def test_sun_against_the_solar_position_algorithm_of_nrel() -> None:
    index = pd.date_range("2025-01-01", periods=500, freq="1051min", tz="UTC")
    ours, theirs = sun_at(index, 36.1, -79.95), pvlib.solarposition.spa_python(index, 36.1, -79.95)
    up = theirs["apparent_elevation"].to_numpy() > 0.0
    assert np.abs(ours.zenith_deg - theirs["apparent_zenith"])[up].max() < 0.03
    turned_deg = (ours.azimuth_deg - theirs["azimuth"].to_numpy() + 180.0) % 360.0 - 180.0
    assert np.abs(turned_deg * np.sin(np.radians(ours.zenith_deg)))[up].max() < 0.03


def test_a_clear_sky_is_bright_at_noon_and_dark_at_night() -> None:
    grid = TimeGrid(start=datetime(2025, 6, 21, 5, tzinfo=UTC), step_s=900.0, steps=96)
    sky = clear_sky_on(grid, GREENSBORO)
    assert 950 < sky.ghi_w_m2.max() < 1050, "W/m² at 36° north at midsummer"
    assert (sky.ghi_w_m2[sky.sun.zenith_deg > 90.0] == 0.0).all()
    closed = sky.dni_w_m2 * sky.sun.cos_zenith + sky.dhi_w_m2
    np.testing.assert_allclose(closed, sky.ghi_w_m2, atol=2.0)
    assert sky.pressure_kpa[0] == pytest.approx(98.09, abs=0.05), "standard atmosphere at 273 m"


def test_wind_rises_with_height_and_standard_air_has_its_density() -> None:
    assert hub_wind_m_s(np.array([5.0]), 95.0, 0.1)[0] == pytest.approx(7.44, abs=0.005)
    sea_level = air_density_kg_m3(np.array([101.325]), np.array([15.0]), 0.0)[0]
    assert sea_level == pytest.approx(1.225, abs=0.0005)
    aloft = air_density_kg_m3(np.array([101.325]), np.array([15.0]), 1000.0)[0]
    assert aloft == pytest.approx(1.112, rel=0.025), "standard atmosphere at 1,000 m, where it is 6.5 K colder"


@pytest.mark.parametrize(
    ("wind_m_s", "fraction"),
    [(0.0, 0.0), (2.99, 0.0), (3.0, 0.0), (8.0, 485 / 1701), (12.0, 1.0), (20.0, 1.0), (24.99, 1.0), (25.0, 0.0)],
)
def test_turbine_at_the_corners_of_its_cubic_curve(wind_m_s: float, fraction: float) -> None:
    turbine = Wind(bus="field", rated_kw=2000.0, availability_factor=1.0)
    found_kw = turbine.available_kw(np.array([wind_m_s]), np.array([1.225]), 600.0)
    assert found_kw[0] == pytest.approx(2000.0 * fraction, abs=1e-9)


@pytest.mark.parametrize(
    ("wind_m_s", "maker_kw"),
    [
        (3.5, 32),
        (4, 64),
        (5, 159),
        (6, 314),
        (7, 511),
        (8, 767),
        (9, 1096),
        (10, 1439),
        (12, 1912),
        (15, 2050),
        (24, 2050),
    ],
)
def test_senvion_mm82_gives_what_its_maker_states(wind_m_s: float, maker_kw: float) -> None:
    """Staffell 2012, Wind turbine power curves; at 3.5 m/s half way between the maker's points."""
    turbine = Wind(bus="field", rated_kw=2050.0, power_curve="MM82/2050", availability_factor=1.0)
    found_kw = turbine.available_kw(np.array([float(wind_m_s)]), np.array([1.225]), 600.0)
    assert found_kw[0] == pytest.approx(maker_kw, abs=1.0)


def test_a_curve_by_name_is_that_of_windpowerlib_in_thin_air_too() -> None:
    """Below 7.5 m/s its density correction (Svenningsen 2010) is that of the IEC, which is ours at all winds."""
    theirs = windpowerlib.WindTurbine(hub_height=100, turbine_type="MM92/2050").power_curve
    wind_m_s = np.linspace(0.0, 24.9, 250)
    turbine = Wind(bus="field", rated_kw=2055.0, power_curve="MM92/2050", availability_factor=1.0)
    for density_kg_m3, upto_m_s in ((1.225, 24.9), (1.0, 7.0), (1.3, 7.0)):
        density = np.full(250, density_kg_m3)
        expected_w = windpowerlib.power_output.power_curve(
            wind_m_s, theirs["wind_speed"], theirs["value"], density=density, density_correction=True
        )
        found_kw = turbine.available_kw(wind_m_s, density, 600.0)
        low = wind_m_s <= upto_m_s
        np.testing.assert_allclose(found_kw[low], expected_w[low] / 1000.0, atol=1.0)


def test_wind_aloft_is_that_of_windpowerlib() -> None:
    mast_m_s = np.array([0.0, 3.3, 8.1])
    log_m_s = windpowerlib.wind_speed.logarithmic_profile(mast_m_s, 10.0, 95.0, 0.1)
    np.testing.assert_allclose(hub_wind_m_s(mast_m_s, 95.0, 0.1), log_m_s, rtol=1e-12)
    power_m_s = windpowerlib.wind_speed.hellman(mast_m_s, 10.0, 95.0, hellman_exponent=0.2)
    np.testing.assert_allclose(sheared_wind_m_s(mast_m_s, 95.0, 0.2), power_m_s, rtol=1e-12)


def test_thin_air_gives_less_below_rated_wind_in_proportion_to_its_density() -> None:
    turbine = Wind(bus="field", rated_kw=2000.0, cut_in_m_s=0.001)
    thin_kw, full_kw = turbine.available_kw(np.array([8.0, 8.0]), np.array([1.0, 1.225]), 600.0)
    assert thin_kw / full_kw == pytest.approx(1.0 / 1.225, rel=1e-6)


def test_dirt_settles_as_in_the_kimber_model_of_pvlib() -> None:
    soiling = Soiling(loss_fraction_per_day=0.002, max_loss_fraction=0.2, cleaned=("03-15", "08-01"))
    index = pd.date_range("2024-03-15", "2025-02-28", freq="h", tz="UTC")
    theirs = pvlib.soiling.kimber(
        pd.Series(0.0, index),
        soiling_loss_rate=0.002,
        max_soiling=0.2,
        manual_wash_dates=[date(2024, 3, 15), date(2024, 8, 1)],
    )
    ours = soiling_loss_fraction(index, soiling)
    assert ours.max() == 0.2
    assert np.abs(ours - theirs.to_numpy()).max() <= 0.002 + 1e-9, "it steps once a day"


def test_slanting_light_is_reflected_by_the_law_of_ashrae() -> None:
    """Beam alone, sun at 60° from a flat module: ``1 - b0 (1 / cos 60° - 1)`` of it enters."""
    grid = TimeGrid(start=datetime(2025, 6, 21, 12, tzinfo=UTC), step_s=60.0, steps=1)
    dark = clear_sky_on(grid, GREENSBORO)
    sun = Sun(zenith_deg=np.array([60.0]), azimuth_deg=np.array([180.0]), extra_w_m2=np.array([1361.0]))
    beam = replace(dark, dni_w_m2=np.array([800.0]), ghi_w_m2=np.array([400.0]), dhi_w_m2=np.array([0.0]))
    entered = plane_irradiance_w_m2(
        beam, sun, tilt_deg=0.0, azimuth_deg=180.0, albedo_fraction=0.0, incidence_loss_factor=0.05
    )
    assert entered[0] == pytest.approx(400.0 * 0.95, rel=1e-9)


@pytest.mark.parametrize(("load", "efficiency"), [(1.0, 0.96), (0.5, 0.9622), (0.1, 0.9216)])
def test_inverter_is_as_efficient_at_part_load_as_pvwatts_says(load: float, efficiency: float) -> None:
    """Dobos 2014, eq. 9: ``0.96 / 0.9637 · (-0.0162 ζ - 0.0059 / ζ + 0.9858)``."""
    dc_kw = load * 100.0 / 0.96
    assert dc_to_ac_kw(np.array([dc_kw]), 100.0, 0.96)[0] / dc_kw == pytest.approx(efficiency, abs=2e-4)


def test_global_light_alone_is_split_as_by_erbs() -> None:
    """Erbs, Klein & Duffie 1982: of a clearness of 0.2 98% is diffuse, of 0.5 66%, of 0.8 and more 16.5%."""
    sun = Sun(zenith_deg=np.full(4, 40.0), azimuth_deg=np.full(4, 180.0), extra_w_m2=np.full(4, 1361.0))
    ghi_w_m2 = np.array([0.0, 0.2, 0.5, 0.82]) * 1361.0 * sun.cos_zenith
    dni_w_m2, dhi_w_m2 = beam_and_diffuse_w_m2(ghi_w_m2, sun)
    np.testing.assert_allclose(dni_w_m2 * sun.cos_zenith + dhi_w_m2, ghi_w_m2, atol=1e-9)
    np.testing.assert_allclose(dhi_w_m2[1:] / ghi_w_m2[1:], [0.982, 0.659, 0.165], atol=0.002)
    set_sun = replace(sun, zenith_deg=np.full(4, 95.0))
    assert (beam_and_diffuse_w_m2(np.full(4, 3.0), set_sun)[0] == 0.0).all()


def test_a_wind_year_is_plausible(year: Weather) -> None:
    device = build("wind")
    assert isinstance(device, Wind)
    share = device.drive(year, 0)["available_kw"].mean() / device.rated_kw
    assert 0.05 < share < 0.35, "an inland airport with 3 to 4 m/s on the mean"
    assert math.isfinite(share)
