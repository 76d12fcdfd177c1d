from __future__ import annotations

import os
import signal
import sys
from itertools import count
from types import FrameType
from typing import Any

import pytest

from agents.interruption import interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_answers_and_the_second_is_that_of_before(number: signal.Signals) -> None:
    seen: list[int] = []
    before = signal.signal(number, lambda got, _frame: seen.append(got))
    try:
        with interruption() as interrupted:
            assert not interrupted()
            os.kill(os.getpid(), number)
            assert interrupted()
            assert seen == []
            os.kill(os.getpid(), number)
        assert seen == [number]
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("call", range(12))
def test_a_second_signal_in_the_middle_of_the_first_ones_answer_does_not_hang(call: int) -> None:
    """As when `timeout` ends a whole process group, and make hands the signal on once more. At every call it makes."""
    calls = count()

    def in_the_middle(_frame: FrameType, _event: str, _argument: Any) -> None:
        if next(calls) == call:
            signal.raise_signal(signal.SIGTERM)

    def too_long(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGTERM, signal.SIG_IGN), signal.signal(signal.SIGALRM, too_long)
    try:
        with interruption() as interrupted:
            signal.alarm(10)
            sys.setprofile(in_the_middle)
            signal.raise_signal(signal.SIGTERM)
            sys.setprofile(None)
            assert interrupted()
    finally:
        sys.setprofile(None)
        signal.alarm(0)
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGALRM, before[1])
