"""The connection to the public grid: its contract, its tariff, and what its energy emits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt

from twin.carbon import Carbon, Emission
from twin.devices.base import DEVICES, STRICT, Account, Drive, Group, Step, Values
from twin.noise import Seed
from twin.numeric import Num
from twin.tariff import Tariff
from twin.weather import Weather


@dataclass(frozen=True, slots=True, kw_only=True)
class GridState:
    """The connection remembers nothing; its meter's demand interval belongs to the twin."""


@DEVICES.add("grid_connection")
@dataclass(frozen=True, slots=True, kw_only=True)
class GridConnection:
    """The point of connection; its power is what the network leaves over."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    group: ClassVar[Group | None] = None
    account: ClassVar[Account] = Account.GRID
    setpoint: ClassVar[str | None] = None
    instruments: ClassVar[tuple[str, ...]] = ()
    example: ClassVar[Mapping[str, Any]] = {
        "type": "grid_connection",
        "bus": "pcc",
        "rated_kw": 1000,
        "contracted_import_kw": 800,
        "export_limit_kw": 500,
        "tariff": {"periods": [{"name": "flat", "from_hour": 0, "to_hour": 24, "price_per_kwh": 0.1}]},
        "carbon_g_per_kwh": 400,
    }

    type: Literal["grid_connection"] = "grid_connection"
    bus: str
    rated_kw: Annotated[float, Gt(0)]
    """Thermal rating of the connection."""
    contracted_import_kw: Annotated[float, Gt(0)]
    """Import that may not be exceeded."""
    export_limit_kw: Annotated[float, Ge(0)]
    """Export that may not be exceeded."""
    tariff: Tariff
    carbon_g_per_kwh: Annotated[float, Ge(0)] = 0.0
    """Emission factor of imported energy, average and marginal; instead of `carbon`."""
    carbon: Carbon | None = None
    """Average and marginal emission factors, constants or series."""

    def __post_init__(self) -> None:
        if self.carbon is not None and self.carbon_g_per_kwh:
            raise ValueError("carbon or carbon_g_per_kwh, not both")

    def emission(self, local: datetime) -> Emission:
        """Emission factors of energy imported at an instant."""
        if self.carbon is not None:
            return self.carbon.emission(local)
        return Emission(average_g_per_kwh=self.carbon_g_per_kwh, marginal_g_per_kwh=self.carbon_g_per_kwh)

    @property
    def serves(self) -> Sequence[str]:
        return ()

    @property
    def free_setpoint(self) -> float:
        return 0.0

    @property
    def safe_setpoint(self) -> float:
        return 0.0

    def initial(self) -> GridState:
        return GridState()

    def drive(self, weather: Weather, seed: Seed) -> Drive:
        return {}

    def step(
        self,
        state: GridState,
        setpoint: Num,
        drive: Values,
        served: Sequence[Step[Any]],
        step_s: float,
    ) -> Step[GridState]:
        return Step(state=state, p_kw=0.0)

    def flexibility(self, values: Values) -> None:
        return None
