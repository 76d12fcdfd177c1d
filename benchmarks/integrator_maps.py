"""How many real devices can be written down as register maps, without code.

Takes the meter templates of evcc (grid meters, PV inverters, batteries), which are what others had to say of such
devices, translates them mechanically and lets `gridhelm map check` judge. Prints what is missing in the rest.

    PYTHONPATH=. python benchmarks/integrator_maps.py [--show TEMPLATE]
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evcc_arithmetic import Memory, evcc_value
from evcc_registers import MissingError, number, writes
from evcc_registers import field as register_field
from evcc_templates import MARK_W, rendered, templates, usages

from twin.errors import InputError
from twin.telemetry.map_draft import flow, scalar
from twin.telemetry.map_formula import value_of
from twin.telemetry.register_map import RegisterMap, read_map

Data = Mapping[str, Any]
SINGLE = {"power": ("p_kw", "W"), "soc": ("soc", "%")}
ENERGY = {
    "grid": ("import_kwh", "export_kwh"),
    "pv": ("generation_kwh", "import_kwh"),
    "battery": ("discharge_kwh", "charge_kwh"),
}
PHASED = {"currents": ("a", "A"), "voltages": ("v", "V"), "powers": ("kw", "W")}
INTO_DEVICE = {"pv": "negative", "battery": "negative"}
"""evcc counts generation and discharging as positive, and import and consumption."""
STEERING = ("batterymode", "curtail", "dim", "limitsoc")
OF_THE_TWIN = ("type", "maxacpower", "capacity", "maxchargepower", "maxdischargepower")
"""What a site file states of a device, with the numbers that evcc asks its user for."""
VERIFIED = ("curtailed", "dimmed")
"""Whether a limit is in force, which the read-back of a setpoint says."""
TO_WATTS = re.compile(r"powerlimit := \( \w+ \* curtail \) / 100")
HELD = {1: "release", 2: "at_zero", 3: "above_zero"}


@dataclass
class Tally:
    """What became of one template."""

    read: Counter[str] = field(default_factory=Counter)
    steered: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    steering_missing: list[str] = field(default_factory=list)
    maps: dict[str, str] = field(default_factory=dict)


def main() -> None:
    """Translate all templates and print the count."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--show", help="print the maps of one template and end")
    wanted = arguments.parse_args().show
    tallies = {template["template"]: _tally(template) for template in templates()}
    if wanted is not None:
        if wanted not in tallies:
            raise SystemExit(f"{wanted} is none of {', '.join(tallies)}")
        sys.stdout.write("\n".join(tallies[wanted].maps.values()))
        return
    _report(tallies)


def _tally(template: Data) -> Tally:
    tally = Tally()
    for usage in usages(template):
        try:
            config = rendered(template, usage)
        except Exception as error:
            tally.missing.append(f"its own text: {str(error).splitlines()[0]}")
            continue
        _translate(template["template"], usage, config, tally)
    return tally


def _translate(name: str, usage: str, config: Data, tally: Tally) -> None:
    if config.get("type") != "custom":
        tally.missing.append(f"no register at all: a driver in evcc, type {config.get('type')}")
        return
    points: dict[str, Data] = {}
    for point, unit, source in _points(usage, config):
        try:
            points[point] = _point(point, unit, usage, number(source))
        except MissingError as error:
            tally.missing.append(str(error))
    tally.read["said"] += sum(1 for _ in _points(usage, config))
    known = {*SINGLE, "energy", "returnenergy", *PHASED, *STEERING, *OF_THE_TWIN, *VERIFIED}
    tally.missing += [f"the key {key}" for key in config if key not in known]
    sources = {point: source for point, _, source in _points(usage, config)}
    steering = _steering(config, tally)
    problems = _problems(name, usage, points, steering, sources, tally) if points else []
    tally.read["expressed"] += 0 if problems else len(points)
    tally.missing += problems


