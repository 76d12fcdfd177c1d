"""What a map says is what is asked of a device, and what is written to it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.twin.telemetry.telemetry_rig import (
    NOON,
    Request,
    ScriptedDevice,
    TinyDevice,
    command,
    controlling,
    free_port,
    modbus,
    read_until,
    scripted,
    serving,
    site_of,
    snapshot,
)
from twin.points import Outcome, Quality, Receipt, Snapshot
from twin.telemetry.device_server import PlantServer
from twin.telemetry.live_plant import LivePlant

pytestmark = pytest.mark.sockets

EVERYTHING = """\
title: a device with a bit of everything
address_base: 1
points:
  p_kw:
    sum:
      - {table: input, address: 1, type: int32, word_order: little, unit: W}
      - {table: input, address: 3, type: int32, word_order: little, unit: W}
    into_device: negative
    min: -100
    max: 100
  q_kvar: {table: holding, address: 30, type: int16, unit: var, scale_factor: {address: 31}, into_device: positive,
           min: -90, max: 90, sentinel: 0x8000}
  soc: {table: input, address: 9, type: uint16, byte_order: little, unit: "%", scale: 0.1, min: 0, max: 1}
  running: {table: discrete, address: 18, type: bit, min: 0, max: 1}
  l1_v: {table: input, address: 20, type: float64, unit: V, min: 0, max: 300}
details:
  breaker_count: {table: coil, address: 3, type: bit, min: 0, max: 1}
  alarm_count: {table: input, address: 40, type: bit, bit: 5, min: 0, max: 1}
  warning_count: {table: input, address: 40, type: bit, bit: 6, min: 0, max: 1}
texts: {serial: {table: holding, address: 100, type: string, length: 8}}
"""


def site_path(tmp_path: Path, text: str) -> Path:
    (tmp_path / "device.yaml").write_text(text, encoding="utf-8")
    return tmp_path / "site.yaml"


@contextmanager
def both_ends(path: Path, device: TinyDevice | None = None) -> Iterator[tuple[PlantServer, LivePlant]]:
    site = site_of({"link": modbus("device", "device.yaml", free_port())}, {"device": device} if device else None)
    with serving(site, path) as server, controlling(site, path) as plant:
        yield server, plant


def test_coils_bits_orders_formulas_and_scale_factors_go_round(tmp_path: Path) -> None:
    shown = {"p_kw": -12.345, "q_kvar": 6.5, "soc": 0.505, "running": 1.0, "l1_v": 230.25}
    details = {"breaker_count": 1.0, "alarm_count": 0.0, "warning_count": 1.0}
    with both_ends(site_path(tmp_path, EVERYTHING)) as (server, plant):
        server.show(snapshot(device=shown | details))
        image = read_until(plant, lambda image: not image.lost)
        for name, value in (shown | details).items():
            reading = image.readings[f"device.{name}"]
            assert reading.quality is Quality.GOOD, name
            assert reading.value == pytest.approx(value, abs=1e-9), name
        assert "device.serial" not in image.readings


def test_bits_that_a_map_does_not_name_are_not_there(tmp_path: Path) -> None:
    served, asked = tmp_path / "served", tmp_path / "asked"
    served.mkdir()
    asked.mkdir()
    other = EVERYTHING.replace("table: coil, address: 3", "table: coil, address: 2")
    site = site_of({"link": modbus("device", "device.yaml", free_port())})
    with serving(site, site_path(served, EVERYTHING)) as server, controlling(site, site_path(asked, other)) as plant:
        server.show(snapshot(device={"p_kw": 1.0, "breaker_count": 1.0}))
        assert "device.breaker_count" not in read_until(plant, lambda image: image.readings).readings


def replies(words: dict[int, int], refused: tuple[int, ...] = ()) -> "Answer":
    return Answer(words, refused)


class Answer:
    """A device with one table of registers, which refuses some functions."""

    def __init__(self, words: dict[int, int], refused: tuple[int, ...]) -> None:
        self.words, self.refused = words, refused
        self.log: list[tuple[int, int, list[int]]] = []

    def __call__(self, request: Request) -> bytes:
        if request.function in self.refused:
            return request.exception(3)
        if request.function in (6, 16):
            at = 4 if request.function == 6 else 7 - 2
            content = request.body[2:4] if request.function == 6 else request.body[at:]
            written = [int.from_bytes(content[i : i + 2], "big") for i in range(0, len(content), 2)]
            self.log.append((request.function, request.address, written))
            self.words |= {request.address + index: word for index, word in enumerate(written)}
            return request.reply(request.body[:4])
        count = request.count
        return request.registers(*(self.words.get(request.address + index, 0) for index in range(count)))


METER = """\
title: a steered device
address_base: 0
points:
  p_kw: {table: holding, address: 0, type: int16, into_device: positive, min: -50, max: 50}
