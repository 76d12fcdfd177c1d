"""Networks that others drew, read from their files: our flow against `pandapower.runpp` on the net itself."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from twin.network.admittance import run_pandapower
from twin.network.pandapower_file import read_net
from twin.network.switched_flow import SwitchedPowerFlow
from twin.network.topology import Topology
from twin.numeric import FloatArray

NETWORKS = (
    "create_cigre_network_mv",
    "create_cigre_network_lv",
    "mv_oberrhein",
    "simple_four_bus_system",
    "create_kerber_landnetz_freileitung_1",
)


def drawn(name: str) -> Any:
    """The net with constant loads and one external grid, for that is what we represent."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pandapower import networks

        net = getattr(networks, name)()
    net.ext_grid.loc[net.ext_grid.index[1:], "in_service"] = False
    net.trafo["tap_dependency_table"] = False
    for column in ("const_z_p_percent", "const_i_p_percent", "const_z_q_percent", "const_i_q_percent"):
        net.load[column] = 0.0
    return net


def consumption(net: Any) -> tuple[FloatArray, FloatArray]:
    """Loads less static generation at each bus, in kW and kvar."""
    sums = dict.fromkeys(net.bus.index, 0j)
    for table, sign in (("load", 1.0), ("sgen", -1.0)):
        for _, row in net[table][net[table]["in_service"]].iterrows():
            sums[row["bus"]] += sign * row["scaling"] * complex(row["p_mw"], row["q_mvar"]) * 1e3
    total = np.array(list(sums.values()))
    return total.real.copy(), total.imag.copy()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_pandapower_gives_the_same_flow_from_its_file(name: str, tmp_path: Path) -> None:
    import pandapower

    net = drawn(name)
    pandapower.to_json(net, str(tmp_path / "net.json"))
    content = read_net(tmp_path / "net.json")
    assert content.refused == ()
    assert content.slack_bus is not None
    topology = TypeAdapter(Topology).validate_python(content.network)
    ours = SwitchedPowerFlow(topology, content.slack_bus).solve(*consumption(net))
    run_pandapower(net)
    np.testing.assert_allclose(ours.v_pu, net.res_bus["vm_pu"].fillna(0.0), rtol=0, atol=1e-8)
    grid_kw = float(net.res_ext_grid["p_mw"].iloc[0]) * 1e3
    assert ours.slack_p_kw == pytest.approx(grid_kw, rel=1e-6)
    loading = np.concatenate([net.res_line["loading_percent"], net.res_trafo["loading_percent"]]) / 100
    np.testing.assert_allclose(ours.loading_fraction, np.nan_to_num(loading), rtol=0, atol=1e-6)
