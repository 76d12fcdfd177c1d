"""The power flow of a site as its simulator asks for it: consumption bus by bus, one or many scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from twin.network.power_flow import FlowResult, PowerFlow
from twin.numeric import Flag, FloatArray, Num
from twin.site import Site

ByBus = Sequence[Num] | FloatArray
"""One number for each bus, or a table ``(buses, scenarios)``."""


class Network(Protocol):
    """The power flow of a site, for consumption bus by bus."""

    @property
    def buses(self) -> Sequence[str]: ...

    @property
    def branches(self) -> Sequence[str]: ...

    def solve(self, p_kw: ByBus, q_kvar: ByBus) -> FlowResult:
        """The flow with so much consumed at each of `buses`. Raises `PowerFlowError` where there is none."""
        ...

    def solve_again(self, p_kw: ByBus, q_kvar: ByBus, changed: Flag, before: FlowResult) -> FlowResult:
        """As `solve`; where nothing has changed it is the flow of `before`."""
        ...


class NetworkInMemory:
    """The network of a site with its power flow."""

    def __init__(self, site: Site, scenarios: int) -> None:
        self._flow, self._scenarios = PowerFlow(site.network, site.devices[site.slack].bus), scenarios
        self.buses, self.branches = self._flow.buses, self._flow.branches

    def solve(self, p_kw: ByBus, q_kvar: ByBus) -> FlowResult:
        return self._flow.solve(self._laid_out(p_kw), self._laid_out(q_kvar))

    def solve_again(self, p_kw: ByBus, q_kvar: ByBus, changed: Flag, before: FlowResult) -> FlowResult:
        """What has not changed is found again within the tolerance."""
        del changed, before
        return self.solve(p_kw, q_kvar)

    def _laid_out(self, by_bus: ByBus) -> FloatArray:
        if isinstance(by_bus, np.ndarray):
            return by_bus[:, 0] if self._scenarios == 1 else by_bus
        if self._scenarios == 1:
            return np.array(by_bus, dtype=np.float64)
        return np.array([np.broadcast_to(value, (self._scenarios,)) for value in by_bus])
