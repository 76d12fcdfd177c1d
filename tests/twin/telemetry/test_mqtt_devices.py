"""Devices that speak MQTT: states with age, orders with expiry, and a broker that may go and come."""

from datetime import timedelta

import pytest

from tests.twin.telemetry.mqtt_rig import SHOWN, hear, site_on
from tests.twin.telemetry.telemetry_rig import (
    NOON,
    command,
    controlling,
    free_port,
    read_until,
    serving,
    site_of,
    snapshot,
    until,
)
from twin.clock import SystemClock
from twin.errors import LinkError
from twin.points import Outcome, Quality

pytestmark = pytest.mark.sockets


def test_states_and_orders_go_round() -> None:
    site = site_on(free_port())
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(**SHOWN))
        image = hear(plant)
        assert {point: reading.value for point, reading in image.readings.items()} == {
            "hall.p_kw": 700.0,
            "hall.limit_kw": 900.0,
            "weather.dry_bulb_c": -3.5,
        }
        (receipt,) = plant.apply([command("hall", "limit_kw", 650)], NOON)
        assert (receipt.outcome, receipt.read_back) == (Outcome.APPLIED, 650)
        (taken,) = server.take_commands()
        assert (taken.device, taken.setpoint, taken.value) == ("hall", "limit_kw", 650)
        assert taken.valid_until == NOON + timedelta(seconds=7)


def test_in_lock_step_a_read_sees_the_states_of_its_own_instant() -> None:
    site = site_on(free_port())
    with serving(site) as server, controlling(site) as plant:
        for step in range(50):
            now = NOON + timedelta(seconds=step)
            server.show(snapshot(now, hall={"p_kw": float(step), "limit_kw": 1.0}, weather={"dry_bulb_c": 1.0}))
            if step == 0:
                hear(plant, now)
            assert plant.read(now).readings["hall.p_kw"].at == now


@pytest.mark.parametrize(
    ("setpoint", "value", "validity_s", "outcome", "words"),
    [
        ("limit_kw", 1500, 7, Outcome.CLIPPED, "takes 0 to 1000"),
        ("limit_kw", -1, 7, Outcome.CLIPPED, "takes 0 to 1000"),
        ("p_kw", 5, 7, Outcome.REJECTED, "takes limit_kw, not p_kw"),
        ("limit_kw", 5, -1, Outcome.LOST, "not sent: it had expired before"),
    ],
)
def test_orders_are_answered_honestly(
    setpoint: str, value: float, validity_s: float, outcome: Outcome, words: str
) -> None:
    site = site_on(free_port())
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(**SHOWN))
        hear(plant)
        (receipt,) = plant.apply([command("hall", setpoint, value, validity_s=validity_s)], NOON)
        assert receipt.outcome is outcome
        assert words in receipt.detail
        assert len(server.take_commands()) == (outcome is Outcome.CLIPPED)


def test_a_device_refuses_an_order_that_has_expired_on_its_own_clock() -> None:
    site = site_on(free_port())
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(NOON + timedelta(seconds=20), **SHOWN))
        hear(plant, NOON + timedelta(seconds=20))
        (receipt,) = plant.apply([command("hall", "limit_kw", 650)], NOON)
        assert receipt.outcome is Outcome.REJECTED
        assert "expired at 2026-06-01T12:00:07" in receipt.detail
        assert not server.take_commands()


def test_a_muted_device_is_lost_by_its_age_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.telemetry.live_plant.LOCK_STEP_PATIENCE_S", 0.05)
    site = site_on(free_port())
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(**SHOWN))
        hear(plant)
        server.kill("hall")
        for age_s, lost in ((30, False), (31, True)):
            now = NOON + timedelta(seconds=age_s)
            server.show(snapshot(now, **SHOWN))
            image = read_until(plant, lambda image, now=now: image.readings["weather.dry_bulb_c"].at == now, now)  # type: ignore[misc]
            assert ("hall" in image.lost) == lost
            reading = image.readings["hall.p_kw"]
            assert (reading.at, reading.quality is Quality.BAD) == (NOON, lost)
        assert "the newest state on halls/a/state is 31 s old" in image.lost["hall"]

        server.restore("hall")
        now = NOON + timedelta(seconds=40)
        server.show(snapshot(now, **SHOWN))
        assert hear(plant, now).readings["hall.p_kw"].quality is Quality.GOOD


