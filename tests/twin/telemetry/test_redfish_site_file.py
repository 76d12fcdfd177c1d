"""Redfish and DCGM links as a person writes them: read, or answered with place and remedy."""

from pathlib import Path

import pytest
import trustme

from agents.assemble import load
from tests.twin.site_mistakes import CAMPUS
from twin.errors import InputError, Problem
from twin.site import Site, load_site
from twin.telemetry.dcgm_link import DcgmLink
from twin.telemetry.redfish import RedfishDevices
from twin.telemetry.redfish_link import RedfishLink

HALL_A = (
    "    hall_a:           {protocol: mqtt, topic: hall_a, device: hall_a, "
    "points: [p_kw, demand_kw, firm_kw, limit_kw, backlog_gpu_h]}\n"
)
SCHEDULER = HALL_A.replace("p_kw, ", "").replace("limit_kw, ", "")
NODES = (
    "    nodes_a: {protocol: redfish, device: hall_a, controllers: ['https://10.1.0.11', 'https://10.1.0.12:8443'], "
    "username: gridhelm, password_file: bmc.txt, points: [limit_kw]MORE}\n"
)
GPUS = (
    "    gpus_a: {protocol: dcgm, device: hall_a, exporters: ['http://10.1.0.11:9400/metrics'], gpu_count: 8, "
    "host_w_per_gpu: 250, points: [p_kw, gpu_kw]MORE}\n"
)


def read(tmp_path: Path, *links: str) -> Site:
    assert CAMPUS.count(HALL_A) == 1
    path = tmp_path / "site.yaml"
    path.write_text(CAMPUS.replace(HALL_A, "".join(links)), encoding="utf-8")
    return load_site(path)


def problem(tmp_path: Path, *links: str) -> Problem:
    with pytest.raises(InputError) as caught:
        read(tmp_path, *links)
    (only,) = caught.value.problems
    return only


def test_a_hall_may_be_known_by_its_scheduler_its_controllers_and_its_gpus(tmp_path: Path) -> None:
    site = read(tmp_path, SCHEDULER, NODES.replace("MORE", ", left_in_force: true"), GPUS.replace("MORE", ""))
    nodes, gpus = site.telemetry.links["nodes_a"], site.telemetry.links["gpus_a"]
    assert isinstance(nodes, RedfishLink)
    assert isinstance(gpus, DcgmLink)
    assert nodes.controllers == ("https://10.1.0.11", "https://10.1.0.12:8443")
    load(tmp_path / "site.yaml")


def test_what_no_link_shows_of_a_hall_is_missed(tmp_path: Path) -> None:
    read(tmp_path, SCHEDULER, NODES.replace("MORE", ""))
    with pytest.raises(InputError, match="nothing that shows p_kw") as caught:
        load(tmp_path / "site.yaml")
    assert len(caught.value.problems) == 1


def test_a_point_comes_over_one_link(tmp_path: Path) -> None:
    found = problem(tmp_path, HALL_A, GPUS.replace("MORE", ""))
    assert (found.path, found.found) == (
        "telemetry.links.gpus_a.points",
        "p_kw of hall_a, which link hall_a shows already",
    )


def test_a_register_map_and_a_redfish_link_do_not_show_the_same(tmp_path: Path) -> None:
    meter = "    meter_a: {protocol: modbus_tcp, port: 15099, map: load_meter, device: hall_a}\n"
    read(tmp_path, meter, NODES.replace("MORE", ", left_in_force: true").replace("[limit_kw]", "[p_kw, limit_kw]"))
    with pytest.raises(InputError, match="p_kw of hall_a, which its register map shows already"):
        load(tmp_path / "site.yaml")


def test_a_hall_that_only_redfish_steers_needs_a_word_that_its_limit_stays(tmp_path: Path) -> None:
    found = problem(tmp_path, NODES.replace("MORE", ""))
    assert found.path == "telemetry.links.nodes_a"
    assert "Redfish has no dead-man" in found.found
    assert "left_in_force: true" in found.expected
    read(tmp_path, NODES.replace("MORE", ", left_in_force: true"))
    read(tmp_path, SCHEDULER, NODES.replace("MORE", ""))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("https://10.1.0.11", "http://10.1.0.11", "in the clear"),
        ("https://10.1.0.11", "10.1.0.11", "https://host"),
        ("https://10.1.0.11", "https://root:secret@10.1.0.11", "and nothing else"),
        ("https://10.1.0.11", "https://10.1.0.11/redfish/v1", "and nothing else"),
        ("https://10.1.0.11", "https://10.1.0.11:99999", "https://host"),
        ("https://10.1.0.11", "https://10.1.0.12:8443", "each once"),
        ("device: hall_a,", "device: weather,", "a device with power"),
        ("MORE", ", chassis: [A, A]", "each once"),
    ],
)
def test_a_redfish_link_that_cannot_be_meant_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert words in problem(tmp_path, SCHEDULER, NODES.replace(old, new).replace("MORE", "")).expected


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("MORE", ", username: u", "together, or neither"),
        ("MORE", ", username: u, password_file: p", "in the clear"),
        ("['http://10.1.0.11:9400/metrics']", "['http://a/m', 'http://a/m']", "each once"),
        ("http://10.1.0.11:9400/metrics", "ftp://10.1.0.11", "https://host"),
    ],
)
def test_a_dcgm_link_that_cannot_be_meant_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    found = problem(
        tmp_path, SCHEDULER.replace("points: [", "points: [limit_kw, "), GPUS.replace(old, new).replace("MORE", "")
    )
    assert words in found.expected


@pytest.mark.parametrize("missing", ["password_file", "ca_file"])
def test_a_file_that_is_not_there_is_told(tmp_path: Path, missing: str) -> None:
    written = {"password_file": "ca.pem", "ca_file": "bmc.txt"}[missing]
    (tmp_path / written).write_text(trustme.CA().cert_pem.bytes().decode(), encoding="utf-8")
    site = read(tmp_path, SCHEDULER, NODES.replace("MORE", ", left_in_force: true, ca_file: ca.pem"))
    link = site.telemetry.links["nodes_a"]
    assert isinstance(link, RedfishLink)
    with pytest.raises(InputError) as caught:
        RedfishDevices({"nodes_a": link}, site, tmp_path / "site.yaml")
    assert caught.value.problems[0].path == f"telemetry.links.nodes_a.{missing}"
    assert "No such file" in caught.value.problems[0].found
