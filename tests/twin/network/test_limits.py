from __future__ import annotations

import numpy as np

from tests.twin.network.networks import campus
from twin.network.limits import NetworkLimits, describe

KINDS = ("under_voltage", "over_voltage", "line_loading", "transformer_loading")


def test_values_on_their_limits_are_no_violation() -> None:
    topology = campus()
    v_pu = np.array([bus.max_v_pu for bus in topology.buses.values()])
    loading = np.ones(len(topology.lines) + len(topology.transformers))
    assert NetworkLimits(topology).violations(v_pu, loading) == dict.fromkeys(KINDS, False)
    assert describe(topology, tuple(topology.buses), (*topology.lines, *topology.transformers), v_pu, loading) == ()


def test_each_kind_is_flagged_in_its_own_scenario() -> None:
    topology = campus()
    v_pu = np.full((len(topology.buses), 5), 1.0)
    loading = np.full((len(topology.lines) + len(topology.transformers), 5), 0.5)
    v_pu[3, 0], v_pu[4, 1], loading[1, 2], loading[-1, 3] = 0.94, 1.06, 1.01, 1.01
    found = NetworkLimits(topology).violations(v_pu, loading)
    for scenario, kind in enumerate(KINDS):
        np.testing.assert_array_equal(found[kind], np.arange(5) == scenario)
    for scenario in range(5):
        alone = NetworkLimits(topology).violations(v_pu[:, scenario], loading[:, scenario])
        assert alone == {kind: bool(flags[scenario]) for kind, flags in found.items()}  # type: ignore[index]


def test_violations_are_told_with_place_value_and_limit() -> None:
    topology = campus()
    branches = (*topology.lines, *topology.transformers)
    v_pu, loading = np.full(len(topology.buses), 1.0), np.full(len(branches), 0.5)
    v_pu[0], v_pu[1], loading[0], loading[3] = 0.9, 1.1, 1.2, 1.3
    assert describe(topology, tuple(topology.buses), branches, v_pu, loading) == (
        ("pcc_110kv", "0.9000 pu", "at least 0.95 pu"),
        ("pcc_20kv", "1.1000 pu", "at most 1.05 pu"),
        ("feeder", "120.0% loaded", "at most 100%, which is 680 A"),
        ("t_hall_a", "130.0% loaded", "at most 100%, which is 2500 kVA"),
    )
