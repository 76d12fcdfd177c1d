"""Simulated SunSpec devices as Modbus TCP servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from twin.points import Snapshot
from twin.telemetry.modbus_server import READ_HOLDING, ServedGateway, ServedUnit
from twin.telemetry.sunspec_device import SunSpecDevice, WriteRefusedError
from twin.telemetry.sunspec_exchange import Write

WRITE_ONE, WRITE_SEVERAL = 6, 16


class ServedSunSpec:
    """One simulated device behind a Modbus unit id. Its registers are holding registers, and nothing else."""

    def __init__(self, unit_id: int, device: SunSpecDevice) -> None:
        self.unit_id, self.device = unit_id, device

    def reset(self) -> SimDevice:
        """What a server needs of it when its port opens."""
        registers = SimData(self.device.address, values=self.device.registers, datatype=DataType.REGISTERS)
        return SimDevice(id=self.unit_id, simdata=registers, action=self._on_access)

    async def show(self, server: ModbusTcpServer | None, snapshot: Snapshot) -> None:
        """Let the time of the plant pass; registers are taken from the device whenever they are read."""
        self.device.step(snapshot.now)

    async def _on_access(
        self,
        function: int,
        _start: int,
        address: int,
        _count: int,
        registers: list[int],
        written: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        if function not in (READ_HOLDING, WRITE_ONE, WRITE_SEVERAL):
            return ExcCodes.ILLEGAL_FUNCTION
        # A write of one register is followed by a reading of it under the same function.
        if function != READ_HOLDING and written is not None:
            try:
                self.device.write(Write(address, tuple(int(word) for word in written)))
            except WriteRefusedError as refusal:
                return ExcCodes(refusal.code)
        current = self.device.registers
        registers[: len(current)] = current
        return None


def served(host: str, port: int, units: Sequence[ServedSunSpec]) -> ServedGateway:
    """One listening port with simulated SunSpec devices behind it."""
    # A gateway asks of its units what `ServedSunSpec` has: an id, `reset` and `show`.
    return ServedGateway(host, port, cast(Sequence[ServedUnit], units))
