"""What is kept of one simulated step: a flat row of numbers, by name."""

from __future__ import annotations

from collections.abc import Mapping

from twin.numeric import Num
from twin.simulator import PlantStep


def step_row(step: PlantStep) -> Mapping[str, Num]:
    """`import_kw`, `losses_kw`, `unserved_kw`, and of each device `<device>.p_kw` and its points.

    Floats, or arrays over scenarios.
    """
    row = {"import_kw": step.import_kw, "losses_kw": step.flow.losses_kw, "unserved_kw": step.unserved_kw}
    for name, done in step.steps.items():
        row[f"{name}.p_kw"] = done.p_kw
        row.update({f"{name}.{point}": value for point, value in done.points.items()})
    return row


def nothing(step: PlantStep) -> Mapping[str, Num]:
    """No row is kept."""
    del step
    return {}
