"""The names that points of a device may have: what the twin, the estimator and people know of."""

from __future__ import annotations

from functools import cache

PHASES = ("l1", "l2", "l3")
SIGNED = frozenset(
    {"p_kw", "q_kvar", "dc_kw", "energy_kwh", *(f"{phase}_{unit}" for phase in PHASES for unit in ("kw", "kvar"))}
)
"""Flow both ways: their sign has a meaning, which every map has to state."""
CURRENTS = frozenset({"current_a", "dc_a", *(f"{phase}_a" for phase in PHASES)})
"""Signed in some devices and magnitudes in others: a map states which, unless the register is unsigned."""
ELECTRIC = frozenset(
    {
        "v_pu",
        "voltage_v",
        "dc_v",
        "frequency_hz",
        "power_factor",
        "s_kva",
        *(f"{phase}_{unit}" for phase in PHASES for unit in ("v", "kva", "power_factor")),
        "l1_l2_v",
        "l2_l3_v",
        "l3_l1_v",
    }
)
COUNTERS = frozenset(
    {"import_kwh", "export_kwh", "generation_kwh", "charge_kwh", "discharge_kwh", "import_kvarh", "export_kvarh"}
    | {f"{phase}_{way}_kwh" for phase in PHASES for way in ("import", "export")}
)
CONDITION = frozenset(
    {"soh", "capacity_kwh", "available_kwh", "rated_kw", "max_charge_kw", "max_discharge_kw", "temperature_c"}
    | {"generation_kw", "fuel_l", "fault_count", "min_soc", "max_soc", "charge_limit_kw", "discharge_limit_kw"}
)


@cache
def roles() -> frozenset[str]:
    """Every name a point may have: what devices show, and what the house knows of any device."""
    import twin.cooling
    import twin.devices
    from twin.devices.base import DEVICES
    from twin.registry import load

    load(twin.devices)
    load(twin.cooling)
    instruments = {point for device in DEVICES.values() for point in device.instruments}
    return SIGNED | CURRENTS | ELECTRIC | COUNTERS | CONDITION | instruments


@cache
def setpoints() -> frozenset[str]:
    """Every setpoint that a device of the house takes."""
    from twin.devices.base import DEVICES

    roles()
    return frozenset(device.setpoint for device in DEVICES.values() if device.setpoint)
