from __future__ import annotations

import os
import signal
import sys
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


def test_a_second_signal_in_the_middle_of_the_first_ones_answer_does_not_hang() -> None:
    """As when `timeout` ends a whole process group, and make hands the signal on once more."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    again = iter(range(20))

    def in_the_middle(_frame: FrameType, _event: str, _argument: Any) -> None:
        if next(again, None) is not None:
            signal.raise_signal(signal.SIGTERM)

    try:
        with interruption() as interrupted:
            sys.setprofile(in_the_middle)
            signal.raise_signal(signal.SIGTERM)
            sys.setprofile(None)
            assert interrupted()
    finally:
        sys.setprofile(None)
        signal.signal(signal.SIGTERM, before)
