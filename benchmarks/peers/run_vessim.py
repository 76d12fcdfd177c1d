"""Vessim 0.16.0 with the study of its first page: a load, the sun, a battery and a grid connection, 300 s a step.

Argument: how many microgrids stand side by side. Its fast setting: the native backend, metrics without a time series.
Its page downloads the trace of the sun; here it is a day's half sine at the same 300 s, repeated over a year.
"""

from __future__ import annotations

import math
import sys

import pandas as pd
import vessim as vs
from blocks import Blocks

STEP_S, DAYS, DAY_STEPS = 300, 365, 288


class Counting(vs.Controller):
    """Tells the clock of each step; the recorder has the states of the microgrids made anyway."""

    def __init__(self, blocks: Blocks) -> None:
        self.step = lambda now, states: blocks.done()  # noqa: ARG005

    def step(self, now: object, microgrid_states: object) -> None:
        raise NotImplementedError


def sun_w(scale_w: float) -> pd.Series:
    day = [scale_w * max(0.0, -math.cos(2 * math.pi * step / DAY_STEPS)) for step in range(DAY_STEPS)]
    return pd.Series(day * DAYS, index=pd.to_timedelta(range(0, DAYS * 86400, STEP_S), unit="s"))


def study(microgrids: int, sun: vs.Trace) -> vs.Environment:
    environment = vs.Environment(sim_start="2026-01-01", step_size=STEP_S)
    for number in range(microgrids):
        environment.add_microgrid(
            name=f"site_{number}",
            actors=[vs.Consumer("load", signal=700), vs.Producer("solar", signal=sun)],
            dispatchables=[vs.SimpleBattery("battery", capacity=1000), vs.GridConnection()],
        )
    environment.add_controller(vs.Recorder(timeseries=False))
    return environment


def main() -> None:
    sun, blocks = vs.Trace(sun_w(2400.0)), Blocks()
    while True:
        environment = study(int(sys.argv[1]), sun)
        environment.add_controller(Counting(blocks))
        environment.prepare()
        blocks.begin()
        environment.run(until=DAYS * 86400)
        blocks.end()


if __name__ == "__main__":
    main()
