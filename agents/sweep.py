"""Many scenarios of a site: in batches, over processes, resumable.

A sweep's folder holds `manifest.json` (the question), `steps/` (a Parquet dataset, a row for each step and scenario),
`scenarios/` (one for each scenario) and, when all is done, `scenarios.parquet`. A batch is done where its part of
`scenarios/` is; each file is written beside its place and put there when complete. The same question asked again
goes on where it ended.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from agents.assemble import LoadedSite, load
from agents.interruption import interruption
from agents.results import joined
from agents.scenario_plan import PlannedScenario
from agents.step_table import put_in_place, unfinished, write_columns
from agents.sweep_batch import Batch, BatchResult, read_batch
from agents.sweep_folder import MANIFEST, WHOLE, folder_of, left_in, refused
from agents.sweep_memory import most_side_by_side
from agents.sweep_workers import Finished, Lost, Told, done, work_off
from twin.numeric import FloatArray
from twin.site import Site
from twin.timegrid import TimeGrid

GO_ON = "the same question, to go on with it; another folder; or --restart, which deletes what a sweep left there"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A question: which site, which policy, when, and which scenarios."""

    site_path: Path
    policy: str
    grid: TimeGrid
    scenarios: Sequence[PlannedScenario]
    out: Path | None = None
    every: int = 0
    """Steps in one row of the step table; 0: there is none."""
    batch: int | None = None
    """Scenarios side by side in one process."""
    processes: int = 1
    loaded: LoadedSite | None = None
    """The site, where it has been read already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """What came of it."""

    columns: Mapping[str, FloatArray]
    """A row for each scenario that was run to its end."""
    failed: Mapping[int, str]
    """Scenario → when and why it was given up."""
    lost: Sequence[str]
    """Batches whose process died, in words."""
    interrupted: bool
    steps: int
    """How far they got: all the way, unless even the first batch was interrupted."""


class _Heard:
    """What batches told so far."""

    def __init__(self, results: dict[int, BatchResult], todo: int, progress: Callable[[int, int], None]) -> None:
        self.results, self._todo, self._progress = results, todo, progress
        self.lost: list[str] = []
        self.interrupted = False
        self._done = 0

    def __call__(self, word: Told | Finished | Lost) -> None:
        """Raises what a batch raised."""
        if isinstance(word, Told):
            self._done += word.steps
            self._progress(self._done, self._todo)
        elif isinstance(word, Lost):
            self.lost.append(f"batch {word.batch.number} ({_numbers(word.batch)}): {word.why}")
        elif word.error is not None:
            raise word.error
        elif word.result is not None:
            self.results[word.batch.number] = word.result
            self.interrupted = self.interrupted or word.result.steps < word.batch.grid.steps


def run_sweep(sweep: Sweep, progress: Callable[[int, int], None], *, restart: bool = False) -> SweepResult:
    """Run what is not done yet. `progress` is told scenario-steps done and to do.

    Raises `InputError` where the folder is of another sweep or at work, `RecordError` where nothing can be written.
    """
    sweep = replace(sweep, loaded=sweep.loaded or load(sweep.site_path, with_links=False))
    with nullcontext() if sweep.out is None else folder_of(sweep.out):
        return _run(sweep, _batches(sweep, _asked(sweep, restart=restart)), progress)


def _run(sweep: Sweep, batches: Sequence[Batch], progress: Callable[[int, int], None]) -> SweepResult:
    results = {batch.number: read_batch(batch) for batch in batches if _is_done(batch)}
    left = [batch for batch in batches if batch.number not in results]
    heard = _Heard(results, sum(len(batch.scenarios) for batch in left) * sweep.grid.steps, progress)
    if sweep.processes == 1:
        for batch in left:
            if not heard.interrupted:
                heard(done(batch, heard, sweep.loaded))
    else:
        with interruption() as interrupted, closing(work_off(left, sweep.processes, interrupted)) as words:
            for word in words:
                heard(word)
            heard.interrupted = heard.interrupted or interrupted()
    if sweep.out is not None and not heard.interrupted and not heard.lost:
        _write_whole(sweep.out, [results[batch.number] for batch in batches])
    several = [results[number] for number in sorted(results)]
    return _summed([result for result in several if result.steps == sweep.grid.steps] or several[:1], heard)


def _numbers(batch: Batch) -> str:
    return f"scenarios {batch.numbers[0]} to {batch.numbers[-1]}"


def _is_done(batch: Batch) -> bool:
    return batch.out is not None and batch.scenarios_file.exists()


def _batches(sweep: Sweep, size: int) -> list[Batch]:
    return [
        Batch(
            number=number,
            site_path=sweep.site_path,
            policy=sweep.policy,
            grid=sweep.grid,
            first=first,
            scenarios=sweep.scenarios[first : first + size],
            out=sweep.out,
            every=sweep.every,
        )
        for number, first in enumerate(range(0, len(sweep.scenarios), size))
    ]


def batch_size(sweep: Sweep, site: Site) -> int:
    """Scenarios in each batch of a sweep that has not begun yet."""
    return sweep.batch or min(math.ceil(len(sweep.scenarios) / sweep.processes), most_side_by_side(site))


def _question(sweep: Sweep, site: Site) -> dict[str, Any]:
    """All that the answer depends on: also what is in the files that the site file names."""
    labels = json.dumps(
        [[dict(one.label), repr(one.scenario.weather), repr(one.scenario.outages)] for one in sweep.scenarios]
    )
    return {
        "site": sweep.site_path.name,
        "site_sha256": _digest(sweep.site_path.read_bytes()),
        "network_sha256": _digest(repr(site.network).encode()),
        "weather_sha256": [_digest(path.read_bytes()) for path in _weather_files(sweep, site)],
        "policy": sweep.policy,
        "start": sweep.grid.start.isoformat(),
        "step_s": sweep.grid.step_s,
        "steps": sweep.grid.steps,
        "scenarios": len(sweep.scenarios),
        "scenarios_sha256": _digest(labels.encode()),
        "steps_in_a_row": sweep.every,
        "version": version("gridhelm"),
    }


def _weather_files(sweep: Sweep, site: Site) -> Iterator[Path]:
    for source in dict.fromkeys(one.scenario.weather or site.weather for one in sweep.scenarios):
        if source.file is not None and (path := sweep.site_path.parent / source.file).is_file():
            yield path


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _asked(sweep: Sweep, *, restart: bool) -> int:
    """Keep the question in the folder, or find the same one there; the size of its batches."""
    site = (sweep.loaded or load(sweep.site_path, with_links=False)).site
    size = batch_size(sweep, site)
    if sweep.out is None:
        return size
    path, question = sweep.out / MANIFEST, _question(sweep, site)
    for left in left_in(sweep.out) if restart else ():
        left.unlink()
    if path.exists():
        return _same(path, question, sweep.batch)
    if left_in(sweep.out):
        raise refused(sweep.out, f"parts of a sweep without its {MANIFEST}", GO_ON)
    _replace(path, json.dumps(question | {"batch": size}, indent=2) + "\n")
    return size


def _same(path: Path, question: Mapping[str, Any], batch: int | None) -> int:
    kept = _read(path)
    wanted = dict(question) | ({} if batch is None else {"batch": batch})
    different = [
        f"{name} {kept.get(name)!r}, not {value!r}" for name, value in wanted.items() if kept.get(name) != value
    ]
    if different:
        raise refused(path, "; ".join(different), GO_ON)
    return int(kept["batch"])


def _read(path: Path) -> Mapping[str, Any]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        kept = str(error)
    if isinstance(kept, dict) and isinstance(kept.get("batch"), int):
        return kept
    expected = "the manifest of a sweep; another folder, or --restart, which deletes what is there"
    raise refused(path, repr(kept)[:200], expected)


def _replace(path: Path, text: str) -> None:
    unfinished(path).write_text(text, encoding="utf-8")
    put_in_place(path)


def _write_whole(out: Path, results: Sequence[BatchResult]) -> None:
    names = dict.fromkeys(name for result in results for name in result.columns)
    whole: dict[str, Any] = {
        name: [value for result in results for value in result.labels[name]] for name in results[0].labels
    }
    for name in names:
        whole[name] = np.concatenate([result.columns.get(name, _no_numbers(result)) for result in results])
    write_columns(out / WHOLE, whole)


def _no_numbers(result: BatchResult) -> FloatArray:
    return np.full(len(result.labels["scenario"]), np.nan)


def _summed(results: Sequence[BatchResult], heard: _Heard) -> SweepResult:
    whole = [result for result in results if result.columns]
    columns = joined([result.columns for result in whole]) if whole else {}
    good = np.array([not why for result in whole for why in result.labels["failed"]], dtype=bool)
    return SweepResult(
        columns={name: values[good] for name, values in columns.items()},
        failed={number: why for result in results for number, why in result.failed.items()},
        lost=heard.lost,
        interrupted=heard.interrupted,
        steps=min((result.steps for result in results), default=0),
    )
