"""Processes that work off batches. One that dies takes its batch with it, and no other."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from agents.assemble import LoadedSite
from agents.sweep_batch import Batch, BatchResult, run_batch
from twin.clock import stopwatch_s
from twin.errors import GridhelmError

TOLD_EVERY_S = 0.1
LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Told:
    """Scenario-steps that a worker has done since it last told."""

    steps: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A batch that ended, with a result or an error."""

    batch: Batch
    result: BatchResult | None = None
    error: GridhelmError | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """A batch whose process died."""

    batch: Batch
    why: str


class Worker:
    """One process with the batch that it works on."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.link, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs,), daemon=True)
        with _deaf_to_ctrl_c():
            self.process.start()
        theirs.close()
        self.batch: Batch | None = None

    def give(self, batch: Batch) -> None:
        """If it is dead, `heard` will tell."""
        self.batch = batch
        with suppress(OSError):
            self.link.send(batch)

    def heard(self) -> Told | Finished | Lost:
        """What it says next. Call when its link is ready."""
        batch = self.batch
        assert batch is not None
        try:
            word: Told | Finished = self.link.recv()
        except (EOFError, OSError):
            self.process.join()
            self.batch = None
            return Lost(batch, f"its process ended with code {self.process.exitcode}")
        if isinstance(word, Finished):
            self.batch = None
        return word

    def end(self) -> None:
        """Ask for it; a run ends between two steps, and tells."""
        self.process.terminate()

    def stop(self) -> None:
        """Hear it out first: one that still tells, or waits for its next batch, would never end."""
        while self.batch is not None:
            self.heard()
        self.link.close()
        self.process.join()


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """What is started here never hears Ctrl-C, which a terminal sends to all: it would die of it while it imports."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def work_off(
    batches: Sequence[Batch], processes: int, interrupted: Callable[[], bool]
) -> Generator[Told | Finished | Lost]:
    """All batches, by so many processes; ends early, and stops them, when interrupted or at the first error."""
    waiting, workers = list(reversed(batches)), list[Worker]()
    try:
        while (waiting or workers) and not interrupted():
            while waiting and len(workers) < processes:
                workers.append(Worker())
                workers[-1].give(waiting.pop())
            for link in wait([worker.link for worker in workers], LOOK_EVERY_S):
                worker = next(one for one in workers if one.link is link)
                word = worker.heard()
                yield word
                if worker.batch is None:
                    _go_on(worker, workers, waiting, dead=isinstance(word, Lost))
    finally:
        for worker in workers:
            worker.end()
        for worker in workers:
            worker.stop()


def _go_on(worker: Worker, workers: list[Worker], waiting: list[Batch], *, dead: bool) -> None:
    if waiting and not dead:
        worker.give(waiting.pop())
    else:
        workers.remove(worker)
        worker.stop()


def _work(link: Connection[Any, Any]) -> None:
    """The life of a process: batch after batch, until nobody is there any more. Ctrl-C is for the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(_NobodyThereError):
        while True:
            _say(link, done(_asked(link), lambda word: _say(link, word)))


class _NobodyThereError(Exception):
    """The parent is gone. A run that tells of its progress ends here, and leaves no file."""


def _asked(link: Connection[Any, Any]) -> Batch:
    try:
        batch: Batch = link.recv()
    except (EOFError, OSError):
        raise _NobodyThereError from None
    return batch


def _say(link: Connection[Any, Any], word: Told | Finished) -> None:
    try:
        link.send(word)
    except OSError:
        raise _NobodyThereError from None


def done(batch: Batch, tell: Callable[[Told], None], loaded: LoadedSite | None = None) -> Finished:
    """Work a batch off, telling how it goes ten times a second."""
    told_steps, told_s = 0, stopwatch_s()

    def progress(steps: int) -> None:
        nonlocal told_steps, told_s
        if stopwatch_s() - told_s > TOLD_EVERY_S or steps == batch.grid.steps:
            tell(Told((steps - told_steps) * len(batch.scenarios)))
            told_steps, told_s = steps, stopwatch_s()

    try:
        return Finished(batch, run_batch(batch, progress, loaded))
    except GridhelmError as error:
        return Finished(batch, error=error)
