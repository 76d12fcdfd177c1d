"""A person's YAML file with the line of every key, so that each complaint names its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from twin.errors import InputError, Problem

T = TypeVar("T")
Key = str | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A parsed file. `data` is plain YAML data that remembers its lines."""

    path: Path
    data: Any

    def problem(self, keys: Sequence[Key], *, found: str, expected: str) -> Problem:
        """A complaint about the value at `keys`, or about the nearest key above it that exists."""
        return Problem(
            file=str(self.path), line=self.line(keys), path=".".join(map(str, keys)), found=found, expected=expected
        )

    def validate(self, adapter: TypeAdapter[T], at: Sequence[Key] = ()) -> T:
        """The part of the file below `at` as `adapter` understands it; `InputError` with all problems otherwise."""
        node = self.data
        for key in at:
            node = node[key]
        try:
            return adapter.validate_python(node)
        except ValidationError as error:
            raise InputError(*(self._complaint(at, entry) for entry in error.errors())) from None

    def _complaint(self, at: Sequence[Key], entry: Any) -> Problem:
        keys = self._keys_in_file(tuple(at) + tuple(entry["loc"]))
        return self.problem(keys, found=_found(entry), expected=_expected(entry))

    def _keys_in_file(self, loc: Sequence[Key]) -> tuple[Key, ...]:
        """`loc` without what pydantic adds to it (the tag of a union) and a person never wrote."""
        node, keys = self.data, list[Key]()
        for position, key in enumerate(loc):
            inside = isinstance(node, CommentedMap | CommentedSeq) and _has(node, key)
            if inside:
                node = node[key]
            if inside or position == len(loc) - 1:
                keys.append(key)
        return tuple(keys)

    def line(self, keys: Sequence[Key]) -> int | None:
        """1-based line of `keys`, or of the nearest key above it that exists."""
        node, line = self.data, None
        for key in keys:
            if not isinstance(node, CommentedMap | CommentedSeq) or not _has(node, key):
                break
            position = node.lc.key(key) if isinstance(node, CommentedMap) else node.lc.item(key)
            line, node = position[0] + 1, node[key]
        return line


def _has(node: Any, key: Key) -> bool:
    if isinstance(node, CommentedMap):
        return key in node
    return isinstance(key, int) and 0 <= key < len(node)


def _found(entry: Any) -> str:
    if entry["type"] == "missing":
        return "nothing"
    if entry["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return "an unknown key"
    if entry["type"].startswith("union_tag") and isinstance(entry["input"], dict):
        return repr(entry["input"].get(entry["ctx"]["discriminator"].strip("'"), "no such key"))
    return repr(entry["input"])[:80]


def _expected(entry: Any) -> str:
    if entry["type"] == "missing":
        return "this key with a value"
    if entry["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return "one of the documented keys (see `gridhelm schema`); the unit is part of the key"
    if entry["type"] == "union_tag_invalid":
        return f"{entry['ctx']['discriminator'].strip(chr(39))}: one of {entry['ctx']['expected_tags']}"
    if entry["type"] == "union_tag_not_found":
        return f"a key {entry['ctx']['discriminator']}"
    return str(entry["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")


def read_yaml(path: Path) -> Document:
    """Parse a YAML 1.2 file. Raises `InputError` when it is absent or not YAML."""
    try:
        data = YAML(typ="rt").load(path)
    except OSError as error:
        raise InputError(
            Problem(file=str(path), line=None, path="", found=str(error.strerror), expected="a readable YAML file")
        ) from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise InputError(
            Problem(file=str(path), line=line, path="", found=str(error.problem), expected="valid YAML 1.2")
        ) from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            Problem(file=str(path), line=None, path="", found=str(error), expected="valid YAML 1.2")
        ) from None
    return Document(path=path, data=data)
