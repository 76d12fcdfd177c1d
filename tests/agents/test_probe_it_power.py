"""Probing controllers and exporters: what is there, and a draft that a site file takes."""

import re
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from agents import probe_dcgm, probe_redfish
from tests.twin.telemetry.redfish_rig import PASSWORD, USER, room_of, with_metrics
from tests.twin.telemetry.test_dcgm_exporters import TextServer, gpus
from twin.errors import LinkError
from twin.telemetry.config import Link

pytestmark = pytest.mark.sockets


def drafted(text: str) -> Any:
    """The link that a probe drafts, as a site file is read."""
    (line,) = [line for line in text.splitlines() if "{protocol:" in line]
    (link,) = YAML(typ="safe").load(line.replace("WATTS", "250")).values()
    return TypeAdapter(Link).validate_python(
        {key: tuple(item) if isinstance(item, list) else item for key, item in link.items()}
    )


def test_a_controller_is_described_and_drafted(tmp_path: Path) -> None:
    with room_of(tmp_path, trustme.CA(), [with_metrics(412)]) as room:
        text = probe_redfish.probe(
            room.boards[0].address.replace("https://", "redfish://"),
            username=USER,
            password_file=str(tmp_path / "bmc.txt"),
            ca_file=str(tmp_path / "ca.pem"),
        )
        assert "chassis 1U: draws 412 W" in text
        assert "power limit 900 W, from 200 W to 1000 W" in text
        assert PASSWORD not in text
        assert not room.boards[0].orders()
        assert not room.boards[0].tokens, "the session is given back"
        assert drafted(text).controllers == (room.boards[0].address,)


def test_several_chassis_are_drafted_by_name(tmp_path: Path) -> None:
    both = with_metrics(400, name="N1") | with_metrics(300, name="N2")
    both["/redfish/v1/Chassis"] = {"Members": [{"@odata.id": f"/redfish/v1/Chassis/{name}"} for name in ("N1", "N2")]}
    with room_of(tmp_path, trustme.CA(), [both]) as room:
        password, ca = str(tmp_path / "bmc.txt"), str(tmp_path / "ca.pem")
        text = probe_redfish.probe(room.boards[0].address, username=USER, password_file=password, ca_file=ca)
        assert drafted(text).chassis == ("N1", "N2")


def test_a_controller_that_cannot_be_asked_is_told(tmp_path: Path) -> None:
    with room_of(tmp_path, trustme.CA(), [with_metrics()]) as room:
        file, ca_file = str(tmp_path / "bmc.txt"), str(tmp_path / "ca.pem")
        with pytest.raises(LinkError, match="certificate is not trusted"):
            probe_redfish.probe(room.boards[0].address, username=USER, password_file=file)
        with pytest.raises(LinkError, match="login: refuses"):
            probe_redfish.probe(room.boards[0].address, username="me", password_file=file, ca_file=ca_file)
        with pytest.raises(LinkError, match="in the clear"):
            probe_redfish.probe("http://10.0.0.1", username=USER, password_file=file)


def test_an_exporter_is_described_and_drafted() -> None:
    server = TextServer(gpus("node-7", 400, "NaN"))
    try:
        text = probe_dcgm.probe(re.sub(r"^http(://[^/]*).*", r"dcgm\1", server.address))
        assert "2 GPUs" in text
        assert "node-7 GPU 0 (GPU-node-7-0): 400 W" in text
        assert "node-7 GPU 1 (GPU-node-7-1): no power; without power_w" in text
        assert (drafted(text).exporters, drafted(text).gpu_count) == ((server.address,), 2)
        server.status = 404
        with pytest.raises(LinkError, match="status 404"):
            probe_dcgm.probe(server.address)
    finally:
        server.close()
    with pytest.raises(LinkError, match="refused"):
        probe_dcgm.probe(server.address)
