"""What is doubtful in the readings of a plant, and which change of a map would explain it. Pure.

Every doubt names its suspect; where registers are at hand, the other word order, the other sign and other scales are
tried, and those that fit are said. Two mistakes may cancel out: what fits is a hint, the manual decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from twin.devices.base import Account
from twin.site import Site
from twin.telemetry.map_codec import decode
from twin.telemetry.map_schema import Register
from twin.telemetry.map_types import Order

LOADS = (Account.IT, Account.COOLING, Account.UPS_LOSSES, Account.OTHER)
SUN_IS_UP_DEG, SUN_IS_DOWN_DEG = 15.0, -6.0
"""Elevations: in between, twilight and horizon decide. −6° is the end of civil twilight."""
NOISE_FRACTION = 0.02
"""Of rated power: what a meter at rest may show of either sign."""
OVERLOAD_FRACTION = 1.3
"""Of rated power: more than a device's own meter can honestly show."""
LOSSES_FRACTION = 0.03
"""Of all power that flows: what cables and transformers take at most."""
METER_SIGMAS = 4.0
V_PU = (0.85, 1.15)
FREQUENCY_FRACTION = 0.05
SCALES = (1000.0, 0.001, 10.0, 0.1, 100.0, 0.01)
OTHER: Mapping[Order, Order] = {"big": "little", "little": "big"}
TINY = 1e-6
"""A float with its words or bytes in disorder is mostly far smaller than this, or larger than anything."""
FITS = 0.25
"""A change is named only if it leaves less than this of what did not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Something that is not as it should be."""

    point: str
    """`device.name`, or the device alone."""
    found: str
    would_fit: tuple[str, ...] = ()
    """What would explain it, each as a change of the map."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A register as it stood, with what its map says of it."""

    register: Register
    held: Mapping[int, int]
    """Address → word, of the register's table and unit."""
    exponent: float = 0.0

    @property
    def words(self) -> list[int]:
        return [self.held[address] for address in self.register.addresses]

    def variants(self) -> Iterator[tuple[str, float]]:
        """The values that other readings of the same words give."""
        register, words = self.register, self.words
        tried: list[tuple[str, Register]] = []
        if register.word_count > 1:
            order = OTHER[register.word_order]
            tried.append((f"word_order: {order}", replace(register, word_order=order)))
        order = OTHER[register.byte_order]
        tried.append((f"byte_order: {order}", replace(register, byte_order=order)))
        if register.type.startswith("uint"):
            tried.append((f"type: {register.type[1:]}", replace(register, type=register.type[1:])))  # type: ignore[arg-type]
        for change, read in tried:
            value = decode(read, words, self.exponent)
            if value is not None:
                yield change, value


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was read of a plant, and what else is known at that moment."""

    values: Mapping[str, float]
    """Point → value, of those that came."""
    raw: Mapping[str, Raw] = field(default_factory=dict)
    elevation_deg: float
    """Of the sun, as the site's place and clock have it."""


def doubts(site: Site, look: Look) -> tuple[Doubt, ...]:
    """Everything doubtful, the most telling first."""
    found = [*_balance(site, look), *_directions(site, look), *_sizes(site, look), *_voltages(site, look)]
    return tuple(found)


def _balance(site: Site, look: Look) -> Iterator[Doubt]:
    """The meter at the connection against the sum of all devices behind it."""
    grid = site.grid
    powers = {name: look.values.get(f"{name}.p_kw") for name in site.devices}
    known = {name: power for name, power in powers.items() if power is not None}
    if grid is None or len(known) < len(powers):
        return
    off_kw = _off_kw(known, grid)
    tolerance_kw = _tolerance_kw(site, known)
    if -tolerance_kw <= off_kw <= tolerance_kw + LOSSES_FRACTION * _flow_kw(known):
        return
    changes = [item for name in known for item in _explains(site, look, known, name, off_kw, tolerance_kw)]
    yield Doubt(
        point=f"{grid}.p_kw",
        found=f"{known[grid]:,.1f} kW at the connection, {known[grid] - off_kw:,.1f} kW in all devices behind it: "
        f"{off_kw:+,.1f} kW do not add up (± {tolerance_kw:,.1f} kW are within the meters' errors)",
        would_fit=tuple(changes),
    )


def _off_kw(powers: Mapping[str, float], grid: str) -> float:
    return powers[grid] - sum(power for name, power in powers.items() if name != grid)


def _flow_kw(powers: Mapping[str, float]) -> float:
    return sum(abs(power) for power in powers.values())


def _tolerance_kw(site: Site, powers: Mapping[str, float]) -> float:
    """What errors of all meters together may come to, independent of each other."""
    sigmas = [site.telemetry.power_sigma_fraction * site.devices[name].rated_kw for name in powers]
    return float(METER_SIGMAS * sum(sigma**2 for sigma in sigmas) ** 0.5)


def _explains(
    site: Site, look: Look, powers: Mapping[str, float], name: str, off_kw: float, tolerance_kw: float
) -> Iterator[str]:
    """Changes of one device's power after which the balance holds."""
    grid, point = str(site.grid), f"{name}.p_kw"
    tried = [("the other sign", -powers[name]), *(look.raw[point].variants() if point in look.raw else ())]
    tried += [(f"{scale:g} times the scale", powers[name] * scale) for scale in SCALES]
    for change, value in tried:
        left_kw = _off_kw({**powers, name: value}, grid)
        allowed_kw = tolerance_kw + LOSSES_FRACTION * _flow_kw({**powers, name: value})
        possible = abs(value) <= OVERLOAD_FRACTION * site.devices[name].rated_kw
        if possible and abs(left_kw) <= allowed_kw and abs(left_kw) < FITS * abs(off_kw):
            yield f"{point} with {change} ({value:,.1f} kW instead of {powers[name]:,.1f})"


