"""Which buses iterate, and how all the others follow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from twin.network.admittance import Admittance, ComplexArray, IntArray
from twin.network.chord import Chord
from twin.network.flow_result import DenseResults, FlowResult, SparseResults
from twin.network.volt_var import VoltVar
from twin.numeric import BoolArray, FloatArray, Num


class WholeNetwork:
    """All buses iterate: the least to do in a small network."""

    def __init__(self, network: Admittance) -> None:
        self.bus_names = network.buses
        self.chord = Chord(network.impedance, network.open_circuit, network.seed)
        self._results = DenseResults(network)

    def place(self, bus: str) -> int:
        return self.bus_names.index(bus)

    def loads(self, p_kw: FloatArray, q_kvar: FloatArray, volt_var: Sequence[VoltVar] = ()) -> ComplexArray:
        del volt_var
        return as_load(p_kw, q_kvar)

    def chosen(self, load: ComplexArray, volt_var: Sequence[VoltVar] = ()) -> ComplexArray:
        del volt_var
        return load

    def everywhere(self, load: ComplexArray, voltage: ComplexArray, slack_v_pu: Num) -> ComplexArray:
        del load, slack_v_pu
        return voltage

    def result(self, load: ComplexArray, voltage: ComplexArray, slack_v_pu: Num) -> FlowResult:
        del slack_v_pu
        return self._results.result(load, voltage)


class ReducedNetwork:
    """Only the slack and the buses that carry a load iterate; they become more as loads appear elsewhere."""

    chord: Chord
    bus_names: tuple[str, ...]
    """Of those that iterate, in the order of the site file."""

    def __init__(self, network: Admittance, load_buses: Iterable[str]) -> None:
        self._network, self._results = network, SparseResults(network)
        self._reduce({network.slack, *map(network.buses.index, load_buses)})

    def place(self, bus: str) -> int:
        return self.bus_names.index(bus)

    def loads(self, p_kw: FloatArray, q_kvar: FloatArray, volt_var: Sequence[VoltVar] = ()) -> ComplexArray:
        """Complex loads of the buses that iterate, scenarios first, from those of all. Inverters' buses iterate."""
        self._carry(_loaded(p_kw[self._idle]) | _loaded(q_kvar[self._idle]), volt_var)
        return as_load(p_kw[self._places], q_kvar[self._places])

    def chosen(self, load: ComplexArray, volt_var: Sequence[VoltVar] = ()) -> ComplexArray:
        """As `loads`, of complex loads with the scenarios first."""
        return self.loads(load.real.T, load.imag.T, volt_var)

    def everywhere(self, load: ComplexArray, voltage: ComplexArray, slack_v_pu: Num) -> ComplexArray:
        """The voltages of all buses, from those of the buses that iterate; scenarios first, as these are."""
        return self._buses_first(load.T, voltage.T, slack_v_pu).T

    def result(self, load: ComplexArray, voltage: ComplexArray, slack_v_pu: Num) -> FlowResult:
        everywhere = self._buses_first(load.T, voltage.T, slack_v_pu)
        return self._results.result(self._places, load.T, everywhere)

    def _buses_first(self, load: ComplexArray, voltage: ComplexArray, slack_v_pu: Num) -> ComplexArray:
        found = np.empty((len(self._network.buses), *load.shape[1:]), dtype=np.complex128)
        open_circuit = self._idle_open_circuit if load.ndim == 1 else self._idle_open_circuit[:, None]
        found[self._places] = voltage
        found[self._idle] = open_circuit * slack_v_pu - self._from_carriers.dot((load / voltage).conj())
        return found

    def _carry(self, loaded: BoolArray, volt_var: Sequence[VoltVar]) -> None:
        new = {*self._idle[loaded].tolist(), *(self._network.buses.index(item.bus) for item in volt_var)}
        if not new <= self._carriers:
            self._reduce(self._carriers | new)

    def _reduce(self, carriers: set[int]) -> None:
        network, self._carriers = self._network, carriers
        self._places: IntArray = np.array(sorted(carriers), dtype=np.intp)
        self._idle = np.setdiff1d(np.arange(len(network.buses)), self._places)
        self.bus_names = tuple(network.buses[place] for place in self._places)
        self._from_carriers = network.impedance[np.ix_(self._idle, self._places)]
        self._idle_open_circuit = network.open_circuit[self._idle]
        self.chord = Chord(
            network.impedance[np.ix_(self._places, self._places)],
            network.open_circuit[self._places],
            network.seed[self._places],
        )


def _loaded(values: FloatArray) -> BoolArray:
    """Bus by bus, whether there is anything in any scenario."""
    return values != 0.0 if values.ndim == 1 else np.asarray(values.any(axis=1), dtype=np.bool_)


def as_load(p_kw: FloatArray, q_kvar: FloatArray) -> ComplexArray:
    """Consumption as complex power, kVA, scenarios first."""
    load = np.empty(p_kw.shape[::-1], dtype=np.complex128)
    load.real, load.imag = p_kw.T, q_kvar.T
    return load
