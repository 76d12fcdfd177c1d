"""Programs that we did not write agree with us: mbpoll, pyModbusTCP and Mosquitto."""

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from pyModbusTCP.client import ModbusClient
from pyModbusTCP.server import ModbusServer

from tests.twin.telemetry.telemetry_rig import (
    NOON,
    PATIENCE_S,
    Mosquitto,
    TinyDevice,
    command,
    controlling,
    free_port,
    modbus,
    peer,
    read_until,
    serving,
    site_of,
    snapshot,
    until,
)
from twin.clock import SystemClock
from twin.points import Command, Outcome, Quality, Snapshot
from twin.site import Site
from twin.telemetry.config import Broker, MqttLink

pytestmark = pytest.mark.sockets
HALL = MqttLink(protocol="mqtt", topic="hall", device="hall", points=("p_kw", "limit_kw"))
SHOWN = {"hall": {"p_kw": 700.0, "limit_kw": 900.0}}


def run(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [peer(program), *arguments], capture_output=True, text=True, timeout=3 * PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def mbpoll(port: int, kind: str, address: int, *options: str) -> list[float]:
    """Values that mbpoll reads; `kind` as it names it: 3 input, 4 holding, with the format behind a colon."""
    output = run(
        "mbpoll", "-m", "tcp", "-p", str(port), "-a", "1", "-t", kind, "-0", "-r", str(address), "-1", "-q",
        "-o", "5", *options, "127.0.0.1",
    )  # fmt: skip
    return [float(value) for value in re.findall(r"^\[\d+\]:\s*(\S+)", output, re.MULTILINE)]


def battery(port: int) -> Site:
    links = {"battery": modbus("battery", "battery_inverter", port)}
    return site_of(links, {"battery": TinyDevice(2500, "p_kw")})


@pytest.mark.parametrize("value", [-812.34, 640.5])
def test_mbpoll_reads_from_the_battery_the_value_that_was_commanded(value: float) -> None:
    port = free_port()
    site = battery(port)
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(battery={"p_kw": 12.34, "soc": 0.5}))
        read_until(plant, lambda image: not image.lost)
        (receipt,) = plant.apply([command("battery", "p_kw", value)], NOON)
        assert (receipt.outcome, receipt.read_back) == (Outcome.APPLIED, value)
        # The battery counts discharging as positive, in hundredths of a kW.
        assert mbpoll(port, "4:int", 40) == [round(-value * 100)]
        assert mbpoll(port, "4", 42) == [7]


def test_mbpoll_reads_every_instrument_of_the_battery_as_its_map_says() -> None:
    port = free_port()
    with serving(battery(port)) as server:
        server.show(snapshot(battery={"p_kw": 12.34, "q_kvar": -5.67, "soc": 0.4321, "v_pu": 1.0123}))
        assert mbpoll(port, "3:int", 100, "-c", "2") == [-1234, 567]
        assert mbpoll(port, "3", 104, "-c", "2") == [4321, 10123]


def test_mbpoll_reads_a_float_with_the_high_word_first() -> None:
    port = free_port()
    with serving(site_of({"grid": modbus("grid", "grid_meter", port)})) as server:
        server.show(snapshot(grid={"p_kw": -1234.5, "q_kvar": 250.25, "import_kwh": 4_294_968.5}))
        assert mbpoll(port, "3:float", 0, "-c", "2", "-B") == [-1234.5, 250.25]
        # 64 bits of Wh: the high half counts what has passed 2^32 Wh.
        assert mbpoll(port, "3:int", 5, "-c", "2", "-B") == [1, 4_294_968_500 - 2**32]


def test_mbpoll_steers_the_battery_through_its_registers() -> None:
    port = free_port()
    with serving(battery(port)) as server:
        server.show(snapshot(battery={"p_kw": 0.0}))
        run(
            "mbpoll",
            "-m",
            "tcp",
            "-p",
            str(port),
            "-a",
            "1",
            "-t",
            "4:int",
            "-0",
            "-r",
            "40",
            "127.0.0.1",
            "--",
            "100000",
        )
        (taken,) = server.take_commands()
        assert (taken.setpoint, taken.value) == ("p_kw", -1000.0)


def test_a_second_client_and_ours_share_one_server() -> None:
    port = free_port()
    site = battery(port)
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(battery={"p_kw": 12.34}))
        read_until(plant, lambda image: not image.lost)
        client = ModbusClient(host="127.0.0.1", port=port, unit_id=1, timeout=PATIENCE_S)
        for _ in range(20):
            assert client.read_input_registers(100, 2) == [(-1234) & 0xFFFF, 0xFFFF]
            assert plant.read(NOON).readings["battery.p_kw"].value == 12.34
        client.close()


@contextmanager
def foreign_server(words: Sequence[int]) -> Iterator[ModbusServer]:
    server = ModbusServer("127.0.0.1", free_port(), no_block=True)
    server.start()
    server.data_bank.set_input_registers(100, words)
    try:
        yield server
    finally:
        server.stop()


def test_our_client_reads_and_steers_a_server_that_we_did_not_write() -> None:
    with (
        foreign_server([0xFB2E, 0xFFFF, 0, 0x8000, 4321, 0xFFFF]) as server,
        controlling(battery(server.port)) as plant,
    ):
        image = read_until(plant, lambda image: not image.lost)
        assert image.readings["battery.p_kw"].value == 12.34
        assert image.readings["battery.soc"].value == pytest.approx(0.4321)
        assert "battery.q_kvar" not in image.readings, "the sentinel is no value"
        assert "battery.v_pu" not in image.readings
        (receipt,) = plant.apply([command("battery", "p_kw", -812.34)], NOON)
        assert (receipt.outcome, receipt.read_back) == (Outcome.APPLIED, -812.34)
        assert server.data_bank.get_holding_registers(40, 3) == [81234 & 0xFFFF, 81234 >> 16, 7]


