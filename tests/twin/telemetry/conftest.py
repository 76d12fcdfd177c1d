import pytest

from tests.twin.telemetry.telemetry_rig import PATIENCE_S
from twin.telemetry import device_server, live_plant


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an answer is on its way, a slow machine may take its time; tests of silence ask for less."""
    monkeypatch.setattr(live_plant, "LOCK_STEP_PATIENCE_S", PATIENCE_S)
    monkeypatch.setattr(live_plant, "RECEIPT_TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr(device_server, "CONNECT_S", PATIENCE_S)
    monkeypatch.setattr(device_server, "SHOW_S", PATIENCE_S)