def _points(usage: str, config: Data) -> Iterator[tuple[str, str, Data]]:
    """Every number that a template reads: the twin's name for it, its unit, and its source."""
    energy = ENERGY.get(usage, ENERGY["grid"])
    singles = SINGLE | {"energy": (energy[0], "kWh"), "returnenergy": (energy[1], "kWh")}
    for key, (point, unit) in singles.items():
        if isinstance(config.get(key), Mapping):
            yield point, unit, config[key]
    for key, (suffix, unit) in PHASED.items():
        for index, source in enumerate(config.get(key) or (), start=1):
            yield f"l{index}_{suffix}", unit, source


def _point(point: str, unit: str, usage: str, keys: dict[str, Any] | float) -> Data:
    if isinstance(keys, float):
        raise MissingError("a constant for a measurement")
    made = dict(keys)
    scale = made.get("scale", 1.0)
    unsigned = str(made.get("type", "")).startswith("uint")
    has_sign = point in ("p_kw",) or (point.endswith(("_kw", "_a")) and not (point.endswith("_a") and unsigned))
    direction = INTO_DEVICE.get(usage, "positive")
    if has_sign:
        turned = {"positive": "negative", "negative": "positive"}[direction]
        made["into_device"] = turned if scale < 0 else direction
    made |= {"scale": abs(scale), "unit": unit}
    low, high = (-1e5, 1e5) if has_sign else (0.0, 1.0) if point == "soc" else (0.0, 1e9)
    if has_sign and unsigned:
        low, high = (low, 0.0) if made["into_device"] == "negative" else (0.0, high)
    return made | {"min": low, "max": high}


def _steering(config: Data, tally: Tally) -> Data | None:
    """The setpoint that a template has; what more it writes is missing."""
    made: Data | None = None
    for key in STEERING:
        if key not in config:
            continue
        tally.steered["said"] += 1
        try:
            if key not in STEERED or made is not None:
                raise MissingError(f"{key}: a second thing to steer beside the setpoint")
            made = STEERED[key](config[key])
            tally.steered["expressed"] += 1
        except MissingError as error:
            tally.steering_missing.append(str(error))
    return made


def _modes(source: Data) -> Data:
    """Normal, hold and charge as release, zero and above zero."""
    loss = {"dead_man_s": float(str(source["timeout"]).rstrip("s"))} if source.get("source") == "watchdog" else None
    inner = source["set"] if loss else source
    if inner.get("source") != "switch":
        raise MissingError("batterymode: writes before or after those of a mode")
    modes: dict[str, Any] = {}
    for case in inner["switch"]:
        if case["set"].get("source") == "error":
            continue
        if int(case["case"]) not in HELD:
            raise MissingError("batterymode: hold charging alone, which is a limit and not a setpoint")
        modes[HELD[int(case["case"])]] = writes(case["set"])
    for write in modes.get("release", ()):
        if write["value"] == "setpoint":
            write |= {"value": MARK_W if write.pop("into_device") == "positive" else -MARK_W}
            del write["unit"]
    if "at_zero" not in modes or "above_zero" not in modes:
        raise MissingError("batterymode: no charging, or no hold")
    states_power = any(write["value"] == "setpoint" for write in modes["above_zero"])
    on_and_off = {} if states_power else {"step": 100}
    return {"name": "p_kw", "min": 0, "max": 100} | on_and_off | modes | (loss or {"at_loss": "holds"})


def _limit(source: Data) -> Data:
    """A limit in percent of the rated power, with the switch that makes it count."""
    parts = source["set"] if source.get("source") == "sequence" else [source]
    kinds = [str(part.get("source")) for part in parts]
    limit = next((part for part in parts if part.get("source") in ("modbus", "go")), None)
    if limit is None or not set(kinds) <= {"modbus", "go", "switch", "const"} or kinds.count("modbus") > 1:
        raise MissingError(f"curtail: {', '.join(kinds)}")
    made = _limited(limit)
    made |= {"name": "limit_kw", "min": 0, "max": 10, "at_loss": "holds"}
    at = parts.index(limit)
    for index, part in enumerate(parts):
        if part.get("source") == "const":
            made.setdefault("before" if index < at else "after", []).extend(writes(part))
        elif part.get("source") == "switch":
            cases = {int(case["case"]): case["set"] for case in part["switch"]}
            made.setdefault("before", []).extend(writes(part["default"]))
            made["release"] = writes(cases[100])
    return made


