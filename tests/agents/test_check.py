"""What `gridhelm check` says about a site, in words and by its exit code."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from agents.__main__ import main
from agents.check import rated_cases, solve, sources
from tests.twin.site_mistakes import CAMPUS, SITES
from twin.network.switched_flow import SwitchedPowerFlow
from twin.site import load_site

NETWORK = CAMPUS.partition("\nnetwork:\n")[2].partition("\ndevices:")[0]

STANDBY_FEED = """\
  transfer_switches:
    ats_office: {load_bus: desk_480v, preferred_bus: office_480v, alternate_bus: cooling_480v}
"""
WITH_TRANSFER = CAMPUS.replace("\ndevices:\n", f"{STANDBY_FEED}\ndevices:\n", 1).replace(
    "    office_480v: {rated_v: 480}\n", "    office_480v: {rated_v: 480}\n    desk_480v: {rated_v: 480}\n"
)
"""The campus with a desk that an office or a cooling feed supplies."""
FEEDS_OPEN = """\
    q_office: {branch: t_office, bus: office_480v, closed: false}
    q_cooling: {branch: t_cooling, bus: cooling_480v, closed: false}
"""


def checked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], path: Path, *words: object
) -> tuple[int, str]:
    """Exit code and words of one check."""
    monkeypatch.setattr(sys, "argv", ["gridhelm", "check", str(path), *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    return int(ended.value.code or 0), " ".join((told.out + told.err).split())


def written(tmp_path: Path, text: str, *changes: tuple[str, str]) -> Path:
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = tmp_path / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            [("bus: hall_b_480v}\n  couplers", "bus: hall_b_480v, closed: false}\n  couplers")],
            ["bus hall_b_480v is not supplied with the switches as they stand", "closing hall_tie or q_hall_b would"],
        ),
        (
            [("office_480v, rated_kva: 800", "office_480v, rated_kva: 250")],
            ["transformer t_office is overloaded: 15", "permitted is at most 100%, which is 250 kVA"],
        ),
        (
            [("main_20kv, length_m: 1200", "main_20kv, length_m: 900000")],
            ["all loads, no generation: the power flow does not converge"],
        ),
        (
            [("gpu_count: 1024", "gpu_count: 25600")],
            ["infeasible: the loads are rated", "all sources together 21,100 kW"],
        ),
    ],
    ids=["open breaker", "small transformer", "no solution", "more load than sources"],
)
def test_what_is_wrong_at_rated_power_is_said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    changes: list[tuple[str, str]],
    words: list[str],
) -> None:
    code, told = checked(monkeypatch, capsys, written(tmp_path, CAMPUS, *changes))
    assert [word for word in words if word not in told] == [], told
    assert code == 1


def test_a_bus_with_two_feeds_needs_one_of_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert checked(monkeypatch, capsys, written(tmp_path, WITH_TRANSFER))[0] == 0
    path = written(tmp_path, WITH_TRANSFER, ("  couplers:\n", f"{FEEDS_OPEN}  couplers:\n"))
    code, told = checked(monkeypatch, capsys, path)
    assert code == 1
    assert "bus desk_480v is not supplied: ats_office finds neither" in told
    assert "preferred office_480v nor the alternate cooling_480v alive" in told
    assert "closing q_cooling or q_office would supply it" in told
    assert "not served" in told


def test_a_bus_that_nothing_joins_is_named_with_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = written(tmp_path, CAMPUS, ("  buses:\n", "  buses:\n    spare_480v: {rated_v: 480}\n"))
    code, told = checked(monkeypatch, capsys, path)
    assert code == 2
    assert f"{path.name}:19: network.buses.spare_480v: found spare_480v, which no line" in told


def test_a_network_that_is_written_and_read_again_carries_the_same_flow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = written(tmp_path, WITH_TRANSFER)
    code, told = checked(monkeypatch, capsys, path, "--export", tmp_path / "net.json")
    assert code == 0
    assert "net.json: the network with all loads at rated power" in told
    before = load_site(path)
    network = WITH_TRANSFER.partition("\nnetwork:\n")[2].partition("\ndevices:")[0]
    after = load_site(written(tmp_path, WITH_TRANSFER, (network, "  pandapower: net.json")))
    flows = [
        [solve(site, SwitchedPowerFlow(site.network, sources(site)), case) for case in rated_cases(site)]
        for site in (before, after)
    ]
    for one, other in zip(*flows, strict=True):
        np.testing.assert_allclose(other.v_pu, one.v_pu, rtol=0, atol=1e-9)
        np.testing.assert_allclose(other.branch_p_kw, one.branch_p_kw, rtol=0, atol=1e-5)
        assert other.tap_steps == one.tap_steps


def test_the_written_net_is_one_that_pandapower_solves_alike(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import pandapower

    from twin.network.admittance import run_pandapower

    assert checked(monkeypatch, capsys, SITES / "campus.yaml", "--export", tmp_path / "net.json")[0] == 0
    net = pandapower.from_json(str(tmp_path / "net.json"))
    run_pandapower(net)
    site = load_site(SITES / "campus.yaml")
    ours = solve(site, SwitchedPowerFlow(site.network, sources(site)), next(rated_cases(site)))
    np.testing.assert_allclose(net.res_bus["vm_pu"], ours.v_pu, rtol=0, atol=1e-8)
    assert net.res_ext_grid["p_mw"].sum() * 1e3 == pytest.approx(ours.slack_p_kw, abs=1e-3)


def test_a_place_that_cannot_be_written_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, told = checked(monkeypatch, capsys, SITES / "edge.yaml", "--export", tmp_path / "nowhere" / "net.json")
    assert code == 2
    assert "--export" in told
    assert "a file that can be written" in told


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            [("q_feeder: {branch: feeder, bus: pcc_20kv", "q_feeder: {branch: feeders, bus: pcc_20kv")],
            ["network.breakers.q_feeder.branch: found 'feeders'", "did you mean feeder?"],
        ),
        (
            [("q_feeder: {branch: feeder, bus: pcc_20kv", "q_feeder: {branch: feeder, bus: field_20kv")],
            ["network.breakers.q_feeder.bus: found 'field_20kv'", "an end of feeder (pcc_20kv, main_20kv)"],
        ),
        (
            [("to_bus: hall_b_480v, closed", "to_bus: solar_690v, closed")],
            ["network.couplers.hall_tie: found hall_a_480v of 480 V and solar_690v of 690 V"],
        ),
        ([("position_steps: 0", "position_steps: 12")], ["taps.position_steps: found 12, expected from min_steps -9"]),
        ([("max_v_pu: 1.02}}", "max_v_pu: 1.0}}")], ["taps.on_load: found a dead band from 0.99 to 1 pu", "wider"]),
        ([("copper_fraction: 0.0047", "copper_fraction: 0.12")], ["copper_fraction"]),
        ([("step_fraction: 0.015", "step_fraction: 0.0")], ["taps.step_fraction: found 0, expected the turns"]),
        ([("    q_field:", "    hall_tie:")], ["couplers.hall_tie: found a name that stands among the breakers"]),
        ([("alternate_bus: cooling_480v", "alternate_bus: desk_480v")], ["2 ends on desk_480v", "three different"]),
        ([("alternate_bus: cooling_480v", "alternate_bus: wind_690v")], ["wind_690v of 690 V", "one rated voltage"]),
    ],
)  # fmt: skip
def test_a_switch_or_tap_that_makes_no_sense_is_named_with_its_place(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    changes: list[tuple[str, str]],
    words: list[str],
) -> None:
    code, told = checked(monkeypatch, capsys, written(tmp_path, WITH_TRANSFER, *changes))
    assert code == 2
    assert [word for word in words if word not in told] == [], told
