"""Two processes on one stepped clock: the controller here, the emulated plant in a child process.

Only the clock travels over the pipe. Everything that is measured or commanded goes through real
Modbus and MQTT sockets on loopback. Each line to the child is one JSON object with one key:
``advance_to`` (ISO instant), ``kill`` or ``restore`` (a link's name, or ``broker``), ``quit``;
each is answered by one JSON line.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from twin.errors import LinkError


class EmulatedSite:
    """The emulator in a process of its own, moved step by step."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, **order: Any) -> Mapping[str, Any]:
        """Give one order and wait for its answer. Raises `LinkError` when the process is gone."""
        commands, answers = _pipes(self._process)
        try:
            commands.write(json.dumps(order) + "\n")
            commands.flush()
            line = answers.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise LinkError(f"the emulator ended (exit code {self._process.wait()})")
        return dict(json.loads(line))

    def await_open(self) -> None:
        """Wait until every server is open. Raises `LinkError` when one cannot be opened."""
        self.ask(hello=True)

    def advance_to(self, instant: datetime) -> Mapping[str, Any]:
        """Let the plant's time pass until `instant`; returns the truth of that instant."""
        return self.ask(advance_to=instant.isoformat())

    def kill(self, target: str) -> None:
        """Pull the plug of one link's server, or of the broker."""
        self.ask(kill=target)

    def restore(self, target: str) -> None:
        self.ask(restore=target)

    def quit(self) -> Mapping[str, Any]:
        """End the emulator; returns its true books."""
        return self.ask(quit=True)


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    if process.stdin is None or process.stdout is None:
        raise LinkError("the emulator was started without pipes")
    return process.stdin, process.stdout


@contextmanager
def emulated_site(site_path: Path, *, start: datetime, step_s: float, steps: int, seed: int) -> Iterator[EmulatedSite]:
    """Start the emulator, and see that it ends with the block. Its servers are open once `await_open` returns."""
    command = [
        sys.executable, "-m", "agents", "emulate", str(site_path), "--clock", "pipe", "--start", start.isoformat(),
        "--step", str(step_s), "--steps", str(steps), "--seed", str(seed),
    ]  # fmt: skip
    # In a session of its own: Ctrl-C is for the controller, which then asks the emulator for its books.
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield EmulatedSite(process)
    finally:
        process.terminate()
        process.wait(10)
        for pipe in _pipes(process):
            pipe.close()
