"""Keys that stand for many: ``hall_<01..24>_400v`` is ``hall_01_400v``, ``hall_02_400v`` … as braces do in a shell.

Inside the value of such a key the same range stands for the same number, in strings, lists and keys however deep, so
that ``cable_<01..24>: {from_bus: main, to_bus: hall_<01..24>_400v}`` is 24 cables to 24 halls. Every key that comes of
it has the line of the one that was written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq

RANGE = re.compile(r"<(\d+)\.\.(\d+)>")
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
    whole = CommentedMap()
    whole._yaml_set_line_col(node.lc.line, node.lc.col)
    for key, value in node.items():
        place = node.lc.data[key]
        for name, part in _copies(key, value, place[0] + 1, complain):
            if name in whole or (name != key and name in node):
                raise complain(place[0] + 1, key, f"{name}, which is there already", "keys that differ")
            whole[name] = expanded(part, complain)
            whole.lc.add_kv_line_col(name, place)
    return whole


def _inside(node: Any, complain: Complain) -> Any:
    if isinstance(node, CommentedMap):
        for key, value in node.items():
            node[key] = expanded(value, complain)
    return node


def _is_range(key: Any) -> bool:
    return isinstance(key, str) and RANGE.search(key) is not None


def _copies(key: Any, value: Any, line: int, complain: Complain) -> Iterator[tuple[Any, Any]]:
    found = RANGE.findall(key) if isinstance(key, str) else []
    if not found:
        yield key, value
        return
    (first, last), written = found[0], RANGE.search(key).group()  # type: ignore[union-attr]
    if len(set(found)) > 1 or int(first) > int(last):
        raise complain(line, key, "more than one range, or one that falls", "one rising range such as <01..24>")
    for number in range(int(first), int(last) + 1):
        text = str(number).zfill(len(first))

        def put(word: str, text: str = text) -> str:
            word = word.replace(written, text)
            if RANGE.search(word):
                raise complain(line, key, f"{word} below a key with {written}", f"{written} there too")
            return word

        yield put(key), _replaced(value, put)


def _replaced(node: Any, put: Callable[[str], str]) -> Any:
    """A copy of its own, with the lines of the original."""
    if isinstance(node, str):
        return put(node)
    if isinstance(node, CommentedMap):
        copy = CommentedMap()
        copy._yaml_set_line_col(node.lc.line, node.lc.col)
        for key, value in node.items():
            name = put(key) if isinstance(key, str) else key
            copy[name] = _replaced(value, put)
            copy.lc.add_kv_line_col(name, node.lc.data[key])
        return copy
    if isinstance(node, CommentedSeq):
        items = CommentedSeq(_replaced(item, put) for item in node)
        items._yaml_set_line_col(node.lc.line, node.lc.col)
        for place in range(len(node)):
            items.lc.data = items.lc.data or {}
            items.lc.data[place] = node.lc.data[place]
        return items
    return node
