"""One management controller: logging in, asking, and finding out where it tells and limits power."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from twin.errors import LinkError
from twin.telemetry.http_address import short_name
from twin.telemetry.http_exchange import Answer, SilentError, ask
from twin.telemetry.redfish_resources import (
    CONTROL,
    ENVIRONMENT_METRICS,
    POWER,
    Form,
    Json,
    link,
    not_writable,
    part,
    parts,
    refusal,
)

ROOT = "/redfish/v1/"
MOST_PAGES = 100
UNAUTHORISED, PRECONDITION_FAILED, PRECONDITION_REQUIRED = 401, 412, 428
NO_PLACE = (404, 405, 501)
"""Statuses by which a resource says that nothing can be set there."""
STATE_TRIES = 3
"""Readings of power change a resource's ETag all the time, so that it may be overtaken once or twice."""


class RefusedError(LinkError):
    """The controller answered, and said no."""


class LoginError(RefusedError):
    """It does not know us. Asking again and again would lock the account."""


class NotHereError(RefusedError):
    """The limit is not set in this resource; perhaps in another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A resource, and how it is read."""

    path: str
    form: Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where one chassis tells its power and takes its limit."""

    chassis: str
    """Its Id."""
    power: Place | None
    limits: Sequence[Place]
    """The likeliest first."""
    contained_by: str | None
    """Path of the chassis around it."""
    path: str


class Controller:
    """Asks one controller, one question at a time: they have little processor, and answer late what comes at once."""

    def __init__(
        self, address: str, client: httpx.AsyncClient, credentials: tuple[str, str], *, session: bool, timeout_s: float
    ) -> None:
        self.name = short_name(address)
        self._address = address.rstrip("/")
        self._client = client
        self._credentials = credentials
        self._session = session
        self._timeout_s = timeout_s
        self._token: str | None = None
        self._session_path: str | None = None
        self._login_path: str | None = None
        self._asks_state = False
        self._lock = asyncio.Lock()

    async def get(self, path: str) -> Json:
        """A resource. Raises `SilentError` or `RefusedError`."""
        return _found(await self._ask("GET", path), path).object()

    async def patch(self, place: Place, limit_w: float, body: Json) -> None:
        """Order a limit, once: repeated only where the controller refused it for want of a state. Raises as `get`."""
        for _ in range(STATE_TRIES):
            headers = {}
            if self._asks_state:
                body, headers["If-Match"] = await self._state(place.path)
            answer = await self._ask("PATCH", place.path, place.form.order(limit_w, body), headers)
            if answer.status not in (PRECONDITION_FAILED, PRECONDITION_REQUIRED):
                break
            self._asks_state = True
        _accepted(answer, place.path)

    async def _state(self, path: str) -> tuple[Json, str]:
        """A resource, and the mark of the state in which it is."""
        answer = _found(await self._ask("GET", path), path)
        body = answer.object()
        return body, str(answer.headers.get("etag") or body.get("@odata.etag") or "*")

    async def _ask(
        self, method: str, path: str, content: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Ask as who we are; a session that has run out is renewed once."""
        async with self._lock:
            if self._session and self._token is None:
                await self._log_in()
            answer = await self._send(method, path, content, headers)
            if answer.status == UNAUTHORISED and self._session:
                # What is refused for want of a session was not done, so that even an order may be repeated.
                await self._log_in()
                answer = await self._send(method, path, content, headers)
        if answer.status == UNAUTHORISED:
            raise LoginError(refusal(answer.status, _body(answer)))
        return answer

    async def _send(
        self, method: str, path: str, content: Mapping[str, Any] | None, headers: Mapping[str, str] | None
    ) -> Answer:
        shown = dict(headers or {}) | ({"X-Auth-Token": self._token} if self._token is not None else {})
        return await ask(
            self._client,
            method,
            self._address + path,
            timeout_s=self._timeout_s,
            headers=shown,
            credentials=None if self._session else self._credentials,
            content=content,
        )

    async def _log_in(self) -> None:
        self._token = None
        if self._login_path is None:
            # The service root is open to everybody.
            root = (await self._send("GET", ROOT, None, None)).object()
            self._login_path = link(root, "Links", "Sessions") or "/redfish/v1/SessionService/Sessions"
        name, secret = self._credentials
        answer = await self._send("POST", self._login_path, {"UserName": name, "Password": secret}, None)
        token = answer.headers.get("x-auth-token")
        # 201 by the specification; DMTF's own mock-up server says 204.
        if answer.status >= 300 or token is None:
            raise LoginError(f"login: {refusal(answer.status, _body(answer))}")
        self._token = token
        where = answer.headers.get("location", "").removeprefix(self._address)
        self._session_path = where if where.startswith("/") else None

    async def log_out(self) -> None:
        """Give the session back: controllers have few."""
        if self._token is not None and self._session_path is not None:
            with suppress(SilentError):
                await self._send("DELETE", self._session_path, None, None)
        self._token = None

    async def chassis(self) -> list[Places]:
        """Every chassis that tells or limits power, found by walking from the service root."""
        path = link(await self.get(ROOT), "Chassis")
        if path is None:
            raise RefusedError("its service root names no chassis")
        return [await self._look_at(member) for member in await self._members(path)]

    async def _members(self, path: str) -> list[str]:
        found: list[str] = []
        page: str | None = path
        for _ in range(MOST_PAGES):
            if page is None:
                break
            body = await self.get(page)
            found += [target for member in parts(body, "Members") if (target := link({"at": member}, "at"))]
            following = body.get("Members@odata.nextLink")
            page = following if isinstance(following, str) and following.startswith("/") else None
        return found

    async def _look_at(self, path: str) -> Places:
        body = await self.get(path)
        power: Place | None = None
        limits: list[Place] = []
        for name, form in (("EnvironmentMetrics", ENVIRONMENT_METRICS), ("Power", POWER)):
            target = link(body, name)
            content = await self._if_there(target)
            if target is None or content is None:
                continue
            held, place = form.read(content), Place(path=target, form=form)
            power = power or (place if held.power_w is not None else None)
            if held.limited:
                limits.append(place)
            control = part(content, "PowerLimitWatts").get("DataSourceUri")
            if isinstance(control, str) and link({"at": {"@odata.id": control}}, "at"):
                limits.append(Place(path=control, form=CONTROL))
        told = body.get("Id")
        return Places(
            chassis=told if isinstance(told, str) else path.rsplit("/", 1)[-1],
            power=power,
            limits=tuple(limits),
            contained_by=link(body, "Links", "ContainedBy"),
            path=path,
        )

    async def _if_there(self, path: str | None) -> Json | None:
        """A resource that a chassis names, and perhaps does not have."""
        if path is None:
            return None
        try:
            return await self.get(path)
        except RefusedError:
            return None


