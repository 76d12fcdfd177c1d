"""What a management controller tells of power, and a draft of the link that a site file needs for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

from twin.errors import LinkError
from twin.telemetry.http_address import checked_address
from twin.telemetry.http_exchange import http_client, password, trusted
from twin.telemetry.redfish_controller import Controller, Places, RefusedError, chosen
from twin.telemetry.redfish_resources import Held

SCHEME = "redfish://"


def probe(
    url: str,
    *,
    username: str,
    password_file: str,
    ca_file: str | None = None,
    session: bool = True,
    timeout_s: float = 10,
) -> str:
    """Walk one controller from its service root, and say what is there.

    `url` is ``redfish://host[:port]``, which stands for ``https://``, or an address as in a site file. Nothing is
    written to the controller. Raises `LinkError` with the reason when it cannot be asked, `InputError` for a file.
    """
    address = url.replace(SCHEME, "https://", 1)
    try:
        checked_address(address, "the controller", secret=True)
    except ValueError as error:
        raise LinkError(f"{url}: expected {error}") from None
    here = Path.cwd() / "site.yaml"
    context = trusted(ca_file, here, "command line")
    secret = password(password_file, here, "command line")

    async def walk() -> Sequence[tuple[Places, Held]]:
        async with http_client(context) as client:
            controller = Controller(address, client, (username, secret), session=session, timeout_s=timeout_s)
            try:
                return [(places, await _held(controller, places)) for places in await controller.chassis()]
            finally:
                await controller.log_out()

    try:
        found = asyncio.run(walk())
    except LinkError as error:
        raise LinkError(f"Redfish {address}: {error}") from None
    return "\n".join(
        [f"Redfish {address}", *_in_words(found), "", *_draft(address, username, password_file, ca_file, found)]
    )


async def _held(controller: Controller, places: Places) -> Held:
    """Power and limit of a chassis as `Node` reads them."""
    power = Held()
    if places.power is not None:
        power = places.power.form.read(await controller.get(places.power.path))
    if not places.limits:
        return Held(power_w=power.power_w)
    limit = places.limits[0].form.read(await controller.get(places.limits[0].path))
    return Held(
        power_w=power.power_w,
        limit_w=limit.limit_w,
        lowest_w=limit.lowest_w,
        highest_w=limit.highest_w,
        disabled=limit.disabled,
        limited=True,
    )


def _in_words(found: Sequence[tuple[Places, Held]]) -> Iterator[str]:
    for places, held in found:
        yield f"  chassis {places.chassis}: {_power(places, held)}; {_limit(places, held)}"
    if not found:
        yield "  no chassis"


def _power(places: Places, held: Held) -> str:
    if places.power is None or held.power_w is None:
        return "tells no power"
    return f"draws {held.power_w:g} W ({places.power.path})"


def _limit(places: Places, held: Held) -> str:
    if not held.limited:
        return "takes no power limit"
    bounds = f"from {_watts(held.lowest_w)} to {_watts(held.highest_w)}"
    present = "switched off" if held.disabled else "none in force" if held.limit_w is None else f"{held.limit_w:g} W"
    return f"power limit {present}, {bounds} ({', '.join(place.path for place in places.limits)})"


def _watts(value: float | None) -> str:
    return "?" if value is None else f"{value:g} W"


def _draft(
    address: str, username: str, password_file: str, ca_file: str | None, found: Sequence[tuple[Places, Held]]
) -> Iterator[str]:
    yield "For the site file, under telemetry.links (one link for all controllers of a hall):"
    named = ""
    try:
        nodes = chosen([places for places, _ in found], ())
    except RefusedError as error:
        nodes = [places for places, _ in found if places.power is not None]
        named = f", chassis: [{', '.join(places.chassis for places in nodes)}]"
        yield f"  # {error}"
    if not nodes:
        yield "  # nothing here tells its power: no link can be drafted"
        return
    limited = any(held.limited for places, held in found if places in nodes)
    points = "p_kw, limit_kw" if limited else "p_kw"
    authority = "" if ca_file is None else f", ca_file: {ca_file}"
    yield (
        f"  nodes: {{protocol: redfish, device: HALL, controllers: ['{address}'], username: {username}, "
        f"password_file: {password_file}{authority}{named}, points: [{points}]}}"
    )
    if limited:
        yield "  # left_in_force: true lets gridhelm set the limit, which then stays in force when gridhelm dies."
