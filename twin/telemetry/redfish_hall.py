"""A hall of many nodes over Redfish: their powers summed, its limit shared out, and returned when it has expired.

Redfish has no dead-man. So the one that Modbus and MQTT devices have in themselves is kept here, as far as it can be:
a limit whose command has expired gives way to the device's safe setpoint, tried again until every node has taken it;
and closing in good order does the same. What no program can do is return a limit when the program itself, its machine
or the network to the controllers is gone: then the limit stays in force, which is why the link must say
`left_in_force`. The limits that stay never add up to more than the newest command allowed: nodes that cannot be
reached are counted with what they may hold, and nobody gets more before others have confirmed less.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from twin.clock import stopwatch_s
from twin.numeric import first
from twin.points import Command, Outcome, Reading, Receipt
from twin.telemetry.many_parts import Part, named, total
from twin.telemetry.power_split import LEAST_W, Span, split
from twin.telemetry.redfish_link import RedfishLink
from twin.telemetry.redfish_node import Board, Node, Ordered

W_PER_KW = 1000.0
SETPOINT = "limit_kw"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What became of one limit for the whole hall."""

    outcome: Outcome
    held_kw: float
    """What the hall may draw now: the limits that its nodes hold, as far as known, and what stands beside them."""
    words: str = ""


