"""The plant made of steel (or emulated as such): Modbus and MQTT devices behind the port `twin.plant.Plant`."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from twin.clock import Clock, SteppedClock, stopwatch_s
from twin.errors import LinkError
from twin.points import Command, Reading, Receipt, Snapshot, good_readings
from twin.site import Site
from twin.telemetry.capture import Listener
from twin.telemetry.config import AnyModbusLink, MqttLink, SunSpecLink, Telemetry
from twin.telemetry.it_power import ItPower
from twin.telemetry.modbus import Unit, Value
from twin.telemetry.modbus_devices import ModbusDevices
from twin.telemetry.mqtt import RECEIPT_TIMEOUT_S, MqttDevices
from twin.telemetry.plausibility import BalanceCheck
from twin.telemetry.quality import aged, doubtful, judged, missing
from twin.telemetry.sunspec_devices import LONGEST_CYCLE_S, SunSpecDevices, SunSpecUnit

LOOK_AGAIN_S = 0.02
LOCK_STEP_PATIENCE_S = 0.5
AGAIN = "answers again, and is read from the next cycle on"
ADVICE = (
    "Is the plant, or its emulator (`gridhelm emulate`), running? "
    "Otherwise correct host, port and unit_id under telemetry in the site file."
)


class LivePlant:
    """Reads and commands a site through its links.

    Whatever fails comes back by itself, and meanwhile stands in the snapshot's `lost`; its points
    keep their last values, marked bad.
    """

    def __init__(self, site: Site, site_path: Path, clock: Clock, capture: Listener | None = None) -> None:
        """With a `capture`, all that comes is kept there too.

        On a clock that stands still until it is moved, the plant waits for us: then, and only then,
        a read waits for MQTT states of its own instant, which would otherwise race with it."""
        self._telemetry: Telemetry = site.telemetry
        self._await_state_s = LOCK_STEP_PATIENCE_S if isinstance(clock, SteppedClock) else 0.0
        self._last: dict[str, Reading] = {}
        self._capture = capture
        self._balance = BalanceCheck(site)
        links, broker = self._telemetry.links, self._telemetry.broker
        modbus = {name: link for name, link in links.items() if isinstance(link, AnyModbusLink)}
        mqtt = {name: link for name, link in links.items() if isinstance(link, MqttLink)}
        # What can refuse a wrong file comes first: nothing runs yet that would have to be ended.
        self._mqtt = MqttDevices(broker, mqtt, site_path) if broker is not None and mqtt else None
        self._it = ItPower(site, site_path)
        self._modbus = ModbusDevices(modbus, site_path, self._max_age_s)
        self._ranges = ranges_of(self._modbus.units)
        sunspec = {name: link for name, link in links.items() if isinstance(link, SunSpecLink)}
        self._sunspec = SunSpecDevices(sunspec, site, None if capture is None else capture.watch)
        if capture is not None:
            self._tap(capture)
        self._it.start()
        if self._mqtt is not None:
            self._mqtt.start()

    def _max_age_s(self, device: str) -> float:
        return self._telemetry.max_age_by_device_s.get(device, self._telemetry.max_age_s)

    def _tap(self, capture: Listener) -> None:
        for unit in self._modbus.units.values():
            capture.watch(unit)
        if self._mqtt is not None:
            self._mqtt.tap = capture.hear

    def connect_or_raise(self, timeout_s: float) -> None:
        """Wait until everything answers. Raises `LinkError` with each link that does not, and what to do."""
        deadline_s = stopwatch_s() + timeout_s
        while absent := tuple(self._absent()):
            if stopwatch_s() >= deadline_s:
                raise LinkError("\n  ".join(("the plant cannot be reached:", *absent, ADVICE)))
            time.sleep(LOOK_AGAIN_S)

    def _absent(self) -> Iterator[str]:
        """What cannot be used yet, and what was expected there."""
        for device, unit in self._modbus.units.items():
            if unit.down is not None:
                yield f"{device}: {unit.place}: {unit.down}; expected: {unit.registers.title}"
        for device, found in self._sunspec.units.items():
            if found.down is not None:
                yield f"{device}: {found.place}: {found.down}"
        yield from self._it.absent()
        for device in self._mqtt.links if self._mqtt is not None else ():
            if self._mqtt is not None and (reason := self._mqtt.silence(device)) is not None:
                yield f"{device}: {reason}; expected: JSON with {', '.join(self._mqtt.links[device].points)}"

    def read(self, now: datetime) -> Snapshot:
        sunspec = self._sunspec.begin_poll()
        answers, lost = self._modbus.poll(now), dict[str, str]()
        for device, unit in self._modbus.units.items():
            answer = answers.get(device, {})
            self._take_answer(unit, answer, now)
            if (silence := _silence(unit, answer)) is not None:
                lost[device] = f"{device}: {silence}"
                self._mark(device, unit.registers.points, lost[device])
        if sunspec is not None:
            self._take_sunspec(sunspec.result(LONGEST_CYCLE_S), now, lost)
        if self._mqtt is not None:
            self._take_messages(self._mqtt, now, lost)
        self._take_it_power(now, lost)
        if self._mqtt is None and self._capture is not None:
            self._end_reading(self._capture, now, None)
        return Snapshot(now=now, readings=self._last | self._balance.judged(self._last, now), lost=lost)

    def _take_answer(self, unit: Unit, answer: Mapping[str, Value], now: datetime) -> None:
        sound: dict[str, float] = {}
        for name, value in answer.items():
            point, low, high = self._ranges[unit.device][name]
            if isinstance(value, str):
                self._mark(unit.device, (name,), value)
            elif low <= value <= high:
                sound[point] = value
            else:
                self._last[point] = judged(value, now, low=low, high=high)
        self._last |= good_readings(sound, now)

    def _take_sunspec(self, answers: Mapping[str, Mapping[str, Value]], now: datetime, lost: dict[str, str]) -> None:
        for device, unit in self._sunspec.units.items():
            for name, value in answers.get(device, {}).items():
                if isinstance(value, str):
                    self._mark(device, (name,), f"{unit.place}: {value}")
                else:
                    self._last[f"{device}.{name}"] = judged(value, now, low=-math.inf, high=math.inf)
            if device not in answers:
                lost[device] = f"{device}: {unit.place}: {unit.down or AGAIN}"
                self._mark(device, unit.points, lost[device])

    def _take_messages(self, mqtt: MqttDevices, now: datetime, lost: dict[str, str]) -> None:
        if self._await_state_s > 0:
            mqtt.await_states(now, self._await_state_s)
        with mqtt.arrival:
            for device, link in mqtt.links.items():
                max_age_s = self._max_age_s(device)
                self._take_state(mqtt, device, now, max_age_s)
                silence = mqtt.silence(device) or mqtt.quiet(device, now, max_age_s)
                if silence is not None:
                    lost[device] = f"{device}: {silence}"
                if (reason := silence or mqtt.problems.get(device)) is not None:
                    self._mark(device, link.points, reason)
            if self._capture is not None:
                # While nothing can arrive: what came before this is what was taken.
                self._end_reading(self._capture, now, mqtt.down)

    def _end_reading(self, capture: Listener, now: datetime, broker_down: str | None) -> None:
        units: tuple[Unit | SunSpecUnit, ...] = (*self._modbus.units.values(), *self._sunspec.units.values())
        down = {unit.device: unit.down for unit in units if unit.down is not None}
        capture.end_reading(now, down, broker_down)

    def _take_state(self, mqtt: MqttDevices, device: str, now: datetime, max_age_s: float) -> None:
        state = mqtt.states.get(device)
        if state is None:
            return
        for name, value in state.values.items():
            reading = judged(value, state.at, low=-math.inf, high=math.inf)
            if state.retained:
                reading = doubtful(reading, "kept by the broker from earlier, not heard live")
            self._last[f"{device}.{name}"] = aged(reading, now, max_age_s)
        for name, problem in state.problems.items():
            self._mark(device, (name,), problem)

    def _take_it_power(self, now: datetime, lost: dict[str, str]) -> None:
        lost |= self._it.lost()
        for device, point, found in self._it.points(now):
            if isinstance(found, str):
                self._mark(device, (point,), found)
            else:
                self._last[f"{device}.{point}"] = found

    def _mark(self, device: str, names: Iterable[str], reason: str) -> None:
        """Keep the last values, marked bad."""
        for name in names:
            point = f"{device}.{name}"
            if (reading := missing(self._last.get(point), reason)) is not None:
                self._last[point] = reading

    def apply(self, commands: Sequence[Command], now: datetime) -> tuple[Receipt, ...]:
        it, mqtt, deadline_s = self._it, self._mqtt, stopwatch_s() + RECEIPT_TIMEOUT_S
        # Messages travel, and SunSpec devices are written to, while registers are written.
        limits = {index: it.send(item, now) for index, item in enumerate(commands) if it.takes(item.device)}
        sent = {
            index: mqtt.send(item, now)
            for index, item in enumerate(commands)
            if mqtt is not None and item.device in mqtt.links and index not in limits
        }
        found = [index for index, item in enumerate(commands) if item.device in self._sunspec.units]
        sunspec = self._sunspec.begin_apply([commands[index] for index in found], now)
        elsewhere = {*limits, *sent, *found}
        rest = [index for index in range(len(commands)) if index not in elsewhere]
        receipts = dict(zip(rest, self._modbus.apply([commands[index] for index in rest], now), strict=True))
        if sunspec is not None:
            receipts |= dict(zip(found, sunspec.result(LONGEST_CYCLE_S), strict=True))
        if mqtt is not None:
            receipts |= {index: mqtt.receipt(commands[index], waiting, deadline_s) for index, waiting in sent.items()}
        receipts |= {index: it.receipt(commands[index], waiting) for index, waiting in limits.items()}
        return tuple(receipts[index] for index in range(len(commands)))

    def close(self) -> None:
        if self._mqtt is not None:
            self._mqtt.close()
        self._sunspec.close()
        self._it.close()
        self._modbus.close()


def ranges_of(units: Mapping[str, Unit]) -> dict[str, dict[str, tuple[str, float, float]]]:
    """Device → point → its full name, and the range in which it is plausible."""
    return {
        device: {name: (f"{device}.{name}", point.min, point.max) for name, point in unit.registers.points.items()}
        for device, unit in units.items()
    }


def _silence(unit: Unit, answer: Mapping[str, Value]) -> str | None:
    """Why nothing was heard from a device in this cycle; None where at least one value was."""
    if not answer:
        return f"{unit.place}: {unit.down or AGAIN}"
    if all(isinstance(value, str) for value in answer.values()):
        return "; ".join(dict.fromkeys(map(str, answer.values())))
    return None
