"""Finding what a SunSpec device is made of, and reading it.

A device says "SunS" at register 40000, 0 or 50000, then one model after another: id, length, body. The model
with id 0xFFFF is the end. Registers are numbered here as they stand in the request, from 0; the specification's
own manuals count from 1, so that a device whose maker took them at their word is one register off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from twin.errors import LinkError
from twin.telemetry.modbus import RefusedError, SilentError
from twin.telemetry.register_map import MAX_REGISTERS_PER_READ
from twin.telemetry.sunspec_codec import Contents, decode, raw_count
from twin.telemetry.sunspec_exchange import AnswerLater, Read, Steps, read_block, run_async
from twin.telemetry.sunspec_model import (
    ENDLESS,
    HEADER_REGISTERS,
    Model,
    ModelId,
    filling_size,
    known_models,
    layout,
    load_model,
)
from twin.telemetry.sunspec_types import Registers, SunSpecError

SUNS = (0x5375, 0x6E53)
BASES = (40000, 0, 50000)
OFF_BY_ONE = {40001: 40000, 39999: 40000, 1: 0, 50001: 50000, 49999: 50000}
"""Where "SunS" stands when one side counts registers from 1, and where it should."""
SCRAMBLED = {
    (0x7553, 0x536E): "the bytes of each register are swapped",
    (0x6E53, 0x5375): "the registers are in the reverse order",
    (0x536E, 0x7553): "all bytes are in the reverse order",
}
END = 0xFFFF
MOST_MODELS = 200
"""More than any device has; a device that repeats itself for ever is left there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundModel:
    """One model of a device."""

    id: ModelId
    address: int
    """Of its id."""
    register_count: int
    """Its length as the device states it, without id and length."""
    model: Model | None = field(repr=False)
    """Its definition; None for one that is not known here, whose registers are kept raw."""

    @property
    def name(self) -> str:
        known = self.model.group.name if self.model else "not known here, kept raw"
        return f"model {self.id} ({known}) at {self.address}, {self.register_count} registers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a device is made of."""

    address: int
    """Of "SunS"."""
    models: tuple[FoundModel, ...]
    problems: tuple[str, ...]
    """What is not as the specification has it, with the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawContents:
    """What a model holds that cannot be made into values."""

    found: FoundModel
    words: Registers
    """Empty where it could not be read."""
    reason: str


def discover() -> Steps[Found]:
    """Find "SunS" and every model behind it. Raises `SunSpecError` with what stands at every place looked at."""
    address, problems = yield from _find_base()
    models, more = yield from _walk(address + len(SUNS))
    return Found(address=address, models=models, problems=(*problems, *more))


def _find_base() -> Steps[tuple[int, tuple[str, ...]]]:
    heard: list[str] = []
    for address in (*BASES, *OFF_BY_ONE):
        try:
            words = tuple((yield Read(address, len(SUNS))))
        except RefusedError as refusal:
            heard.append(f"{address}: {refusal}")
            continue
        except SilentError as silence:
            # Some devices do not answer at addresses that they do not have; one that never answered is not there.
            if not heard:
                raise
            heard.append(f"{address}: {silence}")
            continue
        if words == SUNS:
            return address, _off_by_one(address)
        stands = " ".join(f"0x{word:04X}" for word in words)
        heard.append(f"{address}: {stands}{', SunS but ' + SCRAMBLED[words] if words in SCRAMBLED else ''}")
    raise SunSpecError(f"no SunSpec device: SunS is at none of its places ({'; '.join(heard)})")


def _off_by_one(address: int) -> tuple[str, ...]:
    if address not in OFF_BY_ONE:
        return ()
    return (
        f"SunS is at {address} instead of {OFF_BY_ONE[address]}: in the device or in a gateway before it, numbers that "
        "count from 0 and from 1 were confused; addresses in its manual are off by one",
    )


def _walk(address: int) -> Steps[tuple[tuple[FoundModel, ...], tuple[str, ...]]]:
    models: list[FoundModel] = []
    while len(models) < MOST_MODELS:
        header = yield from _header(address)
        if isinstance(header, str):
            return tuple(models), (*_lengths(models), header)
        model_id, register_count = header
        if model_id == END:
            return tuple(models), tuple(_lengths(models))
        stop = address + HEADER_REGISTERS + register_count
        if model_id == 0 or stop >= ENDLESS:
            what = f"model id {model_id} with length {register_count}"
            return tuple(models), (*_lengths(models), f"{what} at {address} is none; the end model 0xFFFF is missing")
        models.append(_found(model_id, address, register_count))
        address = stop
    return tuple(models), (*_lengths(models), f"more than {MOST_MODELS} models, and no end at {address}")


def _header(address: int) -> Steps[tuple[int, int] | str]:
    """Id and length of the next model, or in words why there is none."""
    try:
        model_id, register_count = yield Read(address, HEADER_REGISTERS)
    except RefusedError as refusal:
        # Some devices end with the id 0xFFFF alone, and refuse to read past it.
        last = yield from _last_register(address)
        return (END, 0) if last == END else f"the models break off at {address} without an end model: {refusal}"
    return model_id, register_count


def _last_register(address: int) -> Steps[int | None]:
    try:
        (word,) = yield Read(address, 1)
    except RefusedError:
        return None
    return word


def _found(model_id: ModelId, address: int, register_count: int) -> FoundModel:
    model = load_model(model_id) if model_id in known_models() else None
    return FoundModel(id=model_id, address=address, register_count=register_count, model=model)


def _lengths(models: Iterable[FoundModel]) -> list[str]:
    """Models whose length cannot be right whatever is in them; those that count groups are checked when read."""
    return [
        f"model {found.id} at {found.address} is {found.register_count} registers long, {expected} expected"
        for found in models
        if found.model is not None and (expected := _wrong_length(found.model, found.register_count))
    ]


def _wrong_length(model: Model, register_count: int) -> str | None:
    """What length was expected, in words; None for one that can be."""
    each, fixed = filling_size(model), model.fixed_count
    if model.is_fixed:
        padded_since = model.id == 1 and register_count == fixed - 1
        return None if register_count == fixed or padded_since else str(fixed)
    if register_count < fixed:
        return f"at least {fixed}"
    return f"{fixed} and a multiple of {each}" if each and (register_count - fixed) % each else None


def read_model(found: FoundModel) -> Steps[Contents | RawContents]:
    """What a model holds now, in as many reads as it takes (two for model 701: a read has at most 125 registers)."""
    start, total = found.address, found.register_count + HEADER_REGISTERS
    model = found.model
    if model is None:
        words = yield from read_block(start, start + total, ())
        return RawContents(found=found, words=tuple(words), reason=f"model {found.id} is not known here")
    # The points that count groups stand in front of them, so the first read tells where all others end.
    first = yield from read_block(start, start + _first_extent(model, total), ())
    places = layout(model, total, lambda name: raw_count(model, first, name))
    ends = [start + place.stop for place in places.values()]
    rest = yield from read_block(start + len(first), start + total, ends)
    return decode(model, found.address, (*first, *rest))


def _first_extent(model: Model, total: int) -> int:
    """As many whole points of the model's own group as one read takes."""
    if total <= MAX_REGISTERS_PER_READ:
        return total
    stops = accumulate(point.register_count for point in model.group.points)
    return max(stop for stop in stops if stop <= MAX_REGISTERS_PER_READ)


def read_all(found: Found) -> Steps[dict[ModelId, list[Contents | RawContents]]]:
    """Every model of a device, by its id; a device may have several of one id.

    A model that the device refuses to read does not keep the others from being read.
    """
    contents: dict[ModelId, list[Contents | RawContents]] = {}
    for model in found.models:
        try:
            held = yield from read_model(model)
        except RefusedError as refusal:
            held = RawContents(found=model, words=(), reason=str(refusal))
        contents.setdefault(model.id, []).append(held)
    return contents


async def discover_units(unit_ids: Iterable[int], answer_of: Callable[[int], AnswerLater]) -> Mapping[int, Found | str]:
    """What stands behind each unit id of a connection, or in words why nothing does."""
    found: dict[int, Found | str] = {}
    for unit_id in unit_ids:
        try:
            found[unit_id] = await run_async(discover(), answer_of(unit_id))
        except LinkError as error:
            found[unit_id] = str(error)
    return found
