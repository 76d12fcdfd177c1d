"""SunSpec over real sockets: devices behind one port are found, read, steered, and let go when they are not told."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

import pytest

from tests.twin.telemetry.sunspec_rig import RATED_1000_KW, SETTINGS_704, after, device_of, filled
from tests.twin.telemetry.telemetry_rig import PATIENCE_S, free_port
from twin.points import Snapshot
from twin.telemetry.modbus import Gateway, RefusedError, SilentError, Unit
from twin.telemetry.modbus_server import ServedGateway
from twin.telemetry.register_map import Register, RegisterMap
from twin.telemetry.sunspec_codec import Contents
from twin.telemetry.sunspec_control import carry_out, set_power
from twin.telemetry.sunspec_device import SunSpecDevice
from twin.telemetry.sunspec_discovery import Found, discover, discover_units, read_all, read_model
from twin.telemetry.sunspec_exchange import AnswerLater, Read, Write, over_modbus, run_async
from twin.telemetry.sunspec_model import known_models, load_model
from twin.telemetry.sunspec_points import told
from twin.telemetry.sunspec_server import ServedSunSpec, served
from twin.telemetry.sunspec_types import Scalar

Models = Mapping[int, Mapping[str, Scalar]]
pytestmark = pytest.mark.sockets
INVERTER: Models = {
    1: {"Mn": "gridhelm", "SN": "1"},
    701: {"W": -400_000, "W_SF": 2},
    702: RATED_1000_KW,
    704: SETTINGS_704,
}
METER: Models = {1: {"Mn": "gridhelm", "SN": "2"}, 203: {"W": 2500, "W_SF": 0}}


@asynccontextmanager
async def behind_one_port(units: Mapping[int, SunSpecDevice]) -> AsyncIterator[tuple[ServedGateway, Gateway]]:
    port = free_port()
    server = served("127.0.0.1", port, [ServedSunSpec(unit_id, device) for unit_id, device in units.items()])
    await server.open()
    gateway = Gateway("127.0.0.1", port)
    mark = Register(table="holding", address=40000, type="uint16", min=0, max=65535)
    registers = RegisterMap(title="any SunSpec device", address_base=0, points={"mark": mark})
    unit = Unit(device="first", unit_id=1, timeout_s=PATIENCE_S, registers=registers, gateway=gateway)
    gateway.start()
    try:
        while unit.down:
            await asyncio.sleep(0.01)
        yield server, gateway
    finally:
        gateway.close()
        await server.close()


def answer_of(gateway: Gateway, unit_id: int = 1) -> AnswerLater:
    return over_modbus(partial(gateway.request, timeout_s=PATIENCE_S), unit_id)


async def units_are_found(units: Mapping[int, SunSpecDevice]) -> None:
    async with behind_one_port(units) as (_, gateway):
        found = await discover_units([1, 2, 3], partial(answer_of, gateway))
        inverter, meter = found[1], found[2]
        assert isinstance(inverter, Found)
        assert isinstance(meter, Found)
        assert [model.id for model in inverter.models] == [1, 701, 702, 704]
        assert (inverter.problems, meter.address) == ((), 0)
        assert found[3] == "the device behind the gateway does not answer"
        contents = await run_async(read_all(meter), answer_of(gateway, 2))
        held = [item for items in contents.values() for item in items if isinstance(item, Contents)]
        says = told(held, meter_import="positive")
        assert says.values["p_kw"] == 2.5


def test_several_units_behind_one_port_are_found_and_read() -> None:
    asyncio.run(units_are_found({1: device_of(INVERTER), 2: device_of(METER, 0)}))


async def every_model_is_read(device: SunSpecDevice) -> None:
    async with behind_one_port({1: device}) as (_, gateway):
        answer = answer_of(gateway)
        found = await run_async(discover(), answer)
        assert [model.id for model in found.models] == list(known_models())
        for model in found.models:
            held = await run_async(read_model(model), answer)
            assert isinstance(held, Contents)
            assert (held.values, held.problems) == (device.contents(model.id).values, ())


def test_every_point_of_every_model_arrives() -> None:
    asyncio.run(every_model_is_read(device_of({key: filled(load_model(key), 11) for key in known_models()})))


async def it_obeys_and_lets_go(device: SunSpecDevice) -> None:
    async with behind_one_port({1: device}) as (server, gateway):
        answer = answer_of(gateway)
        contents = await run_async(read_all(await run_async(discover(), answer)), answer)
        known = {key: items[0] for key, items in contents.items() if isinstance(items[0], Contents)}
        plan = set_power(known, 250, 8, safe_kw=-10)
        for cycle in range(4):
            await server.show(Snapshot(now=after(5 * cycle), readings={}))
            followed = await run_async(carry_out(plan), answer)
            assert (followed.as_sent, followed.held, followed.timeout_s) == (True, 250, 8)
            assert device.p_kw(-300) == 250
        await server.show(Snapshot(now=after(15 + 8), readings={}))
        assert device.p_kw(-300) == -10
        with pytest.raises(RefusedError, match="illegal address"):
            await answer(Write(40000, (1, 2)))
        await server.close()
        with pytest.raises(SilentError):
            await answer(Read(40000, 2))


def test_a_device_is_steered_and_lets_go_when_it_is_not_told_again() -> None:
    asyncio.run(it_obeys_and_lets_go(device_of(INVERTER)))
