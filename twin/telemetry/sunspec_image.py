"""The registers of a whole SunSpec device, made from values: what an emulated device serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twin.telemetry.sunspec_codec import encode
from twin.telemetry.sunspec_discovery import END, SUNS
from twin.telemetry.sunspec_model import Model
from twin.telemetry.sunspec_types import Scalar

Values = Mapping[str, Scalar]


def image(models: Sequence[Model], values: Sequence[Values]) -> tuple[int, ...]:
    """ "SunS", the models one after another with the values of each, and the end model.

    A point without a value is not implemented. Raises `SunSpecError` for an unknown point and for a value that
    does not fit.
    """
    words = list(SUNS)
    for model, own in zip(models, values, strict=True):
        words += encode(model, own)
    return (*words, END, 0)
