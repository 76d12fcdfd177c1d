"""Probing a device that nobody told us about: a server that we did not write, and simulated SunSpec devices."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from pyModbusTCP.server import DataBank, ModbusServer
from rich.console import Console

from agents.probe import Pace, probe
from agents.probe_address import probe_address
from agents.probe_guess import Guess, guesses
from tests.twin.telemetry.sunspec_rig import RATED_1000_KW, SETTINGS_704, device_of
from tests.twin.telemetry.telemetry_rig import free_port
from twin.errors import InputError, LinkError
from twin.telemetry.io_thread import IoThread
from twin.telemetry.register_map import read_map
from twin.telemetry.sunspec_server import ServedSunSpec, served

pytestmark = pytest.mark.sockets
QUICK = Pace(timeout_s=2.0, pause_s=0.0, apart_s=0.0)


def floats(*values: float) -> list[int]:
    return [word for value in values for word in struct.unpack(">HH", struct.pack(">f", value))]


def low_first(*values: float) -> list[int]:
    words = floats(*values)
    return [words[i + 1 - 2 * (i % 2)] for i in range(len(words))]


def at(start: int, words: list[int]) -> dict[int, int]:
    return dict(enumerate(words, start))


def kinds(found: tuple[Guess, ...]) -> list[tuple[int, str, str]]:
    return [(guess.address, guess.type, guess.word_order) for guess in found]


def test_floats_are_recognised_in_both_word_orders() -> None:
    for words, order in ((floats, "big"), (low_first, "little")):
        samples = [at(7, words(230.1 + i, -12.5 + 0.3 * i, 50.02, 0.97)) for i in (0.0, 0.1, 0.2)]
        found = guesses(samples)
        assert kinds(found) == [(address, "float32", order) for address in (7, 9, 11, 13)]
        assert [guess.unit for guess in found] == ["V", None, "Hz", None]


def test_the_low_word_of_a_counter_moves_before_the_high_one() -> None:
    samples = [at(0, [5, 1000 + 40 * i]) for i in range(3)]
    assert kinds(guesses(samples)) == [(0, "int32", "big")]
    turned = [{0: words[1], 1: words[0]} for words in samples]
    assert kinds(guesses(turned)) == [(0, "int32", "little")]


def test_small_numbers_side_by_side_are_not_one_large_number() -> None:
    found = guesses([at(0, [2301, 5001, 65486, 10013])])
    assert kinds(found) == [(0, "uint16", "big"), (1, "uint16", "big"), (2, "int16", "big"), (3, "uint16", "big")]
    assert [guess.words for guess in found] == ["230.1 V", "50.01 Hz", "-50", "1.0013 pu"]


def test_a_text_is_read_as_one() -> None:
    words = list(struct.unpack(">8H", b"Meter UMG 604\0\0\0"))
    text, *rest = guesses([at(0, words)])
    assert (text.type, text.text, [guess.values[0] for guess in rest]) == ("string", "Meter UMG 604", [0.0])


@contextmanager
def foreign() -> Iterator[int]:
    """A server of pyModbusTCP: a three-phase meter in floats, its text, and a power in kW."""
    bank, port = DataBank(h_regs_size=120, i_regs_size=120), free_port()
    bank.set_holding_registers(10, floats(230.4, 229.8, 231.1, -12.5, 50.02))
    bank.set_input_registers(50, list(struct.unpack(">6H", b"Meter UMG604")))
    server = ModbusServer("127.0.0.1", port, no_block=True, data_bank=bank)
    server.start()
    try:
        yield port
    finally:
        server.stop()


def probed(text: str) -> tuple[str, str]:
    """What is shown, and the draft."""
    console = Console(width=160, record=True, file=StringIO())
    draft = probe(probe_address(text), console, lambda _words: None, QUICK)
    return console.export_text(), draft


def test_a_foreign_server_is_shown_and_its_draft_is_a_map_once_decided(tmp_path: Path) -> None:
    with foreign() as port:
        shown, draft = probed(f"modbus://127.0.0.1:{port}?unit=1&from=0&to=130")
    assert "holding: 0..119 readable" in shown
    assert "120..129: illegal address" in shown
    for words in ("float32 230.4 V", "float32 50.02 Hz", "float32 -12.5", "'Meter UMG604'"):
        assert words in shown
    assert "# 50.02 Hz" in draft
    path = tmp_path / "draft.yaml"
    path.write_text(draft)
    registers = read_map(path)
    assert set(registers.points) > {"l1_v", "l2_v", "l3_v", "frequency_hz"}


def test_a_power_is_left_undecided_and_refused_until_it_is_decided(tmp_path: Path) -> None:
    from agents.probe_draft import drafted

    found = guesses([at(0, floats(-12.5 + 0.1 * i, 231.0)) for i in range(3)])
    text = drafted("meter", (), {"input": found})
    assert "unit: unknown, into_device: unknown" in text
    path = tmp_path / "draft.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match="unknown"):
        read_map(path)
    path.write_text(text.replace("unit: unknown, into_device: unknown", "unit: kW, into_device: negative"))
    assert read_map(path).points["p_kw"].into_device == "negative"


@contextmanager
def sunspec_units() -> Iterator[int]:
    inverter = device_of({1: {"Mn": "gridhelm", "SN": "1"}, 701: {"W": -400_000, "W_SF": 2}, 702: RATED_1000_KW,
                          704: SETTINGS_704})  # fmt: skip
    meter = device_of({1: {"Mn": "gridhelm", "SN": "2"}, 203: {"W": 2500, "W_SF": 0}}, 0)
    port, io = free_port(), IoThread("served-sunspec")
    server = served("127.0.0.1", port, [ServedSunSpec(1, inverter), ServedSunSpec(2, meter)])
    io.run(server.open())
    try:
        yield port
    finally:
        io.run(server.close())
        io.close()


def test_sunspec_units_are_shown_with_units_and_what_is_to_be_decided() -> None:
    with sunspec_units() as port:
        shown, draft = probed(f"sunspec://127.0.0.1:{port}?unit=1-2")
        plain, _ = probed(f"modbus://127.0.0.1:{port}?unit=2&table=holding&to=8")
    assert "model 701" in shown
    assert "-400000" in shown
    assert "p_kw 400" in shown
    assert "whether import is positive or negative in this meter is not stated" in shown
    assert "protocol: sunspec, host: 127.0.0.1" in draft.replace('"', "")
    assert "meter_import: unknown" in draft
    assert "steered by model 704" in draft
    assert "speaks SunSpec (SunS at 0)" in plain


def test_a_dead_host_and_a_wrong_unit_get_words() -> None:
    with pytest.raises(LinkError, match=r"connection refused.*502"):
        probed(f"modbus://127.0.0.1:{free_port()}?unit=1")
    with sunspec_units() as port, pytest.raises(LinkError, match=r"no unit answers \(unit 7: .*unit=1-247"):
        probed(f"modbus://127.0.0.1:{port}?unit=7")


def test_rtu_frames_over_tcp() -> None:
    from pymodbus import FramerType
    from pymodbus.server import ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    port, io = free_port(), IoThread("served-rtu")

    async def serve() -> ModbusTcpServer:
        device = SimDevice(id=3, simdata=SimData(0, values=floats(230.4, 49.98), datatype=DataType.REGISTERS))
        server = ModbusTcpServer(device, framer=FramerType.RTU, address=("127.0.0.1", port))
        await server.serve_forever(background=True)
        return server

    server = io.run(serve())
    try:
        shown, _ = probed(f"modbus-rtu-over-tcp://127.0.0.1:{port}?unit=3&table=holding&to=6")
        assert "float32 49.98 Hz" in shown
        assert "4..5: illegal address" in shown
    finally:
        io.run(server.shutdown())  # type: ignore[no-untyped-call]
        io.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("modbs://host", "modbus:// or modbus-rtu-over-tcp:// or sunspec://"),
        ("modbus://", "a host"),
        ("modbus://host:99999", "a port from 1 to 65535"),
        ("modbus://host?unti=1", "unit"),
        ("modbus://host?unit=300", "0 to 255"),
        ("modbus://host?table=holdings", "holding"),
        ("modbus://host?from=9&to=3", "from below to"),
    ],
)
def test_a_wrong_address_says_what_is_expected(text: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        probe_address(text)


def test_the_time_is_bounded() -> None:
    console = Console(width=160, record=True, file=StringIO())
    with foreign() as port:
        where = probe_address(f"modbus://127.0.0.1:{port}?unit=1")
        probe(where, console, lambda _words: None, Pace(timeout_s=2.0, pause_s=0.0, apart_s=0.0, limit_s=0.0))
    assert "the time was up at holding 0" in console.export_text()
