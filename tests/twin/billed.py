"""A connection that imports a series, and the books of the ledger over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np

from twin.carbon import Carbon
from twin.devices.grid_connection import GridConnection
from twin.ledger import Books, Ledger
from twin.network.power_flow import FlowResult
from twin.numeric import FloatArray, Num, first
from twin.simulator import PlantStep
from twin.site import Site, load_site
from twin.tariff import Tariff
from twin.urdb import tariff_fields

CAMPUS = Path(__file__).parents[2] / "site_configs" / "campus.yaml"
NOTHING: FloatArray = np.empty(0)
ACCOUNTS = ("energy_cost", "demand_cost", "fixed_cost")


@cache
def _campus() -> Site:
    return load_site(CAMPUS)


def site_with(tariff: Tariff, zone: str = "America/Denver", carbon: Carbon | None = None) -> Site:
    """The campus with this tariff, and nothing but its connection."""
    campus = _campus()
    factor = 390.0 if carbon is None else 0.0
    grid = replace(cast(GridConnection, campus.devices["grid"]), tariff=tariff, carbon=carbon, carbon_g_per_kwh=factor)
    return replace(campus, devices={"grid": grid}, location=replace(campus.location, time_zone=zone))


def urdb(rate: Mapping[str, Any], **beside: Any) -> Tariff:
    """The tariff of a URDB rate."""
    return Tariff(**{**tariff_fields(rate, export_is_known=True), **beside})


def step_of(start: datetime, import_kw: Num, step_s: float) -> PlantStep:
    """One step of a site that is nothing but a connection."""
    flow = FlowResult(
        slack_p_kw=import_kw, slack_q_kvar=0.0, losses_kw=0.0, v_pu=NOTHING, branch_p_kw=NOTHING,
        loading_fraction=NOTHING, unaccounted_kw=NOTHING,
    )  # fmt: skip
    return PlantStep(
        start=start, step_s=step_s, steps={}, flow=flow, import_kw=import_kw, unserved_kw=0.0, balance_residual_kw=0.0
    )


class Billed:
    """Books an import series; the accounts of each local month apart."""

    def __init__(self, site: Site, start: datetime, import_kw: Sequence[Num], step_s: float = 3600.0) -> None:
        self.ledger, self.monthly = Ledger(site, watch=lambda flow: {}), list[dict[str, float]]()
        zone, now = site.location.zone, start.astimezone(UTC)
        for value in import_kw:
            self.ledger.book(step_of(now, value, step_s))
            before, now = now, now + timedelta(seconds=step_s)
            if now.astimezone(zone).month != before.astimezone(zone).month:
                self._note({name: first(self.ledger.tally.sums[name]) for name in ACCOUNTS})
        self.books: Books = self.ledger.close()

    def _note(self, total: dict[str, float]) -> None:
        before = {name: sum(month[name] for month in self.monthly) for name in ACCOUNTS}
        self.monthly.append({name: total[name] - before[name] for name in ACCOUNTS})

    def of(self, name: str) -> list[float]:
        """One account, month by month."""
        return [month[name] for month in self.monthly]
