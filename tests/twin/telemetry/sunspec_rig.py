"""SunSpec devices full of values, made from a number, and small ones to steer."""

import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

from twin.telemetry.sunspec_codec import Contents, scaled, value_places
from twin.telemetry.sunspec_control import Device
from twin.telemetry.sunspec_device import SunSpecDevice
from twin.telemetry.sunspec_discovery import discover, read_all
from twin.telemetry.sunspec_exchange import Answer, run
from twin.telemetry.sunspec_model import Model, Place, Point, layout, load_model, repeating_groups
from twin.telemetry.sunspec_types import FLOATS, LEAST_EXPONENT, MOST_EXPONENT, WHOLE, Scalar

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
Values = dict[str, Scalar]
ALPHABET = "abcdefgh XYZ0189-_/äßΩ€"
COUNTS = {"Pt": 4, "Crv": 3}


def filled(
    model: Model,
    seed: int,
    *,
    exponents: Sequence[int] = range(LEAST_EXPONENT, MOST_EXPONENT + 1),
    fewest: int = 0,
) -> Values:
    """A value for every point of a model, extremes among them, as a device could hold them."""
    random = Random(seed)
    counts: dict[str, int] = {}
    for group, repeats in repeating_groups(model).items():
        counts[str(repeats)] = random.randint(fewest, COUNTS.get(group, 3))
    room = 3000 if "0" not in counts else 2 + model.fixed_count + counts["0"] * 20
    places = layout(model, room, lambda name: counts[name])
    values: Values = {}
    own = [place for place in value_places(places) if place.point.kind == "sunssf"]
    values |= {place.path: random.choice(exponents) for place in own}
    for place in value_places(places):
        values.setdefault(place.path, _value(place, values, random))
    return values | {name: count for name, count in counts.items() if name in places} | _count_of_fill(model, counts)


def _count_of_fill(model: Model, counts: Mapping[str, int]) -> Values:
    names = [point.name for point in model.group.points if point.kind == "count"]
    return dict.fromkeys(names, counts.get("0", 0))


def _value(place: Place, values: Values, random: Random) -> Scalar:
    point = place.point
    if point.kind in FLOATS:
        number = random.choice([0.0, -1.5, 3.4e38, random.uniform(-1e6, 1e6)])
        return float(struct.unpack(FLOATS[point.kind], struct.pack(FLOATS[point.kind], number))[0])
    if point.kind not in WHOLE:
        return _text(point, random)
    raw = _raw(point, random)
    if place.exponent is None:
        return raw
    exponent = values[place.exponent] if isinstance(place.exponent, str) else place.exponent
    assert isinstance(exponent, int)
    return scaled(raw, exponent)


def _raw(point: Point, random: Random) -> int:
    whole = WHOLE[point.kind]
    least = 1 if point.kind.startswith("acc") else whole.low
    if point.kind.startswith("enum") and point.symbols:
        return random.choice(list(point.symbols.values()))
    return random.choice([least, whole.high, min(max(7, least), whole.high), random.randint(least, whole.high)])


def _text(point: Point, random: Random) -> str:
    if point.kind == "eui48":
        return random.randbytes(6).hex(":").upper()
    if point.kind == "ipaddr":
        return ".".join(str(random.randint(1, 255)) for _ in range(4))
    text = "".join(random.choice(ALPHABET) for _ in range(random.randint(1, 2 * point.register_count)))
    while len(text.encode()) > 2 * point.register_count:
        text = text[:-1]
    return text or "x"


def device_of(models: Mapping[int, Mapping[str, Scalar]], address: int = 40000) -> SunSpecDevice:
    return SunSpecDevice([load_model(key) for key in models], list(models.values()), NOON, address)


def contents_of(answer: Answer) -> Device:
    """The first model of each id, read anew."""
    everything = run(read_all(run(discover(), answer)), answer)
    return {key: items[0] for key, items in everything.items() if isinstance(items[0], Contents)}


def after(duration_s: float) -> datetime:
    return NOON + timedelta(seconds=duration_s)


def registers_at(words: Sequence[int], address: int) -> Mapping[int, int]:
    return {address + i: word for i, word in enumerate(words)}


SETTINGS_704: Mapping[str, Scalar] = {
    "WMaxLimPct_SF": -1, "WSet_SF": 2, "WSetPct_SF": -1,
    "WMaxLimPctEna": 0, "WMaxLimPct": 100, "WMaxLimPctRvrt": 100, "WMaxLimPctEnaRvrt": 0,
    "WMaxLimPctRvrtTms": 0, "WMaxLimPctRvrtRem": 0,
    "WSetEna": 0, "WSetMod": 1, "WSet": 0, "WSetRvrt": 0, "WSetPct": 0, "WSetPctRvrt": 0, "WSetEnaRvrt": 0,
    "WSetRvrtTms": 0, "WSetRvrtRem": 0,
}  # fmt: skip
RATED_1000_KW: Mapping[str, Scalar] = {"WMax": 1_000_000, "W_SF": 2}
"""Model 702."""
SETTINGS_123: Mapping[str, Scalar] = {
    "Conn": 1, "WMaxLimPct": 100, "WMaxLimPct_SF": -2, "WMaxLimPct_RvrtTms": 0, "WMaxLim_Ena": 0, "OutPFSet": 1,
    "OutPFSet_SF": -2, "OutPFSet_Ena": 0, "VArPct_Ena": 0,
}  # fmt: skip
SETTINGS_124: Mapping[str, Scalar] = {
    "WChaMax": 500_000, "WChaMax_SF": 1, "WChaGra": 100, "WDisChaGra": 100, "WChaDisChaGra_SF": 0, "StorCtl_Mod": 0,
    "OutWRte": 100, "InWRte": 100, "InOutWRte_SF": -2, "InOutWRte_RvrtTms": 0, "ChaState": 63.5, "ChaState_SF": -1,
}  # fmt: skip
SETTINGS_802: Mapping[str, Scalar] = {
    "SoC": 55, "SoC_SF": 0, "LocRemCtl": 0, "CtrlHb": 0, "Hb": 0, "State": 3, "W": -2000, "W_SF": 1,
}  # fmt: skip
