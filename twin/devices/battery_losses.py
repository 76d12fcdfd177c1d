"""Between the terminals of a battery's inverter and its cells: how much of a power arrives on the other side."""

from __future__ import annotations

from dataclasses import dataclass

from twin.devices.battery_course import Course
from twin.numeric import Flag, Num, larger, sqrt, where
from twin.quick import quick


def charged_kw(net_kw: Num, efficiency: Num, square_per_kw: Num) -> Num:
    """Power at which the content of the cells grows.

    The solution ``u`` of ``net = u / efficiency + square · u²``: converter losses that are proportional to power, and
    those of all resistances, cells included, with its square. At a constant open-circuit voltage, which is that of
    lithium iron phosphate nearly, away from empty and full, an internal resistance ``R`` is
    ``square = R / voltage²``.

    Parameters
    ----------
    net_kw : power at the terminals beyond what the inverter takes for itself, kW, 0 or more.
    efficiency : of the proportional part, above 0 to 1.
    square_per_kw : 1/kW, 0 or more.

    Notes
    -----
    No-load, proportional and square losses of a converter: Schmidt and Sauer, "Wechselrichter-Wirkungsgrade", 1996,
    the law behind the efficiency curves of inverters; internal resistance: Tremblay and Dessaint, "Experimental
    Validation of a Battery Dynamic Model for EV Applications", 2009, doi 10.3390/wevj3020289.
    """
    linear = 1.0 / efficiency
    return 2.0 * net_kw / (linear + sqrt(linear * linear + 4.0 * square_per_kw * net_kw))


def drained_kw(net_kw: Num, efficiency: Num, square_per_kw: Num) -> Num:
    """Power at which the content of the cells shrinks: the smaller ``u`` with ``net = efficiency · u − square · u²``.

    Parameters and source as of `charged_kw`; `net_kw` is what leaves the terminals and what the inverter takes for
    itself. Above ``efficiency² / (4 · square)``, the most that the cells can give, the result is that of a matched
    load or more, and means nothing; `Battery` refuses such a rating.
    """
    root = sqrt(larger(efficiency * efficiency - 4.0 * square_per_kw * net_kw, 0.0))
    return 2.0 * net_kw / (efficiency + root)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Converter:
    """Everything between terminals and cells that loses power."""

    charge_efficiency: Num
    discharge_efficiency: Num
    square_per_kw: Num
    no_load_kw: Num
    """Whenever it runs."""
    standby_kw: Num
    """Always."""

    @property
    def fixed_kw(self) -> Num:
        """Drawn while it runs, whatever its power."""
        return self.standby_kw + self.no_load_kw

    @property
    def charge_loss_fraction(self) -> Num:
        """Of the power that enters the cells."""
        return 1.0 / self.charge_efficiency - 1.0

    @property
    def drain_loss_fraction(self) -> Num:
        """Of the power that leaves the cells."""
        return 1.0 - self.discharge_efficiency

    def charged_kw(self, p_kw: Num) -> Num:
        """Into the cells, of a power into the terminals."""
        return charged_kw(larger(p_kw - self.fixed_kw, 0.0), self.charge_efficiency, self.square_per_kw)

    def drained_kw(self, p_kw: Num) -> Num:
        """Out of the cells, for a power out of the terminals."""
        return drained_kw(larger(p_kw + self.fixed_kw, 0.0), self.discharge_efficiency, self.square_per_kw)

    def charge_terminal_kw(self, cells_kw: Num) -> Num:
        """Into the terminals, of a power into the cells."""
        return self.fixed_kw + (1.0 / self.charge_efficiency + self.square_per_kw * cells_kw) * cells_kw

    def drain_terminal_kw(self, cells_kw: Num) -> Num:
        """Out of the terminals, of a power out of the cells."""
        return (self.discharge_efficiency - self.square_per_kw * cells_kw) * cells_kw - self.fixed_kw

    def losses_kwh(self, course: Course, charging: Flag) -> Num:
        """All but standby."""
        linear = where(charging, self.charge_loss_fraction, self.drain_loss_fraction)
        return (
            self.no_load_kw * course.running_h + linear * course.energy_kwh + self.square_per_kw * course.square_kw2_h
        )

    def heat_kw(self, cells_kw: Num, charging: Flag) -> Num:
        """All but standby, while it runs."""
        linear = where(charging, self.charge_loss_fraction, self.drain_loss_fraction)
        return self.no_load_kw + (linear + self.square_per_kw * cells_kw) * cells_kw
