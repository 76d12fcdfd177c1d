"""Meter templates of evcc as plain data: the few words of Go's template language that they use, and their registers.

Not a translation by hand: what is not understood is named, and counted by `integrator_maps.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from zipfile import ZipFile

from measured_data import measured
from ruamel.yaml import YAML

Data = Mapping[str, Any]
MARK_W = 7777
"""Stands for the power that evcc's user states, so that it is found again in what is written."""
GIVEN = {
    "host": "h",
    "port": 502,
    "id": 1,
    "maxacpower": MARK_W,
    "maxchargepower": MARK_W,
    "maxdischargepower": MARK_W,
    "minsoc": 10,
    "maxsoc": 95,
    "capacity": 10,
    "watchdog": "60s",
    "maxchargerate": 100,
    "meterid": 30,
    "storageunit": 1,
    "serial": "1",
    "password": "p",
}
"""What evcc's user would be asked for."""


def templates() -> Iterator[Data]:
    """Every template, parsed."""
    yaml = YAML(typ="safe")
    with ZipFile(measured("integrators/evcc_modbus_meter_templates.zip")) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".yaml"):
                yield yaml.load(archive.read(name).decode())


def usages(template: Data) -> list[str]:
    """What a template may be used as: grid, pv, battery, charge, aux …"""
    choices = [param.get("choice") for param in template["params"] if param.get("name") == "usage"]
    return list(choices[0]) if choices and choices[0] else ["grid"]


def rendered(template: Data, usage: str) -> Data:
    """The configuration that evcc makes of it. Raises `ValueError` where a word of its language is not known."""
    context = GIVEN | {"usage": usage}
    for param in template["params"]:
        name = param.get("name", "")
        if param.get("type") == "bool":
            context[name] = "true"
        elif name not in GIVEN and "default" in param:
            context[name] = param["default"]
    text = _render(_tokens(template["render"]), context)
    return YAML(typ="safe").load(text) or {}


def _tokens(text: str) -> list[tuple[str, str]]:
    """Text and tags in their order, with the white space gone that a tag's minus takes away."""
    tokens: list[tuple[str, str]] = []
    at, trim = 0, False
    for match in re.finditer(r"\{\{(-?)\s*(.*?)\s*(-?)\}\}", text, re.DOTALL):
        before = text[at : match.start()]
        before = before.lstrip() if trim else before
        tokens += [("text", before.rstrip() if match[1] else before), ("tag", match[2])]
        at, trim = match.end(), bool(match[3])
    return [*tokens, ("text", text[at:].lstrip() if trim else text[at:])]


def _render(tokens: list[tuple[str, str]], context: Data) -> str:
    shown: list[bool] = [True]
    out: list[str] = []
    for kind, content in tokens:
        word, _, rest = content.partition(" ")
        if kind == "text":
            out.append(content if all(shown) else "")
        elif word == "if":
            shown.append(_true(_value(rest, context)))
        elif word == "else":
            shown[-1] = not shown[-1]
        elif word == "end":
            shown.pop()
        elif all(shown):
            out.append(_include(rest) if word == "include" else _text(_value(content, context)))
    return "".join(out)


def _text(value: Any) -> str:
    return "true" if value is True else "false" if value is False else str(value)


def _include(rest: str) -> str:
    """Connections of `modbus`; parameters of a battery say nothing of registers."""
    if not rest.startswith('"modbus"'):
        return ""
    indent = re.search(r"indent\s+(\d+)", rest)
    space = "\n" + " " * (int(indent[1]) if indent else 0)
    return f"{space}uri: h:502{space}id: 1"


def _true(value: Any) -> bool:
    return value not in (None, "", 0, False)


def _value(words: str, context: Data) -> Any:
    """An expression: a parameter, a constant, or a function of such."""
    parts = re.findall(r'"[^"]*"|\([^()]*(?:\([^()]*\)[^()]*)*\)|\S+', words)
    if len(parts) == 1:
        return _atom(parts[0], context)
    name, *arguments = parts
    values = [_atom(part, context) for part in arguments]
    if name in ("mul", "divf"):
        return float(values[0]) * float(values[1]) if name == "mul" else float(values[0]) / float(values[1])
    functions = {
        "eq": lambda: str(values[0]) in map(str, values[1:]),
        "ne": lambda: str(values[0]) != str(values[1]),
        "not": lambda: not _true(values[0]),
        "or": lambda: next((value for value in values if _true(value)), values[-1]),
        "and": lambda: values[-1] if all(map(_true, values)) else None,
        "maxf": lambda: max(float(value) for value in values),
        "joinHostPort": lambda: f"{values[0]}:{values[1]}",
    }
    if name not in functions:
        raise ValueError(f"the word {name} of its language")
    return functions[name]()


def _atom(part: str, context: Data) -> Any:
    if part.startswith("("):
        return _value(part[1:-1], context)
    if part.startswith('"'):
        return part[1:-1]
    return context.get(part[1:], "") if part.startswith(".") else part
