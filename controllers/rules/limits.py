"""What rules that hold the import below something have in common."""

from __future__ import annotations

from controllers.base import Proposal
from controllers.situation import Situation
from twin.devices.base import Group
from twin.lazy_words import Words
from twin.numeric import Num

MINUTES_PER_HOUR = 60.0


def held(rule: str, priority: int, group: Group, situation: Situation, limit_kw: Num, reason: Words) -> Proposal:
    """The bound on one group with which the import to expect is `limit_kw` at most."""
    most_kw = situation.setpoint_for(group, limit_kw - situation.import_without(group))
    return Proposal(rule=rule, priority=priority, group=group, max_kw=most_kw, reason=reason)
