"""A management controller that a test writes itself, on a real socket: the paths and the moods of several models."""

import json
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import trustme

from tests.twin.telemetry.telemetry_rig import TinyDevice, controlling, site_of
from twin.site import Site
from twin.telemetry.live_plant import LivePlant
from twin.telemetry.redfish_link import RedfishLink

USER, PASSWORD = "gridhelm", "correct horse"
ROOT = {
    "RedfishVersion": "1.15.0",
    "Chassis": {"@odata.id": "/redfish/v1/Chassis"},
    "Links": {"Sessions": {"@odata.id": "/redfish/v1/SessionService/Sessions"}},
}
SESSIONS = "/redfish/v1/SessionService/Sessions"
Resources = dict[str, dict[str, Any]]


def chassis_resources(*chassis: Mapping[str, Any]) -> Resources:
    """A service root, a collection, and chassis by their Id."""
    members = [{"@odata.id": f"/redfish/v1/Chassis/{one['Id']}"} for one in chassis]
    bodies = {f"/redfish/v1/Chassis/{one['Id']}": dict(one) for one in chassis}
    return {"/redfish/v1/": dict(ROOT), "/redfish/v1/Chassis": {"Members": members}, **bodies}


def with_metrics(power_w: float | None = 400, *, name: str = "1U", **limit: Any) -> Resources:
    """A node as the present data model has it."""
    path = f"/redfish/v1/Chassis/{name}/EnvironmentMetrics"
    resources = chassis_resources({"Id": name, "EnvironmentMetrics": {"@odata.id": path}})
    resources[path] = {"PowerWatts": {"Reading": power_w}}
    held = {"SetPoint": 900, "AllowableMin": 200, "AllowableMax": 1000, "ControlMode": "Automatic"} | limit
    resources[path]["PowerLimitWatts"] = held
    return resources


def with_power(power_w: float = 300, limit_w: float | None = None, *, name: str = "System.Embedded.1") -> Resources:
    """A node as the deprecated resource has it, with a second entry that must be left alone."""
    path = f"/redfish/v1/Chassis/{name}/Power"
    resources = chassis_resources({"Id": name, "Power": {"@odata.id": path}})
    whole = {"PowerConsumedWatts": power_w, "PowerCapacityWatts": 800, "PowerLimit": {"LimitInWatts": limit_w}}
    processor = {"Name": "CPU", "PowerLimit": {"LimitInWatts": 77}}
    resources[path] = {"PowerControl": [whole, processor]}
    return resources


@dataclass
class Moods:
    """How a controller behaves."""

    delay_s: dict[str, float] = field(default_factory=dict)
    """Method → how late its answer is."""
    refuse_below_w: float = 0.0
    clip_above_w: float = 1e9
    asks_etag: bool = False
    etag_moves: int = 0
    """How many times a reading changes the state between our question and our order."""
    read_only: tuple[str, ...] = ()
    """Paths at which nothing can be set."""
    forgets_session: bool = False
    follows_after_s: float = 0.0
    """A limit that is accepted reads back only then."""
    gone: bool = False
    """It hangs up on every question."""


class StandIn:
    """One controller. `requests` holds method, path and body of everything that was asked."""

    def __init__(self, resources: Resources, server_certificate: trustme.LeafCert) -> None:
        self.resources = deepcopy(resources)
        self.moods = Moods()
        self.requests: list[tuple[str, str, Any]] = []
        self.state = 0
        self.tokens: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_certificate.configure_cert(context)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.address = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def orders(self) -> list[Any]:
        return [body for method, _, body in self.requests if method == "PATCH"]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> tuple[int, dict[str, str], Any]:
        if method == "POST" and path == SESSIONS:
            return self._log_in(body)
        if path != "/redfish/v1/" and not self._known(headers):
            return 401, {}, _error("NoValidSession", "There is no valid session established.")
        if method == "DELETE":
            self.tokens.clear()
            return 204, {}, None
        if path not in self.resources:
            return 404, {}, _error("ResourceMissingAtURI", f"The resource at {path} was not found.")
        if method == "GET":
            return 200, {"ETag": f'W/"{self.state}"'}, self.resources[path]
        return self._patch(path, body, headers)

    def _log_in(self, body: Any) -> tuple[int, dict[str, str], Any]:
        if body != {"UserName": USER, "Password": PASSWORD}:
            return 401, {}, _error("ResourceAtUriUnauthorized", "The account could not be authenticated.")
        token = uuid4().hex
        self.tokens.add(token)
        return 201, {"X-Auth-Token": token, "Location": f"{SESSIONS}/1"}, {}

    def _known(self, headers: Mapping[str, str]) -> bool:
        if self.moods.forgets_session:
            self.moods.forgets_session = False
            self.tokens.clear()
        basic = "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return headers.get("X-Auth-Token", "") in self.tokens or headers.get("Authorization") == basic

    def _patch(self, path: str, body: Any, headers: Mapping[str, str]) -> tuple[int, dict[str, str], Any]:
        if path in self.moods.read_only:
            return 405, {}, None
        if self.moods.etag_moves > 0:
            self.moods.etag_moves -= 1
            self.state += 1
        if self.moods.asks_etag and "If-Match" not in headers:
            return 428, {}, _error("PreconditionRequired", "An ETag is required.")
        if headers.get("If-Match", f'W/"{self.state}"') != f'W/"{self.state}"':
            return 412, {}, _error("PreconditionFailed", "The ETag supplied did not match.")
        wanted_w = _limit_in(body)
        if wanted_w < self.moods.refuse_below_w:
            return 400, {}, _error("PropertyValueOutOfRange", f"The value '{wanted_w}' for SetPoint is out of range.")
        clipped = _with_limit(body, min(wanted_w, self.moods.clip_above_w))
        if self.moods.follows_after_s > 0:
            threading.Timer(self.moods.follows_after_s, self._merge, (path, clipped)).start()
        else:
            self._merge(path, clipped)
        return 204, {}, None

    def _merge(self, path: str, body: Any) -> None:
        self.state += 1
        self.resources[path] = _merged(self.resources[path], body)