def test_a_device_may_be_given_more_time_than_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.telemetry.live_plant.LOCK_STEP_PATIENCE_S", 0.05)
    site = site_on(free_port())
    patient = site_of(site.telemetry.links, broker=site.telemetry.broker, max_age_by_device_s={"weather": 600.0})
    with serving(site) as server, controlling(patient) as plant:
        server.show(snapshot(**SHOWN))
        hear(plant)
        server.show(snapshot(**SHOWN))
        read_until(plant, lambda image: image.readings["weather.dry_bulb_c"].quality is Quality.GOOD)
        image = plant.read(NOON + timedelta(seconds=599))
        assert image.lost.keys() == {"hall"}
        assert image.readings["weather.dry_bulb_c"].quality is Quality.GOOD
        assert image.age_s("weather.dry_bulb_c") == 599.0


def test_a_device_that_does_not_answer_orders_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.telemetry.live_plant.RECEIPT_TIMEOUT_S", 0.3)
    site = site_on(free_port())
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(**SHOWN))
        hear(plant)
        server.kill("hall")
        (first,) = plant.apply([command("hall", "limit_kw", 650)], NOON)
        assert (first.outcome, "no receipt in time" in first.detail) == (Outcome.LOST, True)
        monkeypatch.setattr("twin.telemetry.live_plant.RECEIPT_TIMEOUT_S", 3600)
        (second,) = plant.apply([command("hall", "limit_kw", 650)], NOON)
        assert (second.outcome, "was not waited for" in second.detail) == (Outcome.LOST, True)
        server.restore("hall")

        def confirmed() -> bool:
            return plant.apply([command("hall", "limit_kw", 650)], NOON)[0].outcome is Outcome.APPLIED

        until(confirmed)


def test_a_broker_that_dies_takes_all_its_devices_with_it_and_gives_them_back() -> None:
    site = site_on(free_port())
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(**SHOWN))
        hear(plant)
        server.kill_broker()
        image = read_until(plant, lambda image: len(image.lost) == 2)
        assert f"MQTT 127.0.0.1:{site.telemetry.broker.port}: conn" in image.lost["hall"]  # type: ignore[union-attr]
        assert image.readings["hall.p_kw"].quality is Quality.BAD
        assert image.readings["hall.p_kw"].value == 700.0
        server.show(snapshot(**SHOWN))
        (receipt,) = plant.apply([command("hall", "limit_kw", 650)], NOON)
        assert (receipt.outcome, server.take_commands()) == (Outcome.LOST, [])

        server.restore_broker()
        later = NOON + timedelta(seconds=5)

        def back() -> bool:
            server.show(snapshot(later, **SHOWN))
            image = plant.read(later)
            return not image.lost and image.readings["hall.p_kw"].at == later

        until(back)
        (receipt,) = plant.apply([command("hall", "limit_kw", 650, later)], later)
        assert receipt.outcome is Outcome.APPLIED
        assert [taken.value for taken in server.take_commands()] == [650], "nothing of before was kept and sent again"


def test_an_absent_broker_is_named() -> None:
    port = free_port()
    with controlling(site_on(port, embedded=False), clock=SystemClock()) as plant:
        image = read_until(plant, lambda image: "refused" in image.lost["hall"])
        assert image.lost["hall"] == f"hall: MQTT 127.0.0.1:{port}: connection refused"
        with pytest.raises(LinkError, match=rf"127\.0\.0\.1:{port}: connection refused"):
            plant.connect_or_raise(0.0)
