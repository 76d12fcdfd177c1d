"""How much of a data centre's energy and water reaches the chips: PUE, WUE, TUE and energy for a GPU's hour.

Each is a function of energies that were booked over the same time. PUE counts server fans as equipment: a hall that
takes them out (immersion) saves their energy and shows no better PUE for it. TUE counts them as cooling.
"""

from __future__ import annotations

from twin.numeric import Num, ratio


def pue(it_kwh: Num, facility_kwh: Num) -> Num:
    """Power usage effectiveness: all energy of the data centre over that of its IT equipment, 1 or more.

    Server fans and power supplies are within the equipment. Without losses of supply and light in `facility_kwh` it
    is the partial PUE of what is.

    Source: ISO/IEC 30134-2:2016.
    """
    return ratio(facility_kwh, it_kwh)


def wue_l_per_kwh(water_l: Num, it_kwh: Num) -> Num:
    """Water usage effectiveness: water used on site over energy of the IT equipment, L/kWh.

    Source: ISO/IEC 30134-9:2022.
    """
    return ratio(water_l, it_kwh)


def compute_kwh(it_kwh: Num, server_fan_kwh: Num, supply_efficiency: float) -> Num:
    """What of the equipment's energy reaches processors, memory, network and storage.

    ``it · supply efficiency - fans``: power supplies feed both chips and fans.
    """
    return it_kwh * supply_efficiency - server_fan_kwh


def tue(it_kwh: Num, facility_kwh: Num, computing_kwh: Num) -> Num:
    """Total-power usage effectiveness: all energy over that of compute components, ``TUE = ITUE · PUE``.

    With ``ITUE = IT energy / energy of compute components``, which leaves out fans, power supplies and voltage
    regulators inside the servers.

    Source: Patterson and others 2013, TUE, a new energy-efficiency metric applied at ORNL's Jaguar,
    doi:10.1007/978-3-642-38750-0_28.
    """
    return ratio(it_kwh, computing_kwh) * pue(it_kwh, facility_kwh)


def kwh_per_gpu_h(facility_kwh: Num, delivered_gpu_h: Num) -> Num:
    """All energy of the data centre over the GPU hours that did useful work."""
    return ratio(facility_kwh, delivered_gpu_h)
