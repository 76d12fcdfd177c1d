"""A simulated SunSpec device: its registers, what may be written to them, and the dead-man that lets go of it.

It obeys models 704, 123, 124 and 802 as `twin.telemetry.sunspec_control` describes them. Time is handed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from twin.telemetry.modbus import EXCEPTION_WORDS, RefusedError
from twin.telemetry.sunspec_codec import Contents, decode, encode, place_words
from twin.telemetry.sunspec_control import CONNECT
from twin.telemetry.sunspec_discovery import BASES, SUNS
from twin.telemetry.sunspec_exchange import Ask, Read, Write
from twin.telemetry.sunspec_image import Values, image
from twin.telemetry.sunspec_model import Model, ModelId, Place
from twin.telemetry.sunspec_types import Scalar

ILLEGAL_ADDRESS, ILLEGAL_VALUE = 2, 3
HEARTBEAT_PATIENCE_S = 10.0
"""How long the battery bears the absence of the controller's heartbeat once it has heard it."""
DISCONNECTED, CONNECTED, STANDBY = 1, 3, 4


class WriteRefusedError(RefusedError):
    """The simulated device does not take a write; `code` is the Modbus exception."""

    def __init__(self, code: int) -> None:
        super().__init__(EXCEPTION_WORDS[code])
        self.code = code


@dataclass(frozen=True, slots=True)
class DeadMan:
    """A function that the device leaves by itself when it is not told again."""

    model_id: ModelId
    timer: str
    enable: str
    remaining: str | None = None
    reverts: tuple[tuple[str, str], ...] = ()
    """Point → point whose value it takes on expiry, where `reverts_if` is 1."""
    reverts_if: str | None = None


DEAD_MEN = (
    DeadMan(
        704, "WSetRvrtTms", "WSetEna", "WSetRvrtRem", (("WSet", "WSetRvrt"), ("WSetPct", "WSetPctRvrt")), "WSetEnaRvrt"
    ),
    DeadMan(
        704,
        "WMaxLimPctRvrtTms",
        "WMaxLimPctEna",
        "WMaxLimPctRvrtRem",
        (("WMaxLimPct", "WMaxLimPctRvrt"),),
        "WMaxLimPctEnaRvrt",
    ),
    DeadMan(704, "VarSetRvrtTms", "VarSetEna", "VarSetRvrtRem", (("VarSet", "VarSetRvrt"),), "VarSetEnaRvrt"),
    DeadMan(123, "WMaxLimPct_RvrtTms", "WMaxLim_Ena"),
    DeadMan(124, "InOutWRte_RvrtTms", "StorCtl_Mod"),
)


@dataclass(slots=True)
class _Block:
    """One model of the device, as it stands."""

    model: Model
    address: int
    words: list[int]
    contents: Contents = field(init=False)

    def __post_init__(self) -> None:
        self.refresh()

    def refresh(self) -> None:
        self.contents = decode(self.model, self.address, self.words)

    def set(self, path: str, value: Scalar) -> None:
        place = self.contents.places[path]
        self.words[place.start : place.stop] = place_words(place, value, self.contents.values)
        self.refresh()

    @property
    def stop(self) -> int:
        return self.address + len(self.words)


