"""pysunspec2, the SunSpec Alliance's own client, which we did not write, reads and steers what we serve.

It is installed from the package index into an environment of its own; where the index cannot be reached, the
tests are skipped and say so.
"""

import json
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.twin.telemetry.sunspec_rig import (
    NOON,
    RATED_1000_KW,
    SETTINGS_123,
    SETTINGS_124,
    SETTINGS_704,
    after,
    device_of,
    filled,
)
from tests.twin.telemetry.telemetry_rig import PATIENCE_S, free_port
from twin.points import Snapshot
from twin.telemetry.io_thread import IoThread
from twin.telemetry.modbus_server import ServedGateway
from twin.telemetry.sunspec_codec import Contents, value_places
from twin.telemetry.sunspec_device import SunSpecDevice
from twin.telemetry.sunspec_model import known_models, load_model, repeating_groups
from twin.telemetry.sunspec_server import ServedSunSpec, served
from twin.telemetry.sunspec_types import Scalar

pytestmark = pytest.mark.sockets
REQUIREMENTS = ("pysunspec2==1.3.7", "pyserial==3.5")
CLIENT = Path(__file__).with_name("pysunspec2_client.py")
UNREACHABLE = ("(from versions: none)", "ConnectionError", "timed out", "Temporary failure in name resolution")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds pysunspec2 and nothing of ours."""
    folder = tmp_path_factory.mktemp("pysunspec2")
    venv.create(folder, with_pip=False)
    interpreter = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(interpreter), "--disable-pip-version-check", "--retries", "1"]
    done = subprocess.run([*pip, "install", "--quiet", *REQUIREMENTS], capture_output=True, text=True, check=False)
    if done.returncode and any(sign in done.stderr for sign in UNREACHABLE):
        pytest.skip(f"pysunspec2 cannot be had, the package index is not reachable: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stderr
    return interpreter


@contextmanager
def on_a_port(device: SunSpecDevice) -> Iterator[tuple[int, IoThread, ServedGateway]]:
    port, io = free_port(), IoThread("sunspec-server")
    server = served("127.0.0.1", port, [ServedSunSpec(1, device)])
    io.run(server.open())
    try:
        yield port, io, server
    finally:
        io.run(server.close())
        io.close()


def pysunspec2(python: Path, port: int, *arguments: str) -> str:
    done = subprocess.run(
        [python, "-I", CLIENT, str(port), *arguments],
        capture_output=True,
        text=True,
        timeout=6 * PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def served_values(model_id: int) -> Mapping[str, Scalar]:
    """Every point of a model, a seventh of them not implemented."""
    model = load_model(model_id)
    # A group that is counted 0 times is, to pysunspec2, one that fills what room is left.
    values = filled(model, 2026 + model_id, fewest=1)
    needed = {str(repeats) for repeats in repeating_groups(model).values()}
    return {
        path: value
        for number, (path, value) in enumerate(values.items())
        if number % 7 or path in needed or path.endswith("_SF")
    }


def test_every_point_of_every_model_is_what_pysunspec2_reads(python: Path) -> None:
    device = device_of({model_id: served_values(model_id) for model_id in known_models()})
    with on_a_port(device) as (port, _, _):
        told: Sequence[Mapping[str, Any]] = json.loads(pysunspec2(python, port, "read"))
    assert [model["id"] for model in told] == list(known_models())
    compared = absent = 0
    for model in told:
        ours = device.contents(model["id"])
        assert (model["address"], model["error"]) == (ours.address, "")
        paths = {place.path for place in value_places(ours.places)}
        theirs = {path: value for path, value in model["points"].items() if path in paths}
        assert set(theirs) == paths
        for path, value in theirs.items():
            assert same(ours, path, value), f"{model['id']} {path}: {ours.values.get(path)} here, {value} there"
            compared, absent = compared + 1, absent + (value is None)
    assert compared > 1200
    assert absent > 100


def same(ours: Contents, path: str, theirs: Any) -> bool:
    value = ours.values.get(path)
    # Theirs multiplies by a power of ten as a float, and rounds.
    return bool(value == theirs or (isinstance(value, float | int) and theirs == pytest.approx(value, rel=1e-9)))


POWER = [("WSetRvrtTms", 30), ("WSetMod", 1), ("WSet", -250_000), ("WSetEna", 1)]
LIMIT = [("WMaxLimPct_RvrtTms", 30), ("WMaxLimPct", 12.5), ("WMaxLim_Ena", 1)]
STORAGE = [("InOutWRte_RvrtTms", 30), ("OutWRte", 40), ("InWRte", -40), ("StorCtl_Mod", 3)]


@pytest.mark.parametrize(
    ("models", "model_id", "settings", "p_kw"),
    [
        pytest.param({702: RATED_1000_KW, 704: SETTINGS_704}, 704, POWER, 250.0, id="704"),
        pytest.param({121: {"WMax": 1_000_000, "WMax_SF": 2}, 123: SETTINGS_123}, 123, LIMIT, -125.0, id="123"),
        pytest.param({124: SETTINGS_124}, 124, STORAGE, -200.0, id="124"),
    ],
)
def test_a_device_obeys_pysunspec2_and_lets_go_when_it_is_gone(
    python: Path,
    models: Mapping[int, Mapping[str, Scalar]],
    model_id: int,
    settings: list[tuple[str, Scalar]],
    p_kw: float,
) -> None:
    device = device_of(models)
    with on_a_port(device) as (port, io, server):
        io.run(server.show(Snapshot(now=NOON, readings={})))
        assert device.p_kw(-300) == -300
        pysunspec2(python, port, "write", str(model_id), json.dumps(settings))
        assert device.p_kw(-300) == pytest.approx(p_kw)
        io.run(server.show(Snapshot(now=after(29), readings={})))
        assert device.p_kw(-300) == pytest.approx(p_kw)
        io.run(server.show(Snapshot(now=after(30), readings={})))
        assert device.p_kw(-300) == -300
