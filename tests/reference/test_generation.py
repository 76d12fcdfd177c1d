"""Sun and wind against sources of their own: pvlib's model chain and almanac, and a wind farm's measured year."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pvlib
import pytest

from tests.contracts.device_rig import GREENSBORO, build
from twin.devices.pv import Pv
from twin.devices.wind import Wind, air_density_kg_m3, hub_wind_m_s, turbine_fraction
from twin.numeric import FloatArray
from twin.sun import sun_at
from twin.timegrid import TimeGrid
from twin.weather import Weather, clear_sky_on, read_weather
from twin.weather_source import WeatherSource

YEAR = TimeGrid(start=datetime(2025, 1, 1, 5, tzinfo=UTC), step_s=3600.0, steps=8760)
SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"


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
def test_turbine_at_the_corners_of_its_curve(wind_m_s: float, fraction: float) -> None:
    standard = np.array([1.225])
    found = turbine_fraction(np.array([wind_m_s]), standard, cut_in_m_s=3.0, rated_m_s=12.0, cut_out_m_s=25.0)
    assert found[0] == pytest.approx(fraction, abs=1e-12)


def test_thin_air_gives_less_below_rated_wind_in_proportion_to_its_density() -> None:
    thin = turbine_fraction(np.array([8.0]), np.array([1.0]), cut_in_m_s=0.001, rated_m_s=12.0, cut_out_m_s=25.0)
    full = turbine_fraction(np.array([8.0]), np.array([1.225]), cut_in_m_s=0.001, rated_m_s=12.0, cut_out_m_s=25.0)
    assert thin[0] / full[0] == pytest.approx(1.0 / 1.225, rel=1e-6)


def test_turbine_against_a_measured_year_of_four_turbines() -> None:
    """Senvion MM82, 2,050 kW, La Haute Borne 2014 (ENGIE, Etalab 2.0): wind at the nacelle, power at the terminals."""
    path = SHARED_DATA / "generation" / "la_haute_borne_wind_scada_10min_2014.parquet"
    if not path.exists():
        pytest.skip("the measured year lies beside the checkout of a developer only")
    rows = pd.read_parquet(path)[["Ws_avg", "P_avg", "Ot_avg"]].dropna()
    rows = rows[(rows["P_avg"] > 0.0) & (rows["Ot_avg"] > -50.0)]
    density = air_density_kg_m3(np.full(len(rows), 97.0), rows["Ot_avg"].to_numpy(), 80.0)
    fraction = turbine_fraction(rows["Ws_avg"].to_numpy(), density, cut_in_m_s=3.0, rated_m_s=10.8, cut_out_m_s=25.0)
    assert 2050.0 * fraction.sum() == pytest.approx(rows["P_avg"].sum(), rel=0.03)
    assert np.abs(fraction - rows["P_avg"] / 2050.0).mean() < 0.03


def test_a_wind_year_is_plausible(year: Weather) -> None:
    device = build("wind")
    assert isinstance(device, Wind)
    share = device.drive(year, 0)["available_kw"].mean() / device.rated_kw
    assert 0.05 < share < 0.35, "an inland airport with 3 to 4 m/s on the mean"
    assert math.isfinite(share)