def _handler(stand_in: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            if stand_in.moods.gone:
                self.close_connection = True
                return
            stand_in.requests.append((self.command, self.path, body))
            time.sleep(stand_in.moods.delay_s.get(self.command, 0.0))
            status, headers, content = stand_in.answer(self.command, self.path, body, dict(self.headers))
            payload = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    return Handler


def _error(message: str, words: str) -> dict[str, Any]:
    info = [{"MessageId": f"Base.1.8.{message}", "Message": words}]
    return {"error": {"code": "Base.1.8.GeneralError", "message": "See info.", "@Message.ExtendedInfo": info}}


def _limit_in(body: Any) -> float:
    if "PowerControl" in body:
        return float(body["PowerControl"][0]["PowerLimit"]["LimitInWatts"])
    return float(body.get("PowerLimitWatts", body)["SetPoint"])


def _with_limit(body: Any, limit_w: float) -> Any:
    changed = deepcopy(body)
    if "PowerControl" in body:
        changed["PowerControl"][0]["PowerLimit"]["LimitInWatts"] = limit_w
    else:
        changed.get("PowerLimitWatts", changed)["SetPoint"] = limit_w
    return changed


def _merged(held: Any, change: Any) -> Any:
    """As DSP0266 merges a PATCH: objects by key, arrays by place, an empty object leaves what is there."""
    if isinstance(held, dict) and isinstance(change, dict):
        return held | {key: _merged(held.get(key), value) for key, value in change.items()}
    if isinstance(held, list) and isinstance(change, list):
        return [_merged(old, new) for old, new in zip(held, change, strict=False)]
    return change


@dataclass
class Room:
    """Stand-ins, and the place of the files that a link names."""

    folder: Path
    authority: trustme.CA
    boards: list[StandIn] = field(default_factory=list)

    @property
    def site_path(self) -> Path:
        return self.folder / "site.yaml"

    def link(self, **keys: Any) -> RedfishLink:
        settings = {
            "protocol": "redfish",
            "device": "hall",
            "controllers": tuple(board.address for board in self.boards),
            "username": USER,
            "password_file": "bmc.txt",
            "ca_file": "ca.pem",
            "left_in_force": True,
            "poll_s": 0.05,
            "timeout_s": 20.0,
            "receipt_s": 10.0,
        }
        return RedfishLink(**{**settings, **keys})

    def site(self, link: RedfishLink, rated_kw: float = 2.0, safe_kw: float = 1.0) -> Site:
        return site_of({"nodes": link}, {"hall": TinyDevice(rated_kw, "limit_kw", safe_kw)})

    @contextmanager
    def plant(self, **keys: Any) -> Iterator[LivePlant]:
        with controlling(self.site(self.link(**keys)), self.site_path) as plant:
            yield plant


@contextmanager
def room_of(folder: Path, authority: trustme.CA, nodes: Sequence[Resources]) -> Iterator[Room]:
    authority.cert_pem.write_to_path(folder / "ca.pem")
    (folder / "bmc.txt").write_text(PASSWORD + "\n", encoding="utf-8")
    certificate = authority.issue_cert("127.0.0.1")
    with ExitStack() as open_boards:
        room = Room(folder, authority)
        for resources in nodes:
            board = StandIn(resources, certificate)
            open_boards.callback(board.close)
            room.boards.append(board)
        yield room


MakeRoom = Callable[..., Room]
