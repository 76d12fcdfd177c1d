"""Words that nobody reads are never put together; read, they are like any others."""

from __future__ import annotations

from twin.lazy_words import LazyWords


def test_words_are_made_when_they_are_read_and_not_before() -> None:
    said: list[int] = []

    def say() -> str:
        said.append(1)
        return "import stays below 3,705 kW"

    words = LazyWords(say)
    assert not said
    assert str(words) == f"{words}" == "import stays below 3,705 kW"
    assert "3,705" in words
    assert words == "import stays below 3,705 kW"
    assert words == LazyWords(lambda: "import stays below 3,705 kW")
    assert len({words, LazyWords(lambda: "import stays below 3,705 kW")}) == 1
    assert words != "something else"
    assert words != 3705
    assert said