class RedfishHall:
    """All nodes of one device."""

    def __init__(self, link: RedfishLink, boards: Sequence[Board], *, rated_kw: float, safe_kw: float) -> None:
        self.link = link
        self.boards = boards
        self.nodes: Sequence[Node] = [node for board in boards for node in board.nodes]
        self._safe_kw = safe_kw
        self._equal_w = max(LEAST_W, (rated_kw - link.other_kw) * W_PER_KW / len(self.nodes))
        """Of a node that does not tell its highest limit."""
        self._commanded = False
        self._expiry: asyncio.TimerHandle | None = None
        self._release: asyncio.Task[None] | None = None

    @property
    def silence(self) -> str | None:
        """Why nothing at all is heard from it; None while one node answers."""
        if any(node.down is None for node in self.nodes):
            return None
        return "Redfish: " + named({node.name: str(node.down) for node in self.nodes})

    def points(self, now: datetime, max_age_s: float) -> dict[str, Reading | str]:
        """Its power and its limit, or in words why there is none."""
        known: dict[str, Reading | str] = {}
        for point in self.link.points:
            parts = [self._part(node, limit=point == SETPOINT) for node in self.nodes]
            fraction = self.link.max_missing_fraction
            known[point] = total(parts, now, max_age_s=max_age_s, max_missing_fraction=fraction)
        return {name: _in_kw(found, self.link.other_kw) for name, found in known.items()}

    def _part(self, node: Node, *, limit: bool) -> Part:
        if node.heard_s is None:
            return Part(name=node.name, reason=node.down or "")
        age_s = stopwatch_s() - node.heard_s
        value = self._allowed_w(node) if limit else node.held.power_w
        reason = node.down or ("" if value is not None else "it tells no power")
        return Part(name=node.name, value=value, age_s=age_s, reason=reason)

    def _span(self, node: Node) -> Span:
        highest_w = self._equal_w if node.held.highest_w is None else node.held.highest_w
        return Span(lowest_w=node.held.lowest_w or LEAST_W, highest_w=highest_w)

    def _allowed_w(self, node: Node) -> float:
        """The most that a node may draw, as far as known."""
        held_w = node.held.limit_w if node.held.limit_w is not None else self._span(node).highest_w
        return held_w if node.pending_w is None else max(held_w, node.pending_w)

    async def apply(self, command: Command, now: datetime) -> Receipt:
        """Share a command out. Whatever takes longer than a cycle may wait goes on, and is known in the next."""
        wanted_kw, remaining_s = first(command.value), (command.valid_until - now).total_seconds()
        if command.setpoint != SETPOINT or not math.isfinite(wanted_kw):
            words = f"{command.device} takes a finite {SETPOINT}, not {command.setpoint} {wanted_kw:g}"
            return Receipt(command=command, outcome=Outcome.REJECTED, detail=words)
        if remaining_s <= 0:
            return Receipt(command=command, outcome=Outcome.LOST, detail="not sent: it had expired before")
        self._expire_in(remaining_s)
        shared = await self.share(wanted_kw, self.link.receipt_s)
        held_kw = None if shared.outcome is Outcome.LOST else shared.held_kw
        return Receipt(command=command, outcome=shared.outcome, read_back=held_kw, detail=shared.words)

    def _expire_in(self, remaining_s: float) -> None:
        self._commanded = True
        self._stop_release()
        self._expiry = asyncio.get_running_loop().call_later(remaining_s, self._expired)

    def _stop_release(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        if self._release is not None:
            self._release.cancel()

    def _expired(self) -> None:
        log.warning("%s: its command has expired; returning to %g kW", self.link.device, self._safe_kw)
        self._release = asyncio.create_task(self._return_to_safety())

    async def _return_to_safety(self) -> None:
        while (await self.share(self._safe_kw, self.link.timeout_s)).outcome is not Outcome.APPLIED:
            await asyncio.sleep(self.link.poll_s)

    async def close(self) -> None:
        """Return to the safe setpoint if anything was commanded, and log out."""
        self._stop_release()
        if self._commanded:
            await asyncio.gather(*(node.rest(self.link.timeout_s) for node in self.nodes))
            shared = await self.share(self._safe_kw, self.link.timeout_s)
            if shared.outcome is not Outcome.APPLIED:
                log.warning("%s: limits stay in force: %s", self.link.device, shared.words)
        await asyncio.gather(*(board.controller.log_out() for board in self.boards))

    async def share(self, wanted_kw: float, patience_s: float) -> Shared:
        """Tell every node its part of a limit: first those that get less, then those that get more."""
        heard = [node for node in self.nodes if node.down is None]
        silent = {node.name: str(node.down) for node in self.nodes if node.down is not None}
        kept_w = sum(self._allowed_w(node) for node in self.nodes if node.down is not None)
        total_w = (wanted_kw - self.link.other_kw) * W_PER_KW - kept_w
        targets = dict(zip(heard, split(total_w, [self._span(node) for node in heard]), strict=True))
        end_s = stopwatch_s() + patience_s
        less = {node: wanted_w for node, wanted_w in targets.items() if wanted_w <= self._allowed_w(node)}
        orders = await _told(less, end_s)
        more = {node: wanted_w for node, wanted_w in targets.items() if node not in less}
        if all(order.outcome is Outcome.APPLIED for order in orders.values()):
            orders |= await _told(more, end_s)
        else:
            orders |= {node: _waits(wanted_w) for node, wanted_w in more.items()}
        held_kw = sum(self._allowed_w(node) for node in self.nodes) / W_PER_KW + self.link.other_kw
        at_highest = all(wanted_w + 1.0 > self._span(node).highest_w for node, wanted_w in targets.items())
        by_name = {node.name: order for node, order in orders.items()}
        return verdict(wanted_kw, held_kw, by_name, silent, at_highest=at_highest)


def verdict(
    wanted_kw: float, held_kw: float, orders: dict[str, Ordered], silent: dict[str, str], *, at_highest: bool = False
) -> Shared:
    """One outcome for the hall, from those of its nodes. Applied means that every node took its part."""
    outcomes = {order.outcome for order in orders.values()}
    words = named(silent | {name: order.words for name, order in orders.items() if order.words})
    off_kw = held_kw - wanted_kw
    fits = abs(off_kw) * W_PER_KW <= max(1, len(orders))
    if not outcomes - {Outcome.LOST}:
        return Shared(outcome=Outcome.LOST, held_kw=held_kw, words=words)
    if outcomes == {Outcome.REJECTED}:
        return Shared(outcome=Outcome.REJECTED, held_kw=held_kw, words=words)
    if outcomes == {Outcome.APPLIED} and not silent and fits:
        return Shared(outcome=Outcome.APPLIED, held_kw=held_kw)
    if outcomes == {Outcome.APPLIED} and not silent and off_kw < 0 and at_highest:
        words = f"each node is at its highest limit, {held_kw:,.1f} kW together"
        return Shared(outcome=Outcome.APPLIED, held_kw=held_kw, words=words)
    told = f"its nodes and what stands beside them may draw {held_kw:,.1f} kW together"
    return Shared(outcome=Outcome.CLIPPED, held_kw=held_kw, words=f"{told}; {words}" if words else told)


async def _told(targets: dict[Node, float], end_s: float) -> dict[Node, Ordered]:
    """Order every node at once, and wait for them until `end_s` on the stopwatch."""
    begun = {node: node.begin(wanted_w) for node, wanted_w in targets.items()}
    tasks = [order for order in begun.values() if isinstance(order, asyncio.Task)]
    if tasks:
        await asyncio.wait(tasks, timeout=max(0.0, end_s - stopwatch_s()))
    return {
        node: order if isinstance(order, Ordered) else order.result() if order.done() else _late(targets[node])
        for node, order in begun.items()
    }


def _late(wanted_w: float) -> Ordered:
    return Ordered(wanted_w=wanted_w, outcome=Outcome.LOST, words="has not confirmed its limit yet")


def _waits(wanted_w: float) -> Ordered:
    return Ordered(wanted_w=wanted_w, outcome=Outcome.CLIPPED, words="gets more when the others have confirmed less")


def _in_kw(found: Reading | str, other_kw: float) -> Reading | str:
    if isinstance(found, str):
        return found
    value = first(found.value) / W_PER_KW + other_kw
    return Reading(value=value, at=found.at, quality=found.quality, reason=found.reason)