STEERED = {"batterymode": _modes, "curtail": _limit}


def _limited(limit: Data) -> dict[str, Any]:
    """The register of a limit: in percent, or in watts where evcc's program does nothing but multiply."""
    if limit["source"] == "modbus":
        return register_field(limit) | {"unit": "%", "rated": 10}
    if not TO_WATTS.search(limit["script"]) or limit["out"][0]["config"].get("source") != "modbus":
        raise MissingError("curtail: a program in Go that is more than percent of rated power")
    return register_field(limit["out"][0]["config"]) | {"unit": "W"}


def _problems(name: str, usage: str, points: Data, steering: Data | None, sources: Data, tally: Tally) -> list[str]:
    """What `gridhelm map check` says of the map."""
    lines = [f"title: {scalar(f'{name}, as {usage}')}", "address_base: 0", "points:"]
    lines += [f"  {point}: {flow(keys)}" for point, keys in points.items()]
    lines += ["setpoint:", *(f"  {key}: {flow(part)}" for key, part in steering.items())] if steering else []
    text = tally.maps[usage] = "\n".join(lines) + "\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            registers = read_map(path)
        except InputError as error:
            return [f"map check: {problem.path}: {problem.found}" for problem in error.problems]
    tally.read["alike"] += sum(_is_alike(usage, point, registers, sources[point]) for point in points)
    return []


def _is_alike(usage: str, point: str, registers: RegisterMap, source: Data) -> bool:
    """Whether the map reads the number that evcc reads, of a device with arbitrary content."""
    memory = Memory(seed=len(point))
    theirs = evcc_value(source, memory)
    ours = value_of(
        registers.points[point],
        lambda item: memory.read(item.unit_id, item.table, item.address, item.word_count),
    )
    if point == "p_kw" or point.endswith(("_kw", "_a")):
        theirs = -theirs if INTO_DEVICE.get(usage) == "negative" and _has_sign(registers, point) else theirs
    in_our_unit = theirs * {"p_kw": 1e-3, "soc": 1e-2}.get(point, 1e-3 if point.endswith("_kw") else 1.0)
    return ours is not None and abs(ours - in_our_unit) <= 1e-9 * max(abs(in_our_unit), 1.0)


def _has_sign(registers: RegisterMap, point: str) -> bool:
    return registers.points[point].into_device is not None


def _report(tallies: Mapping[str, Tally]) -> None:
    read = [name for name, tally in tallies.items() if not tally.missing]
    whole = [name for name in read if not tallies[name].steering_missing]
    total = sum((tally.read for tally in tallies.values()), Counter[str]())
    steered = sum((tally.steered for tally in tallies.values()), Counter[str]())
    print(f"templates: {len(tallies)}")
    print(f"  all that is read is expressed: {len(read)}")
    print(f"  and all that is written too:   {len(whole)}")
    print(f"numbers read: {total['said']}, in maps that pass the check: {total['expressed']}")
    print(f"  of which the map reads what evcc's own arithmetic reads, of arbitrary content: {total['alike']}")
    print(f"things steered: {steered['said']}, expressed: {steered['expressed']}")
    for title, key in (("missing in reading", "missing"), ("missing in writing", "steering_missing")):
        reasons: dict[str, set[str]] = defaultdict(set)
        for name, tally in tallies.items():
            for reason in getattr(tally, key):
                reasons[reason].add(name)
        print(f"{title}, by templates:")
        for reason, names in sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0])):
            print(f"  {len(names):3} {reason}: {', '.join(sorted(names)[:4])}{' …' if len(names) > 4 else ''}")


if __name__ == "__main__":
    main()