class SunSpecDevice:
    """One unit with the given models, at most one of each id that it obeys."""

    def __init__(
        self, models: Sequence[Model], values: Sequence[Values], now: datetime, address: int = BASES[0]
    ) -> None:
        self.address = address
        self._now = now
        self._expires: dict[DeadMan, datetime] = {}
        self._last_beat: datetime | None = None
        self._image = list(image(models, values))
        self._blocks: list[_Block] = []
        at = address + len(SUNS)
        for model, own in zip(models, values, strict=True):
            self._blocks.append(_Block(model, at, list(encode(model, own))))
            at = self._blocks[-1].stop

    @property
    def registers(self) -> list[int]:
        """All registers from `address` on."""
        return [*SUNS, *(word for block in self._blocks for word in block.words), *self._image[-2:]]

    def contents(self, model_id: ModelId) -> Contents:
        """What the first model of that id holds."""
        return self._block(model_id).contents

    def show(self, model_id: ModelId, values: Values) -> None:
        """Let a model show `values` from now on; points that are not named stay as they are."""
        for path, value in values.items():
            self._block(model_id).set(path, value)

    def answer(self, ask: Ask) -> Sequence[int]:
        """As the device answers over Modbus. Raises `WriteRefusedError`."""
        return self.read(ask) if isinstance(ask, Read) else self.write(ask)

    def read(self, ask: Read) -> Sequence[int]:
        start, registers = ask.address - self.address, self.registers
        if start < 0 or start + ask.register_count > len(registers):
            raise WriteRefusedError(ILLEGAL_ADDRESS)
        return registers[start : start + ask.register_count]

    def write(self, ask: Write) -> Sequence[int]:
        """Take a write as a whole or not at all: whole writable points that are implemented."""
        block = next((item for item in self._blocks if item.address <= ask.address < item.stop), None)
        if block is None:
            raise WriteRefusedError(ILLEGAL_ADDRESS)
        start = ask.address - block.address
        written = self._written(block, start, start + len(ask.words))
        words = [*block.words[:start], *ask.words, *block.words[start + len(ask.words) :]]
        following = decode(block.model, block.address, words)
        if not all(_acceptable(place, following) for place in written):
            raise WriteRefusedError(ILLEGAL_VALUE)
        block.words = words
        block.refresh()
        self._obey(block, {place.path for place in written})
        return ()

    def _written(self, block: _Block, start: int, stop: int) -> list[Place]:
        places = [place for place in block.contents.places.values() if place.start < stop and place.stop > start]
        whole = bool(places) and places[0].start == start and places[-1].stop == stop
        if not whole or not all(place.point.writable and place.path in block.contents.values for place in places):
            raise WriteRefusedError(ILLEGAL_ADDRESS)
        return places

    def _obey(self, block: _Block, written: set[str]) -> None:
        if block.model.id == 802 and "CtrlHb" in written:
            self._last_beat = self._now
            self.show(802, {"State": CONNECTED})
        if block.model.id == 802 and "SetOp" in written:
            self.show(802, {"State": CONNECTED if block.contents.values["SetOp"] == CONNECT else DISCONNECTED})
        for dead_man in DEAD_MEN:
            if dead_man.model_id == block.model.id and written & {dead_man.timer, dead_man.enable}:
                self._start(dead_man, block.contents)

    def _start(self, dead_man: DeadMan, contents: Contents) -> None:
        self._expires.pop(dead_man, None)
        timeout_s = contents.number(dead_man.timer)
        if timeout_s and contents.number(dead_man.enable):
            self._expires[dead_man] = self._now + timedelta(seconds=timeout_s)

    def step(self, now: datetime) -> None:
        """Let time pass: what was not renewed by now is left."""
        self._now = now
        for dead_man, expires in list(self._expires.items()):
            block = self._block(dead_man.model_id)
            left_s = max((expires - now).total_seconds(), 0.0)
            if dead_man.remaining is not None and dead_man.remaining in block.contents.values:
                block.set(dead_man.remaining, left_s)
            if left_s == 0.0:
                del self._expires[dead_man]
                _let_go(block, dead_man)
        if self._last_beat is not None and (now - self._last_beat).total_seconds() > HEARTBEAT_PATIENCE_S:
            self._last_beat = None
            self.show(802, {"State": STANDBY})

    def p_kw(self, own_kw: float) -> float:
        """What it does, power into it, when on its own it would do `own_kw`."""
        held = {block.model.id: block.contents for block in reversed(self._blocks)}
        if 802 in held and held[802].values.get("State") in (STANDBY, DISCONNECTED):
            return 0.0
        return max(_set_kw(held, own_kw), -_limit_kw(held))

    def q_kvar(self, own_kvar: float) -> float:
        """As `p_kw`, reactive power."""
        controls = next((block.contents for block in self._blocks if block.model.id == 704), None)
        if controls is None or not controls.number("VarSetEna"):
            return own_kvar
        return -(controls.number("VarSet") or 0.0) / 1000

    def _block(self, model_id: ModelId) -> _Block:
        return next(block for block in self._blocks if block.model.id == model_id)


def _acceptable(place: Place, contents: Contents) -> bool:
    """Whether a point may hold what was written to it."""
    value = contents.values.get(place.path)
    known = not place.point.kind.startswith("enum") or not place.point.symbols or value in place.point.symbols.values()
    return value is not None and known


def _let_go(block: _Block, dead_man: DeadMan) -> None:
    if dead_man.reverts_if is None or block.contents.number(dead_man.reverts_if) != 1:
        block.set(dead_man.enable, 0)
        return
    for point, source in dead_man.reverts:
        value = block.contents.values.get(source)
        if value is not None:
            block.set(point, value)


def _set_kw(held: Mapping[ModelId, Contents], own_kw: float) -> float:
    controls, storage = held.get(704), held.get(124)
    if controls is not None and controls.number("WSetEna"):
        if controls.number("WSetMod") == 0:
            return -(controls.number("WSetPct") or 0.0) / 100 * _max_kw(held)
        return -(controls.number("WSet") or 0.0) / 1000
    if storage is None:
        return own_kw
    mode, max_kw = int(storage.number("StorCtl_Mod") or 0), (storage.number("WChaMax") or 0.0) / 1000
    charge = (storage.number("InWRte") or 0.0) / 100 * max_kw if mode & 1 else max_kw
    discharge = (storage.number("OutWRte") or 0.0) / 100 * max_kw if mode & 2 else max_kw
    return min(max(own_kw, -discharge), charge)


def _limit_kw(held: Mapping[ModelId, Contents]) -> float:
    limit_kw = float("inf")
    for model_id, enable in ((704, "WMaxLimPctEna"), (123, "WMaxLim_Ena")):
        controls = held.get(model_id)
        if controls is not None and controls.number(enable):
            limit_kw = min(limit_kw, (controls.number("WMaxLimPct") or 0.0) / 100 * _max_kw(held))
    return limit_kw


def _max_kw(held: Mapping[ModelId, Contents]) -> float:
    sources = ((702, "WMax"), (702, "WMaxRtg"), (121, "WMax"), (120, "WRtg"))
    return next((watts / 1000 for key, path in sources if key in held and (watts := held[key].number(path))), 0.0)
