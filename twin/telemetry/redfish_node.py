"""The nodes behind one management controller: read again and again, and told a limit when there is one to tell."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from twin.clock import stopwatch_s
from twin.points import Outcome
from twin.telemetry.http_exchange import SilentError
from twin.telemetry.redfish_controller import Controller, LoginError, NotHereError, Place, Places, RefusedError, chosen
from twin.telemetry.redfish_resources import Held, Json

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
LOGIN_PAUSE_S = 300.0
"""Controllers lock an account after a few wrong passwords."""
SETTLE_S = 2.0
"""How long a limit that was accepted may take until it reads back."""
FIRST_LOOK_S = 0.05
ASK_AGAIN_S = 30.0
"""An order that was not taken as sent is not sent again before."""
SAME_W = 1.0
"""Limits that are closer than this are the same: controllers round."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """What became of an order to one node."""

    wanted_w: float
    outcome: Outcome
    words: str = ""
    held_w: float | None = None
    """What the node held then."""
    at_s: float = 0.0
    """On the stopwatch."""


class Node:
    """One machine with a power of its own, and in most cases a limit."""

    def __init__(self, controller: Controller, chassis: str | None) -> None:
        self.name = controller.name if chassis is None else f"{controller.name} {chassis}"
        self.down: str | None = "nothing heard yet"
        """Why nothing is heard from it; None while it answers."""
        self.held = Held()
        self.heard_s: float | None = None
        """When it last answered, on the stopwatch."""
        self._controller = controller
        self._places: Places | None = None
        self._bodies: dict[str, Json] = {}
        self._task: asyncio.Task[Ordered] | None = None
        self._pending_w: float | None = None
        """A limit that it may hold already, because nobody knows what became of the order."""
        self._last: Ordered | None = None

    @property
    def pending_w(self) -> float | None:
        return self._pending_w

    def found(self, places: Places) -> None:
        """Know from now on where it tells its power and takes its limit."""
        self._places, self._bodies = places, {}

    async def read(self) -> None:
        """Ask it. Raises `SilentError` or `RefusedError`, and is then `down`."""
        try:
            held = await self._read()
        except (SilentError, RefusedError) as error:
            self.down = str(error)
            raise
        self.held, self.heard_s, self.down = held, stopwatch_s(), None
        if self._task is None or self._task.done():
            self._pending_w = None

    async def _read(self) -> Held:
        places = self._places
        if places is None or places.power is None:
            raise RefusedError("its power is not found yet")
        power = await self._look(places.power)
        if not places.limits:
            return replace(power, limited=False)
        same = places.limits[0].path == places.power.path
        limit = power if same else await self._look(places.limits[0])
        return replace(limit, power_w=power.power_w)

    async def _look(self, place: Place) -> Held:
        self._bodies[place.path] = body = await self._controller.get(place.path)
        return place.form.read(body)

    def begin(self, wanted_w: float) -> asyncio.Task[Ordered] | Ordered:
        """Order a limit; what comes back is its outcome, or the task that will have it.

        It is not written where the node holds it already, as it says itself, and an order that was not taken as sent
        is not sent again in every cycle. Nor is another sent while one is under way.
        """
        if self._task is not None and not self._task.done():
            if self._pending_w == wanted_w:
                return self._task
            words = f"still busy with the order of {self._pending_w:g} W"
            return Ordered(wanted_w=wanted_w, outcome=Outcome.LOST, words=words)
        if self.down is not None:
            return Ordered(wanted_w=wanted_w, outcome=Outcome.LOST, words=self.down)
        if (known := self._known(wanted_w)) is not None:
            return known
        self._pending_w = wanted_w
        self._task = asyncio.create_task(self._order(wanted_w))
        return self._task

    async def rest(self, timeout_s: float) -> None:
        """Wait for an order that is under way."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=timeout_s)

    def _known(self, wanted_w: float) -> Ordered | None:
        if _same(self.held.limit_w, wanted_w):
            return Ordered(wanted_w=wanted_w, outcome=Outcome.APPLIED, held_w=self.held.limit_w)
        last = self._last
        if last is None or last.wanted_w != wanted_w or not _same(last.held_w, self.held.limit_w):
            return None
        recent = stopwatch_s() - last.at_s < ASK_AGAIN_S
        return last if recent and last.outcome in (Outcome.CLIPPED, Outcome.REJECTED) else None

    async def _order(self, wanted_w: float) -> Ordered:
        try:
            outcome, words = await self._written(wanted_w)
        except RefusedError as error:
            outcome, words = Outcome.REJECTED, str(error)
        except SilentError as error:
            self.down = words = str(error)
            outcome = Outcome.LOST
        except Exception as error:
            log.exception("%s: unexpected failure while it was told a limit", self.name)
            self.down = words = f"internal error: {error!r}"
            outcome = Outcome.LOST
        if outcome is not Outcome.LOST:
            self._pending_w = None
        self._last = Ordered(
            wanted_w=wanted_w, outcome=outcome, words=words, held_w=self.held.limit_w, at_s=stopwatch_s()
        )
        return self._last

    async def _written(self, wanted_w: float) -> tuple[Outcome, str]:
        words = "it offers no power limit"
        limits = self._places.limits if self._places is not None else ()
        for place in limits:
            try:
                await self._controller.patch(place, wanted_w, self._bodies.get(place.path, {}))
            except NotHereError as error:
                words = str(error)
                continue
            self._prefer(place)
            return await self._read_back(place, wanted_w)
        return Outcome.REJECTED, words

    def _prefer(self, place: Place) -> None:
        """Read and order there from now on."""
        if self._places is not None:
            others = (other for other in self._places.limits if other is not place)
            self._places = replace(self._places, limits=(place, *others))

    async def _read_back(self, place: Place, wanted_w: float) -> tuple[Outcome, str]:
        """What it holds now. One that still shows its old limit is given time to follow."""
        before_w, end_s, pause_s = self.held.limit_w, stopwatch_s() + SETTLE_S, FIRST_LOOK_S
        while True:
            seen = await self._look(place)
            self.held = replace(seen, power_w=self.held.power_w)
            if _same(seen.limit_w, wanted_w):
                return Outcome.APPLIED, ""
            if seen.limit_w is not None and not _same(seen.limit_w, before_w):
                return Outcome.CLIPPED, f"sent {wanted_w:g} W, reads back {seen.limit_w:g} W"
            if stopwatch_s() >= end_s:
                return _not_followed(seen, wanted_w)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, FIRST_PAUSE_S)


