"""Words put together when somebody reads them: a simulated year gives a million reasons, and few are read."""

from __future__ import annotations

from collections.abc import Callable


class LazyWords:
    """A text that is made by `say`, a pure function of what does not change, each time it is read."""

    __slots__ = ("_say",)

    def __init__(self, say: Callable[[], str]) -> None:
        self._say = say

    def __str__(self) -> str:
        return self._say()

    def __repr__(self) -> str:
        return repr(str(self))

    def __contains__(self, part: str) -> bool:
        return part in str(self)

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, LazyWords | str) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))


Words = str | LazyWords
"""What a person may read."""