@pytest.fixture
def mosquitto() -> Iterator[Mosquitto]:
    broker = Mosquitto()
    broker.start()
    yield broker
    broker.stop()


def hall_site(broker: Mosquitto, username: str | None = None, password_file: str | None = None) -> Site:
    devices = {"hall": TinyDevice(1000, "limit_kw", 600)}
    login = Broker(port=broker.port, topic_prefix="t", username=username, password_file=password_file)
    return site_of({"hall": HALL}, devices, login)


def test_everything_works_over_a_broker_that_we_did_not_write(mosquitto: Mosquitto) -> None:
    site = hall_site(mosquitto)
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(**SHOWN))
        image = read_until(plant, lambda image: not image.lost)
        assert image.readings["hall.p_kw"].value == 700.0
        (receipt,) = plant.apply([command("hall", "limit_kw", 650)], NOON)
        assert (receipt.outcome, receipt.read_back) == (Outcome.APPLIED, 650)


def test_mosquitto_sub_hears_a_state_and_mosquitto_pub_gives_an_order(mosquitto: Mosquitto) -> None:
    with serving(hall_site(mosquitto)) as server:
        server.show(snapshot(**SHOWN))
        place = ("-h", "127.0.0.1", "-p", str(mosquitto.port))
        heard = json.loads(run("mosquitto_sub", *place, "-t", "t/hall/state", "-C", "1", "-W", "60"))
        assert heard == {"at": "2026-06-01T12:00:00+00:00", "p_kw": 700.0, "limit_kw": 900.0}
        order = {"id": "me", "setpoint": "limit_kw", "value": 5000, "valid_until": "2026-06-01T14:01:00+02:00"}
        run("mosquitto_pub", *place, "-q", "1", "-t", "t/hall/command", "-m", json.dumps(order))
        taken: list[Command] = []

        def obeyed() -> bool:
            taken.extend(server.take_commands())
            return bool(taken)

        until(obeyed)
        assert (taken[0].value, taken[0].valid_until) == (1000.0, NOON + timedelta(minutes=1))


def test_a_state_from_mosquitto_pub_is_read(mosquitto: Mosquitto) -> None:
    with controlling(hall_site(mosquitto), clock=SystemClock()) as plant:
        read_until(plant, lambda image: "nothing heard" in image.lost["hall"])
        message = json.dumps({"at": "2026-06-01T12:00:00Z", "p_kw": 1.5, "limit_kw": 2})
        run("mosquitto_pub", "-h", "127.0.0.1", "-p", str(mosquitto.port), "-t", "t/hall/state", "-m", message)
        image = read_until(plant, lambda image: not image.lost)
        assert (image.readings["hall.p_kw"].value, image.readings["hall.p_kw"].quality) == (1.5, Quality.GOOD)


def test_a_killed_mosquitto_is_survived_by_both_sides(mosquitto: Mosquitto) -> None:
    site = hall_site(mosquitto)
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(**SHOWN))
        read_until(plant, lambda image: not image.lost)
        mosquitto.stop()
        read_until(plant, lambda image: "hall" in image.lost)
        server.show(snapshot(**SHOWN))
        mosquitto.start()

        def back() -> bool:
            server.show(snapshot(**SHOWN))
            return not plant.read(NOON).lost

        until(back)
        (receipt,) = plant.apply([command("hall", "limit_kw", 650)], NOON)
        assert receipt.outcome is Outcome.APPLIED


def test_an_order_that_a_broker_took_to_its_grave_is_not_sent_again(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = hall_site(mosquitto)
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(**SHOWN))
        read_until(plant, lambda image: not image.lost)
        mosquitto.freeze()
        monkeypatch.setattr("twin.telemetry.live_plant.RECEIPT_TIMEOUT_S", 0.3)
        (receipt,) = plant.apply([command("hall", "limit_kw", 111)], NOON)
        assert receipt.outcome is Outcome.LOST
        mosquitto.stop()
        mosquitto.start()

        def confirmed() -> bool:
            return plant.apply([command("hall", "limit_kw", 650)], NOON)[0].outcome is Outcome.APPLIED

        until(confirmed)
        assert {taken.value for taken in server.take_commands()} == {650}


def test_a_refused_login_is_said_and_a_right_one_is_taken(mosquitto: Mosquitto, tmp_path: Path) -> None:
    mosquitto.stop()
    passwords, good, bad = tmp_path / "passwords", tmp_path / "good", tmp_path / "bad"
    good.write_text("right\n")
    bad.write_text("wrong\n")
    passwords.touch(0o600)
    run("mosquitto_passwd", "-b", str(passwords), "operator", "right")
    mosquitto.start(
        f"user root\nlistener {mosquitto.port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\n", tmp_path
    )
    site_path = tmp_path / "site.yaml"
    for refused in (hall_site(mosquitto), hall_site(mosquitto, "operator", "bad")):
        with controlling(refused, site_path, SystemClock()) as plant:
            image = read_until(plant, lambda image: "not connected yet" not in image.lost["hall"])
            assert re.search(r"the broker refuses the connection: .*([Aa]uthori|password)", image.lost["hall"])
    site = hall_site(mosquitto, "operator", "good")
    with serving(site, site_path) as server, controlling(site, site_path) as plant:
        server.show(snapshot(**SHOWN))
        last: Snapshot = read_until(plant, lambda image: not image.lost)
        assert last.readings["hall.p_kw"].value == 700.0
