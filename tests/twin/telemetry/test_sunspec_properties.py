"""For every point of every model: what is written is read again, and no garbage breaks anything."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twin.telemetry.sunspec_rig import filled
from twin.telemetry.modbus import RefusedError
from twin.telemetry.sunspec_codec import decode, encode, value_places
from twin.telemetry.sunspec_discovery import END, SUNS, discover, read_all
from twin.telemetry.sunspec_exchange import Ask, Read, run
from twin.telemetry.sunspec_model import known_models, load_model
from twin.telemetry.sunspec_types import SunSpecError, Words

SEEDS = st.integers(0, 2**32)


@pytest.mark.parametrize("model_id", known_models())
@settings(max_examples=12, deadline=None)
@given(seed=SEEDS)
def test_every_point_of_a_model_comes_back_as_it_was_written(model_id: int, seed: int) -> None:
    model = load_model(model_id)
    values = filled(model, seed)
    words = encode(model, values)
    held = decode(model, 40002, words)
    assert held.problems == ()
    assert held.values == values
    assert not held.absent
    assert words[:2] == (model_id, len(words) - 2)
    assert encode(model, held.values) == words or any(isinstance(value, float) for value in values.values())


@pytest.mark.parametrize("model_id", known_models())
@settings(max_examples=12, deadline=None)
@given(seed=SEEDS, length=st.integers(0, 130), fill=st.sampled_from([None, 0, 0x8000, 0xFFFF]), data=st.data())
def test_garbage_is_answered_with_a_value_or_a_reason_for_every_point(
    model_id: int, seed: int, length: int, fill: int | None, data: st.DataObject
) -> None:
    noise = data.draw(st.binary(min_size=2 * length, max_size=2 * length)) if fill is None else b""
    words = [int.from_bytes(noise[i : i + 2]) for i in range(0, len(noise), 2)] or [fill or 0] * length
    held = decode(load_model(model_id), 40002, words)
    assert {place.path for place in value_places(held.places)} == {*held.values, *held.absent}
    assert all(held.absent.values())
    assert len(held.places) < 200


@pytest.mark.parametrize("model_id", [model_id for model_id in known_models() if load_model(model_id).is_fixed])
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_whatever_is_read_from_garbage_can_be_written_and_is_read_the_same(model_id: int, data: st.DataObject) -> None:
    model = load_model(model_id)
    size = 2 * (model.fixed_count + 2)
    noise = data.draw(st.binary(min_size=size, max_size=size))
    held = decode(model, 0, [int.from_bytes(noise[i : i + 2]) for i in range(0, size, 2)])
    values = {path: value for path, value in held.values.items() if not isinstance(value, str)}
    again = decode(model, 0, encode(model, values))
    assert again.values == values


@settings(max_examples=200, deadline=None)
@given(
    words=st.lists(
        st.one_of(st.sampled_from([*known_models(), END, 0, 1, 2, 50, *SUNS]), st.integers(0, 0xFFFF)), max_size=80
    ),
    signed=st.booleans(),
    address=st.sampled_from([0, 1, 40000, 50001, 65500]),
)
def test_a_device_of_garbage_is_read_or_refused_with_the_declared_error(
    words: list[int], signed: bool, address: int
) -> None:
    registers = [*SUNS, *words] if signed else words
    asked = 0

    def answer(ask: Ask) -> Words:
        nonlocal asked
        asked += 1
        assert asked < 1000
        assert isinstance(ask, Read)
        assert 1 <= ask.register_count <= 125
        start = ask.address - address
        if start < 0 or start + ask.register_count > len(registers):
            raise RefusedError("illegal address")
        return registers[start : start + ask.register_count]

    if (not signed and tuple(words[:2]) != SUNS) or address == 65500:
        with pytest.raises(SunSpecError, match="SunS is at none of its places"):
            run(discover(), answer)
        return
    found = run(discover(), answer)
    ended = any(word == END for word in registers)
    assert ended or found.problems
    assert sum(len(items) for items in run(read_all(found), answer).values()) == len(found.models)
