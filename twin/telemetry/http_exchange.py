"""One question over HTTP, answered within a time and a size, or in plain words why not. For Redfish and Prometheus.

httpx is held short where its defaults would surprise in a plant: no proxies and no `.netrc` from the environment, no
redirects that would carry a password elsewhere, one deadline over the whole answer (httpx has one for each read, which
a dripping server never reaches), and no answer that fills the memory.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from twin.errors import InputError, LinkError, Problem

MOST_BYTES = 4_000_000
KEEPALIVE_S = 60.0
UNHEARD = (httpx.RemoteProtocolError, httpx.ReadError)
"""Typical of a kept connection that the other side has closed meanwhile."""

# What goes wrong is told with the device; httpx would log every question.
logging.getLogger("httpx").setLevel(logging.WARNING)


class SilentError(LinkError):
    """No answer, or none that can be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server said."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    """By names in small letters."""
    body: bytes = b""

    def object(self) -> Mapping[str, Any]:
        """Its body as a JSON object. Raises `SilentError`."""
        try:
            content = json.loads(self.body)
        except (ValueError, RecursionError):
            raise SilentError(f"answers what is not JSON: {self.body[:40]!r}") from None
        if not isinstance(content, dict):
            raise SilentError(f"answers what is not a JSON object: {self.body[:40]!r}")
        return content


def http_client(context: ssl.SSLContext) -> httpx.AsyncClient:
    """A pool of connections to many servers."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=KEEPALIVE_S)
    return httpx.AsyncClient(verify=context, trust_env=False, limits=limits, timeout=None)


async def ask(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
    credentials: tuple[str, str] | None = None,
    content: Mapping[str, Any] | None = None,
) -> Answer:
    """Ask once. Raises `SilentError` with the reason; what may have been done by then is not known."""
    auth = None if credentials is None else httpx.BasicAuth(*credentials)
    request = client.build_request(method, url, headers=dict(headers or {}), json=content)
    try:
        async with asyncio.timeout(timeout_s):
            try:
                return await _exchange(client, request, auth)
            except UNHEARD:
                if method != "GET":  # it may have been heard: an order is never repeated here
                    raise
                return await _exchange(client, request, auth)
    except TimeoutError:
        raise SilentError(f"no answer within {timeout_s:g} s") from None
    except (httpx.HTTPError, OSError) as error:
        raise SilentError(_in_words(error)) from None


async def _exchange(client: httpx.AsyncClient, request: httpx.Request, auth: httpx.BasicAuth | None) -> Answer:
    response = await client.send(request, auth=auth, stream=True)
    try:
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > MOST_BYTES:
                raise SilentError(f"answers more than {MOST_BYTES // 1_000_000} MB")
    finally:
        await response.aclose()
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(status=response.status_code, headers=headers, body=bytes(body))


def _in_words(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, ssl.SSLError):
            return f"TLS fails: {cause.reason or cause}"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, UNHEARD):
        return "connection closed by the other side"
    return str(error) or type(error).__name__


def trusted(ca_file: str | None, site_path: Path, keys: str) -> ssl.SSLContext:
    """Who is trusted: the authorities in `ca_file`, or those of the operating system. Raises `InputError`."""
    if ca_file is None:
        return ssl.create_default_context()
    path = site_path.parent / ca_file
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise _unreadable(site_path, f"{keys}.ca_file", path, error, "a readable file of PEM certificates") from None
    return context


def password(password_file: str, site_path: Path, keys: str) -> str:
    """What stands in a file beside the site file. Raises `InputError`."""
    path = site_path.parent / password_file
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        expected = "a readable file that holds the password"
        raise _unreadable(site_path, f"{keys}.password_file", path, error, expected) from None


def _unreadable(site_path: Path, keys: str, path: Path, error: Exception, expected: str) -> InputError:
    words = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return InputError(Problem(file=str(site_path), line=None, path=keys, found=f"{path}: {words}", expected=expected))
