"""The border seen from the other side: an emulated plant as an integrator finds it, with faults on request."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from twin.errors import LinkError
from twin.points import Command, Snapshot
from twin.site import Site
from twin.telemetry.config import ModbusLink, MqttLink, SunSpecLink
from twin.telemetry.io_thread import IoThread
from twin.telemetry.modbus_server import Range, ServedGateway, ServedUnit
from twin.telemetry.mqtt_server import EmbeddedBroker, ServedMqtt, await_acknowledged
from twin.telemetry.register_map import load_map
from twin.telemetry.sunspec_emulation import EmulatedSunSpec

CONNECT_S = 5.0
SHOW_S = 5.0
"""Far beyond what filling all registers takes: only a bug reaches it."""


class PlantServer:
    """Serves a site's devices on the ports of its own telemetry: Modbus TCP servers and MQTT publishers."""

    def __init__(self, site: Site, site_path: Path) -> None:
        self._site, self._site_path = site, site_path
        self._commands: deque[Command] = deque()
        self._io: IoThread | None = None
        self._gateways: dict[tuple[str, int], ServedGateway] = {}
        self._gateway_of: dict[str, ServedGateway] = {}
        broker = site.telemetry.broker
        self._broker = EmbeddedBroker(broker) if broker is not None and broker.embedded else None
        self._mqtt = self._make_mqtt()
        self._make_gateways()

    def _make_mqtt(self) -> ServedMqtt | None:
        telemetry = self._site.telemetry
        links = {name: link for name, link in telemetry.links.items() if isinstance(link, MqttLink)}
        if telemetry.broker is None or not links:
            return None
        ranges = ((link.device, self._range(link.device)) for link in links.values())
        setpoints = {
            device: (str(self._site.devices[device].setpoint), accepts)
            for device, accepts in ranges
            if accepts is not None
        }
        return ServedMqtt(telemetry.broker, links, setpoints, self._site_path, self._commands.append)

    def _make_gateways(self) -> None:
        links: dict[str, ModbusLink] = {}
        sunspec: dict[str, SunSpecLink] = {}
        for name, link in self._site.telemetry.links.items():
            if isinstance(link, ModbusLink):
                links[name] = link
            elif isinstance(link, SunSpecLink):
                sunspec[name] = link
            elif not isinstance(link, MqttLink):
                raise LinkError(f"link {name}: {link.protocol} cannot be emulated; try the site over modbus_tcp")
        behind: dict[tuple[str, int], list[ServedUnit]] = {}
        for link in links.values():
            registers = load_map(link.map, self._site_path)
            unit = ServedUnit(link, registers, self._range(link.device), self._commands.append)
            behind.setdefault((link.host, link.port), []).append(unit)
        for found in sunspec.values():
            # A gateway asks of its units what both kinds have: an id, `reset` and `show`.
            emulated = cast(ServedUnit, EmulatedSunSpec(found, self._site, self._commands.append))
            behind.setdefault((found.host, found.port), []).append(emulated)
        rtu = {(link.host, link.port) for link in links.values() if link.protocol == "modbus_rtu_over_tcp"}
        self._gateways = {
            address: ServedGateway(*address, units, rtu=address in rtu) for address, units in behind.items()
        }
        self._gateway_of = {name: self._gateways[link.host, link.port] for name, link in (links | sunspec).items()}

    def _range(self, name: str) -> Range | None:
        """What a device accepts as its setpoint; None for one that cannot be steered."""
        device = self._site.devices.get(name)
        if device is None or device.setpoint is None:
            return None
        low = -device.rated_kw if device.setpoint == "p_kw" else 0.0
        return Range(low=low, high=device.rated_kw, safe=device.safe_setpoint)

    def start(self) -> None:
        """Open everything. Raises `LinkError`, with nothing left open, when a port is taken or a broker missing."""
        self._io = IoThread("gridhelm-plant")
        try:
            for gateway in self._gateways.values():
                self._io.run(gateway.open())
            if self._broker is not None:
                self._broker.start()
            if self._mqtt is not None:
                self._mqtt.start(CONNECT_S)
        except LinkError:
            self._close_servers()
            raise

    def stop(self) -> None:
        """Close everything. A second call does nothing."""
        if self._io is None:
            return
        if self._mqtt is not None:
            self._mqtt.stop()
        self._close_servers()

    def _close_servers(self) -> None:
        if self._broker is not None:
            self._broker.stop()
        if self._io is not None:
            for gateway in self._gateways.values():
                self._io.run(gateway.close())
            self._io.close()
        self._io = None

    def show(self, snapshot: Snapshot) -> None:
        """Let every instrument show `snapshot`. When it returns, registers and broker have it;
        a broker that is away is not waited for."""
        sent = self._mqtt.show(snapshot) if self._mqtt is not None else ()
        self._running.run(self._fill(snapshot), SHOW_S)
        await_acknowledged(sent)

    async def _fill(self, snapshot: Snapshot) -> None:
        for gateway in self._gateways.values():
            await gateway.show(snapshot)

    def take_commands(self) -> Sequence[Command]:
        """What was commanded since the last call, oldest first. Receipts have been given already."""
        taken: list[Command] = []
        while self._commands:
            taken.append(self._commands.popleft())
        return taken

    def kill(self, link: str) -> None:
        """Pull the plug of a link: its whole gateway over Modbus, its messages over MQTT."""
        if isinstance(self._site.telemetry.links[link], MqttLink):
            self._mute(link, True)
        else:
            self._running.run(self._gateway_of[link].close())

    def restore(self, link: str) -> None:
        """Plug it in again; devices behind a gateway have forgotten what they were told."""
        if isinstance(self._site.telemetry.links[link], MqttLink):
            self._mute(link, False)
        else:
            self._running.run(self._gateway_of[link].open())

    def _mute(self, link: str, muted: bool) -> None:
        if self._mqtt is not None:
            self._mqtt.mute(link, muted)

    def kill_broker(self) -> None:
        """End the embedded broker."""
        if self._broker is not None:
            self._broker.stop()

    def restore_broker(self) -> None:
        """Start it again, empty."""
        if self._broker is not None:
            self._broker.start()

    @property
    def _running(self) -> IoThread:
        if self._io is None:
            raise LinkError("the plant's servers are not open; call start() first")
        return self._io
