"""The live view: a person sees what flows, what was decided and why, and what is wrong."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from agents.control import Cycle
from agents.view import LiveView, spark
from tests.agents.plant_with_faults import CAMPUS, STEP_S, campus
from twin.site import load_site


def text_of(view: LiveView, cycle: Cycle, width: int = 150) -> str:
    console = Console(width=width, file=StringIO())
    console.print(view.frame(cycle))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_frame_shows_powers_forecasts_decisions_and_alarms() -> None:
    plant, agent = campus()
    view = LiveView(load_site(CAMPUS), "test")
    shown = text_of(view, agent.cycle(plant.now))
    plant.advance(STEP_S)
    assert "Tue 15 Jul 2025 14:00:00 EDT" in shown, "local time stands at the screen"
    assert "all is well" in shown
    assert "clear_sky_persistence" in shown
    assert "discharge" in shown
    assert "energy costs 0.168" in shown
    assert "kW out" in shown, "generation is shown as generation"

    plant.silent = frozenset({"battery"})
    shown = text_of(view, agent.cycle(plant.now))
    plant.advance(STEP_S)
    assert "lost battery: unplugged" in shown
    plant.silent = frozenset()
    assert "over: lost battery: unplugged" in text_of(view, agent.cycle(plant.now))


def test_a_narrow_terminal_shows_decisions_and_alarms_first() -> None:
    plant, agent = campus()
    lines = text_of(LiveView(load_site(CAMPUS), "test"), agent.cycle(plant.now), width=80).splitlines()
    assert max(len(line) for line in lines) <= 80
    places = [next(k for k, line in enumerate(lines) if word in line) for word in ("Decided", "Alarms", "Power")]
    assert places == sorted(places)


def test_a_series_is_drawn_from_zero_to_its_largest() -> None:
    assert spark([0.0, 5.0, 10.0]) == "▁▅█"
    assert spark([0.0, 0.0]) == "▁▁"
    assert spark([]) == ""
