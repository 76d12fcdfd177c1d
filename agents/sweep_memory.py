"""How many scenarios side by side fit into the memory of one process."""

from __future__ import annotations

from twin.site import Site

MOST_SIDE_BY_SIDE = 256
"""Scenarios in one batch unless told otherwise: more gain little, and take more memory."""
MOST_MB = 1000.0
"""Of one process, unless told otherwise."""
PROCESS_MB = 600.0
"""Libraries, network, and the blocks of drives and of the step table, which do not grow with the scenarios."""
SCENARIO_MB, MEMBER_MB = 0.05, 0.0005
"""Of one scenario, and of each device and bus in it.

Held against the peak of processes that wrote their step table. Campus (13 devices, 12 buses), blocks full: 470 MB with
2 scenarios, 603 MB with 256, 652 MB with 1024, where these numbers say 664. Hyperscale (164 devices, 376 buses), 40
steps: 477 MB with 2 scenarios, 536 MB with 128, 601 MB with 512, where they say 764.
"""


def memory_mb(site: Site, scenarios: int) -> float:
    """Of a process that runs so many side by side, roughly."""
    return PROCESS_MB + scenarios * _scenario_mb(site)


def most_side_by_side(site: Site) -> int:
    """Scenarios in a batch when nobody says how many."""
    return max(min(int((MOST_MB - PROCESS_MB) / _scenario_mb(site)), MOST_SIDE_BY_SIDE), 1)


def _scenario_mb(site: Site) -> float:
    return SCENARIO_MB + MEMBER_MB * (len(site.devices) + len(site.network.buses))
