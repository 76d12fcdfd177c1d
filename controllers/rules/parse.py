"""The `rules` of a site file, read and checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Annotated, Any, Union

from pydantic import Field, TypeAdapter

import controllers.rules
from controllers.base import RULES, Rule
from twin.errors import InputError, Problem
from twin.registry import load
from twin.site import Site
from twin.yaml_file import Document


@cache
def rules_adapter() -> TypeAdapter[Any]:
    """Validator and JSON Schema of a list of rules, with every registered one in it."""
    load(controllers.rules)
    rule: Any = Annotated[Union[tuple(RULES.values())], Field(discriminator="rule")]  # noqa: UP007
    return TypeAdapter(list[rule])


def parse_rules(site: Site, document: Document) -> Sequence[Rule]:
    """The rules of a site file, highest priority first. Raises `InputError` with every problem found."""
    if not site.rules:
        return ()
    rules = document.validate(rules_adapter(), at=("rules",))
    problems = [*_misplaced(rules, site, document), *_rivals(rules, document)]
    if problems:
        raise InputError(*problems)
    return tuple(sorted(rules, key=lambda rule: -int(rule.priority)))


def _misplaced(rules: Sequence[Rule], site: Site, document: Document) -> Iterator[Problem]:
    """Rules that have no meaning on a site of this kind."""
    kind = "grid" if site.grid else "island"
    for position, rule in enumerate(rules):
        if rule.needs not in (kind, "anything"):
            has = "with a grid connection" if kind == "grid" else "without a grid connection"
            yield document.problem(
                ("rules", position, "rule"),
                found=f"{rule.rule} on a site {has}",
                expected=", ".join(name for name, cls in RULES.items() if cls.needs in (kind, "anything")),
            )


def _rivals(rules: Sequence[Rule], document: Document) -> Iterator[Problem]:
    """Two rules of one priority: nobody could say which of them goes first."""
    owners: dict[int, int] = {}
    for position, rule in enumerate(rules):
        owner = owners.setdefault(rule.priority, position)
        if owner != position:
            line = document.line(("rules", owner, "priority"))
            yield document.problem(
                ("rules", position, "priority"),
                found=f"{rule.priority}, which {rules[owner].rule} (line {line}) has already",
                expected="a priority of its own for each rule",
            )
