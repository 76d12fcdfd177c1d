"""How the words and decisions of a cycle become JSON, and JSON a cycle: pure, and exact wherever a replay needs it.

Python writes a float so that it reads the same float again. What holds its default is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from agents.control import Cycle
from agents.recorder_numbers import instant, micros, readings_from_bytes
from controllers.base import Proposal
from controllers.fallback import Rung
from controllers.guard import Clip
from controllers.resolve import Resolution
from twin.devices.base import Group
from twin.flexibility import Store
from twin.forecast import Forecast
from twin.numeric import UNBOUNDED, Flag, FloatArray, Num
from twin.points import Command, Outcome, Quality, Receipt, Snapshot
from twin.state import AssetState, GridState, NetworkEstimate, SiteState

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordedCycle:
    """One cycle as it was: what came in, what was concluded, and what became of it."""

    now: datetime
    snapshot: Snapshot
    """Equal to the one that was seen, to the last bit."""
    facts: Mapping[str, Any]
    """The main facts of the state, for people: asset → power and quality, connection point, network."""
    rung: Rung
    forecast: Forecast | None
    resolutions: Sequence[Resolution]
    """Per group: all proposals, whose decided, and the setpoint."""
    setpoints: Mapping[str, Num]
    """Asset → setpoint as the guard let it pass."""
    clips: Sequence[Clip]
    commands: Sequence[Command]
    receipts: Sequence[Receipt]
    timings_ms: Mapping[str, float]


def notes_of(snapshot: Snapshot) -> Json:
    """The words that belong to a snapshot: reasons by place, lost devices."""
    reasons = {str(row): reading.reason for row, reading in enumerate(snapshot.readings.values()) if reading.reason}
    return _present({"reasons": reasons, "lost": dict(snapshot.lost)})


def cycle_to_text(cycle: Cycle) -> bytes:
    """Everything of a cycle but its readings and its forecast, as JSON."""
    return json.dumps(
        {
            "notes": notes_of(cycle.snapshot),
            "facts": facts_of(cycle.state),
            "rung": cycle.rung.name,
            "resolutions": [_resolution_to(item) for item in cycle.decision.resolutions],
            "setpoints": {name: plain(value) for name, value in cycle.guarded.setpoints.items()},
            "clips": [_clip_to(item) for item in cycle.guarded.clips],
            "commands": [_command_to(item) for item in cycle.commands],
            "receipts": [_receipt_to(item, cycle.commands) for item in cycle.receipts],
            "timings_ms": {name: round(spent, 3) for name, spent in cycle.timings_ms.items()},
        },
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()


def snapshot_from(found: Json, now: datetime, points: Sequence[str], readings: bytes) -> Snapshot:
    """The snapshot of a cycle, from its JSON and the bytes of its readings."""
    notes = found["notes"]
    restored = readings_from_bytes(readings, now, points, notes.get("reasons", {}))
    return Snapshot(now=now, readings=restored, lost=notes.get("lost", {}))


def cycle_from(found: Json, snapshot: Snapshot, forecast: Forecast | None) -> RecordedCycle:
    """The reverse of `cycle_to_text`, from its JSON."""
    commands = tuple(_command_from(item) for item in found["commands"])
    return RecordedCycle(
        now=snapshot.now,
        snapshot=snapshot,
        facts=found["facts"],
        rung=Rung[found["rung"]],
        forecast=forecast,
        resolutions=tuple(_resolution_from(item) for item in found["resolutions"]),
        setpoints={name: number(value) for name, value in found["setpoints"].items()},
        clips=tuple(_clip_from(item) for item in found["clips"]),
        commands=commands,
        receipts=tuple(_receipt_from(item, commands) for item in found["receipts"]),
        timings_ms=found["timings_ms"],
    )


def facts_of(state: SiteState) -> Json:
    """What a person asks of a state. Rounded, for it follows from the inputs; the demand interval is exact."""
    facts: Json = {name: _asset_facts(asset) for name, asset in state.assets.items()}
    return _present(
        {
            "assets": facts,
            "grid": _grid_facts(state.grid) if state.grid is not None else None,
            "network": _network_facts(state.network) if state.network is not None else None,
        }
    )


def _asset_facts(asset: AssetState) -> Json:
    soc = _rounded(asset.flexibility.soc, 5) if isinstance(asset.flexibility, Store) else None
    return _present(
        {
            "p_kw": _rounded(asset.p_kw),
            "soc": soc,
            "quality": asset.quality.value if asset.quality is not Quality.GOOD else None,
            "age_s": round(asset.age_s, 3),
            "reason": asset.reason,
        }
    )


def _grid_facts(grid: GridState) -> Json:
    demand = grid.demand
    return {
        "import_kw": _rounded(grid.import_kw),
        "quality": grid.quality.value,
        "reason": grid.reason,
        "price_per_kwh": plain(grid.price_per_kwh),
        "demand": {
            "start": micros(demand.start),
            "energy_kwh": plain(demand.energy_kwh),
            "billed_peak_kw": plain(demand.billed_peak_kw),
            "billing_month": list(demand.billing_month),
        },
    }


def _network_facts(network: NetworkEstimate) -> Json:
    return {
        "losses_kw": _rounded(network.losses_kw),
        "chi_square": _rounded(network.chi_square),
        "redundancy": network.redundancy,
        "v_pu": {name: round(float(bus.v_pu), 5) for name, bus in network.buses.items()},
        "loading_fraction": {name: round(float(item.loading_fraction), 4) for name, item in network.branches.items()},
    }


def _resolution_to(item: Resolution) -> Json:
    return {
        "group": item.group.value,
        "value_kw": plain(item.value_kw),
        "rule": item.rule,
        "reason": str(item.reason),
        "proposals": [_proposal_to(proposal) for proposal in item.proposals],
    }


def _resolution_from(item: Json) -> Resolution:
    group = Group(item["group"])
    proposals = tuple(_proposal_from(proposal, group) for proposal in item["proposals"])
    value_kw = number(item["value_kw"])
    return Resolution(group=group, value_kw=value_kw, rule=item["rule"], reason=item["reason"], proposals=proposals)


def _proposal_to(item: Proposal) -> Json:
    found: Json = {"rule": item.rule, "priority": item.priority, "reason": str(item.reason)}
    if item.wish_kw is not None:
        found["wish_kw"] = plain(item.wish_kw)
    if not _is(item.min_kw, -UNBOUNDED):
        found["min_kw"] = plain(item.min_kw)
    if not _is(item.max_kw, UNBOUNDED):
        found["max_kw"] = plain(item.max_kw)
    if item.when is not True:
        found["when"] = item.when.tolist() if isinstance(item.when, np.ndarray) else bool(item.when)
    return found


def _proposal_from(item: Json, group: Group) -> Proposal:
    when: Flag = np.array(item["when"]) if isinstance(item.get("when"), list) else item.get("when", True)
    return Proposal(
        rule=item["rule"],
        priority=item["priority"],
        group=group,
        wish_kw=number(item["wish_kw"]) if "wish_kw" in item else None,
        min_kw=number(item.get("min_kw", -UNBOUNDED)),
        max_kw=number(item.get("max_kw", UNBOUNDED)),
        when=when,
        reason=item["reason"],
    )


def _clip_to(item: Clip) -> Json:
    return {
        "device": item.device,
        "asked_kw": plain(item.asked_kw),
        "allowed_kw": plain(item.allowed_kw),
        "reason": str(item.reason),
    }


def _clip_from(item: Json) -> Clip:
    asked_kw, allowed_kw = number(item["asked_kw"]), number(item["allowed_kw"])
    return Clip(device=item["device"], asked_kw=asked_kw, allowed_kw=allowed_kw, reason=item["reason"])


def _command_to(item: Command) -> list[Any]:
    return [item.device, item.setpoint, plain(item.value), micros(item.valid_until), str(item.reason)]


def _command_from(item: Sequence[Any]) -> Command:
    device, setpoint, value, valid_until, reason = item
    return Command(
        device=device, setpoint=setpoint, value=number(value), valid_until=instant(valid_until), reason=reason
    )


def _receipt_to(item: Receipt, commands: Sequence[Command]) -> list[Any]:
    """The place of its command; the command itself where it is one of an earlier cycle."""
    place = next((row for row, command in enumerate(commands) if command is item.command), None)
    command = place if place is not None else _command_to(item.command)
    return [command, item.outcome.value, None if item.read_back is None else plain(item.read_back), item.detail]


def _receipt_from(item: Sequence[Any], commands: Sequence[Command]) -> Receipt:
    command, outcome, read_back, detail = item
    return Receipt(
        command=commands[command] if isinstance(command, int) else _command_from(command),
        outcome=Outcome(outcome),
        read_back=None if read_back is None else number(read_back),
        detail=detail,
    )


def plain(value: Num) -> Any:
    """A number as JSON knows it."""
    return value.tolist() if isinstance(value, np.ndarray) else float(value)


def number(value: Any) -> Num:
    """The reverse of `plain`."""
    if isinstance(value, list):
        array: FloatArray = np.array(value, dtype=np.float64)
        return array
    return float(value)


def _rounded(value: Num, digits: int = 3) -> Any:
    return np.round(value, digits).tolist() if isinstance(value, np.ndarray) else round(float(value), digits)


def _is(value: Num, bound: float) -> bool:
    return not isinstance(value, np.ndarray) and value == bound


def _present(facts: Json) -> Json:
    """Without what is not there."""
    return {key: value for key, value in facts.items() if value is not None and value not in ("", {})}
