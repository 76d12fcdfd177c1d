"""Finding a device's models: places of SunS, ends, unknown ids, wrong lengths, several units, and how it is read."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from tests.twin.telemetry.sunspec_rig import device_of, filled
from twin.telemetry.modbus import RefusedError, SilentError
from twin.telemetry.sunspec_codec import Contents, encode
from twin.telemetry.sunspec_device import SunSpecDevice
from twin.telemetry.sunspec_discovery import (
    BASES,
    Found,
    RawContents,
    discover,
    discover_units,
    read_all,
    read_model,
)
from twin.telemetry.sunspec_exchange import AnswerLater, Ask, Read, checked, read_block, run, run_async
from twin.telemetry.sunspec_model import known_models, load_model
from twin.telemetry.sunspec_types import Scalar, SunSpecError, Words

SUNS = [0x5375, 0x6E53]
COMMON: Mapping[str, Scalar] = {"Mn": "maker", "Md": "inverter", "SN": "1"}


class Registers:
    """Holding registers at some address, and what was asked of them."""

    def __init__(self, words: Sequence[int], address: int = 40000) -> None:
        self.words, self.address = list(words), address
        self.asked: list[Ask] = []

    def answer(self, ask: Ask) -> Words:
        self.asked.append(ask)
        assert isinstance(ask, Read)
        start = ask.address - self.address
        if start < 0 or start + ask.register_count > len(self.words):
            raise RefusedError("illegal address")
        return self.words[start : start + ask.register_count]


def found_in(words: Sequence[int], address: int = 40000) -> Found:
    return run(discover(), Registers(words, address).answer)


@pytest.mark.parametrize("address", BASES)
def test_a_device_is_found_at_each_of_the_three_places(address: int) -> None:
    device = device_of({1: COMMON, 103: {"W": 5, "W_SF": 0}}, address)
    found = run(discover(), device.answer)
    assert (found.address, found.problems) == (address, ())
    assert [(model.id, model.address, model.register_count) for model in found.models] == [
        (1, address + 2, 66),
        (103, address + 70, 50),
    ]


@pytest.mark.parametrize(("address", "meant"), [(40001, 40000), (39999, 40000), (1, 0), (50001, 50000)])
def test_a_device_that_is_one_register_off_is_found_and_told(address: int, meant: int) -> None:
    found = run(discover(), device_of({1: COMMON}, address).answer)
    assert found.address == address
    (problem,) = found.problems
    assert f"SunS is at {address} instead of {meant}" in problem
    assert "from 0 and from 1" in problem


def test_where_there_is_no_device_every_place_is_told_with_what_stands_there() -> None:
    with pytest.raises(SunSpecError, match=r"40000: illegal address; 0: 0x1234 0x0000; 50000: illegal address"):
        found_in([0x1234, 0], 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([0x7553, 0x536E], "bytes of each register are swapped"),
        ([0x6E53, 0x5375], "registers are in the reverse order"),
    ],
)
def test_a_scrambled_mark_is_recognised(words: list[int], said: str) -> None:
    with pytest.raises(SunSpecError, match=said):
        found_in(words)


def test_a_silent_device_is_not_taken_for_one_without_sunspec() -> None:
    def silent(ask: Ask) -> Words:
        raise SilentError("no answer within 1 s")

    with pytest.raises(SilentError):
        run(discover(), silent)


def test_a_device_that_is_silent_where_it_has_nothing_is_found_where_it_has() -> None:
    device = device_of({1: COMMON}, 50000)

    def answer(ask: Ask) -> Words:
        if ask.address == 0:
            raise SilentError("no answer within 1 s")
        return device.answer(ask)

    assert run(discover(), answer).address == 50000


def test_an_unknown_model_is_kept_raw_and_named_and_the_next_one_is_found() -> None:
    words = [*SUNS, *encode(load_model(1), COMMON), 64001, 3, 7, 8, 9, *encode(load_model(120), {}), 0xFFFF, 0]
    registers = Registers(words)
    found = run(discover(), registers.answer)
    assert [model.id for model in found.models] == [1, 64001, 120]
    assert found.models[1].name == "model 64001 (not known here, kept raw) at 40070, 3 registers"
    raw = run(read_model(found.models[1]), registers.answer)
    assert isinstance(raw, RawContents)
    assert raw.words == (64001, 3, 7, 8, 9)


def test_a_wrong_length_is_named_with_its_address() -> None:
    short = [103, 48, *[0] * 48]
    mppt = [160, 11, *[0] * 11]
    found = found_in([*SUNS, *encode(load_model(1), COMMON)[:1], 65, *[0x4141] * 65, *short, *mppt, 0xFFFF, 0])
    assert [model.id for model in found.models] == [1, 103, 160]
    assert found.problems == (
        "model 103 at 40069 is 48 registers long, 50 expected",
        "model 160 at 40119 is 11 registers long, 8 and a multiple of 20 expected",
    )


def test_an_end_without_a_length_is_an_end() -> None:
    found = found_in([*SUNS, *encode(load_model(1), COMMON), 0xFFFF])
    assert (len(found.models), found.problems) == (1, ())


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        ([], "break off at 40070 without an end model: illegal address"),
        ([0, 0], "model id 0 with length 0 at 40070 is none; the end model 0xFFFF is missing"),
        ([103, 30000], "model id 103 with length 30000 at 40070"),
        ([701, 0] * 300, "more than 200 models"),
    ],
)
def test_a_missing_end_is_told_and_what_was_found_is_kept(tail: list[int], said: str) -> None:
    found = found_in([*SUNS, *encode(load_model(1), COMMON), *tail])
    assert found.models[0].id == 1
    assert said in found.problems[-1]


@pytest.mark.parametrize("model_id", known_models())
def test_a_model_is_read_whole_in_reads_that_tear_no_point(model_id: int) -> None:
    model = load_model(model_id)
    values = max((filled(model, seed) for seed in range(8)), key=len)
    words = encode(model, values)
    registers = Registers([*SUNS, *words, 0xFFFF, 0])
    found = run(discover(), registers.answer)
    registers.asked.clear()
    held = run(read_model(found.models[0]), registers.answer)
    assert isinstance(held, Contents)
    assert held.values == values
    reads = [ask for ask in registers.asked if isinstance(ask, Read)]
    assert len(reads) == 1 if len(words) <= 125 else len(reads) <= 2 + len(words) // 110
    stops = {40002 + place.stop for place in held.places.values()}
    assert all(read.address + read.register_count in stops for read in reads)


def test_model_701_takes_two_reads() -> None:
    registers = Registers(device_of({701: {"W": 1, "W_SF": 0}}).registers)
    found = run(discover(), registers.answer)
    registers.asked.clear()
    run(read_model(found.models[0]), registers.answer)
    first, second = registers.asked
    assert isinstance(first, Read)
    assert isinstance(second, Read)
    assert first.register_count <= 125
    assert first.register_count + second.register_count == 155


def test_a_block_is_torn_only_where_it_must_be() -> None:
    registers = Registers([0] * 1000, 0)
    words = run(read_block(10, 310, [12, 100, 130, 200, 310, 400]), registers.answer)
    assert len(words) == 300
    assert registers.asked == [Read(10, 120), Read(130, 70), Read(200, 110)]


def test_a_model_that_cannot_be_read_leaves_the_others() -> None:
    device = device_of({1: COMMON, 103: {"W": 5, "W_SF": 0}, 120: {"WRtg": 10, "WRtg_SF": 0}})

    def answer(ask: Ask) -> Words:
        if isinstance(ask, Read) and ask.address == 40070 and ask.register_count > 2:
            raise RefusedError("device busy")
        return device.answer(ask)

    contents = run(read_all(run(discover(), answer)), answer)
    (inverter,) = contents[103]
    assert isinstance(inverter, RawContents)
    assert inverter.reason == "device busy"
    assert isinstance(contents[120][0], Contents)


def test_a_reply_of_another_length_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"answered 3 registers instead of 2 reading holding 40000..40001"):
        checked(Read(40000, 2), [1, 2, 3])


def test_several_units_are_looked_at_and_each_is_told() -> None:
    units: dict[int, SunSpecDevice] = {1: device_of({1: COMMON}), 2: device_of({1: COMMON, 203: {}}, 0)}

    def answer_of(unit_id: int) -> AnswerLater:
        async def answer(ask: Ask) -> Words:
            if unit_id not in units:
                raise SilentError("the device behind the gateway does not answer")
            return units[unit_id].answer(ask)

        return answer

    found = asyncio.run(discover_units([1, 2, 3], answer_of))
    first, second = found[1], found[2]
    assert isinstance(first, Found)
    assert isinstance(second, Found)
    assert (first.address, second.address, len(second.models)) == (40000, 0, 2)
    assert found[3] == "the device behind the gateway does not answer"
    assert asyncio.run(run_async(discover(), answer_of(2))) == second
