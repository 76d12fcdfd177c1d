from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from twin.quick import quick


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    size: float
    label: str = "plain"
    parts: dict[str, float] = field(default_factory=dict)


def test_it_behaves_as_any_frozen_dataclass() -> None:
    one = Sample(size=2.0)
    assert one == Sample(size=2.0, label="plain", parts={})
    assert replace(one, size=3.0) == Sample(size=3.0)
    assert pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == one
    assert repr(one) == "Sample(size=2.0, label='plain', parts={})"


def test_it_stays_frozen_and_keyword_only() -> None:
    with pytest.raises(FrozenInstanceError):
        Sample(size=2.0).size = 3.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        Sample(2.0)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="size"):
        Sample()  # type: ignore[call-arg]


def test_a_default_container_is_not_shared() -> None:
    assert Sample(size=1.0).parts is not Sample(size=1.0).parts
