"""What every rule has in common: it looks at a situation and proposes; it never acts.

To add a rule, write one file in `controllers/rules/` with one registered class, and name it with a
priority in the site file; the contract suite in `tests/contracts/` then tests it without a further line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from controllers.situation import Situation
from twin.devices.base import Group
from twin.lazy_words import Words
from twin.numeric import UNBOUNDED, Flag, Num
from twin.quick import quick
from twin.registry import Registry

Needs = Literal["grid", "island", "anything"]


NO_FLOOR, NO_CEILING = -UNBOUNDED, UNBOUNDED


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What one rule would have one group do: a wish, bounds, or both, in the group's own setpoint."""

    rule: str
    priority: int
    group: Group
    wish_kw: Num | None = None
    """The setpoint it would like best; None: it only bounds the wishes of others."""
    min_kw: Num = NO_FLOOR
    max_kw: Num = NO_CEILING
    when: Flag = True
    """Scenarios in which it is made."""
    reason: Words
    """In plain words, with the numbers it rests on."""


class Rule(Protocol):
    """One rule: frozen parameters and a pure function. Higher priorities bound lower ones."""

    groups: ClassVar[tuple[Group, ...]]
    """The groups that it speaks about."""
    wishes: ClassVar[tuple[Group, ...]]
    """Those of them for which it may have a wish; for the others it only sets bounds."""
    needs: ClassVar[Needs]
    """The kind of site on which it has a meaning."""
    example: ClassVar[Mapping[str, Any]]
    """A complete configuration, as in a site file, for the contract suite and the documentation."""

    @property
    def rule(self) -> str:
        """Its name in the site file."""
        ...

    @property
    def priority(self) -> int: ...

    def propose(self, group: Group, situation: Situation) -> Sequence[Proposal]:
        """What it would have `group` do; empty where it has nothing to say. Groups are asked in the order
        of `Group`, so `situation.decided` holds what the earlier ones will do."""
        ...


RULES: Registry[Rule] = Registry("rule")
"""Rule name (`rule:` in the site file) → class."""
