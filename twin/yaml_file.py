"""A person's YAML file with the line of every key, so that each complaint names its place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from twin.errors import InputError, Problem
from twin.yaml_ranges import expanded, line_of

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
            entries = error.errors()
            raise InputError(
                *(self._complaint(at, entry, _allowed(adapter, entry, entries)) for entry in entries)
            ) from None

    def _complaint(self, at: Sequence[Key], entry: Any, allowed: Sequence[str]) -> Problem:
        loc = [key for key in (*at, *entry["loc"]) if key != "[key]"]
        if entry["type"] == "union_tag_invalid":
            loc.append(_discriminator(entry))
        keys = self._keys_in_file(loc) + ((loc[-1],) if entry["type"] in MISSING else ())
        return self.problem(keys, found=_found(entry), expected=_expected(entry, allowed))

    def _keys_in_file(self, loc: Sequence[Key]) -> tuple[Key, ...]:
        """`loc` without what pydantic adds to it (the tag of a union) and a person never wrote."""
        node, keys = self.data, list[Key]()
        for key in loc:
            if isinstance(node, CommentedMap | CommentedSeq) and _has(node, key):
                node = node[key]
                keys.append(key)
        return tuple(keys)

    def line(self, keys: Sequence[Key]) -> int | None:
        """1-based line of `keys`, or of the nearest key above it that exists."""
        node, line = self.data, None
        for key in keys:
            if not isinstance(node, CommentedMap | CommentedSeq) or not _has(node, key):
                break
            line = line_of(node, key) if isinstance(node, CommentedMap) else node.lc.item(key)[0] + 1
            node = node[key]
        return line


def _has(node: Any, key: Key) -> bool:
    if isinstance(node, CommentedMap):
        return key in node
    return isinstance(key, int) and 0 <= key < len(node)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The likeliest meant of `known`, as the end of a sentence; nothing where none is near."""
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
MISSING = ("missing", "missing_argument", "missing_keyword_only_argument")


def _allowed(adapter: TypeAdapter[Any], entry: Any, entries: Sequence[Any]) -> Sequence[str]:
    """Keys that may be meant by an unknown one: those missing beside it, or else every key there is."""
    if entry["type"] not in UNKNOWN:
        return ()
    beside = [
        str(other["loc"][-1])
        for other in entries
        if other["type"] in MISSING and other["loc"][:-1] == entry["loc"][:-1]
    ]
    if did_you_mean(str(entry["loc"][-1]), beside):
        return beside
    schema = adapter.json_schema()
    objects = [schema, *schema.get("$defs", {}).values()]
    return sorted({name for item in objects for name in item.get("properties", {})})


def _discriminator(entry: Any) -> str:
    return str(entry["ctx"]["discriminator"]).strip("'")


def _found(entry: Any) -> str:
    if entry["type"] in MISSING:
        return "nothing"
    if entry["type"] in UNKNOWN:
        return "an unknown key"
    if entry["type"] == "union_tag_invalid":
        return repr(entry["ctx"]["tag"])
    if entry["type"] == "union_tag_not_found":
        return "nothing that says which kind it is"
    if isinstance(entry["input"], dict):
        return f"keys {', '.join(map(str, entry['input']))}"
    return repr(entry["input"])[:80]


def _expected(entry: Any, allowed: Sequence[str]) -> str:
    if entry["type"] in MISSING:
        return "this key with a value"
    if entry["type"] in UNKNOWN:
        hint = did_you_mean(str(entry["loc"][-1]), allowed)
        return "one of the documented keys (see `gridhelm schema`); the unit is part of the key" + hint
    if entry["type"] == "union_tag_invalid":
        tags = str(entry["ctx"]["expected_tags"])
        return f"one of {tags}" + did_you_mean(entry["ctx"]["tag"], tags.replace("'", "").split(", "))
    if entry["type"] == "union_tag_not_found":
        return f"a key {_discriminator(entry)}"
    return str(entry["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")


NOT_YAML = (YAMLError, ValueError, IndexError, AttributeError, RecursionError)
"""What the parser raises: beside its own errors, what its constructors of scalars (dates, numbers) let through."""


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
        found = str(error.problem).removeprefix("found ")
        raise InputError(Problem(file=str(path), line=line, path="", found=found, expected="valid YAML 1.2")) from None
    except NOT_YAML as error:
        raise InputError(
            Problem(file=str(path), line=None, path="", found=str(error), expected="valid YAML 1.2")
        ) from None

    def complain(line: int, key: str, found: str, expected: str) -> InputError:
        return InputError(Problem(file=str(path), line=line, path=key, found=found, expected=expected))

    return Document(path=path, data=expanded(data, complain))
