"""What is kept of a model's answer when it was asked for a title."""

import pytest

from palaver.domain import titles
from palaver.domain.titles import EXCERPT_MAX_LENGTH, LINE_MAX_LENGTH, title_of, title_request


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Greeting the World", "Greeting the World"),
        ('"Greeting the World."', "Greeting the World"),
        ("\u201eReise nach Rom\u201c", "Reise nach Rom"),
        ("\u00ab Voyage \u00e0 Rome \u00bb", "Voyage \u00e0 Rome"),
        ("\u300a\u4f60\u597d\u4e16\u754c\u300b", "\u4f60\u597d\u4e16\u754c"),
        ("one two three four five six seven", "one two three four five"),
        ("first, second, third, fourth, fifth, sixth", "first, second, third, fourth, fifth"),
        ("**Title:** Bread", "Bread"),
        ("# Title: Bread", "Bread"),
        ("Titel: Brot", "Brot"),
        ("\u6807\u9898\uff1a\u9762\u5305", "\u9762\u5305"),
        ("Here is a title:\n\n*Baking Bread*", "Baking Bread"),
        ("Baking Bread\n\nThis title says what it is about.", "Baking Bread"),
        ("```\nBaking Bread\n```", "Baking Bread"),
        ("- [Bread](https://example.org)", "Bread"),
        ("![A loaf](https://example.org/loaf_(bread).png)", "A loaf"),
        ("`snake_case` in __Python__", "snake_case in Python"),
        ("Learning C# and C++", "Learning C# and C++"),
        ("Why bread?", "Why bread?"),
        ("  Baking\t\x00 bread\x1b \r\n", "Baking bread"),
        ("<think>What could it be?\nBread!</think>\nBaking Bread", "Baking Bread"),
        ("x" * 600, "x" * 500),
    ],
)
def test_a_title_is_freed_of_what_is_around_it(text: str, title: str) -> None:
    assert title_of(text) == title


@pytest.mark.parametrize("text", ["", " \n", '""', "**", "...", "<think>Hm. I never", "\x00", "#"])
def test_what_holds_no_words_is_no_title(text: str) -> None:
    assert title_of(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "a" + "_" * 1_000_000 + "a",
        "![" * 500_000,
        "[](" * 300_000,
        "[](a(b)" * 150_000,
        "[](" + "(a)" * 300_000,
        "[](" * 300_000 + ")" * 300_000,
        "_a_ " * 250_000,
        "*`~" * 300_000,
        "Title: " * 150_000,
        "<think>" * 150_000,
        "a:\n" * 100_000,
    ],
    ids=lambda text: text[:8],
)
def test_text_made_to_be_slow_is_read_once(text: str) -> None:
    """Quadratic patterns would take hours over these, and the whole server with them."""
    title_of(text)
    titles._MARKS.sub("", titles._LINK.sub(r"\1", text))


def test_nothing_is_read_far_behind_the_beginning_of_a_line() -> None:
    assert title_of(" " * LINE_MAX_LENGTH + "Bread") is None
    assert title_of(" " * LINE_MAX_LENGTH + "Bread\nBaking") == "Baking"


def test_what_is_asked_holds_both_sides_in_short() -> None:
    text = title_request("question " * 1_000, "answer").text
    assert "question question" in text
    assert text.endswith("answer")
    assert len(text) < EXCERPT_MAX_LENGTH + 500
