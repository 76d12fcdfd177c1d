"""Halls over Redfish at the end of a command: expired, missed, closed, left alone, or not meant."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.twin.telemetry.redfish_rig import Resources, Room, room_of, with_metrics
from tests.twin.telemetry.telemetry_rig import NOON, command, read_until, until
from twin.points import Outcome, Quality, Receipt
from twin.telemetry import redfish_node
from twin.telemetry.live_plant import LivePlant

pytestmark = pytest.mark.sockets
AN_HOUR_S = 3600.0
MakeRoom = Callable[..., Room]
METRICS = "/redfish/v1/Chassis/1U/EnvironmentMetrics"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def room(tmp_path: Path, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeRoom]:
    monkeypatch.setattr(redfish_node, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(redfish_node, "SETTLE_S", 0.3)
    with ExitStack() as rooms:

        def make(*nodes: Resources) -> Room:
            return rooms.enter_context(room_of(tmp_path, authority, nodes))

        yield make


def ready(plant: LivePlant) -> None:
    """Every node has been heard."""
    read_until(plant, lambda image: _good(image.readings.get("hall.p_kw")))


def _good(reading: Any) -> bool:
    return reading is not None and reading.quality is Quality.GOOD


def tell(plant: LivePlant, limit_kw: float) -> Receipt:
    (receipt,) = plant.apply([command("hall", "limit_kw", limit_kw, validity_s=AN_HOUR_S)], NOON)
    return receipt


def limits_w(room: Room) -> Sequence[float]:
    return [board.resources[METRICS]["PowerLimitWatts"]["SetPoint"] for board in room.boards]


def test_a_limit_whose_command_has_expired_gives_way_to_the_safe_setpoint(room: MakeRoom) -> None:
    hall = room(with_metrics(), with_metrics())
    with hall.plant() as plant:
        ready(plant)
        (receipt,) = plant.apply([command("hall", "limit_kw", 0.6, validity_s=0.3)], NOON)
        assert receipt.outcome is Outcome.APPLIED
        until(lambda: limits_w(hall) == [500, 500])


def test_a_node_that_missed_the_return_to_safety_is_returned_when_it_is_back(room: MakeRoom) -> None:
    hall = room(with_metrics())
    with hall.plant(timeout_s=0.2) as plant:
        ready(plant)
        (receipt,) = plant.apply([command("hall", "limit_kw", 0.6, validity_s=0.4)], NOON)
        assert receipt.outcome is Outcome.APPLIED
        hall.boards[0].moods.delay_s = {"GET": 0.5, "PATCH": 0.5}
        read_until(plant, lambda image: "hall" in image.lost)
        hall.boards[0].moods.delay_s = {}
        until(lambda: limits_w(hall) == [1000])


def test_closing_returns_to_the_safe_setpoint_only_what_was_commanded(room: MakeRoom) -> None:
    hall = room(with_metrics())
    with hall.plant() as plant:
        ready(plant)
    assert limits_w(hall) == [900]
    with hall.plant() as plant:
        ready(plant)
        tell(plant, 0.4)
    assert limits_w(hall) == [1000]


def test_without_left_in_force_nothing_is_written(room: MakeRoom) -> None:
    hall = room(with_metrics())
    with hall.plant(left_in_force=False) as plant:
        ready(plant)
        assert tell(plant, 0.5).outcome is Outcome.REJECTED
        assert not hall.boards[0].orders()


def test_a_command_that_cannot_be_meant_is_not_sent(room: MakeRoom) -> None:
    hall = room(with_metrics())
    with hall.plant() as plant:
        ready(plant)
        orders = [
            command("hall", "limit_kw", float("nan")),
            command("hall", "p_kw", 1.0),
            command("hall", "limit_kw", 0.5, validity_s=-1.0),
        ]
        outcomes = [receipt.outcome for receipt in plant.apply(orders, NOON)]
        assert outcomes == [Outcome.REJECTED, Outcome.REJECTED, Outcome.LOST]
        assert not hall.boards[0].orders()
