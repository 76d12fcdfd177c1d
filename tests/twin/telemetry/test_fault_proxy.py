"""The proxy does to a link what is asked of it, and nothing else."""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
from pymodbus.constants import ExcCodes

from twin.telemetry.fault_proxy import Fault, FaultProxy
from twin.telemetry.io_thread import turns

pytestmark = pytest.mark.sockets
READ, WRITE = b"\3\0\0\0\4", b"\6\0\1\0\7"
REPLY = b"\3\10\0\0\0\1\0\2\0\3"
PATIENCE_S = 20.0
SOON_S = 0.1


class Client:
    """One connection that asks unit 1 and takes whatever bytes come back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, pdu: bytes, unit: int = 1) -> None:
        self.writer.write(struct.pack(">HHHB", 7, 0, len(pdu) + 1, unit) + pdu)

    async def reply(self, pdu: bytes = READ, unit: int = 1, wait_s: float = PATIENCE_S) -> bytes:
        """Unit id and what follows."""
        self.send(pdu, unit)
        header = await asyncio.wait_for(self.reader.readexactly(6), wait_s)
        return await asyncio.wait_for(self.reader.readexactly(int.from_bytes(header[4:], "big")), PATIENCE_S)


async def device(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers the words 0 to 3 plus how often it was written to."""
    written = 0
    with suppress(asyncio.IncompleteReadError):
        while True:
            header = await reader.readexactly(7)
            body = await reader.readexactly(int.from_bytes(header[4:6], "big") - 1)
            written += body[0] == 6
            words = b"".join((word + written).to_bytes(2, "big") for word in range(body[4]))
            answer = body if body[0] == 6 else bytes((body[0], len(words))) + words
            writer.write(header[:4] + (len(answer) + 1).to_bytes(2, "big") + header[6:] + answer)
    writer.close()


def through_a_proxy(
    test: Callable[[FaultProxy, Callable[[], Awaitable[Client]]], Coroutine[Any, Any, None]],
) -> None:
    async def run() -> None:
        server = await asyncio.start_server(device, "127.0.0.1", 0)
        proxy = FaultProxy("127.0.0.1", server.sockets[0].getsockname()[1])
        await proxy.open()

        clients: list[Client] = []

        async def connect() -> Client:
            clients.append(Client(*await asyncio.open_connection("127.0.0.1", proxy.port)))
            return clients[-1]

        try:
            await test(proxy, connect)
        finally:
            await proxy.close()
            server.close()
            for client in clients:
                client.writer.close()
            await turns()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("fault", "reply"),
    [
        (Fault(), b"\1" + REPLY),
        (Fault(names_next_unit=True), b"\2" + REPLY),
        (Fault(extra_register_count=1), b"\1\3\12" + REPLY[2:] + b"\0\1"),
        (Fault(extra_register_count=-3), b"\1\3\2\0\0"),
        (Fault(words=0x8000), b"\1\3\10" + b"\x80\0" * 4),
        (Fault(exception=ExcCodes.DEVICE_BUSY), b"\1\x83\6"),
        (Fault(exception=ExcCodes.DEVICE_BUSY, units=frozenset({2})), b"\1" + REPLY),
        (Fault(exception=ExcCodes.DEVICE_BUSY, functions=frozenset({6})), b"\1" + REPLY),
        (Fault(split_byte_count=1), b"\1" + REPLY),
        (Fault(bytes_per_s=1e5), b"\1" + REPLY),
    ],
)
def test_a_reply_is_spoilt_as_asked(fault: Fault, reply: bytes) -> None:
    async def test(proxy: FaultProxy, connect: Callable[[], Awaitable[Client]]) -> None:
        proxy.fault = fault
        assert await (await connect()).reply() == reply

    through_a_proxy(test)


def test_what_is_silent_stays_silent_and_only_half_open_spares_new_connections() -> None:
    async def test(proxy: FaultProxy, connect: Callable[[], Awaitable[Client]]) -> None:
        for fault, new_one_works in ((Fault(black_hole=True), False), (Fault(half_open=True), True)):
            old = await connect()
            await old.reply()
            proxy.fault = fault
            new = await connect()
            if new_one_works:
                await new.reply()
            for client in (old,) if new_one_works else (old, new):
                with pytest.raises(TimeoutError):
                    await client.reply(wait_s=SOON_S)
            proxy.fault = Fault()

    through_a_proxy(test)


@pytest.mark.parametrize("fault", [Fault(reset=True), Fault(refused=True)])
def test_a_connection_is_ended(fault: Fault) -> None:
    async def test(proxy: FaultProxy, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        await client.reply()
        proxy.fault = fault
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await client.reply()
        proxy.fault = Fault()
        assert await (await connect()).reply() == b"\1" + REPLY

    through_a_proxy(test)


def test_a_frozen_device_repeats_itself_and_a_deaf_one_confirms_what_it_did_not_do() -> None:
    async def test(proxy: FaultProxy, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        proxy.fault = Fault(frozen=True)
        before = await client.reply()
        await client.reply(WRITE)
        assert await client.reply() == before
        proxy.fault = Fault(deaf_to_writes=True)
        moved = await client.reply()
        assert moved != before
        assert await client.reply(WRITE) == b"\1" + WRITE
        assert await client.reply() == moved

    through_a_proxy(test)


def test_garble_flips_about_the_share_of_bytes_asked_for_and_may_spare_the_frame() -> None:
    async def test(proxy: FaultProxy, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        proxy.fault = Fault(garbled_fraction=0.1, garbled_values_only=True)
        replies = [await client.reply() for _ in range(300)]
        assert {reply[:3] for reply in replies} == {b"\1" + REPLY[:2]}
        flipped = sum(mine != theirs for reply in replies for mine, theirs in zip(reply[3:], REPLY[2:], strict=True))
        assert flipped / (300 * 8) == pytest.approx(0.1, abs=0.03)

    through_a_proxy(test)