def _body(answer: Answer) -> Json:
    try:
        return answer.object()
    except SilentError:
        return {}


def _found(answer: Answer, path: str) -> Answer:
    if answer.status != 200:
        raise RefusedError(f"{refusal(answer.status, _body(answer))} at {path}")
    return answer


def _accepted(answer: Answer, path: str) -> None:
    if answer.status < 300:
        return
    body = _body(answer)
    words = f"{refusal(answer.status, body)} at {path}"
    raise NotHereError(words) if answer.status in NO_PLACE or not_writable(body) else RefusedError(words)


def chosen(found: Sequence[Places], wanted: Sequence[str]) -> list[Places]:
    """The chassis that are nodes: those that are named, else the one outermost that tells its power.

    Raises `RefusedError` with what there is.
    """
    telling = [places for places in found if places.power is not None]
    if wanted:
        by_name = {places.chassis: places for places in telling}
        if absent := [name for name in wanted if name not in by_name]:
            raise RefusedError(f"has no chassis {', '.join(absent)} that tells its power; it has {_names(telling)}")
        return [by_name[name] for name in wanted]
    outermost = _outermost(telling, {places.path: places.contained_by for places in found})
    if len(outermost) != 1:
        advice = f"; write those that are nodes under chassis: {_names(outermost)}" if outermost else ""
        raise RefusedError(f"{len(outermost)} chassis tell their power{advice}; it has {_names(found)}")
    return outermost


def _outermost(telling: Sequence[Places], around: Mapping[str, str | None]) -> list[Places]:
    """Those that are not inside another: its power counts theirs already."""
    paths = {places.path for places in telling}
    return [places for places in telling if not paths & _all_around(places.path, around)]


def _all_around(path: str, around: Mapping[str, str | None]) -> set[str]:
    seen: set[str] = set()
    outer = around.get(path)
    while outer is not None and outer not in seen:
        seen.add(outer)
        outer = around.get(outer)
    return seen - {path}


def _names(found: Sequence[Places]) -> str:
    return ", ".join(places.chassis for places in found) or "none"