def _directions(site: Site, look: Look) -> Iterator[Doubt]:
    """Loads that generate, generators that consume, sun at night."""
    for name, device in site.devices.items():
        power_kw = look.values.get(f"{name}.p_kw")
        if power_kw is None:
            continue
        least_kw = NOISE_FRACTION * device.rated_kw
        other = (_turned(look, name, power_kw),)
        if device.account in LOADS and power_kw < -least_kw:
            yield Doubt(point=f"{name}.p_kw", found=f"a load that generates {-power_kw:,.1f} kW", would_fit=other)
        elif device.account in (Account.WIND, Account.GENSET) and power_kw > least_kw:
            yield Doubt(point=f"{name}.p_kw", found=f"a generator that takes {power_kw:,.1f} kW", would_fit=other)
        elif device.account is Account.PV:
            yield from _sun(look, name, power_kw, least_kw, other)


def _sun(look: Look, name: str, power_kw: float, least_kw: float, other: tuple[str, ...]) -> Iterator[Doubt]:
    elevation = (
        f"with the sun {abs(look.elevation_deg):.0f}° {'above' if look.elevation_deg > 0 else 'below'} the horizon"
    )
    if power_kw > least_kw and look.elevation_deg > SUN_IS_UP_DEG:
        yield Doubt(point=f"{name}.p_kw", found=f"takes {power_kw:,.1f} kW {elevation}", would_fit=other)
    elif abs(power_kw) > least_kw and look.elevation_deg < SUN_IS_DOWN_DEG:
        does = "generates" if power_kw < 0 else "takes"
        fits = (
            "another device behind this register or topic",
            "the site's latitude_deg and longitude_deg, or this machine's clock",
        )
        yield Doubt(point=f"{name}.p_kw", found=f"{does} {abs(power_kw):,.1f} kW {elevation}", would_fit=fits)


def _turned(look: Look, name: str, power_kw: float) -> str:
    raw = look.raw.get(f"{name}.p_kw")
    if raw is None or raw.register.into_device not in ("positive", "negative"):
        return f"the other sign ({-power_kw:,.1f} kW)"
    other = "negative" if raw.register.into_device == "positive" else "positive"
    return f"into_device: {other} ({-power_kw:,.1f} kW)"


def _sizes(site: Site, look: Look) -> Iterator[Doubt]:
    """Powers beyond what a device is rated for, and fractions beyond 1."""
    for point, value in look.values.items():
        name, _, short = point.partition(".")
        if short in ("p_kw", "q_kvar") and name in site.devices:
            yield from _oversized(look, point, value, site.devices[name].rated_kw)
    for point, value in look.values.items():
        if point.endswith((".soc", ".soh")) and not 0.0 <= value <= 1.0:
            fits = _within(look, point, value, lambda other: 0.0 < other <= 1.0)
            yield Doubt(point=point, found=f"{value:g} where 0 to 1 is possible", would_fit=tuple(fits))


def _oversized(look: Look, point: str, value: float, rated_kw: float) -> Iterator[Doubt]:
    most_kw = OVERLOAD_FRACTION * rated_kw
    if abs(value) > most_kw:
        fits = _within(look, point, value, lambda other: NOISE_FRACTION * rated_kw < abs(other) <= most_kw)
        yield Doubt(point=point, found=f"{value:,.1f} where {rated_kw:g} kW are rated", would_fit=tuple(fits))


def _voltages(site: Site, look: Look) -> Iterator[Doubt]:
    nominal_hz = site.network.frequency_hz
    for point, value in look.values.items():
        if point.endswith(".v_pu") and not V_PU[0] <= value <= V_PU[1]:
            fits = _within(look, point, value, lambda other: V_PU[0] <= other <= V_PU[1])
            yield Doubt(point=point, found=f"{value:.4g} of the rated voltage", would_fit=tuple(fits))
        if point.endswith(".frequency_hz") and abs(value / nominal_hz - 1) > FREQUENCY_FRACTION:
            fits = _within(look, point, value, lambda other: abs(other / nominal_hz - 1) <= FREQUENCY_FRACTION)
            yield Doubt(point=point, found=f"{value:g} Hz in a network of {nominal_hz:g} Hz", would_fit=tuple(fits))


def out_of_range(point: str, reason: str, raw: Raw | None) -> Doubt:
    """A value that its own map does not find plausible."""
    fits: Iterable[str] = ()
    if raw is not None:
        low, high = raw.register.min, raw.register.max
        fits = (
            f"{change} ({value:,.6g})" for change, value in raw.variants() if low <= value <= high and abs(value) > TINY
        )
    return Doubt(point=point, found=reason, would_fit=tuple(fits))


def _within(look: Look, point: str, value: float, plausible: Callable[[float], bool]) -> Iterator[str]:
    """Other readings of a point that are plausible."""
    variants: Sequence[tuple[str, float]] = tuple(look.raw[point].variants()) if point in look.raw else ()
    tried = [*variants, *((f"{scale:g} times the scale", value * scale) for scale in SCALES)]
    yield from (f"{change} ({other:,.6g})" for change, other in tried if plausible(other))
