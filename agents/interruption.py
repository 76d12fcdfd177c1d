"""Ctrl-C and SIGTERM end a run between two cycles, never within one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruption() -> Iterator[Callable[[], bool]]:
    """Yields a question: was the run asked to end? The first signal only answers it; a second one ends at once."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked: list[int] = []  # no Event: a second signal that comes while the first is answered would wait for its lock
    before = {int(number): signal.getsignal(number) for number in SIGNALS}

    def answer(number: int, _frame: FrameType | None) -> None:
        asked.append(number)
        signal.signal(number, before[number])

    for each in SIGNALS:
        signal.signal(each, answer)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
