from datetime import UTC, datetime

import pytest

from twin.telemetry.mqtt_messages import (
    Answer,
    Order,
    UnusableError,
    read_answer,
    read_order,
    read_state,
    write_answer,
    write_order,
    write_state,
)

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def test_state_goes_round() -> None:
    state = read_state(write_state(NOON, {"p_kw": -12.5, "limit_kw": 3.0}), ("p_kw", "limit_kw"))
    assert (state.at, state.values, state.problems) == (NOON, {"p_kw": -12.5, "limit_kw": 3.0}, {})


def test_an_offset_is_understood() -> None:
    assert read_state(b'{"at": "2026-06-01T14:00:00+02:00"}', ()).at == NOON
    assert read_state(b'{"at": "2026-06-01T12:00:00Z"}', ()).at == NOON


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"at": "2026-06-01T12:00:00Z"', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1, 2]", "not a JSON object"),
        (b'{"p_kw": 1}', "not a text"),
        (b'{"at": 12, "p_kw": 1}', "not a text"),
        (b'{"at": "noon", "p_kw": 1}', "not an ISO 8601 instant"),
        (b'{"at": "2026-06-01T12:00:00", "p_kw": 1}', "no offset from UTC"),
    ],
)
def test_a_message_that_cannot_be_used_says_why(payload: bytes, words: str) -> None:
    with pytest.raises(UnusableError, match=words):
        read_state(payload, ("p_kw",))


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "true", "null", '"12"', "[1]", "9" * 400])
def test_a_point_that_is_no_number_does_not_spoil_the_others(text: str) -> None:
    payload = f'{{"at": "2026-06-01T12:00:00Z", "p_kw": {text}, "limit_kw": 3}}'.encode()
    state = read_state(payload, ("p_kw", "limit_kw"))
    assert state.values == {"limit_kw": 3.0}
    assert "not a number" in state.problems["p_kw"]


def test_a_missing_point_is_a_problem_of_its_own() -> None:
    state = read_state(b'{"at": "2026-06-01T12:00:00Z"}', ("p_kw",))
    assert state.problems == {"p_kw": "p_kw is missing in the message"}


def test_order_and_answer_go_round() -> None:
    order = Order(id="a-1", setpoint="limit_kw", value=700.0, valid_until=NOON)
    assert read_order(write_order(order)) == order
    for value in (None, 0.0, 650.0):
        answer = Answer(id="a-1", outcome="clipped", value=value, detail="takes 0 to 650")
        assert read_answer(write_answer(answer)) == answer
