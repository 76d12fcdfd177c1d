"""Keys that stand for many: ``hall_<01..24>_400v`` is ``hall_01_400v``, ``hall_02_400v`` … as braces do in a shell.

Inside the value of such a key the same range stands for the same number, in strings, lists and keys however deep, so
that ``cable_<01..24>: {from_bus: main, to_bus: hall_<01..24>_400v}`` is 24 cables to 24 halls. Every key that comes of
it has the line of the one that was written. Not braces, because YAML takes those for a mapping.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq

RANGE = re.compile(r"<([0-9]+)\.\.([0-9]+)>")
MOST_KEYS = 10_000
"""Of one range; more is a slip of the keyboard, and would fill the memory."""
Complain = Callable[[int, str, str, str], Exception]
"""Line, key, what was found and what was expected, as an error to be raised."""


def expanded(node: Any, complain: Complain) -> Any:
    """The same document with every such key written out."""
    if isinstance(node, CommentedSeq):
        for place, item in enumerate(node):
            node[place] = expanded(item, complain)
        return node
    if not isinstance(node, CommentedMap) or not any(_is_range(key) for key in node):
        return _inside(node, complain)
    whole = _empty_like(node)
    for key, value in node.items():
        for name, part in _copies(node, key, value, complain):
            if name in whole or (name != key and name in node):
                raise _twice(line_of(node, key), key, name, complain)
            whole[name] = expanded(part, complain)
            whole.lc.add_kv_line_col(name, _place(node, key))
    return whole


def line_of(node: CommentedMap, key: Any) -> int:
    """1-based line of a key; that of its mapping where a merge (``<<``) brought it."""
    return int(_place(node, key)[0]) + 1


def _place(node: CommentedMap, key: Any) -> list[int]:
    return (node.lc.data or {}).get(key) or [node.lc.line, node.lc.col] * 2


def _inside(node: Any, complain: Complain) -> Any:
    if isinstance(node, CommentedMap):
        for key, value in node.items():
            node[key] = expanded(value, complain)
    return node


def _is_range(key: Any) -> bool:
    return isinstance(key, str) and RANGE.search(key) is not None


def _empty_like(node: CommentedMap) -> CommentedMap:
    empty = CommentedMap()
    empty._yaml_set_line_col(node.lc.line, node.lc.col)
    return empty


def _twice(line: int, key: Any, name: Any, complain: Complain) -> Exception:
    return complain(line, key, f"{name}, which is there already", "keys that differ")


def _copies(node: CommentedMap, key: Any, value: Any, complain: Complain) -> Iterator[tuple[Any, Any]]:
    found = RANGE.findall(key) if isinstance(key, str) else []
    if not found:
        yield key, value
        return
    (first, last), line = found[0], line_of(node, key)
    if len(set(found)) > 1 or int(first) > int(last):
        raise complain(line, key, "more than one range, or one that falls", "one rising range such as <01..24>")
    if int(last) - int(first) >= MOST_KEYS:
        raise complain(line, key, f"a range of {int(last) - int(first) + 1} keys", f"at most {MOST_KEYS}")
    for number in range(int(first), int(last) + 1):
        written, text = f"<{first}..{last}>", str(number).zfill(len(first))
        copy = _Copy(key=key, written=written, text=text, complain=complain)
        yield copy.word(key, line), copy.of(value, int(_place(node, key)[2]) + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    """One of the keys that a range stands for."""

    key: str
    written: str
    text: str
    complain: Complain

    def word(self, word: str, line: int) -> str:
        done = word.replace(self.written, self.text)
        if RANGE.search(done):
            found = f"{word} below a key with {self.written}"
            raise self.complain(line, self.key, found, f"{self.written} there too")
        return done

    def of(self, node: Any, line: int) -> Any:
        """A copy of `node` with the number in place, and with the lines of the original."""
        if isinstance(node, str):
            return self.word(node, line)
        if isinstance(node, CommentedMap):
            return self._map(node)
        if isinstance(node, CommentedSeq):
            return self._sequence(node)
        return node

    def _map(self, node: CommentedMap) -> CommentedMap:
        copy = _empty_like(node)
        for key, value in node.items():
            place, line = _place(node, key), line_of(node, key)
            name = self.word(key, line) if isinstance(key, str) else key
            if name in copy:
                raise _twice(line, key, name, self.complain)
            copy[name] = self.of(value, int(place[2]) + 1)
            copy.lc.add_kv_line_col(name, place)
        return copy

    def _sequence(self, node: CommentedSeq) -> CommentedSeq:
        places = node.lc.data or {}
        copy = CommentedSeq(self.of(item, int(places[row][0]) + 1) for row, item in enumerate(node))
        copy._yaml_set_line_col(node.lc.line, node.lc.col)
        for row, place in places.items():
            copy.lc.add_idx_line_col(row, place)
        return copy
