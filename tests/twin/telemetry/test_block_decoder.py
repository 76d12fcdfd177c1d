"""Numbers that are decoded together are those that are decoded one by one."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from twin.telemetry.block_decoder import block_decoder
from twin.telemetry.map_formula import Place, place_of
from twin.telemetry.map_polling import point_value
from twin.telemetry.map_schema import Register, ScaleFactor
from twin.telemetry.register_map import Block, blocks

KINDS = ("int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64", "bit", "int8_low")


@st.composite
def maps(draw: st.DrawFn) -> dict[str, Register]:
    """Up to twelve points, one after another, some in registers of others."""
    points: dict[str, Register] = {}
    address = 0
    for at in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(KINDS))
        bits = {"sentinel": 0x8000} if draw(st.booleans()) and kind.endswith("16") else {}
        keys: dict[str, Any] = {
            "word_order": draw(st.sampled_from(("big", "little"))),
            "byte_order": draw(st.sampled_from(("big", "big", "little"))),
            "scale": draw(st.sampled_from((1.0, 0.01, -10.0))),
            "offset": draw(st.sampled_from((0.0, -40.0))),
            "into_device": draw(st.sampled_from((None, "positive", "negative"))),
            "scale_factor": draw(st.sampled_from((None, None, ScaleFactor(table="input", address=90)))),
        }
        point = Register(table="input", address=address, type=kind, min=-1, max=1, **keys, **bits)  # type: ignore[arg-type]
        points[f"p{at}_kw"] = point
        address += draw(st.sampled_from((point.word_count, point.word_count, 0)))
    return points


def one_by_one(points: dict[str, Register], block: Block, words: list[int]) -> dict[str, float | str]:
    def heard(point: Register) -> dict[Place, list[int]]:
        at = point.address - block.start
        return {place_of(point): words[at : at + point.word_count]}

    return {name: point_value(point, heard(point), {}) for name, point in points.items()}


@given(points=maps(), data=st.data())
def test_the_same_numbers_come_out(points: dict[str, Register], data: st.DataObject) -> None:
    (block,) = blocks({str(index): point for index, point in enumerate(points.values())})
    words = data.draw(
        st.lists(st.sampled_from((0, 1, 0x8000, 0x7FFF, 0x7FC0, 0x7F80, 0xFFFF, 1234)) | st.integers(0, 65535),
                 min_size=block.count, max_size=block.count)
    )  # fmt: skip
    decoder = block_decoder(block, points)
    if decoder is not None:
        expected = one_by_one(points, block, words)
        assert decoder.values(words) == {name: expected[name] for name in decoder.names}
