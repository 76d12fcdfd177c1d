"""The history gives back what was recorded, whole and exact, to whoever reads it and whenever."""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.control import Cycle
from agents.recorder import History, Recorder, pack, unpack
from agents.recorder_encoding import RecordedCycle
from agents.recorder_numbers import (
    forecast_from_bytes,
    forecast_to_bytes,
    instant,
    micros,
    readings_from_bytes,
    readings_to_bytes,
)
from tests.agents.recorder_cycles import NOON, SECOND, cycle, forecast, snapshot
from twin.numeric import Num
from twin.points import Quality, Reading, Snapshot

INSTANTS = st.integers(0, 2**52).map(lambda microseconds: NOON + timedelta(microseconds=microseconds - 2**51))
NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.lists(st.floats(), min_size=1, max_size=4).map(np.array)
READINGS = st.builds(
    Reading, value=NUMBERS, at=INSTANTS, quality=st.sampled_from(Quality), reason=st.sampled_from(["", "ünsure"])
)


def record(path: Path, *cycles: Cycle) -> list[RecordedCycle]:
    recorder = Recorder(path)
    for item in cycles:
        recorder.append(item)
    recorder.close()
    return read(path)


def read(path: Path) -> list[RecordedCycle]:
    history = History(path)
    try:
        return list(history.cycles())
    finally:
        history.close()


def bits(value: Num) -> bytes:
    return value.tobytes() if isinstance(value, np.ndarray) else struct.pack("<d", value)


@given(st.dictionaries(st.text(min_size=1), READINGS, max_size=5), INSTANTS)
def test_readings_come_back_bit_for_bit(readings: dict[str, Reading], now: datetime) -> None:
    data = readings_to_bytes(Snapshot(now=now, readings=readings))
    reasons = {str(row): reading.reason for row, reading in enumerate(readings.values()) if reading.reason}
    back = readings_from_bytes(data, now, list(readings), reasons)
    assert list(back) == list(readings)
    for one, other in zip(readings.values(), back.values(), strict=True):
        assert type(one.value) is type(other.value)
        assert bits(one.value) == bits(other.value)
        assert (one.at, one.quality, one.reason) == (other.at, other.quality, other.reason)


@given(INSTANTS)
def test_an_instant_is_kept_exactly(now: datetime) -> None:
    assert instant(micros(now)) == now


@given(st.binary(max_size=300), st.binary(min_size=1, max_size=300))
def test_packed_words_unpack(words: bytes, pattern: bytes) -> None:
    assert unpack(pack(words, pattern), pattern) == words


@pytest.mark.parametrize("scenarios", [(), (3,)])
def test_a_forecast_comes_back_exactly(scenarios: tuple[int, ...]) -> None:
    one = forecast(1)
    series = np.random.default_rng(1).uniform(size=(144, *scenarios))
    wide = replace(one.signals["office.demand_kw"], mean=series, low=series / 3.0, high=series / 0.7)
    one = replace(one, signals={**one.signals, "office.demand_kw": wide})
    back = forecast_from_bytes(forecast_to_bytes(one))
    assert (back.issued_at, back.step_s, back.valid_until) == (one.issued_at, one.step_s, one.valid_until)
    assert list(back.signals) == list(one.signals)
    for name, signal in one.signals.items():
        assert back.signals[name].method == signal.method
        for kind in ("mean", "low", "high"):
            np.testing.assert_array_equal(getattr(back.signals[name], kind), getattr(signal, kind))


def test_a_cycle_comes_back_whole(tmp_path: Path) -> None:
    issued = forecast(0)
    one = cycle(7, issued)
    (back,) = record(tmp_path / "history.sqlite", one)
    assert back.now == one.now
    assert back.snapshot == one.snapshot
    assert back.rung is one.rung
    assert tuple(back.resolutions) == tuple(one.decision.resolutions)
    assert back.setpoints == one.guarded.setpoints
    assert tuple(back.clips) == one.guarded.clips
    assert tuple(back.commands) == tuple(one.commands)
    assert tuple(back.receipts) == tuple(one.receipts)
    assert back.timings_ms == one.timings_ms
    assert back.forecast is not None
    assert back.forecast.issued_at == issued.issued_at
    assert back.facts["assets"]["battery"] == {"p_kw": -120.5, "soc": 0.5, "age_s": 0.2}
    assert back.facts["assets"]["turbine"]["reason"] == "lost"
    assert back.facts["grid"]["import_kw"] == 3100.0


