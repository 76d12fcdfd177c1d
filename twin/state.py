"""What the twin knows of the site at one instant: the only thing controllers decide on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from twin.demand_interval import DemandInterval
from twin.devices.base import Account, Group, Values
from twin.flexibility import Flexibility
from twin.numeric import UNBOUNDED, Num
from twin.points import Quality
from twin.quick import quick


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class AssetState:
    """One device as the twin knows it."""

    group: Group | None
    account: Account
    p_kw: Num
    """Positive into the device."""
    values: Values
    """What its instruments show, `p_kw` among them."""
    flexibility: Flexibility | None
    quality: Quality
    """The worst among the values it needs; BAD when one is missing, lost or stale."""
    age_s: float
    """Of the oldest value it needs."""
    reason: str = ""
    """Why the quality is not good."""

    @property
    def reliable(self) -> bool:
        """Whether control may build on it."""
        return self.quality is not Quality.BAD


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class GridState:
    """The connection point, its contract and its prices now."""

    import_kw: Num
    """Positive is import. From the meter, or inferred from all devices when the meter is lost."""
    quality: Quality
    """GOOD from the meter, SUSPECT when inferred, BAD when neither was possible."""
    contracted_import_kw: float
    export_limit_kw: float
    price_per_kwh: Num
    """Of the next kWh."""
    export_price_per_kwh: Num
    demand: DemandInterval
    free_demand_kw: Num = UNBOUNDED
    """Highest interval average that adds nothing to the bill: that of the binding demand charge in this period."""
    demand_price_per_kw: Num = 0.0
    """What each kW above it costs, up to the peak of the next charge."""
    carbon_g_per_kwh: Num = 0.0
    """Average emission factor of imported energy."""
    marginal_carbon_g_per_kwh: Num = 0.0
    """What one kWh more or less emits or saves."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BusEstimate:
    """Voltage of one bus, and how sure the twin is of it."""

    v_pu: float
    sigma_v_pu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchEstimate:
    """Active power into the first-named (hv or from) end of one branch, and how sure the twin is of it."""

    p_kw: float
    sigma_p_kw: float
    loading_fraction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkEstimate:
    """The network as the state estimation sees it."""

    buses: Mapping[str, BusEstimate]
    branches: Mapping[str, BranchEstimate]
    slack_p_kw: float
    """From the grid, or the grid-forming device, into the network; positive is import."""
    sigma_slack_p_kw: float
    losses_kw: float
    chi_square: float
    """Weighted sum of squared residuals; its expectation is the number of redundant measurements."""
    redundancy: int
    """Measurements minus unknowns."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class SiteState:
    """The whole site at `now`."""

    now: datetime
    assets: Mapping[str, AssetState]
    grid: GridState | None
    """None on a site without a grid."""
    grid_forming: str | None = None
    """The device that holds voltage and frequency where there is no grid; its power is what is left over."""
    network: NetworkEstimate | None = None
    """None where it was not estimated in this cycle."""
    lost: Mapping[str, str] = field(default_factory=dict)
    """Device → why nothing is heard from it."""

    def members(self, group: Group) -> Mapping[str, AssetState]:
        """The assets of a group, in the order of the site file."""
        return {name: asset for name, asset in self.assets.items() if asset.group is group}
