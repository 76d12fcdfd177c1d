"""Halls whose GPUs are read from exporters, on real sockets."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.twin.telemetry.telemetry_rig import NOON, TinyDevice, command, controlling, free_port, read_until, site_of
from twin.points import Outcome, Quality, Reading
from twin.telemetry import dcgm
from twin.telemetry.dcgm_link import DcgmLink
from twin.telemetry.live_plant import LivePlant

pytestmark = pytest.mark.sockets


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dcgm, "FIRST_PAUSE_S", 0.05)


class TextServer:
    """An exporter that says whatever a test wants."""

    def __init__(self, text: str = "", status: int = 200, port: int = 0) -> None:
        self.text, self.status = text, status
        self.asked: list[Mapping[str, str]] = []
        self.energy_stands = False
        self._energy = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                outer.asked.append(dict(self.headers))
                payload = outer.present()
                self.send_response(outer.status)
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/metrics"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def present(self) -> bytes:
        self._energy += 0 if self.energy_stands else 1000
        return self.text.replace("@", str(self._energy)).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def gpus(host: str, *powers_w: float | str) -> str:
    """What an exporter says of its GPUs."""
    lines = []
    for index, power_w in enumerate(powers_w):
        labels = f'{{gpu="{index}",UUID="GPU-{host}-{index}",Hostname="{host}"}}'
        lines += [
            f"DCGM_FI_DEV_POWER_USAGE{labels} {power_w}",
            f"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{labels} @",
            f"DCGM_FI_DEV_GPU_UTIL{labels} {50 + index}",
            f"DCGM_FI_DEV_SM_CLOCK{labels} 1980",
        ]
    return "\n".join(lines) + "\n"


@contextmanager
def hall_of(tmp_path: Path, *servers: TextServer, count: int, **keys: Any) -> Iterator[LivePlant]:
    settings = {
        "protocol": "dcgm",
        "device": "hall",
        "exporters": tuple(server.address for server in servers),
        "gpu_count": count,
        "host_w_per_gpu": 250.0,
        "other_kw": 0.5,
        "points": ("p_kw", "gpu_kw", "gpu_kwh", "gpu_utilisation", "sm_clock_hz"),
        "poll_s": 0.05,
    }
    link = DcgmLink(**{**settings, **keys})
    site = site_of({"gpus": link}, {"hall": TinyDevice(10, "limit_kw")})
    with ExitStack() as stack:
        for server in servers:
            stack.callback(server.close)
        yield stack.enter_context(controlling(site, tmp_path / "site.yaml"))


def heard(plant: LivePlant, quality: Quality, point: str = "gpu_kw") -> Reading:
    def met(image: Any) -> bool:
        reading = image.readings.get(f"hall.{point}")
        return reading is not None and reading.quality is quality

    return read_until(plant, met).readings[f"hall.{point}"]


def test_a_hall_is_the_sum_of_its_gpus_and_of_what_they_stand_in(tmp_path: Path) -> None:
    servers = TextServer(gpus("a", 400, 300)), TextServer(gpus("b", 350.5))
    with hall_of(tmp_path, *servers, count=3) as plant:
        heard(plant, Quality.GOOD)
        image = plant.read(NOON)
        assert not image.lost
        values = {name: reading.value for name, reading in image.readings.items()}
        assert values["hall.gpu_kw"] == pytest.approx(1.0505)
        assert values["hall.p_kw"] == pytest.approx(1.0505 + 3 * 0.25 + 0.5)
        assert values["hall.gpu_utilisation"] == pytest.approx((0.50 + 0.51 + 0.50) / 3)
        assert values["hall.sm_clock_hz"] == pytest.approx(1.98e9)
        assert 0 < float(values["hall.gpu_kwh"]) < 1


def test_a_gpu_without_a_number_is_named_and_counted_as_before(tmp_path: Path) -> None:
    server = TextServer(gpus("a", 400, 300, 200))
    with hall_of(tmp_path, server, count=3, max_missing_fraction=0.5) as plant:
        heard(plant, Quality.GOOD)
        server.text = gpus("a", 410, "NaN", 200)
        reading = heard(plant, Quality.SUSPECT)
        assert reading.value == pytest.approx(0.41 + 0.3 + 0.2)
        assert "a GPU 1 (GPU-a-1): its exporter shows no number for it" in reading.reason
        server.text = gpus("a", 410)
        assert "no longer shows it" in heard(plant, Quality.BAD).reason


def test_an_exporter_that_is_gone_takes_its_gpus_with_it_until_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    gone = TextServer(gpus("b", 300), port=port)
    servers = TextServer(gpus("a", 400, 400)), gone
    with hall_of(tmp_path, *servers, count=3, max_missing_fraction=0.5) as plant:
        heard(plant, Quality.GOOD)
        gone.close()
        reading = heard(plant, Quality.SUSPECT)
        assert reading.value == pytest.approx(1.1)
        assert f"exporter 127.0.0.1:{port}: connection refused" in reading.reason
        back = TextServer(gpus("b", 310), port=port)
        assert heard(plant, Quality.GOOD).value == pytest.approx(1.11)
        back.close()


def test_a_gpu_that_never_showed_up_is_missed(tmp_path: Path) -> None:
    with hall_of(tmp_path, TextServer(gpus("a", 400, 300)), count=3, max_missing_fraction=0.5) as plant:
        reading = heard(plant, Quality.SUSPECT)
        assert reading.value == pytest.approx(0.7 + 0.35)
        assert "unseen GPU 2" in reading.reason


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [("<html>", 200, "not the text of a DCGM exporter"), ("", 503, "answers with status 503")],
)
def test_an_exporter_that_shows_nothing_is_lost_with_the_reason(
    tmp_path: Path, text: str, status: int, reason: str
) -> None:
    with hall_of(tmp_path, TextServer(text, status), count=1) as plant:
        image = read_until(plant, lambda image: reason in image.lost.get("hall", ""))
        assert not image.readings


def test_too_long_an_answer_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.telemetry.http_exchange.MOST_BYTES", 1_000_000)
    with hall_of(tmp_path, TextServer("#" * 1_100_000), count=1) as plant:
        read_until(plant, lambda image: "more than 1 MB" in image.lost.get("hall", ""))


def test_an_exporter_that_repeats_itself_is_frozen(tmp_path: Path) -> None:
    server = TextServer(gpus("a", 400))
    server.energy_stands = True
    with hall_of(tmp_path, server, count=1, collect_s=0.1) as plant:
        read_until(plant, lambda image: image.readings.get("hall.gpu_kw") is not None)
        assert "energy counter stands still" in heard(plant, Quality.BAD).reason
        server.energy_stands = False
        heard(plant, Quality.GOOD)


def test_a_federated_value_is_as_old_as_its_stamp(tmp_path: Path) -> None:
    stamp_ms = int(NOON.timestamp() * 1000) - 12_000
    server = TextServer(f'DCGM_FI_DEV_POWER_USAGE{{gpu="0"}} 400 {stamp_ms}\n')
    with hall_of(tmp_path, server, count=1) as plant:
        heard(plant, Quality.GOOD)
        assert plant.read(NOON).age_s("hall.gpu_kw") == pytest.approx(12.0)


def test_a_password_is_shown_where_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("open sesame\n", encoding="utf-8")
    server = TextServer(gpus("a", 400))
    with hall_of(tmp_path, server, count=1, username="u", password_file="secret.txt") as plant:
        heard(plant, Quality.GOOD)
    assert server.asked[0]["Authorization"] == "Basic dTpvcGVuIHNlc2FtZQ=="


def test_nothing_is_commanded_here(tmp_path: Path) -> None:
    with hall_of(tmp_path, TextServer(gpus("a", 400)), count=1) as plant:
        (receipt,) = plant.apply([command("hall", "limit_kw", 1.0)], NOON)
        assert receipt.outcome is Outcome.REJECTED