"""


@contextmanager
def steered(path: Path, answer: Answer) -> Iterator[tuple[ScriptedDevice, LivePlant]]:
    with (
        scripted(answer) as device,
        controlling(site_of({"link": modbus("device", "device.yaml", device.port)}), path) as plant,
    ):
        read_until(plant, lambda image: not image.lost)
        yield device, plant


def apply(plant: LivePlant, value: float, name: str = "p_kw") -> Receipt:
    return plant.apply([command("device", name, value)], NOON)[0]


def test_one_register_is_written_with_the_function_the_map_says(tmp_path: Path) -> None:
    """A device that answers exception 3 to function 16 takes function 6."""
    setpoint = (
        "setpoint: {name: p_kw, table: holding, address: 10, type: int16, into_device: negative, unit: W, scale: 100,"
        " min: -50, max: 50, dead_man_s: 60, step: 5%s}\n"
    )
    refusing = replies({}, refused=(16,))
    with steered(site_path(tmp_path, METER + setpoint % ""), refusing) as (_, plant):
        receipt = apply(plant, 10)
        assert (receipt.outcome, "illegal value writing holding 10" in receipt.detail) == (Outcome.REJECTED, True)
    taking = replies({}, refused=(16,))
    with steered(site_path(tmp_path, METER + setpoint % ", function: 6"), taking) as (_, plant):
        receipt = apply(plant, 11.0)
        assert (receipt.outcome, receipt.read_back) == (Outcome.APPLIED, 10.0)
        assert apply(plant, 80.0).outcome is Outcome.CLIPPED
    assert taking.log == [(6, 10, [0x10000 - 100]), (6, 10, [0x10000 - 500])]


FULL = (
    METER
    + """\
setpoint:
  name: p_kw
  table: holding
  address: 10
  type: int32
  into_device: positive
  min: -50
  max: 50
  timeout_s: {table: holding, address: 14, type: uint16, unit: min, min: 60, max: 600}
  read_back: {table: input, address: 20, type: int16, unit: W, scale: 100, into_device: positive}
  before: [{table: holding, address: 16, type: uint16, value: 3}]
  after: [{table: holding, address: 17, type: uint16, value: 1}]
  release: [{table: holding, address: 16, type: uint16, value: 0}]
"""
)


def test_a_setpoint_with_all_that_belongs_to_it_is_written_in_order_and_given_back(tmp_path: Path) -> None:
    answer = replies({20: 70})
    with steered(site_path(tmp_path, FULL), answer) as (_, plant):
        first = apply(plant, 7.0)
        assert first.outcome is Outcome.APPLIED
        assert first.read_back == pytest.approx(7.0)
        answer.words[20] = 120
        assert apply(plant, 12.0).outcome is Outcome.APPLIED
        stuck = apply(plant, 20.0)
        assert (stuck.outcome, stuck.detail) == (Outcome.CLIPPED, "sent 20, reads back 12")
    places = [address for _, address, _ in answer.log]
    # Seven seconds of validity are one minute of its timer; timer and mode are known from then on.
    assert places == [14, 16, 10, 17, 10, 17, 10, 17, 16]
    assert answer.log[0] == (16, 14, [1])
    assert answer.log[-1] == (16, 16, [0])


def test_a_device_that_was_not_steered_is_left_alone_at_the_end(tmp_path: Path) -> None:
    answer = replies({})
    with steered(site_path(tmp_path, FULL), answer):
        pass
    assert not answer.log


BATTERY = """\
title: a battery with modes
address_base: 0
points:
  p_kw: {table: input, address: 0, type: int16, unit: W, scale: 10, into_device: negative, min: -50, max: 50}
setpoint:
  name: p_kw
  min: -50
  max: 50
  dead_man_s: 60
  above_zero:
    - {table: holding, address: 40, type: uint16, value: 1}
    - {table: holding, address: 41, type: uint16, unit: W, into_device: positive, value: setpoint}
  below_zero:
    - {table: holding, address: 40, type: uint16, value: 2}
    - {table: holding, address: 42, type: uint16, unit: W, into_device: negative, value: setpoint}
  at_zero:
    - {table: holding, address: 40, type: uint16, value: 0}
  release:
    - {table: holding, address: 40, type: uint16, value: 9}
