from __future__ import annotations

from dataclasses import replace

import pytest

from tests.twin.network.networks import CAMPUS_SLACK, campus, ring
from twin.errors import PowerFlowError
from twin.network.build import build_net, buses_not_supplied
from twin.network.power_flow import PowerFlow
from twin.network.topology import Bus, Line


def test_every_element_keeps_its_name_from_the_site_file() -> None:
    topology = campus()
    net = build_net(topology, CAMPUS_SLACK)
    assert list(net.bus["name"]) == list(topology.buses)
    assert list(net.load["name"]) == list(topology.buses)
    assert list(net.line["name"]) == list(topology.lines)
    assert list(net.trafo["name"]) == list(topology.transformers)
    assert list(net.bus["name"].loc[net.ext_grid["bus"]]) == [CAMPUS_SLACK]


def test_a_line_rating_is_that_of_all_its_parallel_systems() -> None:
    net = build_net(campus(), CAMPUS_SLACK)
    feeder = net.line.set_index("name").loc["feeder"]
    assert feeder["max_i_ka"] * feeder["parallel"] == pytest.approx(0.680)


def test_a_bus_that_nothing_leads_to_is_found() -> None:
    whole = ring()
    buses = {**whole.buses, "island": Bus(rated_v=400), "islet": Bus(rated_v=400)}
    ferry = Line(
        from_bus="island", to_bus="islet", length_m=10, resistance_ohm_per_km=1, reactance_ohm_per_km=1, rated_a=1
    )
    broken = replace(whole, buses=buses, lines={**whole.lines, "ferry": ferry})
    assert buses_not_supplied(whole, "grid") == ()
    assert buses_not_supplied(broken, "grid") == ("island", "islet")
    with pytest.raises(PowerFlowError, match="island, islet"):
        PowerFlow(broken, "grid")
