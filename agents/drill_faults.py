"""What a drill does to a link, and what is expected of the controller meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agents.drill_proxies import Target
from twin.telemetry.fault_proxy import Fault
from twin.telemetry.mqtt_session import KEEPALIVE_S

CYCLES_TO_DETECT = 3.0
MARGIN_S = 2.0
MENDED_UNSEEN = ("delay", "half_open")
"""Of MQTT: messages that are late, and a connection that the session replaces at once when it finds it dead, harm
nobody as long as no reading grows too old; where one does, it is noticed."""
RECOVER_S = 10.0
"""How soon a device is to be back once its link is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillFault:
    """One thing that goes wrong, ready to be done to one target."""

    name: str
    fault: Fault
    skew_s: float = 0.0
    whole_connection: bool = False
    """It hits everybody who shares the connection."""
    must_be_seen: bool = True
    """False where a device may look healthy for as long as nothing moves, or where nothing is wrong enough."""
    within_s: float
    """How soon it is to be noticed."""


def faults_for(target: Target, period_s: float, max_age_s: float) -> Iterator[DrillFault]:
    """All faults that can be done to a target."""
    if target.protocol == "mqtt":
        yield from _of_broker(period_s, max_age_s)
        return
    within_s = CYCLES_TO_DETECT * period_s + 2 * target.timeout_s + MARGIN_S
    framed = target.protocol != "modbus_rtu_over_tcp"
    units = frozenset({target.unit_id}) if framed and target.unit_id is not None else None

    def fault(name: str, what: Fault, *, whole: bool = False, seen: bool = True) -> DrillFault:
        return DrillFault(
            name=name, fault=what, whole_connection=whole or not framed, must_be_seen=seen, within_s=within_s
        )

    yield fault("delay", Fault(delay_s=3 * target.timeout_s, units=units), whole=True)
    yield fault("black_hole", Fault(black_hole=True, units=units))
    yield fault("reset", Fault(reset=True, units=units), whole=True)
    yield fault("garble", Fault(garbled_fraction=0.1, units=units), whole=True)
    yield fault("half_open", Fault(half_open=True), whole=True)
    yield fault("reboot", Fault(refused=True), whole=True)
    if framed:
        yield fault("frozen", Fault(frozen=True, units=units), seen=False)


def _of_broker(period_s: float, max_age_s: float) -> Iterator[DrillFault]:
    # paho notices a dead connection after two keepalive intervals at most.
    silent_s = 2 * KEEPALIVE_S + CYCLES_TO_DETECT * period_s + MARGIN_S
    soon_s = CYCLES_TO_DETECT * period_s + MARGIN_S
    named = {"delay": Fault(delay_s=period_s), "black_hole": Fault(black_hole=True), "reset": Fault(reset=True)}
    named |= {"garble": Fault(garbled_fraction=0.1), "half_open": Fault(half_open=True), "reboot": Fault(refused=True)}
    for name, fault in named.items():
        within_s = soon_s if name == "reboot" else silent_s
        yield DrillFault(
            name=name, fault=fault, whole_connection=True, must_be_seen=name not in MENDED_UNSEEN, within_s=within_s
        )
    # A clock that is behind or ahead by less than `max_age_s` is within what the site tolerates.
    skew_s = max(2 * max_age_s, 3600.0)
    for name, sign in (("clock_behind", -1.0), ("clock_ahead", 1.0)):
        yield DrillFault(name=name, fault=Fault(), skew_s=sign * skew_s, whole_connection=True, within_s=soon_s)


NAMES = (
    "delay",
    "black_hole",
    "reset",
    "garble",
    "half_open",
    "reboot",
    "frozen",
    "clock_behind",
    "clock_ahead",
)
"""Every fault there is."""