"""


def test_modes_are_written_by_the_sign_of_the_setpoint(tmp_path: Path) -> None:
    answer = replies({})
    with steered(site_path(tmp_path, BATTERY), answer) as (_, plant):
        assert apply(plant, 5.0).read_back == pytest.approx(5.0)
        apply(plant, 6.0)
        assert apply(plant, -7.5).read_back == pytest.approx(-7.5)
        assert apply(plant, 0.0).outcome is Outcome.APPLIED
    written = [(address, words[0]) for _, address, words in answer.log]
    assert written == [(40, 1), (41, 5000), (41, 6000), (40, 2), (42, 7500), (40, 0), (40, 9)]


def test_an_emulated_device_obeys_its_modes_and_its_fixed_dead_man(tmp_path: Path) -> None:
    with both_ends(site_path(tmp_path, BATTERY), TinyDevice(rated_kw=20.0, setpoint="p_kw")) as (server, plant):
        server.show(snapshot(device={"p_kw": 0.0}))
        read_until(plant, lambda image: not image.lost)
        for value in (5.0, -7.5, 0.0):
            assert apply(plant, value).outcome is Outcome.APPLIED
            taken = server.take_commands()[-1]
            assert taken.value == pytest.approx(value)
            assert (taken.valid_until - NOON).total_seconds() == 60
        assert apply(plant, 30.0).outcome is Outcome.REJECTED, "beyond its rated power"


def test_a_register_that_cannot_be_read_back_is_not_read_back(tmp_path: Path) -> None:
    setpoint = (
        "setpoint: {name: p_kw, table: holding, address: 10, type: int16, into_device: positive, min: -50, max: 50,"
        " at_loss: holds, verify: false}\n"
    )
    answer = replies({})
    with steered(site_path(tmp_path, METER + setpoint), answer) as (device, plant):
        receipt = apply(plant, 3.0)
        assert (receipt.outcome, receipt.read_back, receipt.detail) == (Outcome.APPLIED, None, "not read back")
        assert not [request for request in device.requests if request.address == 10 and not request.is_write]


def test_a_setpoint_with_a_scale_factor_is_written_by_what_the_device_has_there(tmp_path: Path) -> None:
    setpoint = (
        "setpoint: {name: limit_kw, table: holding, address: 10, type: int16, unit: W, scale_factor: {address: 12},"
        " min: 0, max: 50, dead_man_s: 60}\n"
    )
    answer = replies({12: 2})
    with steered(site_path(tmp_path, METER + setpoint), answer) as (_, plant):
        assert apply(plant, 5.0, "limit_kw").read_back == pytest.approx(5.0)
        answer.words[12] = 0x8000
        assert "no scale factor" in apply(plant, 5.0, "limit_kw").detail
    assert answer.log == [(16, 10, [50])]


def test_a_slow_group_is_read_at_its_own_pace_and_keeps_its_instant(tmp_path: Path) -> None:
    grouped = METER + "  soc: {table: holding, address: 9, type: uint16, min: 0, max: 1, group: slow}\n"
    answer = replies({9: 1})
    with steered(site_path(tmp_path, grouped + "groups: {slow: {period_s: 20}}\n"), answer) as (device, plant):
        before = len([request for request in device.requests if request.address == 9])
        for _ in range(3):
            image = plant.read(NOON)
            assert image.readings["device.soc"].value == 1
            assert not image.lost
        assert len([request for request in device.requests if request.address == 9]) == before == 1


def value_of(image: Snapshot, name: str) -> tuple[float, Quality]:
    reading = image.readings[f"device.{name}"]
    return float(reading.value), reading.quality


def test_a_jump_that_no_device_can_make_is_not_believed_once(tmp_path: Path) -> None:
    text = METER.replace("max: 50}", "max: 50, max_rate_per_s: 0.001}")
    answer = replies({0: 10})
    with steered(site_path(tmp_path, text), answer) as (_, plant):
        assert value_of(plant.read(NOON), "p_kw") == (10.0, Quality.GOOD)
        answer.words[0] = 40
        spike = plant.read(NOON).readings["device.p_kw"]
        assert (spike.value, spike.quality) == (10.0, Quality.BAD)
        assert "jumped by 30 within" in spike.reason
        assert value_of(plant.read(NOON), "p_kw") == (40.0, Quality.GOOD)


def test_a_code_that_a_map_does_not_know_is_said(tmp_path: Path) -> None:
    text = METER + "  running: {table: holding, address: 3, type: uint16, enumeration: {2: 0, 4: 1}, min: 0, max: 1}\n"
    answer = replies({3: 4})
    with steered(site_path(tmp_path, text), answer) as (_, plant):
        assert value_of(plant.read(NOON), "running") == (1.0, Quality.GOOD)
        answer.words[3] = 9
        assert plant.read(NOON).readings["device.running"].reason == "the code 9 is none of its 2"


def test_several_unit_ids_short_reads_and_pauses(tmp_path: Path) -> None:
    text = METER.replace("address_base: 0", "address_base: 0\nmax_registers: 2\npause_s: 0.05") + (
        "  q_kvar: {table: holding, address: 1, type: int16, into_device: positive, min: -50, max: 50}\n"
        "  l1_v: {table: holding, address: 2, type: uint16, min: 0, max: 300}\n"
        "  soc: {table: holding, address: 3, type: uint16, unit_id: 7, min: 0, max: 1}\n"
    )
    with steered(site_path(tmp_path, text), replies({})) as (device, plant):
        begin_s, before = time.monotonic(), len(device.requests)
        plant.read(NOON)
        asked = [(request.unit, request.address, request.count) for request in device.requests[before:]]
        assert asked == [(1, 0, 2), (1, 2, 1), (7, 3, 1)]
        assert time.monotonic() - begin_s >= 0.15
