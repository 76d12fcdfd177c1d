"""What the books call a violation of the network is one, and none is missed."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.properties.random_run import random_run
from tests.twin.network.networks import campus
from twin.network.limits import NetworkLimits, describe
from twin.numeric import FloatArray

TOPOLOGY = campus()
BUSES, BRANCHES = tuple(TOPOLOGY.buses), (*TOPOLOGY.lines, *TOPOLOGY.transformers)
voltages = arrays(np.float64, len(BUSES), elements=st.sampled_from([0.9, 0.949, 0.95, 1.0, 1.05, 1.0501, 1.2]))
loadings = arrays(np.float64, len(BRANCHES), elements=st.sampled_from([0.0, 0.5, 1.0, 1.0001, 2.0]))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(v_pu=voltages, loading=loadings)
def test_what_is_flagged_is_what_is_described(v_pu: FloatArray, loading: FloatArray) -> None:
    flags = NetworkLimits(TOPOLOGY).violations(v_pu, loading)
    places = {place for place, _, _ in describe(TOPOLOGY, BUSES, BRANCHES, v_pu, loading)}
    assert (flags["under_voltage"] or flags["over_voltage"]) == bool(places & set(BUSES))
    assert flags["under_voltage"] == bool((v_pu < 0.95).any())
    assert flags["line_loading"] == bool(places & set(TOPOLOGY.lines))
    assert flags["transformer_loading"] == bool(places & set(TOPOLOGY.transformers))
    assert NetworkLimits(TOPOLOGY).quiet(v_pu, loading) == (not any(flags.values()))


def test_the_books_count_the_steps_that_violate_each_limit() -> None:
    run = random_run("campus", 3)
    topology, counts = run.site.network, dict.fromkeys(("over_voltage", "transformer_loading"), 0)
    for step in run.steps:
        described = describe(topology, BUSES, BRANCHES, step.flow.v_pu, step.flow.loading_fraction)
        places = {place for place, _, _ in described}
        counts["over_voltage"] += bool(places & set(topology.buses)) and bool(step.flow.v_pu.max() > 1.05)
        counts["transformer_loading"] += bool(places & set(topology.transformers))
    assert {kind: run.books.violations[kind] for kind in counts} == counts
