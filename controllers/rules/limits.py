"""What rules that hold the import below something have in common."""

from __future__ import annotations

from collections.abc import Sequence

from controllers.base import Proposal
from controllers.situation import Situation
from twin.devices.base import Group
from twin.numeric import Num, larger


def held(
    rule: str, priority: int, group: Group, situation: Situation, limit_kw: Num, reason: str
) -> Sequence[Proposal]:
    """The bound on one group with which the import to expect is `limit_kw` at most.

    Engines are started only for what stores and halls could not give, which were decided before.
    """
    spare_kw = limit_kw - situation.import_without(group)
    if group is not Group.GENSETS:
        most_kw = situation.setpoint_for(group, spare_kw)
        return (Proposal(rule=rule, priority=priority, group=group, max_kw=most_kw, reason=reason),)
    missing_kw = larger(0.0 - spare_kw, 0.0)
    when = missing_kw > 0.0
    return (Proposal(rule=rule, priority=priority, group=group, min_kw=missing_kw, when=when, reason=reason),)
