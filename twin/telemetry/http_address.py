"""The address of a server, as a person writes it in the site file. Pure."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def checked_address(address: str, key: str, *, secret: bool, path: bool = False) -> None:
    """Raise `ValueError` unless `address` is ``https://host`` or ``https://host:port``; `path`: with a path, too.

    Where nothing `secret` is sent, ``http://`` will do; else only to this machine itself.
    """
    expected = f"{key} as https://host or https://host:port" + ("/path" if path else "")
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise ValueError(f"{expected}, not {address!r}") from None
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        raise ValueError(f"{expected}, not {address!r}")
    if parts.username is not None or parts.query or parts.fragment or (not path and parts.path not in ("", "/")):
        raise ValueError(f"{expected} and nothing else, not {address!r}")
    if secret and parts.scheme == "http" and not _this_machine(parts.hostname):
        raise ValueError(f"{expected}, not {address!r}: a password would cross the network in the clear")


def _this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def short_name(address: str) -> str:
    """Host, and port where one is written."""
    return urlsplit(address).netloc
