"""A pandapower file read and written: the flow stays the same, and nothing is lost in silence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from tests.twin.network.networks import CAMPUS_SLACK, FEEDS, campus, ring, two_feeds
from twin.errors import InputError
from twin.network.build import build_net
from twin.network.pandapower_file import NotANetError, read_net, write_net
from twin.network.switched_flow import SwitchedPowerFlow
from twin.network.switching import NetworkState, normal_state
from twin.network.topology import OnLoad, Topology
from twin.site import Site, load_site

CAMPUS_FILE = Path(__file__).parents[3] / "site_configs" / "campus.yaml"
NETWORK = CAMPUS_FILE.read_text(encoding="utf-8").partition("\nnetwork:\n")[2].partition("\ndevices:")[0]


def with_tap_changer() -> Topology:
    unit = two_feeds().transformers["t_b"]
    assert unit.taps is not None
    taps = replace(unit.taps, on_load=OnLoad(min_v_pu=0.97, max_v_pu=0.995))
    return replace(two_feeds(), transformers={**two_feeds().transformers, "t_b": replace(unit, taps=taps)})


def again(topology: Topology, slack_bus: str, path: Path) -> Topology:
    """Written to a file and read from it."""
    flow, nothing = SwitchedPowerFlow(topology, slack_bus), np.zeros(len(topology.buses))
    write_net(path, topology, slack_bus, flow.energised(), nothing, nothing)
    content = read_net(path)
    assert content.refused == ()
    assert content.slack_bus == slack_bus
    return TypeAdapter(Topology).validate_python(content.network)


@pytest.mark.parametrize(
    ("topology", "sources"),
    [
        (campus(), {CAMPUS_SLACK: CAMPUS_SLACK}),
        (ring(), {"grid": "grid"}),
        (with_tap_changer(), {"grid": "grid", **FEEDS}),
    ],
    ids=["campus", "ring", "switches and taps"],
)
def test_a_network_written_and_read_gives_the_same_flow(
    topology: Topology, sources: dict[str, str], tmp_path: Path
) -> None:
    read = again(topology, next(iter(sources)), tmp_path / "net.json")
    assert (read.buses, read.branches) == (topology.buses, topology.branches)
    assert (read.breakers, read.couplers) == (topology.breakers, topology.couplers)
    assert read.transfer_switches == topology.transfer_switches
    rng = np.random.default_rng(2)
    p_kw, q_kvar = rng.uniform(-50, 250, (2, len(topology.buses), 3))
    states = [normal_state(topology), NetworkState(), normal_state(topology).without(branches=topology.branches[:1])]
    one = SwitchedPowerFlow(topology, sources).solve(p_kw, q_kvar, state=states)
    other = SwitchedPowerFlow(read, sources).solve(p_kw, q_kvar, state=states)
    np.testing.assert_allclose(other.v_pu, one.v_pu, rtol=0, atol=1e-9)
    np.testing.assert_allclose(other.branch_p_kw, one.branch_p_kw, rtol=0, atol=1e-5)
    np.testing.assert_allclose(other.loading_fraction, one.loading_fraction, rtol=0, atol=1e-8)


def test_the_position_of_a_transfer_switch_is_written_as_it_is(tmp_path: Path) -> None:
    import pandapower

    flow, loads = SwitchedPowerFlow(two_feeds(), {"grid": "grid"}), np.arange(8.0)
    state = normal_state(two_feeds()).without(branches=["t_a"])
    write_net(tmp_path / "net.json", two_feeds(), "grid", flow.energised(state), loads, loads / 4)
    net = pandapower.from_json(str(tmp_path / "net.json"))
    halves = net.switch[net.switch["name"] == "ats_rack"].set_index("type")["closed"]
    assert halves.to_dict() == {"transfer_preferred": False, "transfer_alternate": True}
    np.testing.assert_allclose(net.load["p_mw"] * 1e3, loads)


def site_with(net: Any, tmp_path: Path, extra: str = "") -> Path:
    """The campus, its network in a pandapower file beside it."""
    import pandapower

    pandapower.to_json(net, str(tmp_path / "net.json"))
    text = CAMPUS_FILE.read_text(encoding="utf-8").replace(NETWORK, "  pandapower: net.json\n" + extra)
    path = tmp_path / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def campus_net() -> Any:
    return build_net(campus(), CAMPUS_SLACK)


def test_a_site_whose_network_stands_in_a_file_is_the_same_site(tmp_path: Path) -> None:
    site = load_site(site_with(campus_net(), tmp_path))
    assert isinstance(site, Site)
    assert site.network.buses == campus().buses
    assert site.network.branches == campus().branches
    assert site.network.slack_v_pu == campus().slack_v_pu


def test_a_site_file_changes_limits_and_adds_elements(tmp_path: Path) -> None:
    extra = (
        "  buses: {office_480v: {min_v_pu: 0.97}, annex_480v: {rated_v: 480}}\n"
        "  couplers: {to_annex: {from_bus: office_480v, to_bus: annex_480v}}\n"
        "  slack_v_pu: 1.02\n"
    )
    network = load_site(site_with(campus_net(), tmp_path, extra)).network
    assert (network.buses["office_480v"].min_v_pu, network.buses["office_480v"].max_v_pu) == (0.97, 1.05)
    assert [*network.buses][-1] == "annex_480v"
    assert [*network.couplers][-1] == "to_annex"
    assert network.slack_v_pu == 1.02


def three_windings(net: Any) -> None:
    import pandapower

    buses = [int(net.bus.index[net.bus["name"] == name][0]) for name in ("main_20kv", "solar_690v", "office_480v")]
    std_type = "63/25/38 MVA 110/20/10 kV"
    pandapower.create_transformer3w(net, *buses, std_type=std_type, name="t_three")


def shunt(net: Any) -> None:
    import pandapower

    pandapower.create_shunt(net, 1, q_mvar=-0.5, name="capacitors")


def second_grid(net: Any) -> None:
    import pandapower

    pandapower.create_ext_grid(net, 3, name="other_feed")


def phase_shifter(net: Any) -> None:
    net.trafo.loc[0, ["tap_side", "tap_changer_type"]] = "hv", "Ideal"


def derated(net: Any) -> None:
    net.trafo.loc[1, "df"] = 0.8


def conducting(net: Any) -> None:
    net.line.loc[0, "g_us_per_km"] = 3.0


def twins(net: Any) -> None:
    net.bus.loc[2, "name"] = net.bus.loc[1, "name"]


def moved_grid(net: Any) -> None:
    net.ext_grid["bus"] = 1


def without_resistance(net: Any) -> None:
    net.line.loc[1, "r_ohm_per_km"] = 0.0


def loose_line(net: Any) -> None:
    net.line.loc[1, "to_bus"] = 99


def loose_grid(net: Any) -> None:
    net.ext_grid["bus"] = 99


def loose_breaker(net: Any) -> None:
    net.switch.loc[0, "element"] = 99


def without_column(net: Any) -> None:
    net.line = net.line.drop(columns=["df", "parallel"])


def without_tap_side(net: Any) -> None:
    net.trafo = net.trafo.drop(columns=["tap_side"])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (three_windings, "trafo3w t_three"),
        (shunt, "shunt capacitors"),
        (second_grid, "second external grid other_feed"),
        (phase_shifter, "tap_changer_type Ideal of trafo"),
        (derated, "df 0.8 of trafo t_hall"),
        (conducting, "g_us_per_km 3 of line feeder"),
        (twins, "the name pcc_20kv twice among bus"),
        (moved_grid, "the external grid on"),
        (loose_line, "line field_cable at to_bus 99"),
        (loose_grid, "ext_grid pcc_110kv at bus 99"),
        (loose_breaker, "switch q_feeder at line 99"),
        (without_column, "a net without line.df, line.parallel"),
        (without_tap_side, "transformers.t_substation.taps.side None"),
        (without_resistance, r"lines.field_cable.resistance_ohm_per_km 0.0"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_cannot_be_represented_is_refused_by_name(
    spoil: Callable[[Any], None], words: str, tmp_path: Path
) -> None:
    net = campus_net()
    spoil(net)
    path = site_with(net, tmp_path)
    with pytest.raises(InputError) as caught:
        load_site(path)
    text = path.read_text(encoding="utf-8")
    (problem,) = [problem for problem in caught.value.problems if words in problem.found]
    assert problem.line == text[: text.index("pandapower: net.json")].count("\n") + 1
    assert problem.path == "network.pandapower"


def test_elements_out_of_service_are_left_out(tmp_path: Path) -> None:
    net = campus_net()
    shunt(net)
    net.shunt["in_service"] = False
    net.trafo.loc[net.trafo["name"] == "t_genset", "in_service"] = False
    with pytest.raises(InputError, match="genset_480v, which no line"):
        load_site(site_with(net, tmp_path))


@pytest.mark.parametrize("text", ["", "[]", "{}", "word", '{"a": 1}', '{"_module": "nowhere", "_class": "x"}'])
def test_a_file_that_is_no_net_is_answered(text: str, tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(NotANetError):
        read_net(path)
    path.unlink()
    with pytest.raises(OSError, match="No such file"):
        read_net(path)
