"""A one-slot mailbox whose content expires: all that control, planning and forecasting share."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """Holds the newest value only, and gives it only while it is valid.

    It may be filled and read by different threads. It never waits for a value and never gives an old
    one: whoever reads decides what to do without.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._content: tuple[T, datetime] | None = None

    def put(self, value: T, valid_until: datetime) -> None:
        """Replace whatever is there."""
        with self._lock:
            self._content = (value, valid_until)

    def get(self, now: datetime) -> T | None:
        """What was put last, while `now` is before its end; else None."""
        with self._lock:
            content = self._content
        return content[0] if content is not None and now < content[1] else None
