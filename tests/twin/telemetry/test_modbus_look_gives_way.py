"""A look at a silent unit that stands in line is short when real requests come while it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

import pytest
from pymodbus.client.base import ModbusBaseClient
from pymodbus.pdu import ModbusPDU

from tests.twin.telemetry.telemetry_rig import PATIENCE_S, Request, scripted
from twin.telemetry.modbus_gateway import Call, Gateway, SilentError

pytestmark = pytest.mark.sockets
SILENT_UNIT = 2


@dataclass
class Member:
    """A unit that its gateway need not look at."""

    timeout_s: float = PATIENCE_S
    down: str | None = "not connected yet"

    def fail(self, reason: str) -> None:
        self.down = reason

    async def probe(self, _patience_s: float) -> None:
        self.down = None


def answer(request: Request) -> bytes | None:
    return None if request.unit == SILENT_UNIT else request.registers(*[7] * request.count)


def reading(unit_id: int) -> Call:
    def call(client: ModbusBaseClient) -> Awaitable[ModbusPDU]:
        return client.read_holding_registers(0, count=1, device_id=unit_id)

    return call


async def reads_beside_a_look(port: int) -> None:
    gateway, member = Gateway("127.0.0.1", port), Member()
    gateway.units.append(member)
    gateway.start()
    try:
        while member.down:
            await asyncio.sleep(0.01)

        async def reads() -> None:
            for _ in range(3):
                assert await gateway.request(reading(1), PATIENCE_S) == [7]

        busy = asyncio.create_task(reads())
        await asyncio.sleep(0)
        # It is in line behind the first read, and the second comes before its turn.
        look = asyncio.create_task(gateway.request(reading(SILENT_UNIT), 10 * PATIENCE_S, look=True))
        await asyncio.wait_for(busy, PATIENCE_S)
        with pytest.raises(SilentError):
            await look
    finally:
        gateway.close()


def test_a_look_in_line_does_not_hold_up_the_reads_of_others() -> None:
    with scripted(answer) as device:
        asyncio.run(reads_beside_a_look(device.port))
