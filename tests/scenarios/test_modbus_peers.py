"""Libraries that we did not write, at both ends: modbus-tk serves us, over TCP and a serial line; Node asks us.

Each is installed from its package index into a folder of its own; where the index cannot be reached, its tests are
skipped and say so. mbpoll and pyModbusTCP are in `tests/twin/telemetry/test_peers.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tty
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.twin.telemetry.modbus_rig import serial_link
from tests.twin.telemetry.telemetry_rig import (
    NOON,
    PATIENCE_S,
    TinyDevice,
    command,
    controlling,
    free_port,
    modbus,
    read_until,
    serving,
    site_of,
    snapshot,
)
from twin.points import Outcome
from twin.telemetry.config import Link
from twin.telemetry.io_thread import IoThread

pytestmark = pytest.mark.sockets
HERE = Path(__file__).parent
TK = ("modbus-tk==1.1.5", "pyserial==3.5")
NODE = "modbus-serial@8.0.25"
UNREACHABLE = (
    "(from versions: none)",
    "ConnectionError",
    "timed out",
    "Temporary failure in name resolution",
    "ENOTFOUND",
    "EAI_AGAIN",
    "ETIMEDOUT",
    "ECONNREFUSED",
)
BATTERY = {"battery": TinyDevice(2500, "p_kw")}


def install(*arguments: str, cwd: Path | None = None) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=cwd, timeout=300)
    if done.returncode and any(sign in done.stderr for sign in UNREACHABLE):
        pytest.skip(f"the package index is not reachable: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def tk_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds modbus-tk and nothing of ours."""
    folder = tmp_path_factory.mktemp("modbus_tk")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--retries", "1"]
    install(*pip, "install", "--quiet", *TK)
    return python


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which Node finds modbus-serial."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node is not installed")
    folder = tmp_path_factory.mktemp("modbus_serial")
    install("npm", "install", "--no-audit", "--no-fund", "--omit=optional", NODE, cwd=folder)
    shutil.copy(HERE / "modbus_serial_client.js", folder)
    return folder


@contextmanager
def tk_server(python: Path, kind: str, where: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [python, HERE / "modbus_tk_server.py", kind, where], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process
        process.kill()


def holding(process: subprocess.Popen[str]) -> list[int]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("holding\n")
    process.stdin.flush()
    return [int(word) for word in process.stdout.readline().split()]


@contextmanager
def null_modem() -> Iterator[tuple[str, str]]:
    """Two serial ports with a cable between them."""
    pairs, io = [os.openpty() for _ in range(2)], IoThread("null-modem")
    for _, near in pairs:
        tty.setraw(near)
    (one, _), (other, _) = pairs
    for source, sink in ((one, other), (other, one)):
        io.loop.call_soon_threadsafe(io.loop.add_reader, source, _pass_on, source, sink)
    try:
        yield os.ttyname(pairs[0][1]), os.ttyname(pairs[1][1])
    finally:
        for far, _ in pairs:
            io.loop.call_soon_threadsafe(io.loop.remove_reader, far)
        io.close()
        for pair in pairs:
            os.close(pair[0])
            os.close(pair[1])


def _pass_on(source: int, sink: int) -> None:
    os.write(sink, os.read(source, 4096))


def read_and_steered(link: Link, process: subprocess.Popen[str]) -> None:
    with controlling(site_of({"battery": link}, BATTERY)) as plant:
        image = read_until(plant, lambda image: not image.lost)
        assert image.readings["battery.p_kw"].value == 12.34
        assert image.readings["battery.soc"].value == pytest.approx(0.4321)
        assert "battery.q_kvar" not in image.readings, "the sentinel is no value"
        (receipt,) = plant.apply([command("battery", "p_kw", -812.34)], NOON)
        assert (receipt.outcome, receipt.read_back) == (Outcome.APPLIED, -812.34)
        assert holding(process) == [81234 & 0xFFFF, 81234 >> 16, 7]


def test_modbus_tk_is_read_and_steered_over_tcp(tk_python: Path) -> None:
    port = free_port()
    with tk_server(tk_python, "tcp", str(port)) as process:
        read_and_steered(modbus("battery", "battery_inverter", port), process)


def test_modbus_tk_is_read_and_steered_over_a_serial_line(tk_python: Path) -> None:
    with null_modem() as (ours, theirs), tk_server(tk_python, "rtu", theirs) as process:
        # Asked again and again: the server may open its end later than we do.
        read_and_steered(serial_link("battery", "battery_inverter", ours, timeout_s=1.0), process)


def test_node_reads_and_steers_what_we_serve(node_folder: Path) -> None:
    port = free_port()
    with serving(site_of({"battery": modbus("battery", "battery_inverter", port)}, BATTERY)) as server:
        server.show(snapshot(battery={"p_kw": 12.34, "q_kvar": -5.67, "soc": 0.4321, "v_pu": 1.0123}))
        done = subprocess.run(
            ["node", "modbus_serial_client.js", str(port), "-64050"],
            capture_output=True, text=True, check=False, cwd=node_folder, timeout=3 * PATIENCE_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        seen = json.loads(done.stdout)
        assert seen["inputs"] == [(-1234) & 0xFFFF, 0xFFFF, 567, 0, 4321, 10123]
        assert seen["holding"] == [(-64050) & 0xFFFF, (-64050) >> 16 & 0xFFFF]
        (taken,) = server.take_commands()
        assert (taken.setpoint, taken.value) == ("p_kw", 640.5)
