"""The ladder of degradation: how much of the site can be seen, and what is done on each rung.

============ ==================================== =====================================================
rung         what can be seen                     what is done
============ ==================================== =====================================================
`FULL`       everything                           all rules, all assets
`PARTIAL`    the connection point, some assets    all rules on what is seen; what is lost is at its safe
                                                  setpoint, and counts as it shows at the connection point
`INFERRED`   all assets, not the grid meter       the same on the import added up from the assets, with
                                                  wider margins
`BLIND`      too little to know the import        every asset that still hears goes to its safe setpoint
============ ==================================== =====================================================

Each rung is left by itself in the first cycle in which more is seen.
"""

from __future__ import annotations

from enum import Enum

from controllers.decide import Decision
from controllers.fleet import Fleet
from controllers.resolve import Resolution
from controllers.situation import Situation
from twin.numeric import Num
from twin.points import Quality
from twin.state import SiteState


class Rung(Enum):
    """How far down the ladder this cycle stands; higher is worse."""

    FULL = 0
    PARTIAL = 1
    INFERRED = 2
    BLIND = 3


def rung_of(state: SiteState) -> Rung:
    """The rung that this state of knowledge is on."""
    if state.grid is not None and state.grid.quality is not Quality.GOOD:
        return Rung.BLIND if state.grid.quality is Quality.BAD else Rung.INFERRED
    if state.grid is None and not _sees_the_former(state):
        return Rung.BLIND
    return Rung.FULL if all(asset.reliable for asset in state.assets.values()) else Rung.PARTIAL


def _sees_the_former(state: SiteState) -> bool:
    return state.grid_forming is not None and state.assets[state.grid_forming].reliable


def why(state: SiteState, rung: Rung) -> str:
    """What is missing, in plain words; empty on the top rung."""
    if rung is Rung.FULL:
        return ""
    if state.grid is not None and state.grid.reason:
        return state.grid.reason
    return "; ".join(f"{name}: {asset.reason}" for name, asset in state.assets.items() if not asset.reliable)


def safe_decision(fleet: Fleet, situation: Situation, reason: str) -> Decision:
    """Every asset that hears at its safe setpoint, because the site cannot be seen well enough to steer it."""
    resolutions = []
    setpoints: dict[str, Num] = {}
    for group, members in fleet.groups.items():
        safe = {member.name: member.safe_setpoint for member in members if member.name not in situation.state.lost}
        if safe:
            total_kw = sum(safe.values())
            resolutions.append(Resolution(group=group, value_kw=total_kw, rule="fallback", reason=f"blind: {reason}"))
            setpoints |= safe
    return Decision(resolutions=tuple(resolutions), setpoints=setpoints)
