"""A site file is read, or answered with file, line, key, what was found and what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.twin.site_mistakes import CAMPUS, KEYS_AND_NETWORK, SITES, Case
from tests.twin.site_mistakes_devices import DEVICES_AND_LINKS
from twin.errors import InputError
from twin.site import Site, load_document, load_site, site_adapter

CASES = KEYS_AND_NETWORK | DEVICES_AND_LINKS


def line_of(text: str, marker: str) -> int:
    assert marker in text
    return text[: text.index(marker)].count("\n") + 1


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_mistake_is_answered_with_its_place_and_its_remedy(case: Case, tmp_path: Path) -> None:
    assert case.text.count(case.old) == 1, f"{case.old!r} must stand once in the good file"
    text = case.text.replace(case.old, case.new)
    path = tmp_path / "site.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(InputError) as caught:
        load_site(path)

    found = case.found
    if "{" in found:  # the line of another key, by a text that stands on it
        marker = found[found.index("{") + 1 : found.rindex("}")]
        found = found.replace("{" + marker + "}", str(line_of(text, marker)))
    about = [problem for problem in caught.value.problems if problem.path.startswith(case.key)]
    assert about, f"nothing was said about {case.key}: {caught.value}"
    problem = next((problem for problem in about if found in problem.found), about[0])
    assert (found in problem.found, case.expected in problem.expected) == (True, True), str(problem)
    assert problem.file == str(path)
    assert problem.line == line_of(text, case.at or case.new)
    assert str(problem).startswith(f"{path}:{problem.line}: {problem.path}: found ")


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    text = CAMPUS.replace("from_bus: pcc_20kv", "from_bus: a").replace("topic: hall_b", "topic: hall_a")
    path.write_text(text.replace("command_validity_s: 5", "command_validity_s: 1"), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_site(path)
    assert [problem.path for problem in caught.value.problems] == [
        "network.lines.feeder.from_bus",
        "telemetry.links.hall_b.topic",
        "control.command_validity_s",
    ]


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("name: campus\nlocation: [1\nweather: 3\n", 3, "expected ',' or ']'"),
        ("name: campus\nname: other\n", 2, "duplicate key"),
        ("name: campus\n\tweather: 3\n", 2, "character '\\t'"),
        ("name: 2024-13-45\n", None, "month must be in 1..12"),
        ("name: \x00\n", None, "unacceptable character"),
    ],
    ids=["open bracket", "duplicate key", "tab", "impossible date", "control character"],
)
def test_what_is_not_yaml_is_answered_with_its_line(text: str, line: int | None, found: str, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_site(path)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.expected) == (str(path), line, "valid YAML 1.2")
    assert found in problem.found


def test_bytes_that_are_no_text_are_not_yaml(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_bytes(b"name: \xff\xfe\x00")
    with pytest.raises(InputError, match=r"expected valid YAML 1\.2"):
        load_site(path)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "campus\n"], ids=["empty", "a list", "a word"])
def test_a_file_without_keys_is_answered(text: str, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="expected a"):
        load_site(path)


def test_a_missing_file_is_answered_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.yaml"
    with pytest.raises(InputError, match=r"nowhere\.yaml: found No such file or directory, expected a readable YAML"):
        load_site(path)


@pytest.mark.parametrize("path", sorted(SITES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_sites_are_sound(path: Path) -> None:
    site, document = load_document(path)
    assert site.name == path.stem
    assert [*site.devices] == [*document.data["devices"]]
    assert site.slack in site.devices


def test_a_site_with_a_grid_leans_on_it_and_an_island_on_its_battery() -> None:
    campus, island = load_site(SITES / "campus.yaml"), load_site(SITES / "island.yaml")
    assert (campus.grid, campus.slack) == ("grid", "grid")
    assert (island.grid, island.slack) == (None, "battery")


def test_the_shipped_sites_can_run_side_by_side() -> None:
    addresses = [address for path in SITES.glob("*.yaml") for address in served(load_site(path))]
    assert len(addresses) == len(set(addresses))


def served(site: Site) -> set[tuple[str, int]]:
    links: list[Any] = [link for link in site.telemetry.links.values() if link.protocol == "modbus_tcp"]
    broker = site.telemetry.broker
    return {(link.host, link.port) for link in links} | ({(broker.host, broker.port)} if broker else set())


def test_the_schema_describes_every_device_and_key() -> None:
    schema = site_adapter().json_schema()
    assert set(schema["properties"]) >= {"name", "location", "network", "devices", "rules", "telemetry"}
    battery = schema["$defs"]["Battery"]["properties"]
    assert battery["capacity_kwh"]["type"] == "number"
    line = schema["$defs"]["Line"]["properties"]
    assert "all parallel systems" in line["rated_a"]["description"]
