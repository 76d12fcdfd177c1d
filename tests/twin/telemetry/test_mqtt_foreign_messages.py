"""What anybody may say on a broker: kept from earlier, garbled, or meant for somebody else."""

from datetime import timedelta

import pytest

from tests.twin.telemetry.mqtt_rig import SHOWN, Voice, hear, site_on, speaking, state
from tests.twin.telemetry.telemetry_rig import (
    NOON,
    command,
    controlling,
    free_port,
    read_until,
    serving,
    snapshot,
    until,
)
from twin.clock import SystemClock
from twin.errors import LinkError
from twin.points import Outcome, Quality

pytestmark = pytest.mark.sockets


def test_what_the_broker_kept_is_suspect_until_the_device_speaks() -> None:
    port = free_port()
    with speaking(port) as voice:
        voice.say("halls/a/state", state(p_kw=700, limit_kw=900), retain=True)
        voice.say("weather/state", state(dry_bulb_c=1), retain=True)
        with controlling(site_on(port, embedded=False)) as plant:
            kept = hear(plant).readings["hall.p_kw"]
            assert (kept.value, kept.quality) == (700.0, Quality.SUSPECT)
            assert "kept by the broker" in kept.reason
            voice.say("halls/a/state", state(p_kw=710, limit_kw=900))
            image = read_until(plant, lambda image: image.readings["hall.p_kw"].value == 710.0)
            assert image.readings["hall.p_kw"].quality is Quality.GOOD
            assert image.readings["weather.dry_bulb_c"].quality is Quality.SUSPECT


def test_what_the_broker_kept_from_long_ago_is_lost() -> None:
    port = free_port()
    with speaking(port) as voice:
        voice.say("halls/a/state", state(NOON - timedelta(days=3), p_kw=700, limit_kw=900), retain=True)
        with controlling(site_on(port, embedded=False), clock=SystemClock()) as plant:
            words = "the newest state on halls/a/state is 259200 s old"
            image = read_until(plant, lambda image: words in image.lost["hall"])
            assert image.readings["hall.p_kw"].quality is Quality.BAD


@pytest.mark.parametrize(
    "payload", [b"", b"p_kw=700", b"\xff\xfe", b"[1]", b'{"p_kw": 1}', b'{"at": "2026-06-01T12:00:00"}']
)
def test_a_garbled_message_marks_the_values_and_never_ends_the_hearing(payload: bytes) -> None:
    port = free_port()
    with speaking(port) as voice, controlling(site_on(port, embedded=False), clock=SystemClock()) as plant:
        until(lambda: plant._mqtt is not None and plant._mqtt.down is None)
        voice.say("halls/a/state", state(p_kw=700, limit_kw=900))
        read_until(plant, lambda image: "hall" not in image.lost)
        voice.say("halls/a/state", payload)
        image = read_until(plant, lambda image: image.readings["hall.p_kw"].quality is Quality.BAD)
        assert image.readings["hall.p_kw"].value == 700.0
        voice.say("halls/a/state", state(p_kw=720, limit_kw=900))
        image = read_until(plant, lambda image: image.readings["hall.p_kw"].value == 720.0)
        assert image.readings["hall.p_kw"].quality is Quality.GOOD


def test_one_bad_point_does_not_spoil_its_neighbour() -> None:
    port = free_port()
    with speaking(port) as voice, controlling(site_on(port, embedded=False), clock=SystemClock()) as plant:
        until(lambda: plant._mqtt is not None and plant._mqtt.down is None)
        voice.say("halls/a/state", state(p_kw=700, limit_kw=900))
        read_until(plant, lambda image: "hall" not in image.lost)
        voice.say("halls/a/state", state(p_kw=None, limit_kw=800))
        image = read_until(plant, lambda image: image.readings["hall.limit_kw"].value == 800.0)
        assert image.readings["hall.limit_kw"].quality is Quality.GOOD
        assert (image.readings["hall.p_kw"].value, image.readings["hall.p_kw"].quality) == (700.0, Quality.BAD)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b'{"id": 1}',
        b'{"id": "x", "setpoint": "limit_kw", "value": NaN, "valid_until": "2100-01-01T00Z"}',
    ],
)
def test_a_garbled_order_is_not_obeyed_and_the_next_one_is(payload: bytes) -> None:
    port = free_port()
    site = site_on(port)
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(**SHOWN))
        hear(plant)
        voice = Voice(port)
        voice.say("halls/a/command", payload)
        (receipt,) = plant.apply([command("hall", "limit_kw", 650)], NOON)
        voice.close()
        assert receipt.outcome is Outcome.APPLIED
        assert [taken.value for taken in server.take_commands()] == [650]


def test_an_order_that_the_broker_kept_is_not_obeyed() -> None:
    port = free_port()
    order = {"id": "x", "setpoint": "limit_kw", "value": 1, "valid_until": (NOON + timedelta(days=1)).isoformat()}
    with speaking(port) as voice:
        voice.say("halls/a/command", order, retain=True)
        site = site_on(port, embedded=False)
        with serving(site) as server, controlling(site) as plant:
            server.show(snapshot(**SHOWN))
            hear(plant)
            plant.apply([command("hall", "limit_kw", 650)], NOON)
            assert [taken.value for taken in server.take_commands()] == [650]


def test_an_unusable_receipt_confirms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.telemetry.live_plant.RECEIPT_TIMEOUT_S", 0.3)
    port = free_port()
    with speaking(port) as voice, controlling(site_on(port, embedded=False), clock=SystemClock()) as plant:
        until(lambda: plant._mqtt is not None and plant._mqtt.down is None)
        for answer in (b"{", b'{"id": "somebody-else", "outcome": "applied"}', b'{"id": "x", "outcome": "done"}'):
            voice.say("halls/a/receipt", answer)
        (receipt,) = plant.apply([command("hall", "limit_kw", 650)], NOON)
        assert receipt.outcome is Outcome.LOST
        until(lambda: [topic for topic, _ in voice.heard].count("t/halls/a/command") == 1)


def test_a_silent_device_is_named_with_its_topic_and_the_remedy() -> None:
    port = free_port()
    with speaking(port) as voice:
        voice.say("weather/state", state(dry_bulb_c=1), retain=True)
        with controlling(site_on(port, embedded=False)) as plant:
            read_until(plant, lambda image: image.lost.keys() == {"hall"})
            with pytest.raises(LinkError) as caught:
                plant.connect_or_raise(0.0)
    assert f"hall: MQTT 127.0.0.1:{port}: nothing heard on halls/a/state yet; expected: JSON with p_kw" in str(
        caught.value
    )
    assert "weather:" not in str(caught.value)