def test_scenarios_in_arrays_come_back(tmp_path: Path) -> None:
    one, many = cycle(0), np.array([1.0, 2.5])
    proposal = replace(one.decision.resolutions[0].proposals[0], max_kw=many, when=np.array([True, False]))
    resolution = replace(one.decision.resolutions[0], value_kw=many, proposals=(proposal,))
    command = replace(one.commands[0], value=many)
    (back,) = record(
        tmp_path / "history.sqlite",
        replace(one, decision=replace(one.decision, resolutions=(resolution,)), commands=(command,), receipts=()),
    )
    found = back.resolutions[0].proposals[0]
    for given_, restored in ((many, found.max_kw), (many, back.commands[0].value), (proposal.when, found.when)):
        np.testing.assert_array_equal(restored, given_)


def test_a_number_that_is_none_is_kept_as_it_came(tmp_path: Path) -> None:
    odd = Snapshot(
        now=NOON, readings={"a.p_kw": Reading(value=math.nan, at=NOON), "b.p_kw": Reading(value=-0.0, at=NOON)}
    )
    (back,) = record(tmp_path / "history.sqlite", replace(cycle(0), snapshot=odd))
    assert math.isnan(float(back.snapshot.readings["a.p_kw"].value))
    assert math.copysign(1.0, float(back.snapshot.readings["b.p_kw"].value)) == -1.0


def test_points_may_come_and_go(tmp_path: Path) -> None:
    sizes = (3, 90, 1, 90, 3)
    cycles = [replace(cycle(k), snapshot=snapshot(k, size)) for k, size in enumerate(sizes)]
    assert [back.snapshot for back in record(tmp_path / "history.sqlite", *cycles)] == [
        item.snapshot for item in cycles
    ]


def test_a_span_of_time_and_a_single_instant_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    record(path, *(cycle(k) for k in range(10)))
    history = History(path)
    assert [item.now for item in history.cycles(NOON + 3 * SECOND, NOON + 6 * SECOND)] == [
        NOON + k * SECOND for k in (3, 4, 5)
    ]
    assert history.snapshot(NOON + 4 * SECOND) == snapshot(4)
    history.close()


def test_a_forecast_is_stored_once_and_found_by_each_of_its_cycles(tmp_path: Path) -> None:
    path, first, second = tmp_path / "history.sqlite", forecast(0), forecast(3)
    issued = [None, first, first, second, second, second]
    back = record(path, *(cycle(k, item) for k, item in enumerate(issued)))
    assert [item.forecast and item.forecast.issued_at for item in back] == [item and item.issued_at for item in issued]
    history = History(path)
    assert history._connection.execute("SELECT count(*) FROM forecast").fetchone() == (2,)
    history.close()


def test_more_cycles_than_one_pattern_lasts_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.recorder.CYCLES_PER_PATTERN", 4)
    back = record(tmp_path / "history.sqlite", *(cycle(k) for k in range(11)))
    assert [item.commands[0].value for item in back] == [cycle(k).commands[0].value for k in range(11)]


def test_a_history_is_continued_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    record(path, cycle(0), cycle(1))
    assert [item.snapshot for item in record(path, cycle(2))] == [snapshot(k) for k in range(3)]


def test_it_is_read_while_it_is_written(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "history.sqlite")
    recorder.append(cycle(0))
    history = History(tmp_path / "history.sqlite")
    reading = history.cycles()
    assert next(reading).snapshot == snapshot(0)
    recorder.append(cycle(1))
    assert [item.now for item in history.cycles()] == [NOON, NOON + SECOND]
    assert list(reading) == [], "a reader that began before sees what was there when it began"
    recorder.append(cycle(2))
    recorder.close()
    assert len(list(history.cycles())) == 3
    history.close()


def test_a_closed_history_is_one_plain_file(tmp_path: Path) -> None:
    record(tmp_path / "history.sqlite", cycle(0))
    assert [file.name for file in tmp_path.iterdir()] == ["history.sqlite"]


def test_a_day_of_seconds_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    record(path, *(cycle(k) for k in range(400)))
    assert path.stat().st_size / 400 < 2000, "bytes of a cycle with 90 points: below 175 MB a day"


def test_a_clock_that_was_set_back_loses_nothing(tmp_path: Path) -> None:
    again = replace(cycle(5), now=NOON, snapshot=replace(snapshot(5), now=NOON))
    back = record(tmp_path / "history.sqlite", cycle(0), cycle(1), again)
    assert [item.now for item in back] == [NOON, NOON + SECOND, NOON]
    history = History(tmp_path / "history.sqlite")
    assert history.snapshot(NOON) == again.snapshot, "the newest of the same instant"
    history.close()


def test_local_instants_are_the_same_instants(tmp_path: Path) -> None:
    at = (NOON - timedelta(milliseconds=3)).astimezone()
    odd = Snapshot(now=NOON, readings={"a.p_kw": Reading(value=1.0, at=at)})
    (back,) = record(tmp_path / "history.sqlite", replace(cycle(0), snapshot=odd))
    assert back.snapshot == odd
