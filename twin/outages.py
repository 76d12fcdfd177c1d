"""Outages of the public grid as reliability figures have them: so many a year, so long on average."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zlib import crc32

import numpy as np

YEAR_H = 8760.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption:
    """A time without supply."""

    start: datetime
    end: datetime


def interruptions(
    name: str, seed: int, start: datetime, end: datetime, *, rate_per_year: float, mean_h: float
) -> tuple[Interruption, ...]:
    """Draw the outages of one element for one seed.

    Parameters
    ----------
    name : str
        Of the element; makes its outages independent of those of others.
    seed : int
        Of the scenario. Seed 0 is the year without one, as it is the weather file as it stands.
    start, end : datetime
        Outages begin within; the last may end later. A longer time keeps the outages of a shorter one.
    rate_per_year : float
        Mean number in 8,760 h of supply: SAIFI, interruptions per customer and year.
    mean_h : float
        Mean duration: CAIDI = SAIDI / SAIFI (IEEE 1366-2022).

    Notes
    -----
    An alternating renewal process, the two-state Markov model of a repairable component (Billinton and Allan,
    *Reliability Evaluation of Power Systems*, 1996, ch. 9): times to failure are exponential of mean
    ``8760 h / rate_per_year``, times to repair exponential of mean `mean_h`. The share of time without supply tends
    to ``rate · mean / (8760 + rate · mean)``. Without major event days by convention: those do not follow it.
    """
    if seed == 0 or rate_per_year <= 0.0:
        return ()
    random = np.random.default_rng((seed, crc32(name.encode())))
    found, now = list[Interruption](), start
    while True:
        now += timedelta(hours=float(random.exponential(YEAR_H / rate_per_year)))
        if now >= end:
            return tuple(found)
        until = now + timedelta(hours=float(random.exponential(mean_h)))
        found.append(Interruption(start=now, end=until))
        now = until