def _same(left_w: float | None, right_w: float | None) -> bool:
    if left_w is None or right_w is None:
        return left_w is right_w
    return abs(left_w - right_w) < SAME_W


def _not_followed(seen: Held, wanted_w: float) -> tuple[Outcome, str]:
    if seen.disabled:
        return Outcome.REJECTED, f"accepted {wanted_w:g} W, but does not enforce it: its ControlMode is Disabled"
    if seen.limit_w is None:
        return Outcome.REJECTED, f"accepted {wanted_w:g} W, but says that no limit is in force"
    return Outcome.CLIPPED, f"sent {wanted_w:g} W, still reads back {seen.limit_w:g} W after {SETTLE_S:g} s"


class Board:
    """A controller with the nodes behind it, and the task that keeps reading them."""

    def __init__(self, controller: Controller, chassis: Sequence[str], poll_s: float) -> None:
        self.controller = controller
        self.nodes = [Node(controller, name) for name in chassis] or [Node(controller, None)]
        self._chassis = chassis
        self._poll_s = poll_s
        self._known = False

    async def keep(self, turn: asyncio.Semaphore) -> None:
        """Read its nodes for ever; whoever is down is asked more and more seldom."""
        pause_s = FIRST_PAUSE_S
        while True:
            async with turn:
                trouble = await self.look()
            if trouble is None:
                pause_s = FIRST_PAUSE_S
                await asyncio.sleep(self._poll_s)
            else:
                await asyncio.sleep(LOGIN_PAUSE_S if isinstance(trouble, LoginError) else pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def look(self) -> Exception | None:
        """Read its nodes once; what went wrong."""
        try:
            if not self._known:
                for node, places in zip(self.nodes, await self._find(), strict=True):
                    node.found(places)
                self._known = True
            for node in self.nodes:
                await node.read()
        except SilentError as error:
            self._fail(str(error))
            return error
        except RefusedError as error:
            # Perhaps its software was renewed, and it now has other paths.
            self._known = False
            self._fail(str(error))
            return error
        except Exception as error:
            log.exception("%s: unexpected failure while it was read", self.controller.name)
            self._fail(f"internal error: {error!r}")
            return error
        return None

    async def _find(self) -> Sequence[Places]:
        return chosen(await self.controller.chassis(), self._chassis)

    def _fail(self, reason: str) -> None:
        for node in self.nodes:
            node.down = reason
