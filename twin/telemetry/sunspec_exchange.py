"""What is asked of a SunSpec device, without saying how: steps that ask for reads and writes and go on with the answer.

A step is a generator, so that the same logic runs over a socket, over a simulated device and in a test;
`run` answers from a function, `run_async` from a coroutine. A refusal or silence is thrown into the step, which
may know what to do next, and otherwise ends with it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TypeVar

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.pdu import ModbusPDU

from twin.errors import LinkError
from twin.telemetry.modbus import RefusedError
from twin.telemetry.register_map import MAX_REGISTERS_PER_READ
from twin.telemetry.sunspec_types import Registers, Words

MAX_REGISTERS_PER_WRITE = 123
"""Of function 16, by the Modbus specification."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Read:
    """Read `register_count` holding registers from `address`, as it stands in the request: from 0."""

    address: int
    register_count: int

    @property
    def place(self) -> str:
        return f"holding {self.address}..{self.address + self.register_count - 1}"


@dataclass(frozen=True, slots=True)
class Write:
    """Write `words` to the holding registers from `address`."""

    address: int
    words: Registers

    @property
    def place(self) -> str:
        return f"holding {self.address}..{self.address + len(self.words) - 1}"


Ask = Read | Write
Steps = Generator[Ask, Words, T]
Answer = Callable[[Ask], Words]
AnswerLater = Callable[[Ask], Awaitable[Words]]
Call = Callable[[AsyncModbusTcpClient], Awaitable[ModbusPDU]]


def run(steps: Steps[T], answer: Answer) -> T:
    """Carry out `steps`, asking a function."""
    try:
        ask = next(steps)
        while True:
            try:
                words = checked(ask, answer(ask))
            except LinkError as error:
                ask = steps.throw(error)
            else:
                ask = steps.send(words)
    except StopIteration as done:
        result: T = done.value
        return result


async def run_async(steps: Steps[T], answer: AnswerLater) -> T:
    """Carry out `steps`, asking a coroutine."""
    try:
        ask = next(steps)
        while True:
            try:
                words = checked(ask, await answer(ask))
            except LinkError as error:
                ask = steps.throw(error)
            else:
                ask = steps.send(words)
    except StopIteration as done:
        result: T = done.value
        return result


def checked(ask: Ask, words: Words) -> Words:
    """`words`, if there are as many as were asked for. Raises `RefusedError`."""
    if isinstance(ask, Read) and len(words) != ask.register_count:
        raise RefusedError(f"answered {len(words)} registers instead of {ask.register_count} reading {ask.place}")
    return words


def over_modbus(request: Callable[[Call], Awaitable[Words]], unit_id: int) -> AnswerLater:
    """Answers from one unit of a Modbus connection; `request` sends one request, once (`Gateway.request`)."""

    async def answer(ask: Ask) -> Words:
        def call(client: AsyncModbusTcpClient) -> Awaitable[ModbusPDU]:
            if isinstance(ask, Read):
                return client.read_holding_registers(ask.address, count=ask.register_count, device_id=unit_id)
            return client.write_registers(ask.address, list(ask.words), device_id=unit_id)

        return await request(call)

    return answer


def read_block(start: int, stop: int, ends: Iterable[int]) -> Steps[list[int]]:
    """The registers from `start` to before `stop`, in as few reads as possible, torn only after one of `ends`.

    A number of several registers that were read at different times would be no number at all.
    """
    words: list[int] = []
    possible = sorted(end for end in ends if start < end <= stop)
    while (at := start + len(words)) < stop:
        limit = min(stop, at + MAX_REGISTERS_PER_READ)
        end = max((end for end in possible if at < end <= limit), default=limit) if limit < stop else stop
        words += yield Read(at, end - at)
    return words
