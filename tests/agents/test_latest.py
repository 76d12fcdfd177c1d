"""The mailbox between control, planning and forecasting gives the newest value or none."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from agents.latest import Latest

NOON = datetime(2025, 7, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_it_is_empty_at_first() -> None:
    assert Latest[str]().get(NOON) is None


def test_the_newest_value_is_given_until_its_end_and_not_at_it() -> None:
    slot = Latest[str]()
    slot.put("old", NOON + 60 * SECOND)
    slot.put("new", NOON + 2 * SECOND)
    assert slot.get(NOON + SECOND) == "new"
    assert slot.get(NOON + 2 * SECOND) is None


def test_none_but_valid_values_differ_from_nothing() -> None:
    slot = Latest[int]()
    slot.put(0, NOON + SECOND)
    assert slot.get(NOON) == 0


def test_a_reader_never_sees_the_value_of_one_writer_with_the_end_of_another() -> None:
    slot, wrong, done = Latest[datetime](), list[tuple[datetime, datetime]](), threading.Event()

    def write() -> None:
        for second in range(20_000):
            slot.put(NOON + second % 7 * SECOND, NOON + second % 7 * SECOND)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        now = NOON + 3 * SECOND
        value = slot.get(now)
        if value is not None and value <= now:
            wrong.append((value, now))
    writer.join()
    assert not wrong
