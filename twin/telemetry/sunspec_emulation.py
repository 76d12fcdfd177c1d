"""The emulated plant's side of SunSpec links: a battery, an inverter in the sun or wind, a meter, each by its models.

What is asked of them through their models becomes commands to the emulated plant, for as long as their own reversion
timer runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import SimDevice

from twin.errors import LinkError
from twin.numeric import first
from twin.points import Command, Snapshot
from twin.site import Site
from twin.telemetry.config import SunSpecLink
from twin.telemetry.modbus_server import READ_HOLDING
from twin.telemetry.sunspec_device import SunSpecDevice
from twin.telemetry.sunspec_model import ModelId, load_model
from twin.telemetry.sunspec_server import ServedSunSpec
from twin.telemetry.sunspec_types import Scalar

Values = dict[str, Scalar]
BEFORE_ANY = datetime(1970, 1, 1, tzinfo=UTC)
LARGEST_RAW = 32_000
SPARE = 1.5
"""Readings may be this much beyond a rating."""
HELD_S = 60.0
"""How long what a device holds without a running timer is passed on at a time."""
NOTHING_SET: Mapping[str, Scalar] = {
    "WMaxLimPct_SF": -2, "WSet_SF": 0, "WMaxLimPctEna": 0, "WMaxLimPct": 100, "WMaxLimPctRvrt": 100,
    "WMaxLimPctEnaRvrt": 0, "WMaxLimPctRvrtTms": 0, "WMaxLimPctRvrtRem": 0, "WSetEna": 0, "WSetMod": 1, "WSet": 0,
    "WSetRvrt": 0, "WSetEnaRvrt": 0, "WSetRvrtTms": 0, "WSetRvrtRem": 0,
}  # fmt: skip
"""Of model 704."""


class EmulatedSunSpec(ServedSunSpec):
    """One device of the emulated plant behind a SunSpec link."""

    def __init__(self, link: SunSpecLink, site: Site, on_command: Callable[[Command], None]) -> None:
        """Raises `LinkError` for a device that SunSpec has no models for here."""
        device = site.devices[link.device]
        self.name, self._setpoint, self._rated_w = link.device, device.setpoint, 1000.0 * device.rated_kw
        if self._setpoint not in (None, "p_kw", "limit_kw"):
            raise LinkError(f"{link.device}: sunspec cannot be emulated for a device that takes {self._setpoint}")
        self._nominal_v = site.network.buses[device.bus].rated_v
        self._sign = -1.0 if link.meter_import == "negative" else 1.0
        self._on_command = on_command
        self._now: datetime | None = None
        super().__init__(link.unit_id, self._new())

    def _new(self) -> SunSpecDevice:
        now = self._now or BEFORE_ANY
        shown = self._shown(Snapshot(now=now, readings={}))
        return SunSpecDevice([load_model(key) for key in shown], list(shown.values()), now)

    def reset(self) -> SimDevice:
        """As after power-up: it has forgotten what it was told."""
        self.device = self._new()
        return super().reset()

    def _shown(self, snapshot: Snapshot) -> dict[ModelId, Values]:
        """Model → what it shows of the plant."""

        def value(name: str, default: float = 0.0) -> float:
            reading = snapshot.readings.get(f"{self.name}.{name}")
            return default if reading is None else float(first(reading.value))

        w, var, volts = 1000.0 * value("p_kw"), 1000.0 * value("q_kvar"), self._nominal_v * value("v_pu", 1.0)
        power_sf, volts_sf = _exponent(SPARE * self._rated_w), _exponent(SPARE * self._nominal_v)
        common: Values = {"Mn": "gridhelm", "Md": "emulator", "SN": self.name}
        if self._setpoint is None:
            counter: Values = {"TotWhImp": round(1000.0 * value("import_kwh")), "TotWh_SF": 0}
            meter: Values = {"W": self._sign * w, "W_SF": power_sf, "VAR": self._sign * var, "VAR_SF": power_sf}
            return {1: common, 203: {**meter, **counter, "PPV": volts, "V_SF": volts_sf}}
        ac: Values = {"W": -w, "W_SF": power_sf, "Var": -var, "Var_SF": power_sf, "LLV": volts, "V_SF": volts_sf}
        rating: Values = {"WMax": self._rated_w, "W_SF": power_sf}
        models: dict[ModelId, Values] = {1: common, 701: ac, 702: rating, 704: {**NOTHING_SET, "WSet_SF": power_sf}}
        if self._setpoint == "p_kw":
            return {**models, 713: {"SoC": 100.0 * value("soc", 0.5), "Pct_SF": -2}}
        aval_sf = _exponent(SPARE * self._rated_w)
        return {**models, 122: {"WAval": 1000.0 * value("available_kw"), "WAval_SF": aval_sf}}

    async def show(self, server: ModbusTcpServer | None, snapshot: Snapshot) -> None:
        self._now = snapshot.now
        self.device.step(snapshot.now)
        for model_id, values in self._shown(snapshot).items():
            if model_id not in (1, 702, 704):
                self.device.show(model_id, values)
        self._obey(snapshot.now)

    async def _on_access(
        self, function: int, start: int, address: int, count: int, registers: list[int],
        written: list[int] | list[bool] | None,
    ) -> ExcCodes | None:  # fmt: skip
        refusal = await super()._on_access(function, start, address, count, registers, written)
        if function != READ_HOLDING and refusal is None and self._now is not None:
            self._obey(self._now)
        return refusal

    def _obey(self, now: datetime) -> None:
        """Pass on to the plant what the device holds."""
        if self._setpoint is None:
            return
        controls = self.device.contents(704)
        name = "WSet" if self._setpoint == "p_kw" else "WMaxLimPct"
        number = controls.number(name)
        if not controls.number(f"{name}Ena") or number is None:
            return
        value = -number / 1000.0 if name == "WSet" else number / 100.0 * self._rated_w / 1000.0
        left_s = controls.number(f"{name}RvrtRem") or controls.number(f"{name}RvrtTms") or HELD_S
        until = now + timedelta(seconds=left_s)
        self._on_command(
            Command(device=self.name, setpoint=self._setpoint, value=value, valid_until=until, reason="SunSpec")
        )


def _exponent(largest: float) -> int:
    """The power of ten with which numbers up to `largest` fit into 16 bits with a sign, as finely as they can."""
    return math.ceil(math.log10(max(largest, 1e-6) / LARGEST_RAW))
