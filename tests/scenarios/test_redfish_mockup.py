"""DMTF's own Redfish mock-up server, which we did not write, is found, read and steered.

It is fetched at a fixed release into a folder of the test, and runs in an environment of its own; where either cannot
be had, the tests are skipped and say so. `GRIDHELM_REDFISH_MOCKUP` may name another place of its repository.
"""

import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from agents import probe_redfish
from tests.twin.telemetry.redfish_rig import PASSWORD, USER
from tests.twin.telemetry.telemetry_rig import NOON, TinyDevice, command, controlling, free_port, read_until, site_of
from twin.points import Outcome, Quality
from twin.site import Site
from twin.telemetry.redfish_link import RedfishLink

pytestmark = pytest.mark.sockets
REPOSITORY = os.environ.get("GRIDHELM_REDFISH_MOCKUP", "https://github.com/DMTF/Redfish-Mockup-Server.git")
RELEASE = "1.2.6"
REQUIREMENTS = ("grequests==0.7.0",)
LONGEST_S = 30


def had(*arguments: str | Path) -> None:
    """Run what needs the network; skip when it cannot be had."""
    settings = os.environ | {"GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=LONGEST_S, env=settings)
    except (OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"the mock-up server cannot be had: {error}")
    if done.returncode:
        pytest.skip(f"the mock-up server cannot be had: {done.stderr.strip()[-200:]}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates, a password, and the server with its environment."""
    folder = tmp_path_factory.mktemp("redfish-mockup")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    (folder / "bmc.txt").write_text(PASSWORD, encoding="utf-8")
    had("git", "clone", "--quiet", "--depth", "1", "--branch", RELEASE, REPOSITORY, folder / "server")
    venv.create(folder / "env", with_pip=False)
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        folder / "env" / "bin" / "python",
        "--retries",
        "1",
    ]
    had(*pip, "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS)
    return folder


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    """A server with the mock-up of a rack server that comes with it."""
    port = free_port()
    options = ["-p", str(port), "--ssl", "--cert", str(folder / "server.pem"), "--key", str(folder / "server.pem")]
    process = subprocess.Popen(
        [folder / "env" / "bin" / "python", "redfishMockupServer.py", *options],
        cwd=folder / "server",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"https://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def site(address: str, *, session: bool = True) -> Site:
    link = RedfishLink(
        protocol="redfish",
        device="hall",
        controllers=(address,),
        username=USER,
        password_file="bmc.txt",
        ca_file="ca.pem",
        session=session,
        left_in_force=True,
        poll_s=0.1,
        receipt_s=10.0,
    )
    return site_of({"nodes": link}, {"hall": TinyDevice(1.0, "limit_kw", 0.7)})


@pytest.mark.parametrize("session", [True, False])
def test_the_mockup_is_read_and_takes_a_limit(folder: Path, address: str, session: bool) -> None:
    with controlling(site(address, session=session), folder / "site.yaml") as plant:
        image = read_until(plant, lambda image: not image.lost)
        power, limit = image.readings["hall.p_kw"], image.readings["hall.limit_kw"]
        assert (power.value, limit.value, power.quality) == (0.374, 0.5, Quality.GOOD)
        (receipt,) = plant.apply([command("hall", "limit_kw", 0.42, validity_s=3600)], NOON)
        assert (receipt.outcome, receipt.read_back) == (Outcome.APPLIED, 0.42)
        (receipt,) = plant.apply([command("hall", "limit_kw", 0.1, validity_s=3600)], NOON)
        assert (receipt.outcome, receipt.read_back) == (Outcome.CLIPPED, 0.15), "its AllowableMin"
    with controlling(site(address), folder / "site.yaml") as plant:
        image = read_until(plant, lambda image: not image.lost)
        assert image.readings["hall.limit_kw"].value == 0.7, "returned to the safe setpoint in the end"


def test_the_mockup_is_probed(folder: Path, address: str) -> None:
    with controlling(site(address), folder / "site.yaml") as plant:
        read_until(plant, lambda image: not image.lost)
    password, ca = str(folder / "bmc.txt"), str(folder / "ca.pem")
    text = probe_redfish.probe(address, username=USER, password_file=password, ca_file=ca)
    assert "chassis 1U: draws 374 W (/redfish/v1/Chassis/1U/EnvironmentMetrics)" in text
    assert "power limit 500 W, from 150 W to 1000 W" in text
    assert "/redfish/v1/Chassis/1U/Controls/PowerLimit" in text
