"""A tariff of the OpenEI Utility Rate Database (URDB), as its JSON has it, in the words of `twin.tariff`.

Fields as of https://openei.org/services/doc/rest/util_rates/ (version 8). What is not computed is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from twin.tariff import DemandBlock, DemandCharge, EnergyBlock, Ratchet, TariffPeriod
from twin.tariff_hours import Hours

Json = Mapping[str, Any]
COMPUTED = frozenset(
    {
        "energyratestructure", "energyweekdayschedule", "energyweekendschedule", "demandratestructure",
        "demandweekdayschedule", "demandweekendschedule", "demandrateunit", "demandunits", "demandwindow",
        "flatdemandstructure", "flatdemandmonths", "flatdemandunit", "demandratchetpercentage", "lookbackPercent",
        "lookbackMonths", "lookbackRange", "fixedchargefirstmeter", "fixedchargeunits", "mincharge", "minchargeunits",
        "dgrules",
    }
)  # fmt: skip
INFORMATION = frozenset(
    {
        "label", "uri", "approved", "is_default", "startdate", "enddate", "supersedes", "revisions", "utility", "eiaid",
        "country", "name", "sector", "servicetype", "description", "source", "sourceparent",
        "basicinformationcomments", "energycomments", "demandcomments", "peakkwcapacityhistory", "peakkwcapacitymax",
        "peakkwcapacitymin", "peakkwhusagehistory", "peakkwhusagemax", "peakkwhusagemin", "voltagecategory",
        "voltageminimum", "voltagemaximum", "phasewiring", "fixedchargeeaaddl",
    }
)  # fmt: skip
"""Who may have the tariff, and what it is called; the charge for each further meter, for a site has one."""
DAYS_PER_MONTH = 365.25 / 12
TO_MONTH = {"$/month": 1.0, "$/day": DAYS_PER_MONTH, "$/year": 1.0 / 12}
ENDLESS = 1e9
"""A highest tier with a bound beyond this has none; SAM writes 1e38."""
MONTHS = range(1, 13)


class UrdbError(ValueError):
    """Something in the file that is wrong, or not computed."""

    def __init__(self, key: str, found: str, expected: str) -> None:
        super().__init__(f"{key}: found {found}, expected {expected}")
        self.key, self.found, self.expected = key, found, expected


def tariff_fields(data: Any, *, export_is_known: bool) -> dict[str, Any]:
    """The fields of `Tariff` that a URDB rate states.

    Parameters
    ----------
    data : dict
        A response of the service (`items` with one rate), or one rate of it.
    export_is_known : bool
        Whether the site file says what energy sold is paid with.

    Raises
    ------
    UrdbError
        Names the first key that is wrong or not computed.

    Notes
    -----
    A charge is ``rate + adj`` of its tier. Weekend schedules hold on Saturdays, Sundays, and the tariff's `holidays`.
    A charge per day is taken as 365.25/12 of it a month, as REopt does. `lookbackPercent` and
    `demandratchetpercentage` hold up the flat demand charges by the highest demand of earlier months.
    """
    rate = _rate(data)
    _refuse_unknown(rate)
    flat, ratchet = list(_flat_charges(rate)), _ratchet(rate)
    if ratchet is not None and not flat:
        raise UrdbError("lookbackPercent", "a ratchet without flatdemandstructure", "a flat demand charge to hold up")
    _check_export(rate, export_is_known)
    found: dict[str, Any] = {
        "periods": tuple(_periods(rate)),
        "demand_charges": (*(_held(charge, ratchet) for charge in flat), *_tou_charges(rate)),
        "ratchet": ratchet,
        "fixed_monthly_cost": _monthly(rate, "fixedchargefirstmeter", "fixedchargeunits"),
        "minimum_monthly_cost": _monthly(rate, "mincharge", "minchargeunits"),
    }
    window_minutes = _number(rate.get("demandwindow") or 0.0, "demandwindow")
    return found | ({"demand_interval_s": window_minutes * 60.0} if window_minutes else {})


def _rate(data: Any) -> Json:
    if isinstance(data, Mapping) and "items" in data:
        items = data["items"]
        if not isinstance(items, list) or len(items) != 1:
            raise UrdbError("items", f"{len(items)} rates", "one rate")
        data = items[0]
    if not isinstance(data, Mapping) or "energyratestructure" not in data:
        raise UrdbError("energyratestructure", "nothing", "a rate of the OpenEI Utility Rate Database")
    return data


def _refuse_unknown(rate: Json) -> None:
    for key, value in rate.items():
        if key not in COMPUTED | INFORMATION and not _empty(value):
            raise UrdbError(key, str(value)[:60], "a rate without it: it is not computed")
    for key in ("flatdemandunit", "demandrateunit", "demandunits"):
        if rate.get(key, "kW") != "kW":
            raise UrdbError(key, repr(rate[key]), "kW: nothing else is computed")


def _empty(value: Any) -> bool:
    """A key that says nothing: null, 0, or a list of such."""
    return all(_empty(item) for item in value) if isinstance(value, list) else value in (None, 0, "", False)


def _check_export(rate: Json, export_is_known: bool) -> None:
    sells = [tier for tiers in rate["energyratestructure"] for tier in tiers if "sell" in tier]
    if not sells and rate.get("dgrules") and not export_is_known:
        raise UrdbError(
            "dgrules",
            repr(rate["dgrules"]),
            "a key export_price_per_kwh beside urdb in the site file: the rate has no sell price, and net metering is "
            "not computed",
        )


def _periods(rate: Json) -> Iterator[TariffPeriod]:
    key = "energyratestructure"
    weekday = _schedule(rate, "energyweekdayschedule", len(rate[key]))
    weekend = _schedule(rate, "energyweekendschedule", len(rate[key]))
    for number, tiers in enumerate(rate[key]):
        place = f"{key}[{number}]"
        for hours in windows(weekday, weekend, number):
            yield TariffPeriod(
                name=f"period {number}",
                months=hours.months,
                weekdays_only=hours.weekdays_only,
                weekends_only=hours.weekends_only,
                from_hour=hours.from_hour,
                to_hour=hours.to_hour,
                price_per_kwh=_price(tiers, place),
                export_price_per_kwh=_sell(tiers, place),
                blocks=tuple(_energy_blocks(tiers, place)),
            )


def _energy_blocks(tiers: Sequence[Json], place: str) -> Iterator[EnergyBlock]:
    units = {tier.get("unit", "kWh") for tier in tiers}
    if not units <= {"kWh", "kWh/kW"} or len(units) > 1:
        raise UrdbError(f"{place}.unit", ", ".join(sorted(units)), "kWh or kWh/kW, the same in all tiers of a period")
    for below, tier in _upper_tiers(tiers, place):
        price = _price_of(tier, place)
        if units == {"kWh"}:
            yield EnergyBlock(above_kwh=below, price_per_kwh=price)
        else:
            yield EnergyBlock(above_use_h=below, price_per_kwh=price)


def _upper_tiers(tiers: Sequence[Json], place: str) -> Iterator[tuple[float, Json]]:
    """Each tier above the first, with the bound below it."""
    last = _number(tiers[-1].get("max", ENDLESS), f"{place}.max")
    if last < ENDLESS:
        raise UrdbError(f"{place}.max", f"{last:g} in the highest tier", "no bound there: nobody says what follows")
    for below, tier in pairwise(tiers):
        if _number(below.get("max", 0.0), f"{place}.max") <= 0.0:
            raise UrdbError(f"{place}.max", "nothing", "a number above 0 in every tier but the highest")
        yield float(below["max"]), tier


def _price(tiers: Any, place: str) -> float:
    if not isinstance(tiers, list) or not tiers:
        raise UrdbError(place, repr(tiers)[:60], "a list of tiers")
    for tier in tiers:
        unknown = set(tier) - {"rate", "adj", "sell", "max", "unit"}
        if unknown:
            raise UrdbError(f"{place}.{min(unknown)}", "a key that is not computed", "rate, adj, sell, max, unit")
    return _price_of(tiers[0], place)


def _price_of(tier: Json, place: str) -> float:
    return _number(tier.get("rate", 0.0), f"{place}.rate") + _number(tier.get("adj", 0.0), f"{place}.adj")


def _sell(tiers: Sequence[Json], place: str) -> float | None:
    prices = {tier.get("sell") for tier in tiers}
    if len(prices) > 1:
        raise UrdbError(f"{place}.sell", "other prices in other tiers", "one for the period")
    price = prices.pop()
    return None if price is None else _number(price, f"{place}.sell")


def _flat_charges(rate: Json) -> Iterator[DemandCharge]:
    structure = rate.get("flatdemandstructure") or []
    by_month = rate.get("flatdemandmonths") or []
    if structure and (len(by_month) != 12 or not all(number in range(len(structure)) for number in by_month)):
        raise UrdbError("flatdemandmonths", repr(by_month)[:60], f"12 numbers from 0 to {len(structure) - 1}")
    for number, tiers in enumerate(structure):
        months = tuple(month for month in MONTHS if by_month[month - 1] == number)
        hours = () if len(months) == 12 else (Hours(months=months),)
        if months:
            yield _demand_charge(f"flat {number}", tiers, hours, f"flatdemandstructure[{number}]")


def _tou_charges(rate: Json) -> Iterator[DemandCharge]:
    structure = rate.get("demandratestructure") or []
    if not structure:
        return
    weekday = _schedule(rate, "demandweekdayschedule", len(structure))
    weekend = _schedule(rate, "demandweekendschedule", len(structure))
    for number, tiers in enumerate(structure):
        hours = tuple(windows(weekday, weekend, number))
        if hours:
            yield _demand_charge(f"period {number}", tiers, hours, f"demandratestructure[{number}]")


def _demand_charge(name: str, tiers: Any, hours: tuple[Hours, ...], place: str) -> DemandCharge:
    price = _price(tiers, place)
    for key, meant in (("unit", "kW"), ("sell", None)):
        if any(tier.get(key, meant) != meant for tier in tiers):
            raise UrdbError(f"{place}.{key}", str(tiers[0].get(key)), "demand in kW, without a sell price")
    blocks = tuple(
        DemandBlock(above_kw=below, price_per_kw=_price_of(tier, place)) for below, tier in _upper_tiers(tiers, place)
    )
    return DemandCharge(name=name, price_per_kw=price, hours=hours, blocks=blocks)


def _held(charge: DemandCharge, ratchet: Ratchet | None) -> DemandCharge:
    return DemandCharge(
        name=charge.name,
        price_per_kw=charge.price_per_kw,
        hours=charge.hours,
        blocks=charge.blocks,
        ratchet=ratchet is not None,
    )


def _ratchet(rate: Json) -> Ratchet | None:
    monthly = {_number(value, "demandratchetpercentage") for value in rate.get("demandratchetpercentage") or []}
    if len(monthly) > 1:
        raise UrdbError("demandratchetpercentage", str(sorted(monthly)), "the same in every month")
    share = _number(rate.get("lookbackPercent") or 0.0, "lookbackPercent") or (monthly.pop() if monthly else 0.0)
    if share <= 0.0:
        return None
    flags = rate.get("lookbackMonths") or []
    return Ratchet(
        held_fraction=share if share <= 1.0 else share / 100.0,  # more than all of it is meant as percent
        months=tuple(month for month, flag in zip(MONTHS, flags, strict=False) if flag),
        look_back_months=int(rate.get("lookbackRange") or 0) or 11,
    )


def _monthly(rate: Json, key: str, unit_key: str) -> float:
    amount, unit = _number(rate.get(key) or 0.0, key), rate.get(unit_key, "$/month")
    if unit not in TO_MONTH or (key == "mincharge" and unit == "$/year" and amount):
        raise UrdbError(unit_key, repr(unit), "$/month or $/day")
    return amount * TO_MONTH[unit]


def _number(value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UrdbError(key, repr(value)[:60], "a number")
    return float(value)


def _schedule(rate: Json, key: str, periods: int) -> Sequence[Sequence[int]]:
    rows = rate.get(key)
    right = isinstance(rows, list) and len(rows) == 12 and all(isinstance(row, list) and len(row) == 24 for row in rows)
    if not right or not all(number in range(periods) for row in rows for number in row):  # type: ignore[union-attr]
        raise UrdbError(key, repr(rows)[:60], f"12 rows of 24 numbers from 0 to {periods - 1}")
    return rows  # type: ignore[return-value]


def windows(weekday: Sequence[Sequence[int]], weekend: Sequence[Sequence[int]], number: int) -> Iterator[Hours]:
    """Where a number stands in two tables of month and hour of the day, as hours of a calendar."""
    alike = [weekday[month - 1] == weekend[month - 1] for month in MONTHS]
    for rows, words in ((weekday, {"weekdays_only": True}), (weekend, {"weekends_only": True})):
        months = [month for month in MONTHS if not alike[month - 1]]
        yield from _of_rows({month: rows[month - 1] for month in months}, words, number)
    yield from _of_rows({month: weekday[month - 1] for month in MONTHS if alike[month - 1]}, {}, number)


def _of_rows(rows: Mapping[int, Sequence[int]], words: Mapping[str, bool], number: int) -> Iterator[Hours]:
    months: dict[tuple[bool, ...], list[int]] = {}
    for month, row in rows.items():
        months.setdefault(tuple(found == number for found in row), []).append(month)
    for pattern, among in months.items():
        named = () if len(among) == 12 else tuple(among)
        for start, end in _runs(pattern):
            yield Hours(months=named, from_hour=float(start), to_hour=float(end), **words)


def _runs(pattern: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Beginning and end of each row of true ones."""
    edges = [hour for hour in range(25) if _at(pattern, hour) != _at(pattern, hour - 1)]
    return zip(edges[::2], edges[1::2], strict=True)


def _at(pattern: Sequence[bool], hour: int) -> bool:
    return 0 <= hour < len(pattern) and pattern[hour]
