import asyncio
import threading

import pytest

from twin.telemetry.io_thread import IoThread


async def work(result: int) -> int:
    await asyncio.sleep(0)
    return result


def test_a_coroutine_is_run_for_a_synchronous_caller() -> None:
    thread = IoThread("test-io")
    assert thread.run(work(7)) == 7
    thread.close()


def test_what_takes_too_long_is_cancelled() -> None:
    thread, cancelled = IoThread("test-io"), threading.Event()

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(TimeoutError):
        thread.run(endless(), timeout_s=0.01)
    assert cancelled.wait(20)
    thread.close()


def test_closing_cancels_what_runs_and_ends_the_thread() -> None:
    thread, cancelled, begun = IoThread("test-io"), threading.Event(), threading.Event()

    async def endless() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    asyncio.run_coroutine_threadsafe(endless(), thread.loop)
    assert begun.wait(20)
    thread.close()
    thread.close()
    assert cancelled.is_set()
    assert "test-io" not in {item.name for item in threading.enumerate()}
