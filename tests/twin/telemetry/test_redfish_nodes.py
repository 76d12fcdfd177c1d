"""Halls over Redfish on real sockets: read, told a limit, refused, clipped, late, and lost."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.twin.telemetry.redfish_rig import Resources, Room, chassis_resources, room_of, with_metrics, with_power
from tests.twin.telemetry.telemetry_rig import NOON, command, controlling, read_until, until
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


def test_a_hall_is_the_sum_of_its_nodes_and_what_stands_beside_them(room: MakeRoom) -> None:
    hall = room(with_metrics(400), with_metrics(450.5), with_power(300, 700))
    with hall.plant(other_kw=0.25) as plant:
        ready(plant)
        image = plant.read(NOON)
        assert not image.lost
        assert image.readings["hall.p_kw"].value == pytest.approx(0.4 + 0.4505 + 0.3 + 0.25)
        assert image.readings["hall.limit_kw"].value == pytest.approx(0.9 + 0.9 + 0.7 + 0.25)


def test_a_limit_is_shared_out_and_reads_back(room: MakeRoom) -> None:
    hall = room(with_metrics(), with_metrics(AllowableMax=500))
    with hall.plant(other_kw=0.1) as plant:
        ready(plant)
        receipt = tell(plant, 1.0)
        assert receipt.outcome is Outcome.APPLIED
        assert receipt.read_back == pytest.approx(1.0)
        assert limits_w(hall) == [600, 300]
        assert hall.boards[0].orders() == [{"PowerLimitWatts": {"SetPoint": 600}}]
        read_until(plant, lambda image: image.readings["hall.limit_kw"].value == pytest.approx(1.0))


def test_what_a_node_holds_already_is_not_written_again(room: MakeRoom) -> None:
    hall = room(with_metrics())
    with hall.plant() as plant:
        ready(plant)
        assert [tell(plant, 0.5).outcome for _ in range(3)] == [Outcome.APPLIED] * 3
        assert len(hall.boards[0].orders()) == 1
        # Another hand changes it: the next order sets it right.
        hall.boards[0].resources[METRICS]["PowerLimitWatts"]["SetPoint"] = 950
        read_until(plant, lambda image: image.readings["hall.limit_kw"].value == pytest.approx(0.95))
        assert tell(plant, 0.5).outcome is Outcome.APPLIED
        assert limits_w(hall) == [500]


def test_the_deprecated_resource_is_found_and_its_other_entries_are_left_alone(room: MakeRoom) -> None:
    hall = room(with_power(300, None))
    with hall.plant() as plant:
        ready(plant)
        assert tell(plant, 0.45).outcome is Outcome.APPLIED
        controls = hall.boards[0].resources["/redfish/v1/Chassis/System.Embedded.1/Power"]["PowerControl"]
        assert [item["PowerLimit"]["LimitInWatts"] for item in controls] == [450, 77]


def test_a_limit_that_is_set_elsewhere_is_set_there(room: MakeRoom) -> None:
    control = "/redfish/v1/Chassis/1U/Controls/PowerLimit"
    resources = with_metrics(DataSourceUri=control)
    resources[control] = {"SetPoint": 900, "SetPointUnits": "W", "AllowableMin": 200, "AllowableMax": 1000}
    hall = room(resources)
    hall.boards[0].moods.read_only = (METRICS,)
    with hall.plant() as plant:
        ready(plant)
        assert tell(plant, 0.6).outcome is Outcome.APPLIED
        assert hall.boards[0].resources[control]["SetPoint"] == 600


def test_a_refused_limit_is_rejected_in_the_words_of_the_controller(room: MakeRoom) -> None:
    hall = room(with_metrics(AllowableMin=None))
    hall.boards[0].moods.refuse_below_w = 350
    with hall.plant() as plant:
        ready(plant)
        receipt = tell(plant, 0.3)
        assert receipt.outcome is Outcome.REJECTED
        assert "out of range" in receipt.detail
        assert limits_w(hall) == [900]
        # It is not asked the same again in every cycle.
        assert tell(plant, 0.3).outcome is Outcome.REJECTED
        assert len(hall.boards[0].orders()) == 1


def test_a_controller_that_takes_another_value_is_told_as_clipped(room: MakeRoom) -> None:
    hall = room(with_metrics())
    hall.boards[0].moods.clip_above_w = 550
    with hall.plant() as plant:
        ready(plant)
        receipt = tell(plant, 0.8)
        assert receipt.outcome is Outcome.CLIPPED
        assert receipt.read_back == pytest.approx(0.55)
        assert "sent 800 W, reads back 550 W" in receipt.detail


def test_less_than_the_nodes_can_be_told_is_clipped_at_their_lowest(room: MakeRoom) -> None:
    hall = room(with_metrics(), with_metrics())
    with hall.plant() as plant:
        ready(plant)
        receipt = tell(plant, 0.1)
        assert receipt.outcome is Outcome.CLIPPED
        assert receipt.read_back == pytest.approx(0.4)


def test_more_than_the_nodes_can_draw_leaves_them_at_their_highest(room: MakeRoom) -> None:
    hall = room(with_metrics(), with_metrics())
    with hall.plant() as plant:
        ready(plant)
        receipt = tell(plant, 2.0 + 0.5)
        assert receipt.outcome is Outcome.APPLIED
        assert receipt.read_back == pytest.approx(2.0)


def test_a_late_confirmation_does_not_hold_up_the_cycle_and_is_not_repeated(room: MakeRoom) -> None:
    hall = room(with_metrics())
    hall.boards[0].moods.delay_s = {"PATCH": 0.5}
    with hall.plant(receipt_s=0.01) as plant:
        ready(plant)
        receipt = tell(plant, 0.5)
        assert receipt.outcome is Outcome.LOST
        assert "not confirmed" in receipt.detail
        assert tell(plant, 0.7).outcome is Outcome.LOST, "the first order is still under way"
        until(lambda: limits_w(hall) == [500])
        until(lambda: tell(plant, 0.5).outcome is Outcome.APPLIED)
        assert [order["PowerLimitWatts"]["SetPoint"] for order in hall.boards[0].orders()] == [500]


def test_a_limit_that_takes_time_to_show_is_waited_for(room: MakeRoom) -> None:
    hall = room(with_metrics())
    hall.boards[0].moods.follows_after_s = 0.15
    with hall.plant() as plant:
        ready(plant)
        assert tell(plant, 0.5).outcome is Outcome.APPLIED


def test_a_limit_that_is_held_but_not_enforced_is_no_limit(room: MakeRoom) -> None:
    hall = room(with_metrics(ControlMode="Disabled"))
    with hall.plant() as plant:
        ready(plant)
        assert plant.read(NOON).readings["hall.limit_kw"].value == pytest.approx(1.0), "its highest"
        assert tell(plant, 0.5).outcome is Outcome.APPLIED
        assert hall.boards[0].orders() == [{"PowerLimitWatts": {"SetPoint": 500, "ControlMode": "Automatic"}}]


def test_a_controller_that_answers_too_late_is_silent_with_the_reason(room: MakeRoom) -> None:
    hall = room(with_metrics())
    hall.boards[0].moods.delay_s = {"GET": 1.0}
    with hall.plant(timeout_s=0.1) as plant:
        image = read_until(plant, lambda image: "no answer within 0.1 s" in image.lost.get("hall", ""))
        assert "hall.p_kw" not in image.readings


def test_an_etag_is_shown_where_it_is_asked_for(room: MakeRoom) -> None:
    hall = room(with_metrics())
    hall.boards[0].moods.asks_etag = True
    hall.boards[0].moods.etag_moves = 2
    with hall.plant() as plant:
        ready(plant)
        assert tell(plant, 0.5).outcome is Outcome.APPLIED


def test_a_session_that_was_forgotten_is_renewed_and_given_back_in_the_end(room: MakeRoom) -> None:
    hall = room(with_metrics())
    board = hall.boards[0]
    with hall.plant() as plant:
        ready(plant)
        board.moods.forgets_session = True
        assert tell(plant, 0.5).outcome is Outcome.APPLIED
        assert len(board.tokens) == 1
    assert not board.tokens
    logins = [path for method, path, _ in board.requests if method == "POST"]
    assert len(logins) == 2


def test_basic_authentication_will_do(room: MakeRoom) -> None:
    hall = room(with_metrics())
    with hall.plant(session=False) as plant:
        ready(plant)
        assert tell(plant, 0.5).outcome is Outcome.APPLIED
        assert not [path for method, path, _ in hall.boards[0].requests if method == "POST"]


@pytest.mark.parametrize("session", [True, False])
def test_a_wrong_password_is_told_and_not_tried_again_and_again(room: MakeRoom, session: bool) -> None:
    hall = room(with_metrics())
    (hall.folder / "bmc.txt").write_text("wrong", encoding="utf-8")
    with hall.plant(session=session) as plant:
        image = read_until(plant, lambda image: "401" in image.lost.get("hall", ""))
        assert "refuses" in image.lost["hall"]
        asked = len(hall.boards[0].requests)
        assert tell(plant, 0.5).outcome is Outcome.LOST
        assert len(hall.boards[0].requests) == asked


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(room: MakeRoom) -> None:
    hall = room(with_metrics())
    trustme.CA().cert_pem.write_to_path(hall.folder / "ca.pem")
    with hall.plant() as plant:
        read_until(plant, lambda image: "certificate is not trusted" in image.lost.get("hall", ""))
        assert not hall.boards[0].requests, "not a word before it is known who listens"


def test_several_chassis_are_not_summed_unasked(room: MakeRoom) -> None:
    resources = with_metrics(400, name="Node1")
    other = with_metrics(300, name="Node2")
    both = resources | other
    both["/redfish/v1/Chassis"] = {
        "Members": [{"@odata.id": "/redfish/v1/Chassis/Node1"}],
        "Members@odata.nextLink": "/redfish/v1/Chassis?$skip=1",
    }
    both["/redfish/v1/Chassis?$skip=1"] = {"Members": [{"@odata.id": "/redfish/v1/Chassis/Node2"}]}
    hall = room(both)
    with hall.plant() as plant:
        read_until(plant, lambda image: "under chassis: Node1, Node2" in image.lost.get("hall", ""))
    with hall.plant(chassis=("Node1", "Node2")) as plant:
        ready(plant)
        assert plant.read(NOON).readings["hall.p_kw"].value == pytest.approx(0.7)
        assert tell(plant, 1.0).outcome is Outcome.APPLIED


def test_a_part_inside_another_chassis_is_counted_with_it(room: MakeRoom) -> None:
    resources = with_metrics(400)
    path = "/redfish/v1/Chassis/GPU_1"
    resources[path] = {
        "Id": "GPU_1",
        "Links": {"ContainedBy": {"@odata.id": "/redfish/v1/Chassis/1U"}},
        "EnvironmentMetrics": {"@odata.id": f"{path}/EnvironmentMetrics"},
    }
    resources[f"{path}/EnvironmentMetrics"] = {"PowerWatts": {"Reading": 250}}
    resources["/redfish/v1/Chassis"]["Members"].append({"@odata.id": path})
    hall = room(resources)
    with hall.plant() as plant:
        ready(plant)
        assert plant.read(NOON).readings["hall.p_kw"].value == pytest.approx(0.4)


def test_a_model_without_power_is_told_with_what_it_has(room: MakeRoom) -> None:
    hall = room(chassis_resources({"Id": "Shelf"}))
    with hall.plant() as plant:
        read_until(plant, lambda image: "it has Shelf" in image.lost.get("hall", ""))


def test_a_link_to_another_host_is_not_followed(room: MakeRoom) -> None:
    resources = chassis_resources({"Id": "1U", "EnvironmentMetrics": {"@odata.id": "https://elsewhere.example/x"}})
    hall = room(resources)
    with hall.plant() as plant:
        read_until(plant, lambda image: "0 chassis tell their power" in image.lost.get("hall", ""))


def test_a_node_that_is_lost_is_named_counted_and_kept_out_of_what_the_others_get(room: MakeRoom) -> None:
    hall = room(with_metrics(400), with_metrics(500), with_metrics(300))
    with hall.plant(max_missing_fraction=0.4) as plant:
        ready(plant)
        assert tell(plant, 1.5).outcome is Outcome.APPLIED
        hall.boards[2].moods.gone = True
        image = read_until(plant, lambda image: image.readings["hall.p_kw"].quality is not Quality.GOOD)
        reading = image.readings["hall.p_kw"]
        assert reading.quality is Quality.SUSPECT
        assert reading.value == pytest.approx(1.2)
        assert hall.boards[2].address.removeprefix("https://") in reading.reason
        receipt = tell(plant, 1.1)
        assert receipt.outcome is Outcome.CLIPPED
        assert receipt.read_back == pytest.approx(1.1)
        assert limits_w(hall) == [300, 300, 500], "the lost one keeps 500 W, the others share the rest"


def test_nobody_gets_more_before_the_others_hold_less(room: MakeRoom) -> None:
    hall = room(with_metrics(SetPoint=900), with_metrics(SetPoint=300))
    hall.boards[0].moods.refuse_below_w = 800
    with hall.plant() as plant:
        ready(plant)
        assert tell(plant, 1.2).outcome is Outcome.CLIPPED
        assert limits_w(hall) == [900, 300]
        assert not hall.boards[1].orders()


def test_the_age_of_a_reading_is_told(room: MakeRoom) -> None:
    hall = room(with_metrics())
    site = hall.site(hall.link(poll_s=300.0))
    with controlling(site, hall.site_path) as plant:
        ready(plant)
        first, second = plant.read(NOON), plant.read(NOON + timedelta(seconds=5))
        ages = [image.age_s("hall.p_kw") for image in (first, second)]
        assert 0.0 <= (ages[0] or 0.0) <= (ages[1] or 0.0)
