"""An asyncio loop in a thread of its own, for synchronous callers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class IoThread:
    """Runs coroutines for synchronous callers. `close` cancels whatever still runs."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """The result of `work`. Raises `TimeoutError`, and cancels it, when it takes longer than `timeout_s`."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            raise

    def close(self) -> None:
        """Cancel what runs, end the thread and free the loop. A second call does nothing."""
        if self.loop.is_closed():
            return
        self.run(_cancel_others())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    # Transports that were closed hand back their sockets in the next turns of the loop.
    await turns()


async def stop_accepting(server: asyncio.Server) -> None:
    """Take no further connection, and let those that are on their way arrive, before `server` is closed.

    Closed in the moment in which it accepts one, asyncio would leave that connection open with nobody behind it.
    """
    loop = asyncio.get_running_loop()
    for listener in server.sockets:
        loop.remove_reader(listener.fileno())
    await turns()


async def turns() -> None:
    """Let the loop do what it has put off, such as freeing sockets that were closed."""
    for _ in range(3):
        await asyncio.sleep(0)
