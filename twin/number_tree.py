"""The numbers in nested data, as one flat list and back: what a run remembers, as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np

from twin.numeric import Num
from twin.tape import Symbol

T = TypeVar("T")


def numbers(tree: Any) -> list[Num]:
    """Every float, array and symbol in dicts, tuples and dataclasses, in their order. All else is left out."""
    if isinstance(tree, float | np.ndarray | Symbol):
        return [tree]  # type: ignore[list-item]
    return [number for part in _parts(tree) for number in numbers(part)]


def with_numbers(tree: T, values: Iterator[Any]) -> T:
    """The same data with other numbers, taken from `values` in the order of `numbers`."""
    new: Any = tree
    if isinstance(tree, float | np.ndarray | Symbol):
        new = next(values)
    elif isinstance(tree, dict):
        new = tree.copy()
        new.update({key: with_numbers(part, values) for key, part in tree.items()})
    elif isinstance(tree, tuple):
        new = tuple(with_numbers(part, values) for part in tree)
    elif is_dataclass(tree) and not isinstance(tree, type):
        new = replace(tree, **{item.name: with_numbers(getattr(tree, item.name), values) for item in fields(tree)})
    return new  # type: ignore[no-any-return]


def _parts(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        yield from tree.values()
    elif isinstance(tree, tuple):
        yield from tree
    elif is_dataclass(tree):
        yield from (getattr(tree, item.name) for item in fields(tree))
