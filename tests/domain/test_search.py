"""How a hit is shown: a piece of the text around what was found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.domain.search import EXCERPT_LENGTH, Excerpt, excerpt
from palaver.kit.words import Query

WORDS = [f"word{number}" for number in range(300)]
LONG = " ".join(WORDS)


def marks(shown: Excerpt) -> list[str]:
    return [shown.text[start:end] for start, end in shown.highlights]


def test_a_short_text_is_shown_whole() -> None:
    assert excerpt("a red\nfox", Query("red ")) == Excerpt("a red fox", ((2, 5),))


def test_a_long_text_is_cut_between_words_around_what_was_found() -> None:
    shown = excerpt(LONG, Query("word150 "))
    assert shown.text.startswith("…word1")
    assert shown.text.endswith("…")
    assert marks(shown) == ["word150"]
    assert set(shown.text.strip("…").split()) <= set(WORDS)
    assert len(shown.text) <= EXCERPT_LENGTH + 2


def test_the_beginning_is_shown_where_nothing_was_found() -> None:
    shown = excerpt(LONG, Query("absent "))
    assert shown.text.startswith("word0 word1 ")
    assert shown.text.endswith("…")
    assert shown.highlights == ()


def test_the_end_of_a_text_is_shown_to_its_end() -> None:
    shown = excerpt(LONG, Query("word299 "))
    assert shown.text.startswith("…")
    assert shown.text.endswith("word298 word299")
    assert marks(shown) == ["word299"]


def test_the_place_where_most_words_meet_is_shown() -> None:
    filler = "filler " * 60
    text = f"red {filler} red {filler} red fox {filler}"
    assert marks(excerpt(text, Query("red fox "))) == ["red", "fox"]


def test_a_text_without_spaces_is_cut_anywhere() -> None:
    shown = excerpt("字" * 500 + "中文" + "字" * 500, Query("中文"))
    assert marks(shown) == ["中文"]
    assert len(shown.text) == EXCERPT_LENGTH + 2


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\u2028", "\t"])
def test_line_breaks_become_spaces(newline: str) -> None:
    shown = excerpt(f"one{newline}two", Query("two "))
    assert shown.text.split(" ")[-1] == "two"
    assert marks(shown) == ["two"]


@given(st.text(max_size=600), st.text(max_size=20))
def test_highlights_always_lie_within_the_excerpt(text: str, q: str) -> None:
    shown = excerpt(text + " needle " + text, Query(q + " needle "))
    assert len(shown.text) <= max(EXCERPT_LENGTH, 0) + 2
    assert "needle" in marks(shown) or len(shown.highlights) > 0
    for start, end in shown.highlights:
        assert 0 <= start < end <= len(shown.text)
